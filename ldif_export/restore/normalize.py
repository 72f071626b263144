"""Normalize entries of a file for a directory: its suffix, its spelling, only what it stores."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from hashlib import blake2b
from io import BytesIO

from iredldap.dit import matching, names
from iredldap.dit.entry import Entry
from iredldap.dit.names import Tree
from iredldap.dit.plan import Mod, Op
from iredldap.dit.schema import Schema
from iredldap.ldif import writer
from ldif_export.entry_kinds import DnParts
from ldif_export.ldif import parser
from ldif_export.ldif.decompression import decompressed
from ldif_export.ldif.files import Openable
from ldif_export.ldif.parser import ParsedRecord
from ldif_export.restore import checks

_PASSWORD = "userpassword"  # noqa: S105 - the name of an attribute
_KEPT = "surrogateescape"
_DIGEST = 16
_MOST_KNOWN = 1000


@dataclass(frozen=True)
class Normalizer:
    """Turn entries of a file into those that a directory would have.

    Args:
        tree: The directory's.
        schema: The directory's.
        old_suffix: Suffix in the file, to be replaced by the directory's; empty: none.
        leave_out: Attributes that are ignored, both in the file and in the directory.
    """

    tree: Tree
    schema: Schema
    old_suffix: str = ""
    leave_out: tuple[str, ...] = ()

    def normalized(self, record: ParsedRecord) -> ParsedRecord:
        """Return an entry as the directory would have it; unknown attributes stay as they are."""
        attributes: dict[str, list[bytes]] = {}
        spelled: dict[str, str] = {}
        for name, values in record.attributes.items():
            if not self.schema.is_operational(name) and not self.is_left_out(name):
                first = spelled.setdefault(self._one_name(name), self.schema.spelled(name) or name)
                # Two spellings of one attribute in a record become one, as slapd makes them.
                attributes.setdefault(first, []).extend(self._moved(name, values))
        return ParsedRecord(self._dn(record.dn), attributes, record.line)

    def parts(self, dn: str) -> DnParts:
        """Split a DN into components as the directory compares them; empty: it is malformed."""
        return matching.normalized_components(dn, self.schema.equality_of)

    def operational(self, record: ParsedRecord) -> set[str]:
        """Return the names of the attributes that the server maintains itself."""
        return {name for name in record.attributes if self.schema.is_operational(name)}

    def omitted(self, record: ParsedRecord) -> set[str]:
        """Return the attributes that are left out on request, in the request's spelling."""
        if not self.leave_out:
            return set()
        named = {self._base(name) for name in record.attributes}
        return {name for name in self.leave_out if self._base(name) in named}

    def is_left_out(self, attribute: str) -> bool:
        """Return whether an attribute is left out on request, in any spelling, with any options."""
        return bool(self.leave_out) and self._base(attribute) in self._left_out

    @cached_property
    def _left_out(self) -> frozenset[str]:
        return frozenset(map(self._base, self.leave_out))

    def _base(self, attribute: str) -> str:
        return self._one_name(attribute).partition(";")[0]

    def is_installation(self, parts: DnParts) -> bool:
        """Return whether an entry is one that every installation has, and thus not restored."""
        return checks.is_installation(parts, self._suffix)

    def is_account(self, parts: DnParts) -> bool:
        """Return whether an entry is below the domains or the admins."""
        return any(len(parts) > len(top) and parts[-len(top) :] == top for top in self._tops)

    def is_below_suffix(self, parts: DnParts) -> bool:
        """Return whether an entry is in the directory's tree."""
        return parts[len(parts) - len(self._suffix) :] == self._suffix

    @cached_property
    def _tops(self) -> list[DnParts]:
        return [self.parts(dn) for dn in (self.tree.base, self.tree.admin_base)]

    @cached_property
    def _suffix(self) -> DnParts:
        return self.parts(self.tree.suffix)

    def digest(self, attributes: Mapping[str, Sequence[bytes]]) -> bytes:
        """Return equal bytes for equal entries: values are sets, names have one spelling.

        The digest of the passwords follows the first 16 bytes, and is missing where there are none.
        """
        lowered = self._forms(attributes)
        stored = lowered.pop(_PASSWORD, None)
        # Sorted, as the order of values says nothing.
        plain = sorted((name, sorted(set(values))) for name, values in lowered.items())
        # Apart, as files may have been exported without passwords, and are compared without them
        # then.
        return _digest(plain) + (_digest(sorted(set(stored))) if stored else b"")

    def mods(self, record: ParsedRecord, entry: Entry) -> tuple[Mod, ...]:
        """Return the modifications that turn an entry of the directory into that of the file.

        A file without passwords says nothing about them: they stay.
        """
        # slapd adds the values of the RDN where an entry lacks them, so the directory's entry has
        # them.
        completed = self.schema.completed(record.dn, record.attributes)
        wanted, there = self._forms(completed), self._forms(entry.attributes)
        # Compared in normal form, written as the file spells it.
        changed = [
            Mod(Op.REPLACE, name, tuple(values))
            for name, values in completed.items()
            if not self.is_left_out(name)
            and set(wanted[self._one_name(name)]) != set(there.get(self._one_name(name), ()))
        ]
        # Attributes that the directory has and the file has not; operational ones are the server's.
        removed = [
            Mod(Op.REPLACE, name)
            for name in entry.attributes
            if self._one_name(name) not in {*wanted, _PASSWORD}
            and not self.schema.is_operational(name)
            and not self.is_left_out(name)
        ]
        return (*changed, *removed)

    @cached_property
    def _one_name(self) -> Callable[[str], str]:
        """Returns the form of an attribute's name and options that all their spellings share."""
        return lru_cache(_MOST_KNOWN)(self._find_one_name)

    def _find_one_name(self, attribute: str) -> str:
        base, *options = (self.schema.spelled(attribute) or attribute).lower().split(";")
        return ";".join((base, *sorted(options)))

    def _forms(self, attributes: Mapping[str, Sequence[bytes]]) -> dict[str, list[bytes]]:
        """Return values in a form in which those are equal that the directory takes for equal."""
        found: dict[str, list[bytes]] = {}
        for name, values in attributes.items():
            if self.is_left_out(name):
                continue
            one = self._one_name(name)
            found.setdefault(one, []).extend(map(self._form(one), values))
        return found

    def _form(self, attribute: str) -> Callable[[bytes], bytes]:
        # A class has several names and an OID, and slapd returns the one that it was added by.
        if attribute == "objectclass":
            return self._class
        if self.schema.holds_dns(attribute):
            equality_of = self.schema.equality_of
            return lambda value: matching.normalized(
                equality_of(attribute).rule, value, equality_of
            )
        return lambda value: value

    def _class(self, value: bytes) -> bytes:
        found = self.schema.object_class(value.decode("utf-8", "replace"))
        return found.name.lower().encode() if found else value

    def _dn(self, dn: str) -> str:
        if not self.old_suffix or not names.is_within(dn, self.old_suffix):
            return dn
        above = dn
        rdns = []
        while not names.same_dn(above, self.old_suffix):
            rdns.append(names.rdn(above))
            above = names.parent(above)
        return ",".join((*rdns, self.tree.suffix))

    def _moved(self, attribute: str, values: list[bytes]) -> list[bytes]:
        if not self.old_suffix or not self.schema.holds_dns(attribute):
            return values
        return [self._dn(value.decode(errors=_KEPT)).encode(errors=_KEPT) for value in values]


