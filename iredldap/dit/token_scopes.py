"""The scopes of API tokens: what a token may do, each an area and a verb.

A scope limits a token. It gives no right: a token can never do more than its admin.

Source: `docs/decisions/0057-tokens.md`.
"""

from collections.abc import Collection, Iterable

from iredldap.dit.fields import FieldChange

AREAS = (
    "domains",
    "users",
    "passwords",
    "aliases",
    "lists",
    "admins",
    "policies",
    "ldif",
    "changes",
    "jobs",
    "tokens",
)
READ, CREATE, UPDATE, DELETE = VERBS = ("read", "create", "update", "delete")
SCOPES = tuple(f"{area}:{verb}" for area in AREAS for verb in VERBS)

DEFAULT = "users:read"
"""Scope of a token that is created without any."""

HASHES = "passwords:read"
"""Scope without which no answer and no export has password hashes."""

ADMINS = "admins:update"
"""Scope without which a token sets no password of an admin, mail users with rights among them."""


def needed(own: Collection[str], changes: Iterable[FieldChange]) -> frozenset[str]:
    """Return the scopes that a token needs for a request.

    A parameter needs the scopes of its endpoint, unless it belongs to an area of its own: then it
    needs that area's scope with the verb of the endpoint. A request without parameters, and one
    that creates something, needs the scopes of its endpoint in any case. The password of a new
    account is part of its creation.

    Args:
        own: The scopes of the endpoint.
        changes: The parameters that were sent.
    """
    # All scopes of an endpoint have one verb, which follows from its method.
    verb = next(iter(own), "").partition(":")[2]
    found: set[str] = set()
    for change in changes:
        area = change.field.token_area
        # No account is without a password, so a token that creates accounts sets theirs; one of an
        # account that exists is another matter.
        if area is None or (verb == CREATE and change.field.kind.secret):
            found.update(own)
        else:
            found.add(f"{area}:{verb}")
    return frozenset(found | {*own} if verb == CREATE or not found else found)
