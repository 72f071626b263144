"""Revert recorded changes of subscribable lists; what others have changed since is left alone."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from iredldap.dit import list_profile
from iredldap.dit.change_log import Row, TouchedRows
from iredldap.dit.left_alone import LeftAlone, Reverted
from iredldap.operations.mlmmj_calls import LIST, SYSTEM, MailingLists, Membership

_CHANGED = "it has been changed since"


@dataclass
class _ListChange:
    """What was done to one list in all: its settings, and the memberships that came and went."""

    before: Row | None = None
    after: Row | None = None
    has_settings: bool = False
    added: set[Membership] = field(default_factory=set)
    removed: set[Membership] = field(default_factory=set)


def revert(lists: MailingLists, touched: Iterable[TouchedRows], *, tries: bool = False) -> Reverted:
    """Revert recorded changes of lists.

    A list that was removed is made again, with its settings and members; its old posts stay in the
    archive.

    Args:
        lists: The lists.
        touched: Reports in the order in which they were made.
        tries: Whether to change nothing, and only find out what would be.

    Raises:
        MlmmjadminUnavailable: If that fails.
    """
    reverted = Reverted()
    for mail, change in _by_list(touched).items():
        one = _Reverting(lists, mail, change, tries=tries)
        reverted.left += one.run()
        reverted.changed |= one.changed
    return reverted


def _by_list(touched: Iterable[TouchedRows]) -> dict[str, _ListChange]:
    changes: dict[str, _ListChange] = defaultdict(_ListChange)
    for rows in touched:
        for row in (*rows.before, *rows.after) if rows.table == LIST else ():
            change = changes[str(row["mail"])]
            # The first report has what was before all of them, the last one what is after.
            if not change.has_settings:
                change.before = next(iter(rows.before), None)
            change.after, change.has_settings = next(iter(rows.after), None), True
        for row in rows.before if rows.table != LIST else ():
            _move(row, changes, gone=True)
        for row in rows.after if rows.table != LIST else ():
            _move(row, changes, gone=False)
    return changes


def _move(row: Row, changes: dict[str, _ListChange], *, gone: bool) -> None:
    change, member = changes[str(row["list"])], (str(row["kind"]), str(row["mail"]))
    opposite, ours = (change.added, change.removed) if gone else (change.removed, change.added)
    # Who joined and left within the change was and is no member: there is nothing to revert.
    if member in opposite:
        opposite.remove(member)
    else:
        ours.add(member)


class _Reverting:
    def __init__(self, lists: MailingLists, mail: str, change: _ListChange, *, tries: bool) -> None:
        self._lists = lists
        self._mail = mail
        self._change = change
        self._tries = tries
        self.changed = False

    def run(self) -> Iterator[LeftAlone]:
        change, mail = self._change, self._mail
        # Settings and members from the same moment, as they are compared with the same change.
        with self._lists.held([mail]):
            profile = self._lists.profile(mail)
            held = None if profile is None else list_profile.as_row(mail, profile)
            members = self._lists.memberships(mail) if held else set()
        if change.has_settings and change.before is None and change.after is not None:
            yield from self._take_out(held, members)
            return
        if change.has_settings and change.before is not None:
            if held is None and change.after is not None:
                yield self._left("", "it is gone")
                return
            yield from self._put_back(change.before, change.after, held)
        elif held is None and (change.added or change.removed):
            yield self._left("", "it is gone")
            return
        yield from self._members_back(members)

    def _take_out(self, held: Row | None, members: set[Membership]) -> Iterator[LeftAlone]:
        """Archive a list that was made: it may have posts by now."""
        if held is None:
            return
        if held != self._change.after or members != self._change.added:
            yield self._left("", _CHANGED)
        else:
            self.changed = True
            if not self._tries:
                self._lists.delete(self._mail, archive=True)

    def _put_back(self, before: Row, after: Row | None, held: Row | None) -> Iterator[LeftAlone]:
        if held is None:
            self.changed = True
            if self._tries:
                return
            # With mlmmjadmin's defaults, which then count as its state: what differs from before is
            # set by the same comparison as for a list that was changed.
            self._lists.create(self._mail, {})
            profile = self._lists.profile(self._mail) or {}
            held = after = list_profile.as_row(self._mail, profile)
        if after is None:
            # It was removed, and there is one again: this one, if it is as it was.
            if held != before:
                yield self._left("", "there is another list of this address")
            return
        changed = {name for name in before if before[name] != after.get(name)}
        wanted = {name for name in changed if held.get(name) != before[name]}
        others = sorted(name for name in wanted if held.get(name) != after.get(name))
        for name in others:
            yield self._left(name, _CHANGED)
        ours = {name: before[name] for name in wanted if name not in others}
        self.changed |= bool(ours)
        if ours and not self._tries:
            for form in list_profile.forms_back({**ours, "mail": self._mail}, held):
                self._lists.update(self._mail, form)

    def _members_back(self, members: set[Membership]) -> Iterator[LeftAlone]:
        there = {address: kind for kind, address in members}
        # Of the same kind of membership only: who has chosen another kind since has decided for
        # themselves.
        gone = sorted(a for kind, a in self._change.added if (kind, a) in members)
        coming: dict[str, list[str]] = defaultdict(list)
        for kind, address in sorted(self._change.removed - members):
            if address in there and address not in gone:
                yield self._left(address, f"a member again, {there[address]}")
            else:
                coming[kind].append(address)
        self.changed |= bool(gone or coming)
        if self._tries:
            return
        if gone:
            self._lists.unsubscribe(self._mail, gone)
        for kind, addresses in coming.items():
            self._lists.subscribe(self._mail, addresses, kind, confirm=False)

    def _left(self, what: str, why: str) -> LeftAlone:
        return LeftAlone(f"{SYSTEM}.{self._mail}", what, why)
