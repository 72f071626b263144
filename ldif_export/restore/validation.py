"""Validate a file that is to be restored, by its own contents and by the directory."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from iredldap.dit import filters, names
from iredldap.dit.entry import Entry, folded
from iredldap.dit.plan import Query, Scope
from iredldap.gateways.directory import Directory
from ldif_export import entry_kinds
from ldif_export.ldif import parser
from ldif_export.ldif.decompression import DigestingReader, decompressed
from ldif_export.ldif.files import Openable
from ldif_export.ldif.parser import LineIssue, ParsedRecord
from ldif_export.readers.base import USER_ATTRIBUTES
from ldif_export.restore import mailboxes, password_hashes
from ldif_export.restore.checks import BELOW_ALIAS, FileCheck
from ldif_export.restore.file_index import FileIndex
from ldif_export.restore.normalize import Normalizer

_EACH = 20
"""Up to so many entries with the same parent are looked up one by one; of more, all of the parent's
children are read."""

_WHO_LOG_IN = frozenset({"user", "admin"})
"""Kinds of entries that a domain's admin may be."""


@dataclass(frozen=True, kw_only=True)
class RestoreOptions:
    """Options of a restore.

    Args:
        old_suffix: Suffix in the file, if it is not the directory's.
        overwrite: Whether entries that exist and differ are changed to the file's.
        clear_text: Whether passwords in clear text are accepted.
        leave_out: Attributes that are left out, as though the file did not have them.
        verified: Password schemes that the server verifies.
        largest: Largest record in bytes.
    """

    old_suffix: str = ""
    overwrite: bool = False
    clear_text: bool = False
    leave_out: tuple[str, ...] = ()
    verified: tuple[str, ...] = password_hashes.VERIFIED
    largest: int = parser.LARGEST_RECORD


