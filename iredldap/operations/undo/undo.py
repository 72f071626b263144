"""Plan the undo of a change, from what the change log has of it and the directory as it is.

The plan is an ordinary one: it takes turns, is judged first, and is a change in the log that can be
undone itself. Undone again it gives nothing: what is as it was before is left out, so an undo that
broke off is finished by sending it again.

Source: `docs/decisions/0052-undo.md`.
"""

from collections.abc import Iterable, Iterator
from functools import partial

from iredldap.dit import mail_names, names
from iredldap.dit.change_log import LoggedChange, Touched, TouchedEntry, TouchedRows
from iredldap.dit.entry import Entry
from iredldap.dit.fields import Parsed
from iredldap.dit.plan import GLOBAL_ADMINS, Outside, Plan, Step
from iredldap.dit.undoing.net_changes import EntryChange, entry_changes
from iredldap.operations import list_mentions, targets
from iredldap.operations.context import Context, PathVariables
from iredldap.operations.undo import changing, leaving, outside, passwords, returning
from iredldap.operations.undo.found import find
from iredldap.operations.undo.left import Left
from iredldap.operations.undo.successors import Successors
from iredldap.operations.undo.values import ReturningValues, lazily
from iredldap.undo_errors import ChangedSince, NothingToUndo

_KILLED = {"open", "unconfirmed"}
"""Results of a change whose worker was killed, before and after others have found that out."""

_ROLES = {"domainglobaladmin", "accountstatus"}


def undo(context: Context, path: PathVariables, parsed: Parsed) -> Plan:
    """Plan to undo a change.

    Raises:
        NoSuchChange: If there is none of this id, or it is of other domains.
        PermissionDenied: If the caller may not make such a change.
        ChangeUnfinished, AlreadyUndone: As it is.
        ChangedSince: If others have changed everything since; the report names it.
        NothingToUndo: If everything is as it was before.
        Refusal: As `plan`.
    """
    change = find(context, path["id"])
    return plan(context, change, context.changes.touched(change.id))


def plan(context: Context, change: LoggedChange, touched: Iterable[Touched]) -> Plan:
    """Plan to undo a change of which everything that it touched is given.

    Raises:
        SecretNotKept: If a password was not kept, or its key is gone.
        MailboxRemoved: If mail of an account that would come back is gone.
        AlreadyExists: If an address or a name belongs to somebody else by now.
        NoSuchAccount: If the domain is gone.
        PermissionDenied: As `passwords.refuse_of_admins`.
        PermissionDeniedUpdateGlobalAdminProfile: As `returning.judged`.
        ChangedSince, NothingToUndo: As `undo`.
    """
    # What the log has of a sweep over a large domain comes as a stream, which is read once: the
    # entries are combined as they come, and the rows, which are few, are put aside.
    rows: list[TouchedRows] = []

    def entries() -> Iterator[TouchedEntry]:
        for one in touched:
            if isinstance(one, TouchedRows):
                rows.append(one)
            else:
                yield one

    changes = entry_changes(entries(), context.directory.equality_of)
    made = _Undo(context, change.id, changes, rows)
    steps = made.steps()
    if not steps:
        report = {"left_alone": [one.as_json() for one in made.left]}
        if len(made.left):
            raise ChangedSince(f"all of {change.id}", report=report)
        raise NothingToUndo(f"{change.id}: everything is as it was before")
    left = Plan("", tuple(steps), touches=made.touches(), undoes=change, left=made.left)
    return targets.with_rechecks(context.directory, left)


