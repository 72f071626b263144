"""See whether an export is whole and makes sense, without a server."""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field

from iredldap.dit import names
from ldif_export import hashes, mailboxes, places, reading
from ldif_export.ledger import Ledger
from ldif_export.manifest import Manifest
from ldif_export.places import Kind, Parts
from ldif_export.reading import Comment, End, Fault, Record
from ldif_export.unpacking import Readable, Tally, unpacked
from ldif_export.writer import base_name, is_password

MOST = 1000
"""Faults, and warnings, that a report tells one by one; of the others it tells the number."""

CLEAR_TEXT = "a password in clear text"

_A = {kind: f"{'an' if kind[0] in 'ae' else 'a'} {kind}" for kind in places.KINDS}
_COUNT = re.compile(r"entries: ([0-9]+)")


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


class Notes:
    """Faults as they are found; the first are kept, the others counted."""

    def __init__(self, most: int = MOST) -> None:
        self._kept: list[Fault] = []
        self._most = most
        self.count = 0

    def add(self, line: int, reason: str) -> None:
        self.count += 1
        if self.count <= self._most:
            self._kept.append(Fault(line, reason))

    def told(self) -> tuple[Fault, ...]:
        return tuple(sorted(self._kept))


@dataclass
class Ending:
    """Whether a text ends as our exports do: with a comment that tells the number of entries."""

    told: int | None = None

    def see(self, item: reading.Item) -> None:
        """See the next item of the text."""
        match item:
            case Comment(text=text):
                count = _COUNT.fullmatch(text)
                self.told = int(count[1]) if count else None
            case Record() | Fault():
                self.told = None

    def fault(self, entries: int) -> str | None:
        """What is wrong with the end of a text with so many entries."""
        if self.told is None:
            return "no comment with the number of entries at the end: the text is cut off"
        if self.told != entries:
            return f"{self.told} entries are announced, {entries} are there"
        return None


def verify(
    file: Readable,
    manifest: Manifest | None = None,
    *,
    verified: Collection[str] = hashes.VERIFIED,
    largest: int = reading.LARGEST,
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
        examination = _Examination(ledger, verified, manifest.suffix if manifest else None)
        for item in reading.read(tally, largest=largest):
            examination.see(item)
        examination.conclude()
    if manifest:
        examination.compare(manifest, tally)
    return Report(
        faults=examination.faults.told(),
        warnings=examination.warnings.told(),
        fault_count=examination.faults.count,
        warning_count=examination.warnings.count,
        entries=examination.entries,
        kinds=dict(sorted(examination.kinds.items())),
        size=tally.size,
        sha256=tally.sha256,
    )


@dataclass
class _Examination:
    ledger: Ledger
    verified: Collection[str]
    suffix: str | None
    faults: Notes = field(default_factory=Notes)
    warnings: Notes = field(default_factory=Notes)
    kinds: Counter[Kind] = field(default_factory=Counter)
    ending: Ending = field(default_factory=Ending)
    top: Parts | None = None

    def __post_init__(self) -> None:
        self.top = names.components(self.suffix) if self.suffix else None

    @property
    def entries(self) -> int:
        return self.kinds.total()

    def see(self, item: reading.Item) -> None:
        self.ending.see(item)
        match item:
            case Record():
                self._record(item)
            case Fault(line=line, reason=reason):
                self.faults.add(line, reason)
            case End(line=line):
                if fault := self.ending.fault(self.entries):
                    self.faults.add(line, fault)

    def conclude(self) -> None:
        """Judge what only all entries together show."""
        self.ledger.settle()
        for line, dn, other in self.ledger.twice():
            self.faults.add(line, f"{dn}: is at line {other} already")
        for line, dn, other in self.ledger.late():
            self.faults.add(line, f"{dn}: its parent comes after it, at line {other}")
        for line, claim, other in self.ledger.shared():
            self.faults.add(line, shared(claim, other))
        for fault in mailboxes.told(self.ledger):
            self.warnings.add(fault.line, fault.reason)
        for line, dn, _ in self.ledger.roots():
            if self._hangs(dn):
                self.faults.add(line, f"{dn}: its parent is missing")

    def compare(self, manifest: Manifest, tally: Tally) -> None:
        """Judge the text by its manifest."""
        for name, expected, found in (
            ("entries", manifest.entries, self.entries),
            ("bytes", manifest.size, tally.size),
            ("SHA-256", manifest.sha256, tally.sha256),
            *((f"kind {k}", manifest.kinds.get(k, 0), self.kinds[k]) for k in places.KINDS),
        ):
            if expected != found:
                self.faults.add(0, f"{name}: the manifest says {expected}, it is {found}")

    def _record(self, record: Record) -> None:
        lowered = {name.lower(): values for name, values in record.attributes.items()}
        kind = places.kind(record.dn, lowered.get("objectclass", ()))
        self.kinds[kind] += 1
        if repeated := _repeated(record):
            self.faults.add(record.line, f"{record.dn}: {repeated}: a value twice")
        parts = names.components(record.dn)
        if not parts:
            self.faults.add(record.line, f"{record.dn!r} is no DN")
            return
        key, parent = places.key(parts), places.key(parts[1:])
        self.ledger.entry(key, parent, len(parts), record.line, record.dn)
        if unnamed := places.unnamed(parts, lowered):
            self.faults.add(record.line, f"{record.dn}: {unnamed} lacks the value of its name")
        self._place(record, parts, kind, lowered)
        for claim in places.claims(kind, lowered):
            self.ledger.claim(claim, key, record.line)
        if path := mailboxes.path_of(lowered):
            self.ledger.mailbox(path, key, record.line, record.dn)
        self._passwords(record)

    def _place(
        self, record: Record, parts: Parts, kind: Kind, lowered: Mapping[str, list[bytes]]
    ) -> None:
        top = places.above(parts, kind)
        if top is None:
            words = "of no kind that is known" if kind == "other" else f"no place for {_A[kind]}"
            self.faults.add(record.line, f"{record.dn}: {words}")
            return
        self.top = top if self.top is None else self.top
        if top != self.top:
            self.faults.add(record.line, f"{record.dn}: of another suffix")
        if address := places.stranger(parts, kind, lowered):
            self.faults.add(record.line, f"{record.dn}: {address} is of another domain")

    def _passwords(self, record: Record) -> None:
        for warning in password_warnings(record, self.verified):
            self.warnings.add(record.line, f"{record.dn}: {warning}")

    def _hangs(self, dn: str) -> bool:
        """Whether something above an entry's missing parent is in the file."""
        parts = names.components(dn)
        return any(self.ledger.holds(places.key(parts[n:])) for n in range(2, len(parts)))


def shared(claim: str, line: int) -> str:
    """Say that an address or a domain has another entry as well."""
    return f"{claim}: belongs to the entry at line {line} as well"


def password_warnings(record: Record, verified: Collection[str]) -> list[str]:
    """Say what is odd about an entry's stored passwords; no value is shown."""
    warnings = []
    for name, values in record.attributes.items():
        if is_password(name):
            for value in values:
                if hashes.is_clear(value):
                    warnings.append(CLEAR_TEXT)
                elif not hashes.is_verified(value, verified):
                    warnings.append("a password hash that the server does not verify")
    return warnings


def _repeated(record: Record) -> str | None:
    for name, values in record.attributes.items():
        if len(values) > 1 and len(set(values)) < len(values):
            return base_name(name)
    return None
