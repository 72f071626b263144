"""Rows of parameters that no endpoint has."""

from iredldap.dit import kinds
from iredldap.dit.fields import Field, Storage, StoredAttribute
from iredldap.dit.kinds import Kind


def row(
    name: str, kind: Kind = kinds.TEXT, stored_as: Storage | None = None, **more: object
) -> Field:
    """Make a row that is stored in an attribute of its name, unless said otherwise."""
    return Field(
        name=name, stored_as=stored_as or StoredAttribute(name), kind=kind, meaning="…"
    ).but(**more)
