"""The values of the change log: what a change has touched, by value, and their JSON.

Touched entries are recorded while a change is executed and stored with it. An undo is planned from
them. Values of secret attributes are bytes while they are recorded and `Sealed` when they are
stored; the seal itself is `changes.seals`.
"""

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal

SECRET_ATTRIBUTES = frozenset(
    {
        "userpassword", "authpassword", "krbprincipalkey", "sambalmpassword", "sambantpassword",
        "sambapasswordhistory",
    }
)  # fmt: skip
"""Attributes of which no value is stored in the clear, in lower case, without options.

Beside iRedMail's own those in which other programs keep passwords, hashes or keys of accounts: a
deletion records whole entries.
"""

REDACTED = "{redacted}"
"""Takes the place of a secret where values are printed or stored as they were sent."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A secret value, encrypted with the key of an id; without data: there was one, not kept."""

    key: str = ""
    data: bytes = b""

    @property
    def is_kept(self) -> bool:
        """Return whether the value can be opened again."""
        return bool(self.data)


Value = bytes | Sealed
"""A value of an attribute."""


@dataclass(frozen=True, slots=True)
class ValueChanges:
    """What happened to the values of one attribute of an entry.

    `removed` are the values that were there before and are not any more, as they were spelled;
    None: not known, because the write got no response. `added` are those that are there since.
    Values that stayed are in neither.
    """

    removed: tuple[Value, ...] | None = ()
    added: tuple[Value, ...] = ()


EntryEvent = Literal["add", "modify", "delete", "rename"]


@dataclass(frozen=True, slots=True)
class TouchedEntry:
    """One LDAP write: an entry that was added, modified, deleted or renamed.

    `new_dn` is that of a renamed entry. `before` and `after` are its states (entryCSN); empty:
    there is none, or it is not known. `attributes` has each attribute that changed, by its name
    in the write: of an entry that was added all as `added`, of one that was deleted all as
    `removed`. Of operational attributes it has none. Several writes of one entry are several
    values, in their order.
    """

    event: EntryEvent
    dn: str
    new_dn: str = ""
    uuid: str = ""
    before: str = ""
    after: str = ""
    attributes: Mapping[str, ValueChanges] = field(default_factory=dict)


Cell = None | bool | int | float | str | bytes | datetime | date | Decimal
"""A value in a row of a table."""

Row = Mapping[str, Cell]


@dataclass(frozen=True, slots=True)
class TouchedRows:
    """Rows of another system that a step outside the directory has changed.

    `system` is `iredapd`, `amavisd`, `iredadmin` or `mlmmjadmin`, `table` a table there, or `list`,
    whose row is the profile of a subscribable list. `before` and `after` are the whole rows
    concerned, keys included; a row that did not change is in neither. `about` is the account or
    domain that they are about; empty: all.
    """

    system: str
    table: str
    before: tuple[Row, ...] = ()
    after: tuple[Row, ...] = ()
    about: str = ""


Touched = TouchedEntry | TouchedRows
"""One thing that a change has touched."""