class _Undo:
    def __init__(
        self,
        context: Context,
        number: str,
        changes: list[EntryChange],
        rows: list[TouchedRows],
    ) -> None:
        self.left = Left(context.caller.manages_place)
        self._number = number
        self._again = Successors(context.changes, number)
        self._context = context
        self._rows = rows
        self._changes = changes
        self._deleted = [change for change in changes if change.after is None]
        self._added = [change for change in changes if change.before is None]
        both = [change for change in changes if change.before and change.after]
        self._renamed = [c for c in both if not names.same_dn(c.before or "", c.after or "")]
        self._modified = [change for change in both if change not in self._renamed]

    def steps(self) -> list[Step]:
        """Return the steps, in an order in which mail is delivered meanwhile."""
        context, left, again = self._context, self.left, self._again
        directory = context.directory
        # All that can refuse the undo is found here, while the steps are made and before the first
        # of them: passwords that are not kept, names that others have, mail that is gone.
        coming = returning.entries(directory, self._deleted)
        passwords.refuse_of_admins(context, (*self._modified, *self._renamed), again)
        values = partial(ReturningValues, directory, [*self._values(coming)], coming, self._changes)
        why_not = lazily(values)
        back = [changing.rename_back(context, one, why_not, left, again) for one in self._renamed]
        ways = [way for way in back if way]
        moved = [change for change, way in zip(self._renamed, back, strict=True) if way]
        if coming:
            coming = returning.judged(context, coming, values(), left)
            # What a killed worker has taken off the list is not in the log. It had passed this.
            if not any(attempt.result in _KILLED for attempt in self._attempts()):
                outside.refuse_removed_mailboxes(context.outside, self._rows, self._attempted())
        # An entry that the undo itself changes is no reason for an added one to stay.
        dns = {change.dn.lower() for change in self._changes}
        going = leaving.entries(context, self._added, dns, left, again)
        reverted = [*outside.step(context.outside, self._rows, left)]
        changed = [*changing.steps(context, self._modified, why_not, left, again)]
        return [
            # First, as in any rename: from here on the account has both addresses, so mail to
            # either of them arrives whatever follows.
            *(step for way in ways for step in way.first),
            # Before the accounts: no job may remove the mailboxes meanwhile.
            *self._mailboxes(coming),
            # Rows follow the name of an account, and come before one that returns.
            *(() if ways else reverted),
            *returning.steps(directory, coming),
            # After the entries that return, which it may refer to: as members, owners, managers.
            *changed,
            *(step for way in ways for step in way.then),
            *(reverted if ways else ()),
            *self._mentions(moved),
            # What marks an account as being renamed goes when all that follows its name is done.
            *(step for way in ways for step in way.last),
            # Deletions last. They are what cannot be taken back by the undo of this undo without a
            # loss.
            *leaving.outside_steps(context, going),
            *leaving.steps(going),
        ]

    def _attempts(self) -> Iterator[LoggedChange]:
        """Yield the undos of the change that are not done."""
        undos = self._context.changes.undone_by(self._number)
        # One that broke off may have taken a mailbox off the list of deleted ones: by that list
        # alone its mail would look removed.
        return (undo for undo in undos if undo.result != "done")

    def _attempted(self) -> Iterator[Touched]:
        """Yield what these have touched."""
        for attempt in self._attempts():
            yield from self._context.changes.touched(attempt.id)

    def _values(self, coming: Iterable[Entry]) -> Iterator[tuple[str, bytes]]:
        """Yield all values that would come back."""
        for entry in coming:
            for name, held in entry.attributes.items():
                yield from ((name.lower(), value) for value in held)
        for change in (*self._modified, *self._renamed):
            for name, attribute in change.attributes.items():
                yield from ((name, value) for value in attribute.removed.values())

    def _mailboxes(self, coming: Iterable[Entry]) -> Iterator[Outside]:
        paths = returning.mailboxes(coming)
        if paths:
            yield self._context.outside.reclaiming_paths(*paths)

    def _mentions(self, moved: Iterable[EntryChange]) -> Iterator[Step]:
        """Yield the steps by which subscribable lists follow accounts that get their names back."""
        for change in moved:
            if renamed := changing.following(change):
                old = change.before or ""
                yield from list_mentions.replace_addresses(self._context, old, renamed)

    def touches(self) -> frozenset[str]:
        """Return the domains that the undo touches, and the global admins if one is concerned."""
        dns = {dn for change in self._changes for dn in (change.before, change.after) if dn}
        domains = {name for dn in dns if (name := names.domain_name_in(dn))}
        # Rows name the account that they are about in a column of their own kind; the gateway has
        # noted whose they are.
        domains |= {mail_names.domain_of(rows.about.lower()) for rows in self._rows if rows.about}
        for change in self._changes:
            for name in ("mail", "shadowaddress", "domainaliasname"):
                if attribute := change.attributes.get(name):
                    values = (*attribute.removed.values(), *attribute.added.values())
                    domains |= mail_names.domains_of(
                        value.decode("utf-8", "replace") for value in values
                    )
        concerned = any(change.attributes.keys() & _ROLES for change in self._changes)
        return frozenset(domains | ({GLOBAL_ADMINS} if concerned else set()))
