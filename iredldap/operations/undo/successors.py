"""Entries that an undo has brought back: they have another entryUUID than the ones before."""

from functools import cached_property

from iredldap.dit.change_log import TouchedEntry
from iredldap.dit.entry import Entry
from iredldap.operations.context import LoggedChanges


class Successors:
    """Knows which entries take the place of those that a change has touched.

    Of the same name alone, an entry may be somebody else's.

    Args:
        changes: The log.
        number: Id of the change; undos before it do not matter.
    """

    def __init__(self, changes: LoggedChanges, number: str) -> None:
        self._changes = changes
        self._number = number

    def has(self, entry: Entry) -> bool:
        """Return whether an undo since the change has added an entry, under this name."""
        return (entry.dn.lower(), entry.text("entryUUID")) in self._added

    @cached_property
    def _added(self) -> set[tuple[str, str]]:
        return {
            (touched.dn.lower(), touched.uuid)
            for undo in self._changes.undos_after(self._number)
            for touched in self._changes.touched(undo.id)
            if isinstance(touched, TouchedEntry) and touched.event == "add"
        }
