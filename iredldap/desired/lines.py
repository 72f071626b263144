"""Read and write the lines of a state: an object each, with kind, name and parameters."""

import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from iredldap.desired.state_kinds import ENTRY_KINDS, GLOBAL, POLICY_KINDS, EntryKind, PolicyKind
from iredldap.dit import mail_names
from iredldap.dit.views.params import ID, LEFT_OUT
from iredldap.errors import InvalidFile, Malformed, Refusal

HEADER = "snapshot"
"""Kind of the first line, which says what a snapshot covers."""

VERSION = 1
EVERYTHING = "all"
FORMATS = ("ndjson", "yaml", "toml")

_MOST_BY_HAND = 4 * 1024 * 1024
"""Bytes of a file of YAML or TOML, which are parsed as a whole; YAML takes 100 times its size."""

_KINDS: Mapping[str, EntryKind | PolicyKind] = {
    **{kind.name: kind for kind in ENTRY_KINDS},
    **{kind.name: kind for kind in POLICY_KINDS},
}
_TARGET = "target"


@dataclass(frozen=True, slots=True)
class StateLine:
    """One thing that is wanted.

    Args:
        number: Where it stands, from 1; 0: nowhere, because it is to be deleted.
        kind: What it is; None: that is not known.
        name: Its address, domain or target.
        id: Its entryUUID where the state was written; empty: not known.
        text: The object as JSON.
        refusal: Why nothing can be done about it.
    """

    number: int
    kind: EntryKind | PolicyKind | None
    name: str
    id: str = ""
    text: str = field(default="{}", repr=False)
    refusal: Refusal | None = None

    @property
    def word(self) -> str:
        return self.kind.name if self.kind else ""

    @property
    def params(self) -> dict[str, Any]:
        """Parse the parameters: what does not identify the thing."""
        found: dict[str, Any] = json.loads(self.text)
        beside = {"kind", ID, LEFT_OUT, key_of(self.kind)}
        return {name: value for name, value in found.items() if name not in beside}


@dataclass(frozen=True)
class WantedState:
    """The lines of a file.

    Args:
        lines: What is wanted.
        covers: The header of a snapshot; None: there is none.
    """

    lines: tuple[StateLine, ...]
    covers: Mapping[str, Any] | None = None


def key_of(kind: EntryKind | PolicyKind | None) -> str:
    """Return the member that identifies a thing of a kind."""
    return kind.key if isinstance(kind, EntryKind) else _TARGET


def header(domains: Iterable[str] | None, words: Iterable[str]) -> dict[str, Any]:
    """Return the first line of a snapshot; `domains` None: it covers all."""
    covered = EVERYTHING if domains is None else [*domains]
    return {"kind": HEADER, "version": VERSION, "domains": covered, "kinds": [*words]}


def written(kind: EntryKind | PolicyKind, name: str, view: Mapping[str, Any]) -> dict[str, Any]:
    """Return the object of a thing: first what identifies it, then its parameters, sorted."""
    key = key_of(kind)
    first: dict[str, Any] = {"kind": kind.name, key: name}
    if view.get(ID):
        first[ID] = view[ID]
    rest = {one: view[one] for one in sorted(view) if one not in {key, ID}}
    return first | rest


def encoded(line: Mapping[str, Any]) -> bytes:
    """Return an object as a line."""
    text = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
    return f"{text}\n".encode("utf-8", "surrogatepass")


