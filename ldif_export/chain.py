"""Put an export and the increments that follow it together: the state of the last one.

Each increment names the digest of the export before it, so that the order is checked without
manifests. The entries are kept outside the memory, in a temporary SQLite database without a name.
"""

import marshal
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import Self

from iredldap.dit import matching, names
from iredldap.dit.matching import Equality
from iredldap.dit.plan import Add, Delete, Mod, Modify, Op, Operation, Rename
from ldif_export.backup import full
from ldif_export.entry_kinds import dn_key
from ldif_export.ldif import change_parser, files, parser
from ldif_export.ldif.change_parser import ChangeRecord
from ldif_export.ldif.decompression import DigestingReader, ReadableFile, decompressed
from ldif_export.ldif.parser import EndOfText, LdifComment, LineIssue, ParsedRecord

MOST_LISTED = 1000
"""Faults that are listed; of the others there is the number."""

_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -16000;
CREATE TABLE entry (
    key BLOB PRIMARY KEY, parent BLOB, depth INTEGER, number INTEGER, dn TEXT, attributes BLOB
) WITHOUT ROWID;
CREATE INDEX children ON entry (parent);
BEGIN;
"""
# Of a folded comment the parser gives the first line: a part of the digest.
_SINCE = re.compile(r" ?changes since: ([0-9a-f]{32,})")
_CHANGES = re.compile(r" ?changes: ([0-9]+)")
_HASHES = re.compile(r" ?Password hashes: (included|left out)")

_NO_INCREMENT = "no increment: it does not say which export it follows"

_Attributes = dict[str, list[bytes]]


class _Fault(Exception):
    """A change that cannot be carried out."""


class Chain:
    """The state that an export and its increments give; a context.

    Attributes:
        faults: What is wrong, the first of them; `fault_count` is the number of all.
    """

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.fault_count = 0
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(_SCHEMA)
        self._number = 0
        self._digest = ""
        self._has_passwords = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._database.close()

    def begin(self, file: ReadableFile) -> None:
        """Take the entries of a whole export.

        Args:
            file: LDIF text, compressed or not.
        """
        digesting = DigestingReader(decompressed(file))
        for item in parser.read(digesting):
            match item:
                case ParsedRecord(dn=dn, attributes=attributes, line=line):
                    self._try(line, Add(dn, {n: tuple(v) for n, v in attributes.items()}))
                case LdifComment(text=text) if found := _HASHES.fullmatch(text):
                    self._has_passwords = found[1] == "included"
                case LineIssue(line=line, reason=reason):
                    self._report(line, reason)
                case EndOfText(line=line, torn=True):
                    self._report(line, "the text is cut off")
        self._digest = digesting.sha256

    def follow(self, file: ReadableFile) -> None:
        """Carry out the changes of the increment that follows.

        Nothing of it is carried out if it follows another export.

        Args:
            file: LDIF text, compressed or not.
        """
        digesting = DigestingReader(decompressed(file))
        announced, done, follows = None, 0, False
        for item in change_parser.read(digesting):
            match item:
                case LdifComment(text=text) if found := _SINCE.fullmatch(text):
                    follows = self._digest.startswith(found[1])
                    if not follows:
                        this, that = found[1][:12], self._digest[:12]
                        self._report(item.line, f"it follows another export: {this}, not {that}")
                        return
                case LdifComment(text=text) if found := _CHANGES.fullmatch(text):
                    announced = int(found[1])
                case ChangeRecord(operation=operation, line=line) if follows:
                    self._try(line, operation)
                    done, announced = done + 1, None
                case ChangeRecord(line=line) | EndOfText(line=line) if not follows:
                    self._report(line, _NO_INCREMENT)
                    return
                case LineIssue(line=line, reason=change_parser.NO_CHANGE) if not follows:
                    self._report(line, _NO_INCREMENT)
                    return
                case LineIssue(line=line, reason=reason):
                    self._report(line, reason)
                case EndOfText(line=line):
                    self._conclude(line, announced, done)
        self._digest = digesting.sha256

    def _conclude(self, line: int, announced: int | None, done: int) -> None:
        if announced is None:
            self._report(line, "no comment with the number of changes at the end: it is cut off")
        elif announced != done:
            self._report(line, f"{announced} changes are announced, {done} are there")

    def text(self) -> Iterator[bytes]:
        """Yield the state as an export has it, parents before their children."""
        rows = self._database.execute("SELECT dn, attributes FROM entry ORDER BY depth, number")
        entries = ((dn, _unpacked(kept)) for dn, kept in rows)
        return full.text(entries, passwords=self._has_passwords)

    def _report(self, line: int, reason: str) -> None:
        self.fault_count += 1
        if self.fault_count <= MOST_LISTED:
            self.faults.append(f"line {line}: {reason}" if line else reason)

    def _try(self, line: int, operation: Operation) -> None:
        try:
            self._execute(operation)
        except _Fault as ex:
            self._report(line, f"{operation.dn}: {ex}")

    def _execute(self, operation: Operation) -> None:
        match operation:
            case Add(dn=dn, attributes=attributes):
                self._add(dn, {name: [*values] for name, values in attributes.items()})
            case Modify(dn=dn, mods=mods):
                key, held = self._entry(dn)
                self._store(key, _modified(held, mods))
            case Delete(dn=dn):
                key, _ = self._entry(dn)
                if self._found("SELECT 1 FROM entry WHERE parent = ?", key):
                    raise _Fault("there are entries below it")
                self._database.execute("DELETE FROM entry WHERE key = ?", (key,))
            case Rename(dn=dn, new_dn=new):
                self._rename(dn, new)

    def _add(self, dn: str, attributes: _Attributes) -> None:
        key, parent, depth = _place(dn)
        if self._found("SELECT 1 FROM entry WHERE key = ?", key):
            raise _Fault("it is there already")
        self._number += 1
        row = (key, parent, depth, self._number, dn, marshal.dumps(attributes))
        self._database.execute("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?)", row)

    def _rename(self, dn: str, new: str) -> None:
        key, held = self._entry(dn)
        new_key, *_ = _place(new)
        # Another spelling of the same name is a rename, too.
        if new_key != key and self._found("SELECT 1 FROM entry WHERE key = ?", new_key):
            raise _Fault(f"{new} is there already")
        self._store(key, _renamed(held, dn, new))
        moved = [(key, new)]
        for above, name in moved:
            below = self._database.execute("SELECT key, dn FROM entry WHERE parent = ?", (above,))
            moved += [(one, f"{names.rdn(old)},{name}") for one, old in below]
        change = "UPDATE entry SET key = ?, parent = ?, depth = ?, dn = ? WHERE key = ?"
        self._database.executemany(change, [(*_place(name), name, one) for one, name in moved])

    def _entry(self, dn: str) -> tuple[bytes, _Attributes]:
        key, *_ = _place(dn)
        found = self._found("SELECT attributes FROM entry WHERE key = ?", key)
        if not found:
            raise _Fault("it is not there")
        return key, _unpacked(found[0])

    def _store(self, key: bytes, attributes: _Attributes) -> None:
        change = "UPDATE entry SET attributes = ? WHERE key = ?"
        self._database.execute(change, (marshal.dumps(attributes), key))

    def _found(self, query: str, key: bytes) -> tuple[bytes] | None:
        row: tuple[bytes] | None = self._database.execute(query, (key,)).fetchone()
        return row


class ChainBroken(Exception):
    """Files are no whole export and its increments.

    Attributes:
        faults: Why, the first of the reasons, each with the file and line.
        count: How many there are.
    """

    def __init__(self, faults: Sequence[str], count: int) -> None:
        super().__init__("; ".join(faults[:1]))
        self.faults = tuple(faults)
        self.count = count


@contextmanager
def joined(given: Sequence[Path]) -> Iterator[files.UnnamedFile]:
    """Put an export and its increments together, as a file that can be read repeatedly.

    Args:
        given: Files of the command line in their order, the whole export first.

    Raises:
        ChainBroken: If they are something else; those behind the first that is are not read.
        OSError: If a file cannot be read, or the temporary one not be written.
    """
    with TemporaryFile() as out:
        with Chain() as chain:
            for number, path in enumerate(given):
                with files.open_once(path) as file:
                    (chain.follow if number else chain.begin)(file)
                if chain.fault_count:
                    found = [f"{files.label(path)}: {fault}" for fault in chain.faults]
                    raise ChainBroken(found, chain.fault_count)
            out.writelines(chain.text())
        out.flush()
        yield files.UnnamedFile(out)


def _unpacked(kept: bytes) -> _Attributes:
    # Of this process alone: the database has no name.
    attributes: _Attributes = marshal.loads(kept)  # noqa: S302
    return attributes


def _place(dn: str) -> tuple[bytes, bytes, int]:
    """Return the key of a DN, that of the one above it, and its depth."""
    parts = matching.normalized_components(dn, _equality_of)
    if not parts:
        raise _Fault("not a valid DN")
    return dn_key(parts), dn_key(parts[1:]), len(parts)


@lru_cache
def _equality_of(attribute: str) -> Equality:
    found = matching.standard_equality(attribute)
    return found if matching.is_standard(found.name) else Equality(found.name, "")


def _modified(held: _Attributes, mods: Iterable[Mod]) -> _Attributes:
    spelled = {name.lower(): name for name in held}
    for mod in mods:
        name = spelled.setdefault(mod.attribute.lower(), mod.attribute)
        values = held.get(name, [])
        match mod.op:
            case Op.REPLACE:
                values = [*mod.values]
            case Op.ADD:
                values = [*values, *mod.values]
            case Op.DELETE if not mod.values:
                values = []
            case Op.DELETE:
                values = _without(values, name, mod.values)
        if values:
            held[name] = values
        else:
            held.pop(name, None)
    return held


def _renamed(held: _Attributes, old: str, new: str) -> _Attributes:
    """Return the attributes after a rename that drops the former values of the name."""
    spelled = {name.lower(): name for name in held}
    for attribute, value in names.parsed_dn(old)[0]:
        name = spelled.get(attribute.lower(), attribute)
        left = _without(held.get(name, []), name, [value.encode()], must_be_there=False)
        held = held | {name: left} if left else {n: v for n, v in held.items() if n != name}
    for attribute, value in names.parsed_dn(new)[0]:
        name = spelled.get(attribute.lower(), attribute)
        others = _without(held.get(name, []), name, [value.encode()], must_be_there=False)
        held = held | {name: [value.encode(), *others]}
    return held


def _without(
    values: Sequence[bytes], name: str, gone: Iterable[bytes], *, must_be_there: bool = True
) -> list[bytes]:
    def form(value: bytes) -> bytes:
        return matching.normalized(_equality_of(name.partition(";")[0]).rule, value, _equality_of)

    unwanted = {form(value) for value in gone}
    if must_be_there and (missing := unwanted - {form(value) for value in values}):
        raise _Fault(f"{name} lacks {len(missing)} values that are to be deleted")
    return [value for value in values if form(value) not in unwanted]
