"""The contract: what the public documents of the API say, as facts in `contract.tsv`.

The rows of `iredldap.web.endpoints.index` are compared with that copy always, and the copy with the
contract's own file where it lies beside the repository; `python -m tests.contract.table` writes it
anew from there.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from iredldap.web.endpoints.index import ENDPOINTS

COPY = Path(__file__).with_name("contract.tsv")
CONTRACT_FILE = Path(__file__).resolve().parents[3] / "shared" / "api.yaml"

_HEAD = """\
# The public API in facts, one a line. Tabs part cells, blanks the words in them; - is an empty one.
# code       any endpoint may answer with it
# endpoint   {endpoint}
# parameter  {parameter}
"""

_NONE = "-"

_STORAGE_NAME = re.compile(r"\w*[a-z][A-Z]\w*|[a-z]+(?:_[a-z]+)+|^[a-z]+$")
_CALLER = re.compile(r"global_admin|domain_admin|self")


@dataclass(frozen=True)
class Parameter:
    """A parameter of an endpoint; `stored` names attributes and settings of the directory."""

    name: str
    aliases: tuple[str, ...]
    type: str
    required: bool
    values: tuple[str, ...]
    conflicts_with: frozenset[str]
    required_with: frozenset[str]
    era: str
    who: frozenset[str]
    profile: str
    empty_acts: bool
    default: str
    stored: frozenset[str]


@dataclass(frozen=True)
class Call:
    """A method and path."""

    id: str
    method: str
    path: str
    era: str
    auth: frozenset[str]
    errors: frozenset[str]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


@dataclass(frozen=True)
class Contract:
    """Codes that any endpoint may answer with, and the endpoints by their ids."""

    common_errors: frozenset[str]
    calls: Mapping[str, Call]


def copied() -> Contract:
    """Read the copy.

    Raises:
        ValueError: If a line of it is none of the three kinds, or has too few cells or too many.
    """
    codes: set[str] = set()
    calls: dict[str, Call] = {}
    parameters: dict[str, Parameter] = {}
    for line in COPY.read_text(encoding="utf-8").splitlines():
        kind, *cells = line.split("\t")
        if kind.startswith("#"):
            continue
        if kind == "code":
            codes.update(cells)
        elif kind == "endpoint":
            parameters = {}
            call = Call(**_values(Call, cells), parameters=parameters)
            calls[call.id] = call
        elif kind == "parameter":
            parameter = Parameter(**_values(Parameter, cells))
            parameters[parameter.name] = parameter
        else:
            raise ValueError(f"{COPY.name}: {line}")
    return Contract(frozenset(codes), calls)


def published() -> Contract:
    """Read the facts out of the contract's own file."""
    # Every run of the tests loads this module.
    import yaml

    # Ten times as fast, where PyYAML was built with it.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    document = yaml.load(CONTRACT_FILE.read_text(encoding="utf-8"), loader)
    calls = (_published_call(endpoint) for endpoint in document["endpoints"])
    return Contract(frozenset(document["common_errors"]), {call.id: call for call in calls})


def printed(contract: Contract) -> str:
    """Write a contract as the copy has it."""
    lines = [f"code\t{code}" for code in sorted(contract.common_errors)]
    for call in contract.calls.values():
        lines.append("\t".join(("endpoint", *_cells(call))))
        lines += ["\t".join(("parameter", *_cells(row))) for row in call.parameters.values()]
    head = _HEAD.format(
        endpoint=" | ".join(_columns(Call)), parameter=" | ".join(_columns(Parameter))
    )
    return head + "".join(f"{line}\n" for line in lines)


def callers(words: str | None) -> frozenset[str]:
    """Names of callers in a text."""
    return frozenset(_CALLER.findall(words or ""))


def storage(words: str) -> frozenset[str]:
    """Names of attributes, classes, settings and values of the directory in a text."""
    return frozenset(_STORAGE_NAME.findall(words))


def told() -> str:
    """What a run of the tests says of the contract at its end."""
    theirs = copied().calls
    ours = {endpoint.id: endpoint for endpoint in ENDPOINTS if endpoint.id in theirs}
    wanted = {(id_, name) for id_, call in theirs.items() for name in call.parameters}
    served = {(id_, row.name) for id_, found in ours.items() for row in found.table} & wanted
    return (
        f"{len(ours)} of {len(theirs)} endpoints, {len(served)} of {len(wanted)} parameters"
        " of the contract are served"
    )


def _published_call(endpoint: Mapping[str, Any]) -> Call:
    parameters = [_published_parameter(row) for row in endpoint["params"]]
    return Call(
        id=endpoint["id"],
        method=endpoint["method"],
        path=endpoint["path"],
        era=endpoint["era"],
        auth=frozenset(endpoint["auth"]),
        errors=frozenset(endpoint["errors"]),
        parameters={row.name: row for row in parameters},
    )


def _published_parameter(row: Mapping[str, Any]) -> Parameter:
    return Parameter(
        name=row["name"],
        aliases=tuple(row["aliases"]),
        type=row["type"],
        required=row["required"],
        values=tuple(row.get("values", ())),
        conflicts_with=frozenset(row["conflicts_with"]),
        required_with=frozenset(row["required_with"]),
        era=row["era"],
        who=callers(row.get("who")),
        profile=row.get("profile", ""),
        empty_acts="empty" in row,
        default=row.get("default", "").removesuffix(" when left out"),
        stored=storage(row.get("ldap", "")),
    )


def _columns(kind: type[Call | Parameter]) -> list[str]:
    return [column.name for column in fields(kind) if column.name != "parameters"]


def _cells(fact: Call | Parameter) -> Iterator[str]:
    for name in _columns(type(fact)):
        value = getattr(fact, name)
        if isinstance(value, bool):
            yield "yes" if value else "no"
        elif isinstance(value, str):
            yield value or _NONE
        else:
            words: Iterable[str] = value if isinstance(value, tuple) else sorted(value)
            yield " ".join(words) or _NONE


def _values(kind: type[Call | Parameter], cells: list[str]) -> dict[str, Any]:
    types = {column.name: column.type for column in fields(kind)}
    read: dict[Any, Any] = {
        str: str,
        bool: {"yes": True, "no": False}.__getitem__,
        tuple[str, ...]: lambda cell: tuple(cell.split()),
        frozenset[str]: lambda cell: frozenset(cell.split()),
    }
    return {
        name: read[types[name]]("" if cell == _NONE else cell)
        for name, cell in zip(_columns(kind), cells, strict=True)
    }


if __name__ == "__main__":
    COPY.write_text(printed(published()), encoding="utf-8")
