"""Finish the log of a change whose worker has died, with what the directory shows now."""

from dataclasses import replace
from itertools import chain

import structlog

from iredldap.dit.change_log import LoggedChange, Sealed, TouchedEntry
from iredldap.dit.entry import Entry, folded
from iredldap.dit.touched import targets
from iredldap.dit.touched_text import line, packed, unpacked
from iredldap.gateways.change_store import ChangeStore
from iredldap.gateways.directory import Directory

log = structlog.get_logger("iredldap.changes")


def recover(
    store: ChangeStore, directory: Directory, change: LoggedChange, touched: bytes, pending: bytes
) -> None:
    """Complete an abandoned change as `unconfirmed`.

    Args:
        store: The log.
        directory: Where it was made.
        change: The change, claimed.
        touched: What is known to have been touched, behind the last piece.
        pending: What may have been written since.

    Raises:
        ServerDown: If log or directory do not respond; then it stays abandoned.
    """
    found = [
        seen
        for intended in unpacked(pending)
        if isinstance(intended, TouchedEntry) and (seen := _carried_out(directory, intended))
    ]
    last = [*unpacked(touched), *found]
    entries, names = 0, set[str]()
    for one in chain(chain.from_iterable(map(unpacked, store.pieces(change.id))), last):
        entries += 1
        if isinstance(one, TouchedEntry):
            names.update(map(str.lower, one.attributes))
    finished = replace(
        change, result="unconfirmed", entries=entries, attributes=tuple(sorted(names))
    )
    others = {target for one in last for target in targets(one)}
    others -= {change.account, change.domain}
    if not store.finish_abandoned(finished, packed(map(line, last)), others):
        return
    log.warning("change recovered", change=change.id, who=change.admin, endpoint=change.endpoint)


def _carried_out(directory: Directory, intended: TouchedEntry) -> TouchedEntry | None:
    """Return what a write has touched if the directory shows it carried out; None: it does not."""
    wanted = ("entryUUID", "entryCSN", *intended.attributes)
    entry = directory.read(intended.new_dn or intended.dn, wanted)
    if intended.event == "delete":
        return intended if entry is None else None
    if entry is None or not all(_shows(entry, name, intended) for name in intended.attributes):
        return None
    return replace(intended, uuid=entry.text("entryUUID") or "", after=entry.csn or "")


def _shows(entry: Entry, name: str, intended: TouchedEntry) -> bool:
    """Return whether an attribute has what was to be added, and nothing of what was to be removed.

    Of secrets, which are sealed, only whether there is a value.
    """
    stored, changes = entry.lowered(name), intended.attributes[name]
    added, removed = changes.added, changes.removed or ()
    if any(isinstance(value, Sealed) for value in (*added, *removed)):
        return bool(stored) == bool(added)
    return {_folded(v) for v in added} <= stored and not stored & {_folded(v) for v in removed}


def _folded(value: object) -> str:
    return folded(value.decode("utf-8", "replace")) if isinstance(value, bytes) else ""
