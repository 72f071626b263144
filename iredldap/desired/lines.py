"""Read and write the lines of a state: an object each, with kind, name and parameters."""

import codecs
import json
import re
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

from iredldap.desired.files import by_hand
from iredldap.desired.state_kinds import (
    BESIDE,
    ENTRY_KINDS,
    GLOBAL,
    HASH,
    POLICY_KINDS,
    SUBSCRIBERS,
    USER,
    EntryKind,
    PolicyKind,
)
from iredldap.dit import mail_names
from iredldap.dit.states import STATE_WORDS
from iredldap.dit.views.params import ID, LEFT_OUT
from iredldap.errors import InvalidFile, Malformed, Refusal
from iredldap.operations.lists import subscribable_members

HEADER = "snapshot"
"""Kind of the first line, which says what a snapshot covers."""

VERSION = 1
EVERYTHING = "all"
FORMATS = ("ndjson", "yaml", "toml")

MOST_LINES = 500_000
"""Things of a file: of each some is held in memory."""

_MOST_WITH_BLANKS = 2 * MOST_LINES

_MOST_AT_ONCE = 8 * 1024 * 1024
"""Bytes of a line, or of an array: what is parsed as a whole takes many times its size."""

_MOST_BY_HAND = 1024 * 1024
"""Bytes of a file of YAML or TOML; YAML takes 100 times its size, and seconds."""

_LARGEST = 10**18
"""Largest number: no parameter has more digits."""

_HALVES = re.compile("[\ud800-\udfff]")

KINDS: Mapping[str, EntryKind | PolicyKind] = {
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
        objects = _by_hand(_whole(file, _MOST_BY_HAND, format_), format_)
    elif _begins(file).startswith(b"["):
        objects = _array(_whole(file, _MOST_AT_ONCE, "an array"))
    else:
        objects = _objects(file)
    return _Reading(objects).state()


def _begins(file: IO[bytes]) -> bytes:
    return next((line for _, line in _lines(file) if line), b"")


def _lines(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield lines with their numbers, without blanks around them.

    Raises:
        InvalidFile: If there are too many, or one is too long, before it is read as a whole.
    """
    file.seek(0)
    for number, line in enumerate(iter(lambda: file.readline(_MOST_AT_ONCE + 1), b""), 1):
        if number > _MOST_WITH_BLANKS:
            raise InvalidFile(f"more than {_MOST_WITH_BLANKS} lines")
        if len(line) > _MOST_AT_ONCE:
            raise InvalidFile(f"line {number} is longer than {_MOST_AT_ONCE} bytes")
        yield number, line.removeprefix(codecs.BOM_UTF8).strip()


def _whole(file: IO[bytes], most: int, form: str) -> str:
    file.seek(0)
    data = file.read(most + 1)
    if len(data) > most:
        raise InvalidFile(f"{form} is for small files: send larger ones as an object a line")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as ex:
        raise InvalidFile(f"not UTF-8: byte {ex.start + 1}") from ex


def _objects(file: IO[bytes]) -> Iterator[tuple[int, object]]:
    for number, line in _lines(file):
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
    found = by_hand.loads(text, format_)
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
        self._ids: dict[str, int] = {}
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
                if covers is not None:
                    raise InvalidFile(f"line {number}: a second line says what is covered")
                covers = _covered(found, number)
            elif len(lines) == MOST_LINES:
                raise InvalidFile(f"more than {MOST_LINES} things")
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
        if line.id and (first := self._ids.setdefault(line.id, number)) != number:
            refusal = InvalidFile(f"{line.id} is the id of line {first} already", parameter=ID)
            return StateLine(number, line.kind, line.name, refusal=refusal)
        if any(name.strip().lower() == "password" for name in params):
            self._has_password = self._has_password or number
        self._has_hashes |= HASH in params
        if isinstance(line.kind, EntryKind) and line.kind.key != "domain":
            further = params.get("aliases") if line.kind is USER else None
            given = further if isinstance(further, list) else ()
            self._addresses.update((line.name, *(str(one).lower() for one in given)))
        return line


def _covered(found: Mapping[str, Any], number: int) -> Mapping[str, Any]:
    if found.get("version") is True or found.get("version") != VERSION:
        raise InvalidFile(f"line {number}: version {found.get('version')!r} is not known")
    domains, words = found.get("domains"), found.get("kinds")
    if not (_are_texts(words) and (domains == EVERYTHING or _are_texts(domains))):
        raise InvalidFile(f"line {number}: domains and kinds say what is covered")
    if unknown := sorted({*(words or ())} - {*STATE_WORDS}):
        raise InvalidFile(f"line {number}: no kinds: {', '.join(unknown)[:200]}")
    if domains == EVERYTHING:
        return found
    try:
        # A misspelt one would cover nothing.
        return {**found, "domains": [mail_names.domain(one) for one in domains or ()]}
    except Malformed as refusal:
        raise InvalidFile(f"line {number}: {refusal.detail}") from refusal


def _are_texts(found: object) -> bool:
    return isinstance(found, list) and all(isinstance(one, str) for one in found)


def _line(
    number: int, found: Mapping[str, Any], texts: Texts
) -> tuple[StateLine, Mapping[str, Any]]:
    """Return a line, and its object with plain values."""
    kind = KINDS.get(str(found.get("kind")))
    if kind is None:
        refusal = InvalidFile(f"no kind {str(found.get('kind'))[:80]!r}", parameter="kind")
        name = str(found.get("mail") or found.get("domain") or "")
        return StateLine(number, None, name, refusal=refusal), {}
    key = key_of(kind)
    default = GLOBAL if isinstance(kind, PolicyKind) and kind.for_all else ""
    sent = str(found.get(key) or default)
    try:
        name = _name(kind, sent)
        plain = {one: _member(kind, one, value) for one, value in found.items()}
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


def _member(kind: EntryKind | PolicyKind, name: object, value: object) -> object:
    """Return the value of a member of a line as a view has it.

    Raises:
        InvalidFile: If it is none.
    """
    if not isinstance(name, str):
        raise InvalidFile(f"the name of a parameter is no text: {str(name)[:80]}")
    if name in BESIDE and BESIDE[name] != kind.name and isinstance(kind, EntryKind):
        raise InvalidFile(f"{name} belong to the kind {BESIDE[name]}", parameter=name)
    if name == SUBSCRIBERS:
        return _subscribers(value)
    if isinstance(value, list):
        return [str(_plain(name, one)) for one in value]
    return _plain(name, value)


def _subscribers(value: object) -> dict[str, list[str]]:
    words = subscribable_members.KINDS
    match value:
        case dict() if {*value} <= {*words} and all(map(_are_texts, value.values())):
            return {
                kind: [str(_plain(SUBSCRIBERS, one)) for one in members]
                for kind, members in value.items()
            }
    raise InvalidFile(f"not lists of addresses by {', '.join(words)}", parameter=SUBSCRIBERS)


def _plain(name: str, value: object) -> object:
    """Return a single value as a view has it: YAML and TOML have truth values, and nothing."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int() | float() if abs(value) < _LARGEST:
            return value
        case str() if not _HALVES.search(value):
            return value
    words = "half a character" if isinstance(value, str) else f"no value: {type(value).__name__}"
    raise InvalidFile(words, parameter=name)


def form_values(value: object) -> list[str]:
    """Return a value as a form has it."""
    if isinstance(value, list):
        return [str(one) for one in value] or [""]
    return ["" if value is None else str(value)]
