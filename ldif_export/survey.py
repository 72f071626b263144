"""Read a file that is to be restored, and refuse what no directory should be asked to take."""

from dataclasses import dataclass, field

from iredldap.dit import names
from iredldap.dit.plan import Query, Scope
from iredldap.gateways.directory import Directory
from ldif_export import hashes, mailboxes, places, reading
from ldif_export.ledger import Ledger
from ldif_export.openable import Openable
from ldif_export.reading import Comment, End, Fault, Record
from ldif_export.shaping import Shape
from ldif_export.unpacking import Tally, unpacked
from ldif_export.verify import CLEAR_TEXT, Ending, Notes, password_warnings, shared

_EACH = 20
"""Entries below one parent that are looked up one by one; of more the parent's all are read."""

_HEAD = "Password hashes:"


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to restore.

    Args:
        old_suffix: Suffix in the file, where it is not the directory's.
        overwrite: Whether entries that exist and differ are made as the file has them.
        clear_text: Whether passwords in clear text are taken.
        verified: Password schemes that the server verifies.
        largest: Bytes that a record may have.
    """

    old_suffix: str = ""
    overwrite: bool = False
    clear_text: bool = False
    verified: tuple[str, ...] = hashes.VERIFIED
    largest: int = reading.LARGEST


@dataclass
class Survey:
    """What a file holds, and what is wrong with it."""

    ledger: Ledger
    shape: Shape
    options: Options
    refused: Notes = field(default_factory=Notes)
    warnings: Notes = field(default_factory=Notes)
    left_out: set[str] = field(default_factory=set)
    installation: int = 0
    entries: int = 0
    sha256: str = ""
    by_depth: bool = False
    _ending: Ending = field(default_factory=Ending)
    _records: int = 0
    _is_ours: bool = False
    _admins: dict[str, Fault] = field(default_factory=dict)

    def read(self, file: Openable) -> None:
        """Read the file and judge each entry by itself, then all of them together."""
        with file.open("rb") as text:
            tally = Tally(unpacked(text))
            for item in reading.read(tally, largest=self.options.largest):
                self._see(item)
        self.sha256 = tally.sha256
        self.ledger.settle()
        for line, dn, other in self.ledger.twice():
            self.refused.add(line, f"{dn}: is at line {other} already")
        # A copy of a directory where this was so can still be brought back.
        for line, claim, other in self.ledger.shared():
            self.warnings.add(line, shared(claim, other))
        for fault in mailboxes.told(self.ledger):
            self.warnings.add(fault.line, fault.reason)
        self.by_depth = next(self.ledger.late(), None) is not None

    def look_up(self, directory: Directory) -> None:
        """Read what the directory has of the entries, and refuse those without a parent."""
        few: dict[str, list[str]] = {}
        orphans: dict[str, bool] = {}
        for line, dn, has_children in self.ledger.roots():
            above = names.parent(dn)
            if above not in orphans:
                orphans[above] = directory.read(above, ("1.1",)) is None
            if orphans[above]:
                self.refused.add(line, f"{dn}: its parent is neither in the file nor there")
            elif has_children:
                self._note(directory, Query(dn, Scope.SUBTREE, "(objectClass=*)", ("*",)))
            elif len(few.setdefault(above, [])) <= _EACH:
                few[above].append(dn)
        for above, alone in few.items():
            for query in _queries(above, alone):
                self._note(directory, query)
        self.ledger.settle()
        self._compare_mailboxes(directory)

    def _compare_mailboxes(self, directory: Directory) -> None:
        overwrite = self.options.overwrite
        for fault in mailboxes.told_beside(self.ledger, directory, overwrite=overwrite):
            self.warnings.add(fault.line, fault.reason)
        for mail, mention in self._admins.items():
            if not self._exists(directory, mail):
                reason = f"{mention.reason}: its admin {mail} is neither in the file nor there"
                self.warnings.add(mention.line, reason)

    def _exists(self, directory: Directory, mail: str) -> bool:
        """Return whether a user or a standalone admin has an address, here or in the file."""
        tree = self.shape.tree
        dns = [tree.admin(mail), *([tree.user(mail)] if "@" in mail else [])]
        if any(self.ledger.holds(places.key(names.components(dn))) for dn in dns):
            return True
        return any(directory.read(dn, ("1.1",)) for dn in dns)

    def _note(self, directory: Directory, query: Query) -> None:
        for entry in directory.stream(query):
            key = places.key(names.components(entry.dn))
            self.ledger.present(key, self.shape.digest(entry.attributes))

    def _see(self, item: reading.Item) -> None:
        self._ending.see(item)
        match item:
            case Record():
                self._records += 1
                self._record(item)
            case Comment(text=text, line=line) if text.startswith(_HEAD) and not self._records:
                self._is_ours = True
                if text == f"{_HEAD} left out":
                    self.warnings.add(line, "no passwords: accounts that are new can not log in")
            case Fault(line=line, reason=reason):
                self.refused.add(line, reason)
            case End(line=line, torn=torn):
                self._end(line, torn=torn)

    def _end(self, line: int, *, torn: bool) -> None:
        fault = self._ending.fault(self._records)
        if fault and (self._is_ours or self._ending.told is not None):
            self.refused.add(line, fault)
        elif fault:
            # An editor leaves out the last line feed: nobody can tell that from a cut.
            end = "the text ends within a line" if torn else "no number of entries at the end"
            self.warnings.add(line, f"{end}: it may be cut off")

    def _record(self, found: Record) -> None:
        record = self.shape.shaped(found)
        parts = names.components(record.dn)
        if not parts:
            self.refused.add(record.line, f"{record.dn!r} is no DN")
        elif self.shape.is_installation(parts):
            self.installation += 1
        elif not self.shape.is_account(parts):
            suffix = self.shape.tree.suffix
            self.refused.add(record.line, f"{record.dn}: not among the accounts of {suffix}")
        else:
            self.entries += 1
            self.left_out |= self.shape.operational(found)
            key, parent = places.key(parts), places.key(parts[1:])
            digest = self.shape.digest(record.attributes)
            self.ledger.entry(key, parent, len(parts), record.line, record.dn, digest)
            self._judge(record, parts, key)

    def _judge(self, record: Record, parts: places.Parts, key: bytes) -> None:
        reasons = self.shape.schema.faults(record.attributes)
        lowered = {name.lower(): values for name, values in record.attributes.items()}
        kind = places.kind(record.dn, lowered.get("objectclass", ()))
        for value in lowered.get("domainadmin", ()):
            mail = value.decode("utf-8", "replace").lower()
            # Few: a domain has one or two. The reason is completed when all entries are known.
            self._admins.setdefault(mail, Fault(record.line, record.dn))
        for claim in places.claims(kind, lowered):
            self.ledger.claim(claim, key, record.line)
        if path := mailboxes.path_of(lowered):
            self.ledger.mailbox(path, key, record.line, record.dn)
        if unnamed := places.unnamed(parts, lowered):
            reasons.append(f"{unnamed} lacks the value of its name")
        for reason in reasons:
            self.refused.add(record.line, f"{record.dn}: {reason}")
        self._doubt(record, parts, kind, lowered)

    def _doubt(
        self,
        record: Record,
        parts: places.Parts,
        kind: places.Kind,
        lowered: dict[str, list[bytes]],
    ) -> None:
        """Tell what is odd about an entry that the directory may well take."""
        if places.above(parts, kind) is None:
            self.warnings.add(record.line, f"{record.dn}: no place for such an entry")
        elif address := places.stranger(parts, kind, lowered):
            self.warnings.add(record.line, f"{record.dn}: {address} is of another domain")
        for warning in password_warnings(record, self.options.verified):
            clear = warning == CLEAR_TEXT and not self.options.clear_text
            (self.refused if clear else self.warnings).add(record.line, f"{record.dn}: {warning}")


def _queries(above: str, alone: list[str]) -> list[Query]:
    if len(alone) > _EACH:
        return [Query(above, Scope.ONE, "(objectClass=*)", ("*",))]
    return [Query(dn, Scope.BASE, "(objectClass=*)", ("*",)) for dn in alone]