def digests_agree(file: bytes, directory: bytes) -> bool:
    """Return whether two digests are of equal entries; without passwords a file agrees with any."""
    # The digest of the passwords comes last, so that it can be compared or ignored.
    return directory == file or (len(file) == _DIGEST and directory.startswith(file))


def read_accounts(
    file: Openable, normalizer: Normalizer, *, largest: int, by_depth: bool = False
) -> Iterator[ParsedRecord]:
    """Read the entries of a file that was validated, normalized for a directory.

    Args:
        file: LDIF, compressed or not.
        normalizer: The directory's.
        largest: Largest record in bytes.
        by_depth: Parents first; otherwise as in the file.
    """
    found = _accounts(file, normalizer, largest)
    yield from _by_depth(found) if by_depth else found


def _accounts(file: Openable, normalizer: Normalizer, largest: int) -> Iterator[ParsedRecord]:
    with file.open("rb") as text:
        for item in parser.read(decompressed(text), largest=largest):
            if isinstance(item, ParsedRecord):
                record = normalizer.normalized(item)
                if normalizer.is_account(normalizer.parts(record.dn)):
                    yield record


def _by_depth(records: Iterable[ParsedRecord]) -> Iterator[ParsedRecord]:
    """Sort parents first, outside the memory: a temporary SQLite database holds the texts."""
    with closing(sqlite3.connect("", isolation_level=None)) as database:
        database.executescript(
            # Nothing is to be recovered: with the process the sorted texts are of no use.
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -16000;"
            "CREATE TABLE record (number INTEGER PRIMARY KEY, depth INTEGER, line INTEGER, text);"
            "CREATE INDEX by_depth ON record (depth, number); BEGIN;"
        )
        database.executemany(
            # Among entries of one depth the order of the file stays, so that a second run writes in
            # the same order.
            "INSERT INTO record (depth, line, text) VALUES (?, ?, ?)",
            ((names.depth(r.dn), r.line, writer.record(r.dn, r.attributes)) for r in records),
        )
        for line, text in database.execute("SELECT line, text FROM record ORDER BY depth, number"):
            record = next(parser.read(BytesIO(text), largest=len(text)))
            assert isinstance(record, ParsedRecord)
            yield replace(record, line=line)


def _digest(values: object) -> bytes:
    # 16 bytes are enough: only two entries of one DN are compared with one another.
    return blake2b(repr(values).encode(), digest_size=_DIGEST).digest()
