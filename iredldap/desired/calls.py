"""The calls of the API as a desired state needs them: their rows, operations, reads and rights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from iredldap.dit import passwords
from iredldap.dit.fields import Table
from iredldap.dit.request import Request
from iredldap.errors import Forbidden
from iredldap.operations.context import Operation, Read

Permit = Callable[[Request], None]
"""Refuses a request that the caller may not make."""


@dataclass(frozen=True)
class Calls:
    """Calls by the ids of their endpoints.

    Args:
        tables: Their parameters.
        operations: What makes the plans of changes.
        reads: What answers reads.
        permit: Refuses a request that the caller may not make.
    """

    tables: Mapping[str, Table]
    operations: Mapping[str, Operation]
    reads: Mapping[str, Read]
    permit: Permit


def is_permitted(permit: Permit, wanted: Request) -> bool:
    """Return whether the caller may make a request."""
    try:
        permit(wanted)
    except Forbidden:
        return False
    return True


def may_compare(permit: Permit, kind: str, mail: str, hash_text: str | None = None) -> bool:
    """Return whether the caller may learn that an account has a certain password.

    To those who may not verify passwords a comparison says nothing. What it says of a hash with a
    salt nobody can guess: who has it has read it.

    Args:
        permit: Refuses a request that the caller may not make.
        kind: Of the account: `user` or `admin`.
        mail: Its address.
        hash_text: The hash that it is compared with; None: a password in clear text.
    """
    if hash_text is not None and passwords.has_salt(hash_text):
        return True
    return is_permitted(permit, Request(f"{kind}_verify_password", {"mail": mail}))
