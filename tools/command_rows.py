"""Write the rows of the API as commands read them."""

import dataclasses
import json
from typing import Any

from iredldap.commands.api.rows import Call, Parameter
from iredldap.dit.field_schemas import sentences
from iredldap.dit.fields import Field
from iredldap.web import dry_runs
from iredldap.web.endpoints.endpoint import Endpoint, Load
from iredldap.web.endpoints.index import ENDPOINTS


def command_rows() -> str:
    """Return the JSON text of all endpoints, without what has its default."""
    rows = [_without_defaults(_call(endpoint)) for endpoint in ENDPOINTS]
    return json.dumps(rows, indent=1, ensure_ascii=False) + "\n"


def _call(endpoint: Endpoint) -> Call:
    return Call(
        id=endpoint.id,
        method=endpoint.method,
        path=endpoint.path,
        summary=endpoint.summary,
        parameters=tuple(map(_parameter, endpoint.table)),
        returns=endpoint.returns,
        tries=dry_runs.is_offered(endpoint),
        waits=endpoint.operation is not None or endpoint.promises,
        heavy=endpoint.load in (Load.HEAVY, Load.UPLOAD),
        takes_file=endpoint.takes_file,
    )


def _parameter(field: Field) -> Parameter:
    return Parameter(
        name=field.name,
        type=field.kind.type,
        meaning=" ".join(sentences(field)),
        many=field.kind.many,
        separator=field.kind.separator,
        choices=_choices(field),
        required=field.required,
        replaced_by=field.conflicts_with if field.required else (),
        default=field.default,
        secret=field.kind.secret,
        acts=field.kind.present and not field.kind.secret,
    )


def _choices(field: Field) -> tuple[str, ...]:
    words: Any = field.kind.choices or field.kind.schema.get("enum", ())
    return tuple(words)


def _without_defaults(row: Call | Parameter) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for member in dataclasses.fields(row):
        value = getattr(row, member.name)
        if value == member.default:
            continue
        if member.name == "parameters":
            value = [_without_defaults(one) for one in value]
        kept[member.name] = value
    return kept
