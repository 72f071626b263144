"""Read and write the lines of a state: an object each, with kind, name and parameters."""

import codecs
import json
import tempfile
import tomllib
import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

import yaml

from iredldap.desired.state_kinds import (
    ENTRY_KINDS,
    GLOBAL,
    HASH,
    POLICY_KINDS,
    USER,
    EntryKind,
    PolicyKind,
)
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


class Texts:
    """Objects as JSON, in a file without a name: a state of 100 000 users has 100 MB and more."""

    def __init__(self) -> None:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - it is closed with this object
        weakref.finalize(self, file.close)
        self._file: IO[bytes] = file

    def add(self, text: str) -> int:
        """Write an object; return where it stands."""
        at = self._file.tell()
        self._file.write(text.encode("ascii") + b"\n")
        return at

    def at(self, place: int) -> bytes:
        """Read the object at a place. After that none is added."""
        self._file.seek(place)
        return self._file.readline()


@dataclass(frozen=True, slots=True)
class StateLine:
    """One thing that is wanted.

    Args:
        number: Where it stands, from 1; 0: nowhere, because it is to be deleted.
        kind: What it is; None: that is not known.
        name: Its address, domain or target.
        id: Its entryUUID where the state was written; empty: not known.
        texts: Where the object is; None: it has nothing but what identifies it.
        place: Its place there.
        refusal: Why nothing can be done about it.
    """

    number: int
    kind: EntryKind | PolicyKind | None
    name: str
    id: str = ""
    texts: Texts | None = field(default=None, repr=False)
    place: int = 0
    refusal: Refusal | None = None

    @property
    def word(self) -> str:
        return self.kind.name if self.kind else ""

    @property
    def params(self) -> dict[str, Any]:
        """Parse the parameters: what does not identify the thing."""
        found: dict[str, Any] = json.loads(self.texts.at(self.place)) if self.texts else {}
        beside = {"kind", ID, LEFT_OUT, key_of(self.kind)}
        return {name: value for name, value in found.items() if name not in beside}


@dataclass(frozen=True)
class WantedState:
    """The lines of a file.

    Args:
        lines: What is wanted.
        covers: The header of a snapshot; None: there is none.
        addresses: All that accounts will have.
        has_hashes: Whether a line has the hash of a password.
        has_password: Number of the first line with a password in clear text; 0: none has one.
    """

    lines: tuple[StateLine, ...]
    covers: Mapping[str, Any] | None = None
    addresses: frozenset[str] = frozenset()
    has_hashes: bool = False
    has_password: int = 0


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


def read(file: IO[bytes], format_: str | None = None) -> WantedState:
    """Read a state.

    Args:
        file: NDJSON or an array of JSON, or a list in YAML, or tables `[[state]]` in TOML; from its
            beginning.
        format_: One of `FORMATS`; None: NDJSON.

    Raises:
        InvalidFile: If it is none, or too large for its form.
    """
    if format_ in {"yaml", "toml"}:
        objects = _by_hand(_whole(file), format_)
    elif _begins(file).startswith(b"["):
        objects = _array(_whole(file))
    else:
        objects = _objects(file)
    return _Reading(objects).state()


def _begins(file: IO[bytes]) -> bytes:
    file.seek(0)
    return next((line for line in map(_stripped, file) if line), b"")


def _stripped(line: bytes) -> bytes:
    return line.removeprefix(codecs.BOM_UTF8).strip()


def _whole(file: IO[bytes]) -> str:
    file.seek(0)
    try:
        return file.read().decode("utf-8-sig")
    except UnicodeDecodeError as ex:
        raise InvalidFile(f"not UTF-8: byte {ex.start + 1}") from ex


def _objects(file: IO[bytes]) -> Iterator[tuple[int, object]]:
    file.seek(0)
    for number, line in enumerate(map(_stripped, file), 1):
        if line:
            try:
                yield number, json.loads(line.decode())
            except UnicodeDecodeError as ex:
                raise InvalidFile(f"line {number} is not UTF-8") from ex
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


class _Reading:
    """Reads objects one by one, and keeps of each what must be known of all."""

    def __init__(self, objects: Iterable[tuple[int, object]]) -> None:
        self._objects = objects
        self._texts = Texts()
        self._seen: dict[tuple[str, str], int] = {}
        self._addresses = set[str]()
        self._has_hashes = False
        self._has_password = 0

    def state(self) -> WantedState:
        covers: Mapping[str, Any] | None = None
        lines: list[StateLine] = []
        for number, found in self._objects:
            if not isinstance(found, dict):
                raise InvalidFile(f"line {number} is no object")
            if found.get("kind") == HEADER:
                covers = _covered(found, number)
            else:
                lines.append(self._line(number, found))
        return WantedState(
            tuple(lines),
            covers,
            frozenset(self._addresses),
            self._has_hashes,
            self._has_password,
        )

    def _line(self, number: int, found: Mapping[str, Any]) -> StateLine:
        line, params = _line(number, found, self._texts)
        before = self._seen.setdefault((line.word, line.name), number)
        if before != number and not line.refusal:
            refusal = InvalidFile(f"{line.word} {line.name} is on line {before} already")
            return StateLine(number, line.kind, line.name, refusal=refusal)
        if "password" in params:
            self._has_password = self._has_password or number
        self._has_hashes |= HASH in params
        if isinstance(line.kind, EntryKind) and line.kind.key != "domain":
            further = params.get("aliases") if line.kind is USER else None
            given = further if isinstance(further, list) else ()
            self._addresses.update((line.name, *(str(one).lower() for one in given)))
        return line


def _covered(found: Mapping[str, Any], number: int) -> Mapping[str, Any]:
    if found.get("version") != VERSION:
        raise InvalidFile(f"line {number}: version {found.get('version')!r} is not known")
    domains, words = found.get("domains"), found.get("kinds")
    is_valid = isinstance(words, list) and (domains == EVERYTHING or isinstance(domains, list))
    if not is_valid:
        raise InvalidFile(f"line {number}: domains and kinds say what is covered")
    return found


def _line(
    number: int, found: Mapping[str, Any], texts: Texts
) -> tuple[StateLine, Mapping[str, Any]]:
    """Return a line, and its object with plain values."""
    kind = _KINDS.get(str(found.get("kind")))
    if kind is None:
        refusal = InvalidFile(f"no kind {str(found.get('kind'))[:80]!r}", parameter="kind")
        name = str(found.get("mail") or found.get("domain") or "")
        return StateLine(number, None, name, refusal=refusal), {}
    key = key_of(kind)
    default = GLOBAL if isinstance(kind, PolicyKind) and kind.for_all else ""
    sent = str(found.get(key) or default)
    try:
        name = _name(kind, sent)
        plain = {one: _plain(one, value) for one, value in found.items()}
    except Malformed as refusal:
        refusal.parameter = refusal.parameter or key
        return StateLine(number, kind, sent, refusal=refusal), {}
    line = StateLine(
        number, kind, name, str(found.get(ID) or "").lower(), texts, texts.add(json.dumps(plain))
    )
    return line, plain


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