@dataclass
class FileValidation:
    """Read a file, and collect what is wrong with it."""

    index: FileIndex
    normalizer: Normalizer
    options: RestoreOptions
    left_out: set[str] = field(default_factory=set)
    omitted: Counter[str] = field(default_factory=Counter)
    installation: int = 0
    entries: int = 0
    sha256: str = ""
    by_depth: bool = False
    _admins: dict[str, LineIssue] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.omitted.update(dict.fromkeys(self.options.leave_out, 0))
        options = self.options
        equality_of = self.normalizer.schema.equality_of
        self.check = FileCheck(
            self.index, equality_of, options.verified, clear_text=options.clear_text
        )
        self.refused, self.warnings = self.check.faults, self.check.warnings

    def read(self, file: Openable) -> None:
        """Read the file; check each entry by itself, then all of them together."""
        with file.open("rb") as text:
            digesting = DigestingReader(decompressed(text))
            for item in parser.read(digesting, largest=self.options.largest):
                self.check.note(item)
                if isinstance(item, ParsedRecord):
                    self._record(item)
        self.sha256 = digesting.sha256
        # When all entries are known, in whatever order the file has them.
        # Not while reading: a parent may come after its children, and an address may be given twice
        # at either end of a file.
        self.check.conclude()
        self.by_depth = next(self.index.late(), None) is not None

    def look_up(self, directory: Directory) -> None:
        """Read the directory's entries of the same DNs, and refuse entries without a parent."""
        few: dict[str, list[str]] = {}
        why_not: dict[str, str] = {}
        for line, dn, has_children in self.index.roots():
            above = names.parent(dn)
            # One lookup per parent and not per entry: an account's siblings have the same one.
            if above not in why_not:
                why_not[above] = _why_no_parent(directory.read(above, ("objectClass",)))
            if why_not[above]:
                self.refused.add(line, f"{dn}: {why_not[above]}")
            # The root of a branch in the file: one search reads all that exists of it.
            elif has_children:
                self._note(directory, Query(dn, Scope.SUBTREE, "(objectClass=*)", USER_ATTRIBUTES))
            elif len(few.setdefault(above, [])) <= _EACH:
                few[above].append(dn)
        for above, alone in few.items():
            # After all roots are known: only then is the number of siblings that are wanted.
            for query in _queries(above, alone):
                self._note(directory, query)
        self.index.settle()
        self._compare_mailboxes(directory)

    def _compare_mailboxes(self, directory: Directory) -> None:
        overwrite = self.options.overwrite
        for fault in mailboxes.conflicts_with_directory(
            self.index, directory, self.normalizer.parts, overwrite=overwrite
        ):
            self.warnings.add(fault.line, fault.reason)
        for mail, mention in self._admins.items():
            if not self._exists(directory, mail):
                where = "neither in the file nor in the directory"
                reason = f"{mention.reason}: its admin {mail} is {where}"
                self.warnings.add(mention.line, reason)

    def _exists(self, directory: Directory, mail: str) -> bool:
        """Return whether a user or a standalone admin has an address, in the directory or the file.

        The RDN does not matter: a login looks for the address.
        """
        # In the file first: it costs no search.
        if self.index.has_login(mail):
            return True
        query = Query(
            self.normalizer.tree.suffix,
            Scope.SUBTREE,
            filters.equals("mail", mail),
            ("objectClass",),
        )
        return any(
            entry_kinds.entry_kind(entry.dn, entry.values("objectClass")) in _WHO_LOG_IN
            for entry in directory.find(query)
        )

    def _note(self, directory: Directory, query: Query) -> None:
        for entry in directory.stream(query):
            key = entry_kinds.dn_key(self.normalizer.parts(entry.dn))
            self.index.present(key, self.normalizer.digest(entry.attributes))

    def _record(self, found: ParsedRecord) -> None:
        record = self.normalizer.normalized(found)
        parts = self.normalizer.parts(record.dn)
        # slapd accepts fewer DNs than a parser: those with an attribute that the schema does not
        # know are refused.
        if not parts or not self.normalizer.schema.is_dn(record.dn):
            # It cannot even be looked up.
            self.refused.add(record.line, f"{record.dn!r} is not a valid DN")
        elif self.normalizer.is_installation(parts):
            # Every installation has these entries already, with passwords of its own.
            self.installation += 1
        elif self.normalizer.is_account(parts):
            self._account(record, parts)
            # Of the record before normalization, which drops them.
            self.left_out |= self.normalizer.operational(found)
            self.omitted.update(self.normalizer.omitted(found))
        elif self.normalizer.is_below_suffix(parts):
            self.check.outside(record.line, record.dn)
        else:
            suffix = self.normalizer.tree.suffix
            self.refused.add(record.line, f"{record.dn}: not among the accounts of {suffix}")

    def _account(self, record: ParsedRecord, parts: entry_kinds.DnParts) -> None:
        self.entries += 1
        completed = self.normalizer.schema.completed(record.dn, record.attributes)
        kind, lowered = self.check.entry(record, parts, self.normalizer.digest(completed))
        for reason in self._reasons(record, completed):
            self.refused.add(record.line, f"{record.dn}: {reason}")
        if kind in _WHO_LOG_IN:
            for address in lowered.get("mail", ()):
                self.index.login(folded(address.decode("utf-8", "replace")))
        for value in lowered.get("domainadmin", ()):
            mail = folded(value.decode("utf-8", "replace"))
            # Kept in memory: a domain has one or two. The reason is completed when all entries are
            # known.
            self._admins.setdefault(mail, LineIssue(record.line, record.dn))

    def _reasons(
        self, record: ParsedRecord, completed: Mapping[str, Sequence[bytes]]
    ) -> Iterator[str]:
        """Yield why the server would refuse an entry, and what can be done about it."""
        schema = self.normalizer.schema
        unknown = {name for name in record.attributes if schema.attribute(name) is None}
        # So that the one who restores reads about an unknown attribute once, with a way out, and
        # not also that no class allows it.
        known = {name: values for name, values in completed.items() if name not in unknown}
        yield from schema.faults(known, record.dn)
        for name in unknown:
            base = name.partition(";")[0]
            way = f"--leave-out {base}, over HTTP leave_out={base}, restores the rest"
            yield f"unknown attribute {name}: {way}"
        for name in filter(self.normalizer.is_left_out, completed):
            yield f"{name} is part of its name, and can not be left out"


def _why_no_parent(entry: Entry | None) -> str:
    """Return why nothing can be added below an entry of the directory; empty: it can."""
    if entry is None:
        return "its parent is neither in the file nor in the directory"
    return BELOW_ALIAS if entry_kinds.is_alias(entry.values("objectClass")) else ""


def _queries(above: str, alone: list[str]) -> list[Query]:
    if len(alone) > _EACH:
        return [Query(above, Scope.ONE, "(objectClass=*)", USER_ATTRIBUTES)]
    return [Query(dn, Scope.BASE, "(objectClass=*)", USER_ATTRIBUTES) for dn in alone]