Result = Literal["open", "done", "broken off", "unconfirmed"]
"""`open`: being carried out. `unconfirmed`: its worker died, or a write got no response; what was
touched is what the directory showed afterwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedChange:
    """A change as the log has it, without what it touched.

    `id` is sortable by time, `began` is in milliseconds since 1970 and `duration` in milliseconds;
    None: not finished. `admin` is an address, or ``unix:NAME`` for a command; `token` the id of
    the API token used. `client` is the address of their machine, `request` the id of the request
    (`X-Request-Id`), and `endpoint` the id of its row, or the name of a command. `account` and
    `domain` are those that the path names. `parameters` are as sent, secrets as ``{redacted}``.
    `steps` describe the plan. `codes` are those of the refusal that broke it off. `entries` counts
    what was touched, `attributes` names the attributes that changed, in lower case. `job` is the
    background job, and `undoes` the change that this one takes back.
    """

    id: str
    began: int
    admin: str
    endpoint: str
    token: str | None = None
    client: str = ""
    request: str = ""
    account: str = ""
    domain: str = ""
    parameters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    steps: tuple[str, ...] = ()
    result: Result = "open"
    codes: tuple[str, ...] = ()
    duration: int | None = None
    entries: int = 0
    attributes: tuple[str, ...] = ()
    job: str = ""
    undoes: str = ""


@lru_cache(1024)
def is_secret(attribute: str) -> bool:
    """Return whether the values of an attribute are secrets; options do not matter."""
    return attribute.partition(";")[0].lower() in SECRET_ATTRIBUTES


def map_secrets(touched: Touched, change: Callable[[Value], Value]) -> Touched:
    """Replace each secret value: to seal them before they are stored, or to open them again.

    Args:
        touched: What was touched.
        change: Gives the value to take the place of one.
    """
    # No column of the tables that we change holds a secret. Nearly all entries of a sweep have none
    # either, and are returned as they are.
    if isinstance(touched, TouchedRows) or not any(map(is_secret, touched.attributes)):
        return touched
    attributes = {
        name: ValueChanges(
            None if values.removed is None else tuple(map(change, values.removed)),
            tuple(map(change, values.added)),
        )
        if is_secret(name)
        else values
        for name, values in touched.attributes.items()
    }
    return replace(touched, attributes=attributes)


def as_json(touched: Touched) -> dict[str, Any]:
    """Return what was touched as JSON has it; members that are empty are left out.

    Values that are UTF-8 are texts, others ``{"base64": …}``, sealed ones ``{"sealed": key,
    "data": …}``, and secrets that were not kept ``{"sealed": ""}``.
    """
    if isinstance(touched, TouchedRows):
        shown: dict[str, Any] = {
            "system": touched.system,
            "table": touched.table,
            "about": touched.about,
            "before": [_row_as_json(row) for row in touched.before],
            "after": [_row_as_json(row) for row in touched.after],
        }
    else:
        shown = {
            "event": touched.event,
            "dn": touched.dn,
            "new_dn": touched.new_dn,
            "uuid": touched.uuid,
            "before": touched.before,
            "after": touched.after,
            "attributes": {
                name: _changes_as_json(values) for name, values in touched.attributes.items()
            },
        }
    # A sweep over ten thousand entries stores as many of these, most of them with half of the
    # members empty.
    return {name: value for name, value in shown.items() if value}


def _changes_as_json(values: ValueChanges) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    # Kept apart from an empty list: what a write without a response has removed is not known, and
    # an undo must not take that for nothing.
    if values.removed is None:
        shown["removed"] = None
    elif values.removed:
        shown["removed"] = _values_as_json(values.removed)
    if values.added:
        shown["added"] = _values_as_json(values.added)
    return shown


def _values_as_json(values: tuple[Value, ...]) -> list[object]:
    try:
        # Nearly all values are texts.
        return [*map(bytes.decode, values)]  # type: ignore[arg-type]
    except (TypeError, UnicodeDecodeError):
        return [_value_as_json(value) for value in values]


def _value_as_json(value: Value) -> object:
    if isinstance(value, Sealed):
        # The id of a key even where no value was kept: `""` says that there was a password, so that
        # an undo can refuse instead of leaving the account without one.
        kept = {"data": _base64(value.data)} if value.is_kept else {}
        return {"sealed": value.key, **kept}
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": _base64(value)}


def _row_as_json(row: Row) -> dict[str, object]:
    return {name: _cell_as_json(cell) for name, cell in row.items()}


def _cell_as_json(cell: Cell) -> object:
    match cell:
        case bytes():
            return {"base64": _base64(cell)}
        # A moment is also a date.
        case datetime():
            return {"time": cell.isoformat()}
        case date():
            return {"date": cell.isoformat()}
        # As text: a float would not be equal to what the table has, and an undo compares.
        case Decimal():
            return {"decimal": str(cell)}
        case _:
            return cell


def from_json(written: Mapping[str, Any]) -> Touched:
    """Read what `as_json` has written.

    Raises:
        ValueError: If it is something else, such as that of a later version.
    """
    try:
        if "system" in written:
            return TouchedRows(
                written["system"],
                written["table"],
                _rows_from(written.get("before", ())),
                _rows_from(written.get("after", ())),
                written.get("about", ""),
            )
        return TouchedEntry(
            written["event"],
            written["dn"],
            written.get("new_dn", ""),
            written.get("uuid", ""),
            written.get("before", ""),
            written.get("after", ""),
            {
                name: ValueChanges(
                    None
                    if (removed := values.get("removed", ())) is None
                    else _values_from(removed),
                    _values_from(values.get("added", ())),
                )
                for name, values in written.get("attributes", {}).items()
            },
        )
    # Whatever is wrong with it is one error: a database that a later version has written to is the
    # ordinary cause.
    except (AttributeError, KeyError, TypeError, ArithmeticError, binascii.Error) as ex:
        raise ValueError(f"not what a change has touched: {type(ex).__name__}") from ex


def _values_from(written: Iterable[Any]) -> tuple[Value, ...]:
    return tuple(_value_from(value) for value in written)


def _value_from(written: Any) -> Value:
    if isinstance(written, str):
        return written.encode()
    if "sealed" in written:
        return Sealed(written["sealed"], _from_base64(written.get("data", "")))
    return _from_base64(written["base64"])


def _rows_from(written: Iterable[Mapping[str, Any]]) -> tuple[Row, ...]:
    return tuple({name: _cell_from(cell) for name, cell in row.items()} for row in written)


def _cell_from(written: Any) -> Cell:
    if not isinstance(written, dict):
        cell: Cell = written
        return cell
    ((kind, text),) = written.items()
    match kind:
        case "base64":
            return _from_base64(text)
        case "time":
            return datetime.fromisoformat(text)
        case "date":
            return date.fromisoformat(text)
        case "decimal":
            return Decimal(text)
    raise KeyError(kind)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _from_base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
