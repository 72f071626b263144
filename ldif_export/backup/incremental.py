"""Export what has changed since an earlier export, as LDIF change records.

`ldapmodify` brings a directory that was restored from the earlier export to the present state.
Additions, changes, deletions and renames are found by comparing the entries that exist with the
entry list of the earlier manifest: an entry has changed if its entryCSN is another one. No clock is
asked and no order of CSNs is relied on, because with several servers there is none: a change made
elsewhere during a partition arrives later than changes of later times.

Lists of manifests of format 1 have no entryCSNs. Then an entry has not changed if its entryCSN is
of the same server as the largest one in the manifest, and not later; one of another server may
have, and is exported.

An entry that stays is modified, never deleted and added again: containers could not be, and an
account must not be missing, even if an increment is interrupted. Which attributes it had is not
known; so every attribute that its classes allow, or those that entries once had, is replaced, by
nothing where it has none now. An attribute with options that is gone is not noticed.

Modifications may be repeated; additions, deletions and renames may not.

What changes while an increment is gathered may be in it or in the next one.

Source: RFC 2849.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import TextIO

from iredldap.config.ldap import LdapSettings
from iredldap.dit import csn, filters, names
from iredldap.dit.change_records import change_record
from iredldap.dit.csn import CsnVector
from iredldap.dit.names import Tree
from iredldap.dit.plan import Add, Delete, Mod, Modify, Op, Operation, Rename, Scope
from iredldap.dit.schema import SUBSCHEMA, Schema
from iredldap.errors import InternalError, NoSuchAccount, PreconditionFailed
from iredldap.ldif.writer import VERSION, comment
from ldif_export import entry_list
from ldif_export.backup.entry_diff import DiffStep, EntryDiff, StepKind
from ldif_export.backup.full import CHUNK
from ldif_export.entry_list import EntryListWriter, ListedEntry
from ldif_export.ldif import parser
from ldif_export.manifest import Manifest, ManifestBuilder
from ldif_export.readers import choice, domain_lookup
from ldif_export.readers.base import (
    IDENTITY,
    OBJECT_CLASS,
    LdifRecord,
    Projection,
    Reader,
    WatchedOnly,
)
from ldif_export.readers.choice import ReaderName
from ldif_export.readers.record_store import RecordStore
from ldif_export.selection import Search, Selection

OVERLAP = timedelta(minutes=5)
"""How much later than its entryCSN a change may become visible, where only a clock tells what a
fuzzy export missed: it waits for other writes, or it comes from another server."""

_CSN_TIME = "%Y%m%d%H%M%S.%fZ"
_LEAST = "#000000#{}#000000"
_ROUNDED = timedelta(seconds=1)
"""What may be lost of the duration of an export: manifests have whole seconds."""

_WATCHED = frozenset({OBJECT_CLASS, *IDENTITY})
_SCHEMA = frozenset(SUBSCHEMA.attributes)
_FOUND = 0


class Increment:
    """What has changed since an earlier export; made by `gather`. It must be closed."""

    def __init__(
        self,
        diff: EntryDiff,
        store: RecordStore,
        schema: Schema,
        selection: Selection,
        builder: ManifestBuilder,
        earlier: Manifest,
    ) -> None:
        self._diff = diff
        self._store = store
        self._schema = schema
        self._selection = selection
        self._builder = builder
        self._earlier = earlier

    def text(self) -> Iterator[bytes]:
        """Yield the change records, in an order in which they can be applied; only once."""
        for chunk in _chunks(self._lines()):
            self._builder.chunk(chunk)
            yield chunk

    def manifest(self, ended: str) -> Manifest:
        """Return the manifest, after all of the text was written.

        Args:
            ended: When that was, in UTC and ISO 8601.
        """
        found = self._builder.finished(ended)
        # An increment without changes has no entryCSN of its own, and the next one must not begin
        # at the beginning.
        states = [state for state in (self._earlier.last_csn, found.last_csn) if state]
        return replace(
            found,
            last_csn=max(states, default=None),
            csns=CsnVector(self._earlier.csns).with_newest(found.csns).csns,
            since=self._earlier.sha256,
            # Also those of before: an entry may have lost a class, whose attributes must then be
            # cleared.
            classes=tuple(sorted({*self._earlier.classes, *found.classes})),
        )

    def write_entry_list(self, out: TextIO) -> None:
        """Write the entry list of the manifest: all entries that exist."""
        entries = EntryListWriter()
        for entry in self._diff.entries():
            entries.add(entry)
        entries.write(out)

    def close(self) -> None:
        """Delete what was gathered."""
        self._diff.close()
        self._store.close()

    def _lines(self) -> Iterator[bytes]:
        has_passwords = self._selection.has_passwords
        yield VERSION
        yield comment(f"Password hashes: {'included' if has_passwords else 'left out'}")
        yield comment(f"changes since: {self._earlier.sha256}") + b"\n"
        count = 0
        for operation in self._operations():
            yield change_record(operation)
            count += 1
        yield comment(f"changes: {count}")

    def _operations(self) -> Iterator[Operation]:
        # New DNs first, because modifications name entries by them; deletions last, because an
        # entry may have left the branch that is deleted.
        for step in self._diff.steps():
            yield from self._arrival(step)
        for record in self._store.records(_FOUND):
            if self._diff.dn(record.uuid) == record.dn:
                yield self._modification(record)
        yield from map(Delete, self._diff.deleted())

    def _arrival(self, step: DiffStep) -> Iterator[Operation]:
        if step.what == StepKind.RENAME:
            assert step.old_dn
            yield from _renaming(step.old_dn, step.dn)
            return
        record = self._store.get(_FOUND, step.uuid.encode())
        assert record
        # What is left in the store is modified after all steps.
        self._store.drop(_FOUND, [step.uuid.encode()])
        if step.what == StepKind.OVERWRITE:
            yield self._modification(record, is_other=True)
            return
        if step.what == StepKind.SUPPLANT:
            yield Delete(step.dn)
        self._tell(record)
        attributes = _attributes(record)
        yield Add(step.dn, {name: tuple(values) for name, values in attributes.items()})

    def _modification(self, record: LdifRecord, *, is_other: bool = False) -> Modify:
        """Return the modification that gives an entry the attributes of the record.

        If the DN was another entry's, nothing of that stays, not even what the export leaves out.
        """
        self._tell(record)
        attributes = _attributes(record)
        have = {name.lower() for name in attributes}
        classes = (name.decode() for name in record.watched.get(OBJECT_CLASS.lower(), ()))
        # Replacing by nothing is no error where the attribute is absent, so the modification can be
        # repeated.
        lost = sorted(
            name
            for name in self._schema.settable(classes, self._earlier.classes)
            if name.lower() not in have and (is_other or self._selection.keeps(name))
        )
        mods = [Mod(Op.REPLACE, name, tuple(values)) for name, values in attributes.items()]
        return Modify(record.dn, (*mods, *(Mod(Op.REPLACE, name) for name in lost)))

    def _tell(self, record: LdifRecord) -> None:
        classes = record.watched.get(OBJECT_CLASS.lower(), ())
        self._builder.entry(record.dn, classes, record.csn)


def gather(
    settings: LdapSettings,
    selections: Sequence[Selection],
    earlier: Manifest,
    entries: Path,
    *,
    began: str,
    reader: ReaderName = "auto",
    overlap: timedelta = OVERLAP,
) -> Increment:
    """Find out what has changed since an earlier export.

    Args:
        settings: As for `choice.connect`.
        selections: What the earlier export was of.
        earlier: Manifest of that export, which may itself be an incremental one.
        entries: Path of its entry list.
        began: Time of this call, in UTC and ISO 8601.
        reader: How the directory is read.
        overlap: How late a change may become visible; for earlier exports of format 1.

    Raises:
        PreconditionFailed: If the earlier export is of something else, or the entry list is not
            that of its manifest.
        NoSuchAccount: If an account that is selected by name does not exist.
        ServerDown, InternalError: As for `base.Reader`.
    """
    _check_same_selection(settings, selections, earlier)
    selection = selections[0]

    def connected(wanted: Projection) -> closing[Reader]:
        return closing(choice.connect(settings, wanted, reader))

    with ExitStack() as undo:
        diff = undo.enter_context(closing(EntryDiff()))
        store = undo.enter_context(closing(RecordStore()))
        diff.before(_previous_entries(entries, earlier))
        with connected(WatchedOnly(selection, frozenset(IDENTITY))) as identities:
            every = domain_lookup.resolve_searches(identities, selections, Tree(settings.suffix))
            # Accounts before their containers: the container of an account that is found exists, so
            # the later search finds it too, even if it was added between the two.
            for search in reversed(every):
                diff.now(_identities(identities, search))
        diff.assume_held(known_state(earlier, overlap).includes)
        diff.compare()
        with connected(Projection(selection, _WATCHED)) as whole:
            # After the list of entries: an entry that this search finds and the list lacks is left
            # to the next increment.
            _store_changed(whole, every, diff, store)
            _store_moved(whole, diff, store)
        with connected(WatchedOnly(selection, _SCHEMA)) as subschema:
            schema = _schema(subschema)
        # From here on the increment closes the store and the comparison.
        undo.pop_all()
    builder = ManifestBuilder(
        mode="fuzzy",
        suffix=settings.suffix,
        selections=[chosen.description for chosen in selections],
        passwords=selection.has_passwords,
        began=began,
    )
    return Increment(diff, store, schema, selection, builder, earlier)


def known_state(earlier: Manifest, overlap: timedelta = OVERLAP) -> CsnVector:
    """Return up to where an earlier export without entryCSNs missed no change.

    It is about one server only, because the manifest has the largest entryCSN of all servers: what
    the others did is not known to be in the export. Of that one only the clock counts. The largest
    entryCSN is later than the beginning of the export by at most its duration.
    """
    last = earlier.last_csn
    # Later formats have the entryCSN of each entry, and where it is missing nothing is known.
    if earlier.format > 1 or last is None or not csn.is_csn(last):
        return CsnVector()
    # A snapshot contains every change up to its largest entryCSN, so nothing needs to overlap.
    if earlier.mode == "exact":
        return CsnVector.of([last])
    took = datetime.fromisoformat(earlier.ended) - datetime.fromisoformat(earlier.began)
    safe = csn.time(last) - took - _ROUNDED - overlap
    return CsnVector.of([safe.strftime(_CSN_TIME) + _LEAST.format(last[csn.SERVER_ID])])


def _check_same_selection(
    settings: LdapSettings, selections: Sequence[Selection], earlier: Manifest
) -> None:
    if any(selection.operational for selection in selections):
        raise PreconditionFailed("operational attributes can not be changed, nor exported so")
    wanted = tuple(selection.description for selection in selections)
    if wanted != earlier.selections or not names.same_dn(settings.suffix, earlier.suffix):
        what = f"{', '.join(earlier.selections)} of {earlier.suffix}"
        raise PreconditionFailed(f"the earlier export is of something else: {what}")
    if selections[0].has_passwords != earlier.passwords:
        either = "with" if earlier.passwords else "without"
        raise PreconditionFailed(f"the earlier export is {either} passwords")


def _previous_entries(path: Path, earlier: Manifest) -> Iterator[ListedEntry]:
    count = 0
    try:
        for entry in entry_list.read_entries(path, has_csns=earlier.format > 1):
            yield entry
            count += 1
    except ValueError as ex:
        raise PreconditionFailed(str(ex)) from ex
    # The manifest of an increment counts changes and not entries.
    if earlier.since is None and count != earlier.entries:
        raise PreconditionFailed(f"{path} has {count} entries, its manifest {earlier.entries}")


def _identities(reader: Reader, search: Search) -> Iterator[ListedEntry]:
    none = True
    with closing(reader.records(search)) as found:
        for record in found:
            none = False
            yield ListedEntry(record.uuid, record.dn, record.csn)
    if none and search.required:
        raise NoSuchAccount(search.base)


def _store_changed(
    reader: Reader, every: Iterable[Search], diff: EntryDiff, store: RecordStore
) -> None:
    """Read entries that are new or have changed.

    Those since the oldest change are asked for, because the directory has an index for that; among
    them are some that have not changed, of other servers or of one that was far behind.
    """
    oldest = diff.oldest_change()
    if oldest is None:
        return
    for search in every:
        narrowed = search
        if oldest:
            since = filters.at_least("entryCSN", oldest)
            narrowed = replace(search, filter=filters.every(search.filter, since))
        with closing(reader.records(narrowed)) as found:
            for record in found:
                if not diff.is_held(record.uuid, record.csn):
                    _keep(record, diff, store)


def _keep(record: LdifRecord, diff: EntryDiff, store: RecordStore) -> None:
    store.put(_FOUND, record.uuid.encode(), record)
    # What has moved since the list of entries was read is not exported, and must not pass for it.
    if diff.dn(record.uuid) == record.dn:
        diff.hold(record.uuid, record.csn)


def _store_moved(reader: Reader, diff: EntryDiff, store: RecordStore) -> None:
    """Read added entries that did not change: they were moved together with an entry above them."""
    lacking = [
        step
        for step in diff.steps()
        if step.what != StepKind.RENAME and _dn(store, step.uuid) != step.dn
    ]
    for step in lacking:
        search = Search(step.dn, Scope.BASE, "(objectClass=*)", required=False)
        for record in reader.records(search):
            _keep(record, diff, store)
        # It was deleted or moved again meanwhile.
        if _dn(store, step.uuid) != step.dn:
            diff.leave_out(step.uuid)


def _dn(store: RecordStore, uuid: str) -> str | None:
    record = store.get(_FOUND, uuid.encode())
    return record.dn if record else None


def _schema(reader: Reader) -> Schema:
    search = Search(SUBSCHEMA.base, SUBSCHEMA.scope, SUBSCHEMA.filter)
    for record in reader.records(search):
        return Schema(record.watched)
    raise InternalError(f"the directory does not show {SUBSCHEMA.base}")


def _attributes(record: LdifRecord) -> dict[str, list[bytes]]:
    items = parser.read(BytesIO(record.text), largest=len(record.text))
    return next((item.attributes for item in items if isinstance(item, parser.ParsedRecord)), {})


def _renaming(old_dn: str, dn: str) -> Iterator[Rename]:
    old_parent, parent = names.parent(old_dn), names.parent(dn)
    moves = not names.same_dn(old_parent, parent)
    if moves or names.rdn(old_dn) != names.rdn(dn):
        yield Rename(old_dn, names.rdn(dn), parent if moves else None)


def _chunks(lines: Iterable[bytes]) -> Iterator[bytes]:
    parts: list[bytes] = []
    size = 0
    for line in lines:
        parts.append(line)
        size += len(line)
        if size >= CHUNK:
            yield b"".join(parts)
            parts, size = [], 0
    yield b"".join(parts)
