"""Describe the rows of a table as a JSON schema."""

from collections.abc import Iterable
from typing import Any

from iredldap.dit.fields import Field, Table, Verb


def properties(table: Table) -> dict[str, Any]:
    """Return the rows as the properties of a JSON schema; older names are marked deprecated."""
    described: dict[str, Any] = {}
    for field in table:
        schema = {**field.kind.schema, "description": " ".join(sentences(field))}
        if field.default is not None:
            is_number = schema.get("type") == "integer"
            schema["default"] = int(field.default) if is_number else field.default
        # A form cannot send null, so the empty text is how a parameter is cleared; for a client
        # that validates, it must be in the schema.
        if field.empty is not None and "enum" not in schema:
            schema = {"anyOf": [{"const": ""}, schema], "description": schema.pop("description")}
        described[field.name] = schema
        for alias in field.aliases:
            described[alias] = {
                **schema,
                "deprecated": True,
                "description": f"Older name of {field.name}.",
            }
    return described


def sentences(field: Field) -> Iterable[str]:
    """Yield what there is to say about a parameter."""
    yield field.meaning
    if field.empty is not None:
        yield f"Empty: {field.empty}."
    if field.conflicts_with:
        yield f"Excludes {', '.join(field.conflicts_with)}."
    if field.required_with:
        yield f"Goes with {', '.join(field.required_with)}."
    if field.who == "global_admin":
        yield "Global admins only."
    if field.service and field.verb is not Verb.REMOVE:
        yield f"Needs the service {field.service}: nothing beside it may switch that off."
    if field.profile:
        yield f"Normal admins: unless the profile {field.profile} is disabled."
    if field.by_self:
        yield "Any admin: for their own account."
