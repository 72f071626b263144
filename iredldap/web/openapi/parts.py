"""Small JSON schemas, of which larger ones are made."""

from collections.abc import Iterable, Mapping
from typing import Any

TEXT: Mapping[str, Any] = {"type": "string"}
TEXTS: Mapping[str, Any] = {"type": "array", "items": TEXT}
COUNT: Mapping[str, Any] = {"type": "integer", "minimum": 0}
TIME: Mapping[str, Any] = {"type": "string", "format": "date-time"}
ANY_TEXT: Mapping[str, Any] = {"type": ["string", "null"]}
OBJECT: Mapping[str, Any] = {"type": "object"}


def word(*words: str) -> dict[str, Any]:
    """Return the schema of one of some words."""
    return {"type": "string", "enum": [*words]}


def array(items: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of an array."""
    return {"type": "array", "items": items}


def mapping(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of an object whose names are data."""
    return {"type": "object", "additionalProperties": values}


def obj(fields: Mapping[str, Any], required: Iterable[str] | None = None) -> dict[str, Any]:
    """Return the schema of an object; without `required` it always has all of its fields."""
    needed = list(fields if required is None else required)
    return {"type": "object", "properties": fields} | ({"required": needed} if needed else {})


def reference(name: str, kind: str = "schemas") -> dict[str, str]:
    """Return a reference to one of the document's components."""
    return {"$ref": f"#/components/{kind}/{name}"}
