"""Describe the rows of a table as a JSON schema."""

from collections.abc import Iterable
from typing import Any

from iredldap.dit.fields import Field, Table, Verb
from iredldap.dit.kinds import Kind


def properties(table: Table) -> dict[str, Any]:
    """Return the rows as the properties of a JSON schema; older names are marked deprecated.

    Lists are arrays and numbers are numbers, as a JSON body has them. What may be empty is cleared
    by an empty array or text, and a number by `null`.
    """
    described: dict[str, Any] = {}
    for field in table:
        schema = value_schema(field.kind)
        if field.empty is not None and not field.kind.many:
            schema = _with_empty(schema)
        # In words alone: clients that are made from a schema send its defaults, also with a change
        # that should leave the parameter as it is.
        default = () if field.default is None else (f"Default: {field.default}.",)
        schema["description"] = " ".join((*sentences(field), *default))
        described[field.name] = schema
        for alias in field.aliases:
            described[alias] = {
                **schema,
                "deprecated": True,
                "description": f"Older name of {field.name}.",
            }
    return described


def value_schema(kind: Kind) -> dict[str, Any]:
    """Return the JSON schema of what a kind reads; of a list that of an array."""
    schema: dict[str, Any] = {**kind.schema}
    if kind.choices:
        schema["enum"] = [*kind.choices]
    if kind.longest:
        schema["maxLength"] = kind.longest
    return {"type": "array", "items": schema} if kind.many else schema


def _with_empty(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema of one type that takes the value that clears it, too."""
    if schema["type"] != "string":
        return {**schema, "type": [schema["type"], "null"]}
    if "enum" in schema:
        return {**schema, "enum": [*schema["enum"], ""]}
    # No format, which an empty text has not.
    return {key: value for key, value in schema.items() if key != "format"}


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
