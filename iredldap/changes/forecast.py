"""Foresee the operations that a plan consists of, on the directory as it is; nothing is written.

What a plan does depends on what is there: sweeps search, containers are added where they are
missing, an entry that exists already is left alone. Each operation is foreseen as though those
before it had been carried out.
"""

from collections.abc import Hashable, Iterator

from iredldap.dit import clashes, names
from iredldap.dit.entry import Entry
from iredldap.dit.plan import (
    Add,
    Delete,
    Modify,
    Operation,
    Outside,
    Query,
    Recheck,
    Rename,
    Scope,
    Step,
    Sweep,
    everything_below,
)
from iredldap.gateways.directory import Directory

_MOST_REMEMBERED = 20_000
"""Entries changed by sweeps that are remembered for the steps after them.

Beyond that, a later sweep that finds the same entries names them again.
"""


class Forecast:
    """Foresees the steps of one plan, each once and in their order.

    Args:
        directory: Where the plan would be carried out.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._changed: dict[Hashable, list[Modify]] = {}
        self._made: dict[Hashable, Entry] = {}
        self._gone: set[Hashable] = set()
        self._emptied: list[str] = []

    def operations(self, step: Step) -> Iterator[Operation]:
        """Yield the operations of the next step, in the order in which a client could send them.

        Of a recheck these are its foreseen ones, of a step outside the directory there are none.

        Raises:
            Refusal: That of a search.
        """
        match step:
            # A server is asked in rounds until nothing is left. Foreseen, nothing goes, so the
            # whole tree is listed at once and sorted.
            case Sweep() if step.until_empty:
                yield from self._emptying(step)
            case Sweep():
                for entry in self._found(step.query):
                    for operation in (step.foreseen or step.change)(entry):
                        yield from self._single(operation, found=entry.dn)
            case Recheck():
                for operation in step.foreseen:
                    yield from self._single(operation)
            case Outside():
                return
            case _:
                yield from self._single(step)

    def _emptying(self, sweep: Sweep) -> Iterator[Operation]:
        """Yield the deletions of a whole tree, leaf first, for which the sweep needs rounds."""
        found = [
            operation
            for entry in self._found(sweep.query)
            for operation in (sweep.foreseen or sweep.change)(entry)
        ]
        yield from sorted(found, key=lambda operation: -names.depth(operation.dn))
        self._emptied.append(sweep.query.base)

    def _found(self, query: Query) -> Iterator[Entry]:
        """Yield the entries of a search as the operations before leave them.

        Entries that only these would make it find are not among them, but for one that they add and
        that the search names.
        """
        made = self._made.get(names.key(query.base))
        if made and query.scope is Scope.BASE:
            yield self._as_left(made)
            return
        for entry in self._directory.stream(query):
            if not self._is_gone(entry.dn):
                # With what earlier steps would have changed: `ldapmodify` carries the records out
                # one after another, and a value that is gone by then could not be deleted.
                yield self._as_left(entry)

    def _as_left(self, entry: Entry) -> Entry:
        attributes = entry.attributes
        for change in self._changed.get(names.key(entry.dn), ()):
            attributes = clashes.changed(
                Entry(entry.dn, attributes), change.mods, self._directory.equality_of
            )
        return Entry(entry.dn, attributes)

    def _single(self, operation: Operation, found: str = "") -> Iterator[Operation]:
        """Yield an operation unless nothing is left to do, after those that it brings along.

        Args:
            operation: The operation.
            found: DN of an entry that is known to be there.
        """
        operation = clashes.without_duplicates(operation, self._directory.equality_of)
        match operation:
            case Add(present_ok=True) if self._exists(operation.dn):
                return
            # Execution adds a container when slapd says that the parent is missing; a file of
            # change records needs it before.
            case Add(container=Add() as container) | Rename(container=Add() as container):
                if not self._exists(container.dn):
                    yield from self._single(container)
            case Modify(mods=()):
                return
            case Modify(absent_ok=True) | Delete(absent_ok=True):
                if operation.dn != found and not self._exists(operation.dn):
                    return
        if isinstance(operation, Delete) and operation.with_children:
            below = [*self._found(everything_below(operation.dn).query)]
            children = [one.dn for one in below if not names.same_dn(one.dn, operation.dn)]
            for dn in sorted(children, key=names.depth, reverse=True):
                yield self._noted(Delete(dn))
        yield self._noted(operation)

    def _noted(self, operation: Operation) -> Operation:
        key = names.key(operation.dn)
        match operation:
            case Add(dn=dn, attributes=attributes):
                self._made[key] = Entry(
                    dn, {name: [*values] for name, values in attributes.items()}
                )
                self._gone.discard(key)
            case Rename(new_dn=new_dn):
                self._gone.add(key)
                moved = self._made.pop(key, None) or self._directory.read(operation.dn)
                self._made[names.key(new_dn)] = Entry(new_dn, moved.attributes if moved else {})
                # Later steps name the entry by its new DN.
                self._changed[names.key(new_dn)] = self._changed.pop(key, [])
            case Modify() if key in self._changed or len(self._changed) < _MOST_REMEMBERED:
                self._changed.setdefault(key, []).append(operation)
            case Delete() if len(self._gone) < _MOST_REMEMBERED:
                self._gone.add(key)
        return operation

    def _is_gone(self, dn: str) -> bool:
        emptied = (base for base in self._emptied if names.is_within(dn, base))
        return names.key(dn) in self._gone or any(not names.same_dn(dn, base) for base in emptied)

    def _exists(self, dn: str) -> bool:
        key = names.key(dn)
        if key in self._made:
            return True
        return not self._is_gone(dn) and self._directory.read(dn, ("1.1",)) is not None