def read(data: bytes, format_: str | None = None) -> WantedState:
    """Read a state.

    Args:
        data: NDJSON or an array of JSON, or a list in YAML, or tables `[[state]]` in TOML.
        format_: One of `FORMATS`; None: NDJSON.

    Raises:
        InvalidFile: If it is none, or too large for its form.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as ex:
        raise InvalidFile(f"not UTF-8: byte {ex.start + 1}") from ex
    if format_ in {"yaml", "toml"}:
        objects = _by_hand(text, format_)
    elif text.lstrip().startswith("["):
        objects = _array(text)
    else:
        objects = _objects(text)
    return _state(objects)


def _objects(text: str) -> Iterator[tuple[int, object]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as ex:
                raise InvalidFile(f"line {number} is no JSON: {ex}") from ex


def _array(text: str) -> Iterator[tuple[int, object]]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as ex:
        raise InvalidFile(f"no JSON: {ex}") from ex
    yield from enumerate(found, 1)


def _by_hand(text: str, format_: str) -> Iterator[tuple[int, object]]:
    if len(text) > _MOST_BY_HAND:
        raise InvalidFile(f"{format_} is for small files: send larger ones as NDJSON")
    try:
        found: object = yaml.safe_load(text) if format_ == "yaml" else tomllib.loads(text)
    except (yaml.YAMLError, ValueError, RecursionError) as ex:
        raise InvalidFile(f"no {format_}: {ex}") from ex
    if isinstance(found, dict) and [*found] == ["state"]:
        found = found["state"]
    if not isinstance(found, list):
        raise InvalidFile("not a list of objects, nor `state` with one")
    yield from enumerate(found, 1)


def _state(objects: Iterable[tuple[int, object]]) -> WantedState:
    covers: Mapping[str, Any] | None = None
    lines: list[StateLine] = []
    seen: dict[tuple[str, str], int] = {}
    for number, found in objects:
        if not isinstance(found, dict):
            raise InvalidFile(f"line {number} is no object")
        if found.get("kind") == HEADER:
            covers = _covered(found, number)
            continue
        line = _line(number, found)
        before = seen.setdefault((line.word, line.name), number)
        if before != number and not line.refusal:
            refusal = InvalidFile(f"{line.word} {line.name} is on line {before} already")
            line = StateLine(number, line.kind, line.name, refusal=refusal)
        lines.append(line)
    return WantedState(tuple(lines), covers)


def _covered(found: Mapping[str, Any], number: int) -> Mapping[str, Any]:
    if found.get("version") != VERSION:
        raise InvalidFile(f"line {number}: version {found.get('version')!r} is not known")
    domains, words = found.get("domains"), found.get("kinds")
    is_valid = isinstance(words, list) and (domains == EVERYTHING or isinstance(domains, list))
    if not is_valid:
        raise InvalidFile(f"line {number}: domains and kinds say what is covered")
    return found


def _line(number: int, found: Mapping[str, Any]) -> StateLine:
    kind = _KINDS.get(str(found.get("kind")))
    if kind is None:
        refusal = InvalidFile(f"no kind {str(found.get('kind'))[:80]!r}", parameter="kind")
        name = str(found.get("mail") or found.get("domain") or "")
        return StateLine(number, None, name, refusal=refusal)
    key = key_of(kind)
    default = GLOBAL if isinstance(kind, PolicyKind) and kind.for_all else ""
    sent = str(found.get(key) or default)
    try:
        name = _name(kind, sent)
        text = json.dumps({one: _plain(one, value) for one, value in found.items()})
    except Malformed as refusal:
        refusal.parameter = refusal.parameter or key
        return StateLine(number, kind, sent, refusal=refusal)
    return StateLine(number, kind, name, str(found.get(ID) or "").lower(), text)


def _name(kind: EntryKind | PolicyKind, sent: str) -> str:
    if isinstance(kind, PolicyKind):
        if sent == GLOBAL:
            return sent
        return mail_names.existing_address(sent) if "@" in sent else mail_names.domain(sent)
    if kind.key == "domain":
        return mail_names.domain(sent)
    return mail_names.existing_address(sent)


def _plain(name: str, value: object) -> object:
    """Return a value as a view has it: YAML and TOML have truth values, and nothing."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case str() | int() | float():
            return value
        case list():
            return [str(_plain(name, one)) for one in value]
        case dict() if name == "subscribers":
            return {str(one): _plain("", some) for one, some in value.items()}
        case _:
            raise InvalidFile(f"{type(value).__name__} is no value", parameter=name)


def form_values(value: object) -> list[str]:
    """Return a value as a form has it."""
    if isinstance(value, list):
        return [str(one) for one in value] or [""]
    return [str(value)]
