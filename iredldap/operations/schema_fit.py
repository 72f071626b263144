"""Adapt plans to the schema that a directory has.

Plans are made for the current schema. Where the server's is older, they are reduced to it before
their first step: dispensable attributes are left out, others refuse the plan. With the current
schema this costs nothing.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from iredldap.directory_errors import NotSupportedByDirectory
from iredldap.dit import generations, names
from iredldap.dit.entry import Entry
from iredldap.dit.placement import DISPENSABLE
from iredldap.dit.plan import (
    Add,
    Correction,
    Mod,
    Modify,
    Op,
    Operation,
    Plan,
    Query,
    Recheck,
    Rename,
    Step,
    Sweep,
)
from iredldap.dit.schema import Schema
from iredldap.gateways.directory import Directory


def fit_plan(directory: Directory, plan: Plan) -> Plan:
    """Reduce a plan to the attributes that the directory's schema has.

    Raises:
        NotSupportedByDirectory: If it needs something else.
        ServerDown: If the directory does not answer.
    """
    schema = directory.schema()
    lacking = generations.lacking(schema)
    # Today's schema lacks nothing, and then this costs a look into a set.
    if not lacking:
        return plan
    fit = _Fit(directory, schema, lacking)
    back = plan.back
    return replace(
        plan,
        steps=tuple(fit.steps(plan.steps)),
        # What takes a plan back is made when it is needed, and has to fit the schema as well.
        back=(lambda: fit.steps(back())) if back else None,
    )


Classes = Callable[[], Iterable[str]]
Change = Callable[[Entry], Iterable[Operation]]


@dataclass(frozen=True)
class _Fit:
    """Reduces operations; `lacking` are the attributes, in lower case, that the schema may lack."""

    directory: Directory
    schema: Schema
    lacking: frozenset[str]
    coming: dict[object, Classes] = field(default_factory=dict)
    """Classes of entries that the plan makes or gives other names, by their new names."""

    def steps(self, steps: Iterable[Step]) -> Iterator[Step]:
        for step in steps:
            match step:
                # Its operations are made while it runs, so they are cut as they come.
                case Sweep():
                    yield self._sweep(step)
                case Recheck():
                    yield self._recheck(step)
                case Add() | Modify() | Rename():
                    yield from self._operations(step)
                case _:
                    yield step

    def _sweep(self, sweep: Sweep) -> Sweep:
        def cut(change: Change) -> Change:
            def changed(entry: Entry) -> Iterator[Operation]:
                for operation in change(entry):
                    # The classes of the entry found came with it; only another entry has to be read
                    # for them.
                    same = names.same_dn(operation.dn, entry.dn)
                    classes = _classes(entry) if same else self._of(operation.dn)
                    yield from self._cut(operation, classes)

            return changed

        return replace(
            sweep,
            query=_with_classes(sweep.query),
            change=cut(sweep.change),
            foreseen=cut(sweep.foreseen) if sweep.foreseen else None,
        )

    def _recheck(self, recheck: Recheck) -> Recheck:
        def judge(entries: Iterable[Entry]) -> Correction:
            correction = recheck.judge(entries)
            cut = (one for each in correction.operations for one in self._operations(each))
            return replace(correction, operations=tuple(cut))

        foreseen = (one for each in recheck.foreseen for one in self._operations(each))
        return replace(recheck, judge=judge, foreseen=tuple(foreseen))

    def _operations(self, operation: Operation) -> Iterator[Operation]:
        yield from self._cut(operation, self._of(operation.dn))
        match operation:
            case Add(dn=dn, attributes=attributes):
                entry = Entry(dn, {name: [*values] for name, values in attributes.items()})
                # Later steps may write to an entry that this plan adds or renames, which cannot be
                # read yet.
                self.coming[names.key(dn)] = _classes(entry)
            case Rename(dn=dn, new_dn=new_dn):
                self.coming[names.key(new_dn)] = self._of(dn)

    def _cut(self, operation: Operation, classes: Classes) -> Iterator[Operation]:
        match operation:
            case Add(attributes=attributes):
                own = [value.decode() for value in attributes.get("objectClass", ())]
                left = {
                    name: values
                    for name, values in attributes.items()
                    if self._has_place(name, lambda: own)
                }
                yield (
                    operation
                    if len(left) == len(attributes)
                    else replace(operation, attributes=left)
                )
            case Modify(mods=mods):
                kept = tuple(mod for mod in mods if self._stays(mod, classes))
                # Without modifications it still asserts the state of the entry.
                if kept or not mods or operation.expect:
                    yield replace(operation, mods=kept)
            case _:
                yield operation

    def _stays(self, mod: Mod, classes: Classes) -> bool:
        """Return whether a modification can be made; a removal from nothing is left out."""
        gives = mod.op is not Op.DELETE and bool(mod.values)
        return self._has_place(mod.attribute, classes, is_needed=gives)

    def _has_place(self, attribute: str, classes: Classes, *, is_needed: bool = True) -> bool:
        """Return whether an attribute can be written; False: it can be left out.

        Raises:
            NotSupportedByDirectory: If it can be neither.
        """
        name = attribute.lower()
        if name not in self.lacking:
            return True
        if self.schema.attribute(name) and self.schema.holds(classes(), name):
            return True
        if is_needed and name not in DISPENSABLE:
            raise NotSupportedByDirectory(attribute=attribute)
        return False

    def _of(self, dn: str) -> Classes:
        if coming := self.coming.get(names.key(dn)):
            return coming

        def read() -> Iterable[str]:
            entry = self.directory.read(dn, ("objectClass",))
            return entry.texts("objectClass") if entry else ()

        return read


def _classes(entry: Entry) -> Classes:
    return lambda: entry.texts("objectClass")


def _with_classes(query: Query) -> Query:
    asked = {name.lower() for name in query.attributes}
    if asked & {"*", "objectclass"}:
        return query
    return replace(query, attributes=(*(a for a in query.attributes if a != "1.1"), "objectClass"))
