"""See whether an export is whole and makes sense, without a server."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache

from iredldap.dit import matching
from iredldap.dit.matching import Equality as Compared
from ldif_export import entry_kinds
from ldif_export.entry_kinds import Kind, Parts
from ldif_export.ldif import parser
from ldif_export.ldif.decompression import Readable, Tally, unpacked
from ldif_export.ldif.parser import Fault, Record
from ldif_export.manifest import Manifest
from ldif_export.restore import password_hashes
from ldif_export.restore.file_index import Ledger
from ldif_export.restore.judgement import MOST, Judgement, account_below, hangs, is_installation


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was found in a file.

    Args:
        faults: Why it is not whole or not right, by line.
        warnings: What is odd, and harmless to the others.
        fault_count: Number of faults, those not told included.
        warning_count: Number of warnings.
        entries: How many there are.
        kinds: How many of each kind.
        size: Bytes of the text, unpacked.
        sha256: Their digest.
    """

    faults: tuple[Fault, ...]
    warnings: tuple[Fault, ...]
    fault_count: int
    warning_count: int
    entries: int
    kinds: Mapping[Kind, int]
    size: int
    sha256: str

    @property
    def ok(self) -> bool:
        return not self.fault_count

    def as_json(self) -> dict[str, object]:
        """It as a dictionary for `json.dumps`."""
        return {"ok": self.ok, **asdict(self)}


def verify(
    file: Readable,
    manifest: Manifest | None = None,
    *,
    verified: Collection[str] = password_hashes.VERIFIED,
    largest: int = parser.LARGEST,
) -> Report:
    """Judge an export by its structure, its manifest and the rules of the tree.

    Args:
        file: LDIF text, compressed or not.
        manifest: What it should hold.
        verified: Password schemes that the server verifies.
        largest: Bytes that a record may have.
    """
    tally = Tally(unpacked(file))
    with Ledger() as ledger:
        judgement = Judgement(ledger, _compared, verified, clear_text=True)
        examination = _Examination(judgement, manifest.suffix if manifest else None)
        for item in parser.read(tally, largest=largest):
            judgement.note(item)
            if isinstance(item, Record):
                examination.record(item)
        examination.conclude()
    if manifest:
        examination.compare(manifest, tally)
    return Report(
        faults=judgement.faults.told(),
        warnings=judgement.warnings.told(),
        fault_count=judgement.faults.count,
        warning_count=judgement.warnings.count,
        entries=judgement.records,
        kinds=dict(sorted(judgement.kinds.items())),
        size=tally.size,
        sha256=tally.sha256,
    )


class _Examination:
    """What of the judgement needs the directory's tree, which here is known by the file alone."""

    def __init__(self, judgement: Judgement, suffix: str | None) -> None:
        self._judgement = judgement
        self._top: Parts | None = judgement.parts(suffix) if suffix else None
        self._aside: list[tuple[int, str, Parts]] = []

    def record(self, record: Record) -> None:
        """Judge an entry."""
        judgement = self._judgement
        parts = judgement.parts(record.dn)
        judgement.apart(record)
        if not parts:
            judgement.faults.add(record.line, f"{record.dn!r} is no DN")
            judgement.kinds["other"] += 1
            return
        top = account_below(parts)
        if top is None:
            self._put_aside(record, parts)
            return
        self._top = top if self._top is None else self._top
        if top != self._top:
            judgement.faults.add(record.line, f"{record.dn}: of another suffix")
        judgement.entry(record, parts)

    def conclude(self) -> None:
        """Judge what only all entries together show."""
        judgement = self._judgement
        judgement.conclude()
        for line, dn, _ in judgement.ledger.roots():
            if hangs(judgement.ledger, judgement.parts(dn)):
                judgement.faults.add(line, f"{dn}: its parent is missing")
        for line, dn, parts in self._aside:
            if self._top is not None and parts[len(parts) - len(self._top) :] != self._top:
                judgement.faults.add(line, f"{dn}: of another suffix")
            elif self._top is None or not is_installation(parts, self._top):
                judgement.outside(line, dn)

    def compare(self, manifest: Manifest, tally: Tally) -> None:
        """Judge the text by its manifest."""
        judgement = self._judgement
        for name, expected, found in (
            ("entries", manifest.entries, judgement.records),
            ("bytes", manifest.size, tally.size),
            ("SHA-256", manifest.sha256, tally.sha256),
            *(
                (f"kind {k}", manifest.kinds.get(k, 0), judgement.kinds[k])
                for k in entry_kinds.KINDS
            ),
        ):
            if expected != found:
                judgement.faults.add(0, f"{name}: the manifest says {expected}, it is {found}")

    def _put_aside(self, record: Record, parts: Parts) -> None:
        kind = entry_kinds.kind(record.dn, self._judgement.lowered(record).get("objectclass", ()))
        self._judgement.kinds[kind] += 1
        if len(self._aside) < MOST:
            self._aside.append((record.line, record.dn, parts))
        else:
            self._judgement.outside(record.line, record.dn)


@lru_cache
def _compared(attribute: str) -> Compared:
    """Tell how values are compared; those of attributes of other programs by their bytes."""
    found = matching.standard(attribute)
    return found if matching.is_standard(found.name) else Compared(found.name, "")
