"""Entries that an undo changes back: those that the change has modified, or renamed."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from iredldap import finders
from iredldap.dit import generations, names, references, user
from iredldap.dit.entry import Entry, encoded, folded
from iredldap.dit.filters import either, equals
from iredldap.dit.left_alone import LeftAlone
from iredldap.dit.plan import Mod, Modify, Op, Operation, Query, Rename, Scope, Step, Sweep
from iredldap.dit.undoing.net_changes import EntryChange
from iredldap.dit.undoing.reversals import WhyNot, reverse
from iredldap.errors import AlreadyExists, NoSuchAccount, PermissionDeniedUpdateGlobalAdminProfile
from iredldap.gateways.directory import Directory
from iredldap.operations.context import Context
from iredldap.operations.domains import domains, global_admins
from iredldap.operations.undo.left import GONE, Left
from iredldap.operations.undo.successors import Successors
from iredldap.undo_errors import ChangedSince, SecretNotKept

_FEW = 20
"""Most entries that are read when the plan is made; of more, a sweep reads them."""

_BATCH = 100
_WANTED = ("*", "entryCSN", "entryUUID")


def steps(
    context: Context,
    changes: list[EntryChange],
    why_not: WhyNot,
    left: Left,
    again: Successors,
) -> Iterator[Step]:
    """Yield the steps that give entries back the values that they had.

    Raises:
        SecretNotKept: If a password was not kept, or its key is gone.
        PermissionDenied: If the last active global admin would lose the role.
    """
    _refuse_sealed(changes)
    directory = context.directory
    # Up to here each entry gets checks of its own; of thousands of users, switched with their
    # domain, only sweeps are affordable.
    if len(changes) <= _FEW:
        yield from _single_steps(context, changes, why_not, left, again)
        return
    # Those that an undo has brought back are looked for by their names, and so are domains, whose
    # accounts follow their status, and global admins, of whom one has to stay.
    admins = {admin.dn for admin in directory.find(global_admins.query(directory))}
    present = _present(directory, changes)
    special = [
        change
        for change in changes
        if change.uuid not in present
        or change.after in admins
        or names.domain_dn(change.dn) == change.dn
    ]
    yield from _single_steps(context, special, why_not, left, again)
    alone = {change.uuid for change in special}
    rest = [change for change in changes if change.uuid not in alone]
    for start in range(0, len(rest), _BATCH):
        batch = {change.uuid: change for change in rest[start : start + _BATCH]}
        for change in batch.values():
            # That an entry is gone shows only when the sweep has not come across it.
            left.expect(change.uuid, change.dn)
        words = f"give {len(batch)} entries back what they had"
        yield _sweep(context, words, _query(directory, batch), batch, why_not, left)


def _present(directory: Directory, changes: Iterable[EntryChange]) -> set[str]:
    """Return the entryUUIDs of those entries that are there."""
    return {
        entry.text("entryUUID") or ""
        for batch in finders.batches({change.uuid for change in changes if change.uuid})
        for entry in directory.find(replace(_query(directory, batch), attributes=("entryUUID",)))
    }


def _refuse_sealed(changes: Iterable[EntryChange]) -> None:
    for change in changes:
        if any(attribute.is_sealed for attribute in change.attributes.values()):
            raise SecretNotKept(f"the password of {change.dn}")


def _single_steps(
    context: Context,
    changes: Iterable[EntryChange],
    why_not: WhyNot,
    left: Left,
    again: Successors,
) -> Iterator[Step]:
    directory, found = context.directory, [*changes]
    marks: list[Step] = []
    for change, entry in zip(found, current(directory, found, again), strict=True):
        if entry is None:
            left.add([LeftAlone(change.dn, "", GONE)])
            continue
        mods, alone = _reverse(context, change, entry, why_not)
        left.add(alone)
        if mods:
            query = Query(entry.dn, Scope.BASE, "(objectClass=*)", _WANTED)
            # Without its name: who sees the change need not see other domains.
            words = "give an entry back what it had"
            # A sweep over one entry: if others change it meanwhile, only that is made again.
            yield _sweep(context, words, query, {"": change}, why_not, left)
            yield from global_admins.require_active(directory, entry, mods)
            marks += _marks(directory, entry, mods)
    yield from marks


def _marks(directory: Directory, entry: Entry, mods: tuple[Mod, ...]) -> Iterator[Step]:
    """Yield the sweep by which the accounts of a domain follow its status, new ones too."""
    if not entry.has("objectClass", "mailDomain"):
        return
    status = next((mod for mod in mods if mod.attribute == "accountStatus"), None)
    if status is None or not generations.marks_accounts(directory.schema()):
        return
    yield domains.unmark(entry.dn) if status.values == (b"active",) else domains.mark(entry.dn)


def current(
    directory: Directory, changes: Iterable[EntryChange], again: Successors
) -> list[Entry | None]:
    """Return the entries as they are, under the names that they have by now; None: it is gone."""
    changes = [*changes]
    by_uuid: dict[str, Entry] = {}
    for batch in finders.batches({change.uuid for change in changes if change.uuid}):
        found = directory.find(_query(directory, batch))
        # By entryUUID first: an account that has been renamed since is still the same one, and gets
        # its values back under its new name.
        by_uuid |= {entry.text("entryUUID") or "": entry for entry in found}
    return [by_uuid.get(change.uuid) or _named(directory, change, again) for change in changes]


def _named(directory: Directory, change: EntryChange, again: Successors) -> Entry | None:
    """Return the entry of the name, if it is the same one, or an undo has brought it back."""
    entry = directory.read(change.dn, _WANTED)
    # An entry that has taken the name since is another one, unless an undo has put it there.
    # Servers that do not return entryUUID with a write have left it empty in the log: then the name
    # has to do.
    return entry if entry and (not change.uuid or again.has(entry)) else None


def _query(directory: Directory, uuids: Iterable[str]) -> Query:
    named = either(*(equals("entryUUID", uuid) for uuid in uuids))
    return Query(directory.tree.suffix, Scope.SUBTREE, named, _WANTED)


def is_protected(context: Context, entry: Entry) -> bool:
    """Return whether an entry is the account of a global admin, and the caller none."""
    return user.is_global_admin(entry) and not context.caller.is_global


def _reverse(
    context: Context, change: EntryChange, entry: Entry, why_not: WhyNot
) -> tuple[tuple[Mod, ...], tuple[LeftAlone, ...]]:
    """Return what `reverse` does; of what the caller may not change it is left alone."""
    # Judged by the role that the account has now: it may have become a global admin since the
    # change.
    if is_protected(context, entry):
        return (), (LeftAlone(entry.dn, "", "it is the account of a global admin"),)
    return reverse(change, entry, context.directory.schema(), why_not)


def _sweep(
    context: Context,
    meaning: str,
    query: Query,
    changes: Mapping[str, EntryChange],
    why_not: WhyNot,
    left: Left,
) -> Sweep:
    """Return the sweep that reverts changes, by the entryUUID; empty: that of the only entry."""

    def revert(entry: Entry) -> Iterator[Operation]:
        change = changes.get(entry.text("entryUUID") or "") or changes[""]
        mods, alone = _reverse(context, change, entry, why_not)
        left.add(alone)
        left.seen(change.uuid)
        if mods:
            yield Modify(entry.dn, mods, expect=(entry.csn,) if entry.csn else ())

    return Sweep(meaning, query, revert)


@dataclass(frozen=True)
class RenameBack:
    """The way back of a renamed entry.

    `first` comes before the references change, `then` after them, and `last` when everything else
    is done: until then mail to either address arrives.
    """

    first: tuple[Step, ...]
    then: tuple[Step, ...]
    last: tuple[Step, ...]


def rename_back(
    context: Context, change: EntryChange, why_not: WhyNot, left: Left, again: Successors
) -> RenameBack | None:
    """Plan the way back of a renamed entry; None: it has its old name again.

    Raises:
        SecretNotKept: As `steps`.
        PermissionDeniedUpdateGlobalAdminProfile: If a normal admin would rename a global one.
        ChangedSince: If others have renamed or deleted it since.
        AlreadyExists: If the old address belongs to another account by now.
        NoSuchAccount: If the domain that it was in is gone.
    """
    _refuse_sealed([change])
    assert change.before
    assert change.after
    directory = context.directory
    (entry,) = current(directory, [change], again)
    if entry is None:
        raise ChangedSince(f"{change.dn} is gone")
    if is_protected(context, entry):
        raise PermissionDeniedUpdateGlobalAdminProfile(entry.dn)
    if names.same_dn(entry.dn, change.before):
        return None
    if not names.same_dn(entry.dn, change.after):
        raise ChangedSince(f"{change.dn} is called {entry.dn} by now")
    home = names.domain_dn(change.before)
    if home and directory.read(home, ("1.1",)) is None:
        raise NoSuchAccount(f"no domain {names.rdn_value(home)}")
    old, new = names.rdn_value(change.before).lower(), entry.folded("mail")
    holders = finders.holders(directory, [old], ("objectClass",)).get(old, ())
    for holder in holders:
        if not names.same_dn(holder.dn, entry.dn):
            raise AlreadyExists(f"{old} belongs to {holder.dn} by now")
    mods, alone = reverse(change, entry, directory.schema(), why_not)
    left.add(alone)
    return _way_back(directory, change.before, entry, mods, (old, new), following(change))


def following(change: EntryChange) -> dict[str, str]:
    """Return the address whose mentions follow an account that gets its old name back.

    None, if the account had that address before, as a further one: it keeps it.
    """
    old, new = (names.rdn_value(dn or "").lower() for dn in (change.before, change.after))
    further = change.attributes.get("shadowaddress")
    had = {folded(value.decode()) for value in further.removed.values()} if further else set()
    # Mentions of it may then be older than the change, and are not to follow it.
    return {} if new in had else {new: old}


def _way_back(
    directory: Directory,
    before: str,
    entry: Entry,
    mods: tuple[Mod, ...],
    marks: tuple[str, str],
    following: dict[str, str],
) -> RenameBack:
    held = entry.lowered("shadowAddress")
    replaced = any(mod.op is Op.REPLACE and mod.attribute == "shadowAddress" for mod in mods)
    gone = held if replaced else _shadows(mods, Op.DELETE)
    back = _shadows(mods, Op.ADD, Op.REPLACE)
    stays = (held - gone) | back
    added = [mail for mail in marks if mail not in held]
    # The marks go, but not an address that the account is to have as a further one.
    removed = sorted({mail for mail in (*added, *gone) if mail not in stays})
    coming = sorted(back - held - {*added})
    others = tuple(mod for mod in mods if mod.attribute != "shadowAddress")
    last = (
        *others,
        *((Mod(Op.DELETE, "shadowAddress", encoded(removed)),) if removed else ()),
        *((Mod(Op.ADD, "shadowAddress", encoded(coming)),) if coming else ()),
    )
    mark = (Mod(Op.ADD, "shadowAddress", encoded(added)),) if added else ()
    parent = names.parent(before)
    moves = not names.same_dn(parent, names.parent(entry.dn))
    rename = Rename(entry.dn, names.rdn(before), parent if moves else None)
    below = finders.dns_below(directory, entry.dn)
    return RenameBack(
        (Modify(entry.dn, mark, expect=(entry.csn,) if entry.csn else ()),),
        (
            *references.replace_addresses(directory.tree, entry.dn, before, following, below),
            rename,
        ),
        (Modify(before, last),) if last else (),
    )


def _shadows(mods: Iterable[Mod], *operations: Op) -> set[str]:
    return {
        value.decode().lower()
        for mod in mods
        if mod.attribute == "shadowAddress" and mod.op in operations
        for value in mod.values
    }
