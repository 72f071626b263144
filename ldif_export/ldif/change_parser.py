"""Parse LDIF change records, one at a time, into operations of the directory.

Lines are read by the rules of `parser`. Controls are refused, and so is a rename that keeps the
old RDN as a value.

Source: RFC 2849.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from iredldap.dit.plan import Add, Delete, Mod, Modify, Op, Operation, Rename
from ldif_export.ldif import parser
from ldif_export.ldif.decompression import ReadableFile
from ldif_export.ldif.parser import LARGEST_RECORD, LineError, ParserNote, RecordParser

_Line = tuple[int, str, bytes]
"""Index, name and value."""

_OPS = {"add": Op.ADD, "delete": Op.DELETE, "replace": Op.REPLACE}
_END_OF_MOD = b"-"

NO_CHANGE = "no known changetype"
"""Reason of an issue: a record that is none of a change, such as an entry."""


@dataclass(frozen=True, slots=True)
class ChangeRecord:
    """A change of one entry, and its line number."""

    operation: Operation
    line: int


def read(
    file: ReadableFile, *, largest: int = LARGEST_RECORD
) -> Iterator[ChangeRecord | ParserNote]:
    """Parse LDIF change records; the last item is the `EndOfText`.

    Args:
        file: Decompressed; see `decompression.decompressed`.
        largest: Largest record in bytes; a larger one ends the reading.
    """
    return parser.parse_records(file, _Changes(), largest)


class _Changes(RecordParser[ChangeRecord]):
    def record(self, lines: list[bytes], start: int, line: int) -> ChangeRecord:
        dn = parser.parse_dn_line(lines[start], start)
        # Comments may be anywhere in a record, also before the changetype.
        numbered = [
            (index, text)
            for index, text in enumerate(lines)
            if index > start and not text.startswith(b"#")
        ]
        if not numbered:
            raise LineError("a change record without a changetype", start)
        (index, name, value), *rest = map(_line, numbered)
        make = _MAKERS.get(value.decode("utf-8", "replace")) if name == "changetype" else None
        if make is None:
            raise LineError(NO_CHANGE, index)
        return ChangeRecord(make(dn, rest, index), line)


def _line(numbered: tuple[int, bytes]) -> _Line:
    index, text = numbered
    if text == _END_OF_MOD:
        return index, "", _END_OF_MOD
    name, rest = parser.split_line(text, index)
    return index, name, parser.decode_value(rest, index)


def _addition(dn: str, lines: list[_Line], at: int) -> Add:
    values: dict[str, list[bytes]] = {}
    for index, name, value in lines:
        if not name:
            raise LineError("no attribute", index)
        values.setdefault(name, []).append(value)
    if not values:
        raise LineError("an entry without attributes", at)
    return Add(dn, {name: tuple(found) for name, found in values.items()})


def _modification(dn: str, lines: list[_Line], at: int) -> Modify:
    mods = []
    rest = iter(lines)
    for index, word, value in rest:
        if word not in _OPS:
            raise LineError("neither add: nor delete: nor replace:", index)
        attribute = value.decode("utf-8", "replace")
        mods.append(Mod(_OPS[word], attribute, tuple(_values(rest, attribute, index))))
    return Modify(dn, tuple(mods))


def _values(lines: Iterator[_Line], attribute: str, at: int) -> Iterator[bytes]:
    for index, name, value in lines:
        if not name:
            return
        if name.lower() != attribute.lower():
            raise LineError(f"a value of another attribute than {attribute}", index)
        yield value
    raise LineError("a modification without its closing -", at)


def _deletion(dn: str, lines: list[_Line], at: int) -> Delete:
    if lines:
        raise LineError("a deletion has further lines", lines[0][0])
    return Delete(dn)


def _renaming(dn: str, lines: list[_Line], at: int) -> Rename:
    found = {name: value for _, name, value in lines}
    # A rename that keeps the old RDN as a value has no operation of ours.
    is_whole = found.keys() - {"newsuperior"} == {"newrdn", "deleteoldrdn"}
    if not is_whole or len(found) != len(lines) or found["deleteoldrdn"] != b"1":
        raise LineError("newrdn:, deleteoldrdn: 1 and at most a newsuperior: make a rename", at)
    try:
        parent = found["newsuperior"].decode() if "newsuperior" in found else None
        return Rename(dn, found["newrdn"].decode(), parent)
    except UnicodeDecodeError as ex:
        raise LineError("a DN that is not UTF-8", at) from ex


_MAKERS: dict[str, Callable[[str, list[_Line], int], Operation]] = {
    "add": _addition,
    "modify": _modification,
    "delete": _deletion,
    "modrdn": _renaming,
    "moddn": _renaming,
}
