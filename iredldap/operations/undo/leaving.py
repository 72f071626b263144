"""Entries that an undo takes away: those that the change has added."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import closing

from iredldap import finders
from iredldap.dit import names, references, user
from iredldap.dit.entry import Entry
from iredldap.dit.left_alone import LeftAlone
from iredldap.dit.plan import Delete, Step
from iredldap.dit.undoing.net_changes import EntryChange
from iredldap.dit.undoing.reversals import CHANGED, is_unchanged
from iredldap.errors import PermissionDenied
from iredldap.operations import deleted_mailboxes
from iredldap.operations.context import Context
from iredldap.operations.domains import global_admins
from iredldap.operations.undo.changing import is_protected
from iredldap.operations.undo.left import Left
from iredldap.operations.undo.successors import Successors

_WANTED = ("*", "entryCSN", "entryUUID")


def entries(
    context: Context,
    changes: Iterable[EntryChange],
    touched: Collection[str],
    left: Left,
    again: Successors,
) -> list[Entry]:
    """Return the entries to take away, children first.

    One that others have changed, or refer to, or have put entries below, is left alone.

    Args:
        context: Where, and who asks.
        changes: Those of entries that were added.
        touched: DNs that the change has touched, in lower case: what refers from there goes too.
        left: Collects what is left alone.
        again: Knows the entries that an undo has brought back.

    Raises:
        PermissionDenied: If it is the caller's own account, or the last active global admin.
    """
    directory = context.directory
    found: list[Entry] = []
    going: set[str] = set()
    for change in sorted(changes, key=lambda one: -names.depth(one.dn)):
        entry = directory.read(change.dn, _WANTED)
        if entry is None:
            continue
        if names.same_dn(entry.dn, context.caller.dn):
            raise PermissionDenied("an admin cannot delete their own account")
        if why := _why_it_stays(context, change, entry, going, touched, again):
            left.add([LeftAlone(entry.dn, "", why)])
            continue
        if user.is_global_admin(entry) and entry.is_active:
            global_admins.require_another(directory, entry.dn)
        going.add(entry.dn.lower())
        found.append(entry)
    return found


def _why_it_stays(
    context: Context,
    change: EntryChange,
    entry: Entry,
    going: Collection[str],
    touched: Collection[str],
    again: Successors,
) -> str:
    directory = context.directory
    if change.uuid and entry.text("entryUUID") != change.uuid and not again.has(entry):
        return "it was added again by others"
    if not is_unchanged(change, entry, directory.schema()):
        return CHANGED
    if is_protected(context, entry):
        return "it is the account of a global admin"
    below = next(
        (dn for dn in finders.dns_below(directory, entry.dn) if dn.lower() not in going), ""
    )
    if below:
        return f"others have added {below}"
    mention = next(_mentions(context, entry, touched), "")
    return f"{mention} refers to it" if mention else ""


def _mentions(context: Context, entry: Entry, touched: Collection[str]) -> Iterator[str]:
    """Yield the DNs of entries that refer to an account, beside those that the undo changes."""
    if not finders.is_account(entry):
        return
    directory = context.directory
    addresses = entry.lowered("mail") | entry.lowered("shadowAddress")
    for sweep in references.clear_addresses(directory.tree, entry.dn, addresses):
        with closing(directory.stream(sweep.query)) as found:
            for other in found:
                if other.dn.lower() not in touched and any(True for _ in sweep.change(other)):
                    yield other.dn


def outside_steps(context: Context, going: Iterable[Entry]) -> Iterator[Step]:
    """Yield the steps that delete what the databases have about accounts, and record mailboxes.

    Only those that were used, by what Dovecot says: the others have no files.
    """
    outside = context.outside
    for entry in going:
        if not finders.is_account(entry):
            continue
        mail = entry.folded("mail")
        if entry.has("objectClass", "mailUser") and outside.usage(mail):
            yield deleted_mailboxes.record_deleted(context, lambda e=entry: (e,), entry.dn, 0)  # type: ignore[misc]
        yield outside.forgetting(mail)


def steps(going: Iterable[Entry]) -> Iterator[Delete]:
    """Yield the steps that delete the entries; one that others put something below stays."""
    for entry in going:
        yield Delete(entry.dn, absent_ok=True, parent_ok=True)
