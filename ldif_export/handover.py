"""What an export in a child process and its parent tell each other.

Settings go in through an inherited descriptor, never on the command line or in the environment,
where others could read them. The exit status comes back.
"""

import json
from dataclasses import fields
from typing import Any

from iredldap.errors import InternalError, NoSuchAccount, Refusal, ServerDown
from iredldap.ldap_settings import Ldap
from iredldap.settings import Secret

DONE = 0
FAILED = 1
NO_SUCH_ACCOUNT = 3
SERVER_DOWN = 4
READER_GONE = 141
TERMINATED = 143
"""Exit statuses; 2 is a wrong command line, the last two are what a shell calls the signals."""


def exit_status(refusal: Refusal) -> int:
    """Exit status that tells of a refusal."""
    if isinstance(refusal, NoSuchAccount):
        return NO_SUCH_ACCOUNT
    return SERVER_DOWN if isinstance(refusal, ServerDown) else FAILED


def refusal(status: int, complaint: str) -> Refusal:
    """Refusal that an exit status tells of.

    Args:
        status: Exit status, or a negative signal number.
        complaint: What the child wrote to its standard error.
    """
    detail = complaint or f"the export ended with status {status}"
    if status == NO_SUCH_ACCOUNT:
        return NoSuchAccount(detail)
    return ServerDown(detail) if status == SERVER_DOWN else InternalError(detail)


def dump(settings: Ldap) -> bytes:
    """Write connection settings, the password among them, as JSON."""
    values = {field.name: getattr(settings, field.name) for field in fields(settings)}
    values["bind_password"] = settings.bind_password.reveal()
    return json.dumps(values).encode()


def load(data: bytes) -> Ldap:
    """Read connection settings that `dump` wrote.

    Raises:
        ValueError, TypeError, KeyError: If it did not.
    """
    values: dict[str, Any] = json.loads(data)
    values["uri"] = tuple(values["uri"])
    values["bind_password"] = Secret(values["bind_password"])
    return Ldap(**values)
