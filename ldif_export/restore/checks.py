"""Check a file of entries for errors and oddities, the same way for `verify` and `restore`.

What only a directory knows is checked beyond this: what its schema allows, and what exists there.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from iredldap.dit import matching
from iredldap.dit.matching import EqualityOf
from iredldap.ldif.writer import base_name, is_password
from ldif_export import entry_kinds
from ldif_export.entry_kinds import DnParts, EntryKind
from ldif_export.ldif import parser
from ldif_export.ldif.parser import LdifComment, LineIssue, ParsedRecord
from ldif_export.restore import mailboxes, password_hashes
from ldif_export.restore.file_index import FileIndex

MOST_LISTED = 1000
"""Errors, and warnings, that a report lists; of the others it gives the number."""

CLEAR_TEXT = "a password in clear text"
BELOW_ALIAS = "its parent is an alias object, which has no entries below it"

_HEAD = "Password hashes:"
_COUNT = re.compile(r"entries: ([0-9]+)")
_INCREMENT = re.compile(r"changes since: ([0-9a-f]+)")
_CHANGES = re.compile(r"changes: ([0-9]+)")
_A = {kind: f"{'an' if kind[0] in 'ae' else 'a'} {kind}" for kind in entry_kinds.KINDS}


class IssueList:
    """Collect issues; the first are kept, the others counted."""

    def __init__(self, most: int = MOST_LISTED) -> None:
        # Bounded: a file of another kind has an error in every line.
        self._kept: list[LineIssue] = []
        self._most = most
        self.count = 0

    def add(self, line: int, reason: str) -> None:
        """Add an issue."""
        self.count += 1
        if self.count <= self._most:
            self._kept.append(LineIssue(line, reason))

    def listed(self) -> tuple[LineIssue, ...]:
        """Return the issues that are kept, by line."""
        return tuple(sorted(self._kept))


@dataclass
class FileCheck:
    """Check the entries of a file, one after another, and then all of them together.

    Args:
        index: Empty index, which is filled.
        equality_of: Returns how values of an attribute are compared.
        verified: Password schemes that the server verifies.
        clear_text: Whether passwords in clear text are accepted.

    Attributes:
        is_increment: Whether it is an increment of ours, whose change records are not checked.
    """

    index: FileIndex
    equality_of: EqualityOf
    verified: Collection[str] = password_hashes.VERIFIED
    clear_text: bool = False
    faults: IssueList = field(default_factory=IssueList)
    warnings: IssueList = field(default_factory=IssueList)
    kinds: Counter[EntryKind] = field(default_factory=Counter)
    records: int = 0
    is_increment: bool = False
    _announced: int | None = None
    _is_ours: bool = False
    _changes: int = 0

    def note(self, item: parser.ParsedItem) -> None:
        """Take the next item of the text; entries are checked by `entry`, in addition."""
        match item:
            case ParsedRecord():
                self.records += 1
                self._changes += 1
                self._announced = None
            case LdifComment(text=text, line=line):
                if (since := _INCREMENT.fullmatch(text)) and self._is_ours and not self.records:
                    self.is_increment = True
                    self.faults.add(line, _increment(since[1]))
                count = (_CHANGES if self.is_increment else _COUNT).fullmatch(text)
                # Only a number after the last entry counts: files may have been put together of
                # several exports.
                self._announced = int(count[1]) if count else None
                # Our own exports have this head, and then must have the number of entries at their
                # end.
                if text.startswith(_HEAD) and not self.records:
                    self._is_ours = True
                    if text == f"{_HEAD} left out":
                        reason = "no passwords: accounts that are new can not log in"
                        self.warnings.add(line, reason)
            # Our increments hold nothing but change records.
            case LineIssue(reason=parser.CHANGE_RECORD) if self.is_increment:
                # What it is has been said once.
                self._changes += 1
                self._announced = None
            case LineIssue(line=line, reason=reason):
                self._announced = None
                self.faults.add(line, reason)
            case parser.EndOfText(line=line, torn=torn):
                self._end(line, torn=torn)

    def parts(self, dn: str) -> DnParts:
        """Split a DN into components as they are compared; empty: it is malformed."""
        return matching.normalized_components(dn, self.equality_of)

    def entry(
        self, record: ParsedRecord, parts: DnParts, digest: bytes = b""
    ) -> tuple[EntryKind, dict[str, list[bytes]]]:
        """Check an entry by itself.

        Args:
            record: The entry.
            parts: Components of its DN.
            digest: Digest of its attributes, if they are compared.

        Returns:
            Its kind, and its values by attribute as `lowered` names them.
        """
        lowered = self.lowered(record)
        kind = entry_kinds.entry_kind(record.dn, lowered.get("objectclass", ()))
        self.kinds[kind] += 1
        key = entry_kinds.dn_key(parts)
        # On the disk, not in memory: a file may have a million entries.
        self.index.entry(
            key,
            entry_kinds.dn_key(parts[1:]),
            len(parts),
            record.line,
            record.dn,
            digest,
            is_alias=entry_kinds.is_alias(lowered.get("objectclass", ())),
        )
        for name in entry_kinds.unique_names(kind, lowered):
            self.index.unique_name(name, key, record.line)
        if path := mailboxes.mailbox_path(lowered):
            self.index.mailbox(path, key, record.line, record.dn)
        for reason in self._oddities(record, parts, kind, lowered):
            self.warnings.add(record.line, f"{record.dn}: {reason}")
        for reason in password_warnings(record, self.verified):
            # The one difference between both commands: `verify` accepts what `restore` does on
            # request only.
            is_fault = reason == CLEAR_TEXT and not self.clear_text
            (self.faults if is_fault else self.warnings).add(record.line, f"{record.dn}: {reason}")
        return kind, lowered

    def check_structure(self, record: ParsedRecord) -> None:
        """Check what no directory accepts, whatever its schema; with a schema, more is checked."""
        if "objectclass" not in map(str.lower, record.attributes):
            self.faults.add(record.line, f"{record.dn}: no objectClass")
        for name, values in record.attributes.items():
            several = len(values) > 1
            if several and matching.has_duplicates(
                self.equality_of(base_name(name)).rule, values, self.equality_of
            ):
                self.faults.add(record.line, f"{record.dn}: {name}: a value twice")

    def lowered(self, record: ParsedRecord) -> dict[str, list[bytes]]:
        """Return the attributes of an entry under one name for each, in lower case."""
        found: dict[str, list[bytes]] = {}
        for name, values in record.attributes.items():
            base, semicolon, options = name.partition(";")
            one = f"{self.equality_of(base).name}{semicolon}{options}"
            found[one] = [*found[one], *values] if one in found else values
        return found

    def conclude(self) -> None:
        """Check what only all entries together show."""
        self.index.settle()
        for line, dn, other in self.index.twice():
            self.faults.add(line, f"{dn}: is at line {other} already")
        for line, dn, other in self.index.below_aliases():
            self.faults.add(line, f"{dn}: {BELOW_ALIAS}, at line {other}")
        for line, dn, other in self.index.late():
            reason = f"its parent comes after it, at line {other}: a restore sorts them"
            self.warnings.add(line, f"{dn}: {reason}")
        # A warning only: the copy of a directory with such entries must be restorable.
        for line, name, other in self.index.shared():
            reason = f"{name}: belongs to the entry at line {other} as well"
            self.warnings.add(line, reason)
        for fault in mailboxes.conflicts_in_file(self.index):
            self.warnings.add(fault.line, fault.reason)

    def outside(self, line: int, dn: str) -> None:
        """Warn of an entry that belongs to the installation itself, or to another program."""
        self.warnings.add(line, f"{dn}: neither below the domains nor the admins, and left out")

    def _oddities(
        self,
        record: ParsedRecord,
        parts: DnParts,
        kind: EntryKind,
        lowered: Mapping[str, list[bytes]],
    ) -> Iterator[str]:
        if unnamed := entry_kinds.missing_rdn_attribute(parts, lowered, self.equality_of):
            yield f"{unnamed} lacks the value of its name, which the directory adds"
        if entry_kinds.suffix_above(parts, kind) is None:
            known = kind != "other"
            yield f"not where {_A[kind]} belongs" if known else "of an unknown kind"
        elif address := entry_kinds.foreign_address(parts, kind, lowered):
            yield f"{address} is of another domain"

    def _end(self, line: int, *, torn: bool) -> None:
        what = "changes" if self.is_increment else "entries"
        number = self._changes if self.is_increment else self.records
        # What was cut off between two records is well-formed LDIF: only the number shows it.
        if self._announced is not None and self._announced != number:
            reason = f"{self._announced} {what} are announced, {number} are there"
            self.faults.add(line, reason)
        elif self._announced is None and (self._is_ours or not self.records):
            reason = f"no comment with the number of {what} at the end: the text is cut off"
            self.faults.add(line, reason)
        elif self._announced is None:
            # Other programs write no such comment, and an editor may drop the last line feed.
            end = "the text ends within a line" if torn else "no number of entries at the end"
            self.warnings.add(line, f"{end}: it may be cut off")


def _increment(since: str) -> str:
    """Return the reason for which an increment is neither verified nor restored."""
    return (
        "an increment, no whole export: restore the export that it follows, whose text has the"
        f" SHA-256 {since[:12]}…, then apply this one by `ldapmodify -f`"
    )


def password_warnings(record: ParsedRecord, verified: Collection[str]) -> list[str]:
    """Return what is odd about an entry's stored passwords; no value is shown."""
    warnings = []
    for name, values in record.attributes.items():
        if is_password(name):
            for value in values:
                if password_hashes.is_clear(value):
                    warnings.append(CLEAR_TEXT)
                elif not password_hashes.is_verified(value, verified):
                    warnings.append("a password hash that the server does not verify")
    return warnings


def suffix_of_account(parts: DnParts) -> DnParts | None:
    """Return the suffix of an entry that is below the domains or the admins, or None."""
    for place, part in enumerate(parts):
        # By the names of the two branches: a file is checked without a directory that knows its
        # suffix.
        if place and list(part) in ([("o", "domains")], [("o", "domainadmins")]):
            return parts[place + 1 :]
    return None


def has_ancestor_in_file(index: FileIndex, parts: DnParts) -> bool:
    """Return whether an ancestor of an entry's missing parent is in the file."""
    return any(index.holds(entry_kinds.dn_key(parts[n:])) for n in range(2, len(parts)))


def is_installation(parts: DnParts, suffix: DnParts) -> bool:
    """Return whether an entry is one that every installation has, and thus not restored."""
    cut = len(parts) - len(suffix)
    return cut >= 0 and parts[cut:] == suffix and [*map(list, parts[:cut])] in _INSTALLATION


_INSTALLATION: list[list[list[tuple[str, str]]]] = [
    [],
    *([[("o", name)]] for name in ("domains", "domainadmins")),
    *([[("cn", name)]] for name in ("vmail", "vmailadmin", "manager")),
]
