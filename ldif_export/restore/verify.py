"""Verify that an export is complete and consistent, without a server."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache

from iredldap.dit import matching
from iredldap.dit.matching import Equality
from ldif_export import entry_kinds
from ldif_export.entry_kinds import DnParts, EntryKind
from ldif_export.ldif import parser
from ldif_export.ldif.decompression import DigestingReader, ReadableFile, decompressed
from ldif_export.ldif.parser import LineIssue, ParsedRecord
from ldif_export.manifest import Manifest
from ldif_export.restore import password_hashes
from ldif_export.restore.checks import (
    MOST_LISTED,
    FileCheck,
    has_ancestor_in_file,
    is_installation,
    suffix_of_account,
)
from ldif_export.restore.file_index import FileIndex


@dataclass(frozen=True, kw_only=True)
class VerifyReport:
    """What was found in a file.

    Args:
        faults: Why it is incomplete or wrong, by line.
        warnings: What is odd, and does not affect other entries.
        fault_count: Number of faults, including those not listed.
        warning_count: Number of warnings.
        entries: Number of entries.
        kinds: Number of each kind.
        size: Bytes of the text, decompressed.
        sha256: Their digest.
    """

    faults: tuple[LineIssue, ...]
    warnings: tuple[LineIssue, ...]
    fault_count: int
    warning_count: int
    entries: int
    kinds: Mapping[EntryKind, int]
    size: int
    sha256: str

    @property
    def ok(self) -> bool:
        return not self.fault_count

    def as_json(self) -> dict[str, object]:
        """Return it as a dictionary for `json.dumps`."""
        return {"ok": self.ok, **asdict(self)}


def verify(
    file: ReadableFile,
    manifest: Manifest | None = None,
    *,
    verified: Collection[str] = password_hashes.VERIFIED,
    largest: int = parser.LARGEST_RECORD,
) -> VerifyReport:
    """Check an export by its structure, its manifest and the rules of the tree.

    Args:
        file: LDIF text, compressed or not.
        manifest: What it should hold.
        verified: Password schemes that the server verifies.
        largest: Largest record in bytes.
    """
    digesting = DigestingReader(decompressed(file))
    with FileIndex() as index:
        check = FileCheck(index, _equality_of, verified, clear_text=True)
        examination = _Examination(check, manifest.suffix if manifest else None)
        for item in parser.read(digesting, largest=largest):
            check.note(item)
            if isinstance(item, ParsedRecord):
                examination.record(item)
        examination.conclude()
    if manifest:
        examination.compare(manifest, digesting)
    return VerifyReport(
        faults=check.faults.listed(),
        warnings=check.warnings.listed(),
        fault_count=check.faults.count,
        warning_count=check.warnings.count,
        entries=check.records,
        kinds=dict(sorted(check.kinds.items())),
        size=digesting.size,
        sha256=digesting.sha256,
    )


class _Examination:
    """The checks that need the directory's tree, which is known from the file alone here."""

    def __init__(self, check: FileCheck, suffix: str | None) -> None:
        self._check = check
        self._top: DnParts | None = check.parts(suffix) if suffix else None
        self._aside: list[tuple[int, str, DnParts]] = []

    def record(self, record: ParsedRecord) -> None:
        """Check an entry."""
        check = self._check
        parts = check.parts(record.dn)
        check.check_structure(record)
        if not parts:
            check.faults.add(record.line, f"{record.dn!r} is not a valid DN")
            check.kinds["other"] += 1
            return
        top = suffix_of_account(parts)
        if top is None:
            self._put_aside(record, parts)
            return
        # Without a manifest, the first account determines the suffix; others must agree.
        self._top = top if self._top is None else self._top
        if top != self._top:
            check.faults.add(record.line, f"{record.dn}: of another suffix")
        check.entry(record, parts)

    def conclude(self) -> None:
        """Check what only all entries together show."""
        check = self._check
        check.conclude()
        for line, dn, _ in check.index.roots():
            if has_ancestor_in_file(check.index, check.parts(dn)):
                check.faults.add(line, f"{dn}: its parent is missing")
        for line, dn, parts in self._aside:
            if self._top is not None and parts[len(parts) - len(self._top) :] != self._top:
                check.faults.add(line, f"{dn}: of another suffix")
            elif self._top is None or not is_installation(parts, self._top):
                check.outside(line, dn)

    def compare(self, manifest: Manifest, digesting: DigestingReader) -> None:
        """Compare the text with its manifest."""
        check = self._check
        kinds = ((f"kind {k}", manifest.kinds.get(k, 0), check.kinds[k]) for k in entry_kinds.KINDS)
        for name, expected, found in (
            ("bytes", manifest.size, digesting.size),
            ("SHA-256", manifest.sha256, digesting.sha256),
            # The manifest of an increment counts the entries that have changed.
            *(() if check.is_increment else (("entries", manifest.entries, check.records), *kinds)),
        ):
            if expected != found:
                check.faults.add(0, f"{name}: the manifest says {expected}, it is {found}")

    def _put_aside(self, record: ParsedRecord, parts: DnParts) -> None:
        kind = entry_kinds.entry_kind(record.dn, self._check.lowered(record).get("objectclass", ()))
        self._check.kinds[kind] += 1
        # Checked at the end, when the suffix is known; beyond this number they only get a warning.
        if len(self._aside) < MOST_LISTED:
            self._aside.append((record.line, record.dn, parts))
        else:
            self._check.outside(record.line, record.dn)


@lru_cache
def _equality_of(attribute: str) -> Equality:
    """Return how values are compared; those of other programs' attributes by their bytes."""
    found = matching.standard_equality(attribute)
    return found if matching.is_standard(found.name) else Equality(found.name, "")
