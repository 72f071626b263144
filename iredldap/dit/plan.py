"""The plan of a request: its writes, as a value.

A plan is a tuple of steps. The operations build it without writing; `changes.apply` executes it,
and `change_records` prints it as LDIF. There is no transaction over several entries, so steps are
ordered such that a plan interrupted at any point can be made and executed again, and mail is
delivered meanwhile.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum

from iredldap.directory_errors import Unplaced
from iredldap.dit import depth, filters, names
from iredldap.dit.change_log import LoggedChange, Row
from iredldap.dit.entry import Entry
from iredldap.dit.left_alone import LeftAlone
from iredldap.errors import Refusal

Scope = depth.Scope


class Op(IntEnum):
    """The operation of a modification; the numbers are those of RFC 4511."""

    ADD = 0
    DELETE = 1
    REPLACE = 2


@dataclass(frozen=True, slots=True)
class Mod:
    """One line of a modification. REPLACE with no values removes the attribute."""

    op: Op
    attribute: str
    values: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """A search."""

    base: str
    scope: Scope
    filter: str
    attributes: tuple[str, ...] = ("*", "entryCSN")


@dataclass(frozen=True, slots=True)
class Add:
    """Add an entry, expecting that there is none of its name.

    `container` is the entry above it, which is added where it is missing.
    """

    dn: str
    attributes: Mapping[str, tuple[bytes, ...]]
    present_ok: bool = False
    container: "Add | None" = None


@dataclass(frozen=True, slots=True)
class Modify:
    """Change an entry, expecting that it is there.

    `expect` lists the states (entryCSN) of which the entry must have one; the directory itself
    asserts that. No modifications and an expectation: a guard, which only makes a new state.
    """

    dn: str
    mods: tuple[Mod, ...]
    expect: tuple[str, ...] = ()
    absent_ok: bool = False


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove an entry that has no children."""

    dn: str
    absent_ok: bool = False
    parent_ok: bool = False
    """Leave an entry that has children alone; a later round deletes it."""
    with_children: bool = False
    """Remove entries that other programs have added below it first, if there are any."""


@dataclass(frozen=True, slots=True)
class Rename:
    """Rename an entry, and move it below another parent where one is named.

    The entries below it move along. `container` is the new parent, which is added where it is
    missing. The values of the old name are removed, unless `keeps_values`: an entry that another
    tool has named by another attribute than its address could lack one that it must have.
    """

    dn: str
    new_rdn: str
    new_parent: str | None = None
    container: Add | None = None
    keeps_values: bool = False

    @property
    def new_dn(self) -> str:
        """Return the DN of the entry afterwards."""
        return f"{self.new_rdn},{self.new_parent or names.parent(self.dn)}"


Operation = Add | Modify | Delete | Rename


@dataclass(frozen=True)
class Sweep:
    """Change many entries: search, and for each entry found the operations it needs.

    It is expanded while the search streams. `until_empty` repeats it until nothing is found, for
    trees that are deleted leaf first. `foreseen` returns the same operations as `change`, for the
    dry run, where `change` has side effects.
    """

    meaning: str
    query: Query
    change: Callable[[Entry], Iterable[Operation]]
    until_empty: bool = False
    foreseen: Callable[[Entry], Iterable[Operation]] | None = None


def everything_below(dn: str) -> Sweep:
    """Return the sweep that removes all entries below one, leaf first."""

    def take(found: Entry) -> Iterator[Operation]:
        # The search finds the entry itself, too, which the last step deletes.
        if not names.same_dn(found.dn, dn):
            # An entry with children is refused and tried again in the next round, when its children
            # are gone. To sort the entries leaf first, all of them would have to be in memory.
            yield Delete(found.dn, absent_ok=True, parent_ok=True)

    query = Query(dn, Scope.SUBTREE, "(objectClass=*)", ("1.1",))
    return Sweep(f"delete everything below {dn}", query, take, until_empty=True)


@dataclass(frozen=True)
class Correction:
    """The result of a recheck: operations, and then a refusal where a race was lost."""

    operations: tuple[Operation, ...] = ()
    refusal: Refusal | None = None


@dataclass(frozen=True)
class Recheck:
    """Search again after the write, where another client could have written at the same time.

    `judge` gets the entries found and returns the correction. `foreseen` are its operations if no
    other client writes meanwhile, where there are any. `is_shared`: those of several plans with the
    same query judge the same, such as a limit of a domain, and differ in what they take back.
    `few`: however large the directory is, few entries are found, which are taken at once.
    """

    meaning: str
    query: Query
    judge: Callable[[Iterable[Entry]], Correction]
    foreseen: tuple[Operation, ...] = ()
    is_shared: bool = False
    few: bool = False


def merge_rechecks(first: Recheck, second: Recheck) -> Recheck:
    """Return one recheck for two that find few entries in the same place: it costs one search.

    Each judges the entries of both. The second one is not asked if the first one refuses.
    """

    def judge(entries: Iterable[Entry]) -> Correction:
        # A list, as both judge it.
        there = [*entries]
        found = first.judge(there)
        if found.refusal:
            return found
        more = second.judge(there)
        return Correction((*found.operations, *more.operations), more.refusal)

    filter_ = filters.either(first.query.filter, second.query.filter)
    attributes = tuple(dict.fromkeys((*first.query.attributes, *second.query.attributes)))
    query = replace(first.query, filter=filter_, attributes=attributes)
    foreseen = (*first.foreseen, *second.foreseen)
    return Recheck(first.meaning, query, judge, foreseen, few=True)


@dataclass(frozen=True)
class Outside:
    """Write outside the directory; idempotent.

    Its gateways report the rows that it changes (`gateways/touched_rows.py`). `undo` reverts it,
    where the entry that it was done for is not added. `shared`: how it is done at once for several
    plans.
    """

    meaning: str
    work: Callable[[], object]
    undo: Callable[[], None] | None = None
    shared: "SharedWork | None" = None


@dataclass(frozen=True)
class SharedWork:
    """Work that can be done for the values of several plans at once.

    Args:
        value: What it is done for here.
        work: Does it for several values.
        owns: Returns whether a row that it has changed is one of this value.
    """

    value: str
    work: Callable[[Collection[str]], object]
    owns: Callable[[Row], bool]


Step = Operation | Sweep | Recheck | Outside

GLOBAL_ADMINS = "the global admins"
"""Name that a plan holds which may remove an active global admin; no domain has this name."""


@dataclass(frozen=True)
class Plan:
    """The steps of one request, in order.

    `named` is the DN of the entry that the request names and `state` the entryCSN in which it
    was read, None for an entry yet to be made. `ignored` are values that were sent and are no
    part of the change (`X-Ignored-Values`), `unplaced` parameters that have no place in the
    directory (`X-Ignored-Parameters`). `shared_with` are the accounts whose mailbox the named one
    gets on purpose (`X-Shared-Mailbox`), and `kept` the members that a new list has beside those
    that were asked for (`X-Kept-Members`). `found` are the accounts that the plan has looked up
    for addresses that it mentions: entryUUID by address, in lower case. `parameters` are those that
    replace or remove values, by the attributes that they are stored in. `touches` are the names
    that must be held while the plan is made and executed, beside those that the request itself
    mentions: mail domains, and `GLOBAL_ADMINS`.

    `undoes` is the change that the plan takes back, and `left` what it leaves alone because others
    have changed it since; more may come while the plan is executed.

    `back` returns the steps that revert everything done so far, in case one of them is
    refused for good: a refused request has changed nothing. It is for plans that must write before
    they can know; the others find out before their first step.
    """

    named: str
    steps: tuple[Step, ...]
    state: str | None = None
    ignored: tuple[str, ...] = ()
    touches: frozenset[str] = frozenset()
    back: Callable[[], Iterable[Step]] | None = None
    shared_with: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    found: Mapping[str, str] = field(default_factory=dict)
    unplaced: Unplaced = ()
    parameters: Mapping[str, str] = field(default_factory=dict)
    undoes: LoggedChange | None = None
    left: Collection[LeftAlone] = ()


class UndoLog:
    """Record what reverts sweeps, entry by entry while they are executed.

    An operation is recorded before it is sent. One that was never executed reverts nothing: the
    values that it would have left are not there.
    """

    def __init__(self) -> None:
        self._undone: list[Modify] = []

    def recording(self, sweep: Sweep) -> Sweep:
        """Return the same sweep, whose modifications are recorded here."""

        def change(entry: Entry) -> Iterator[Operation]:
            for operation in sweep.change(entry):
                if isinstance(operation, Modify):
                    undone = inverse(operation.mods, entry)
                    # Recorded before it is sent: if its answer is lost, it may have been carried
                    # out.
                    self._undone.append(Modify(operation.dn, undone, absent_ok=True))
                yield operation

        # A dry run expands a sweep too, and changes nothing: it takes the unrecorded change.
        return replace(sweep, change=change, foreseen=sweep.change)

    def undo(self) -> tuple[Modify, ...]:
        """Return the modifications that revert everything recorded, the last first."""
        return tuple(reversed(self._undone))


def inverse(mods: Iterable[Mod], entry: Entry) -> tuple[Mod, ...]:
    """Return the modifications that revert some, value by value: others' writes meanwhile stay.

    Args:
        mods: What was done.
        entry: The entry as it was before.
    """
    undone: list[Mod] = []
    # The last first: it was made for the values that the others had left.
    for mod in reversed([*mods]):
        before = tuple(entry.values(mod.attribute))
        # Deletions of what was added and additions of what went, never a REPLACE: that would also
        # revert what other clients have written since.
        added = mod.values if mod.op is not Op.DELETE else ()
        gone = {Op.ADD: (), Op.DELETE: mod.values or before, Op.REPLACE: before}[mod.op]
        undone += [Mod(Op.DELETE, mod.attribute, added)] if added else []
        undone += [Mod(Op.ADD, mod.attribute, gone)] if gone else []
    return tuple(undone)


def undo_modify(entry: Entry, mods: Iterable[Mod], *decisive: str) -> tuple[Operation, ...]:
    """Return the operations that revert a change of an entry, if the entry still exists.

    The attributes named are reverted first, in case another client wrote to the rest meanwhile.
    """
    mods = tuple(mods)
    first = [mod for mod in mods if mod.attribute in decisive]
    rest = [mod for mod in mods if mod.attribute not in decisive]
    return tuple(
        Modify(entry.dn, undone, absent_ok=True)
        for part in (first, rest)
        if (undone := inverse(part, entry))
    )


def reset_entry(
    entry: Entry, attributes: Mapping[str, tuple[bytes, ...]], kept: Iterable[str]
) -> Modify:
    """Return the modification that gives an entry these attributes, and no others but `kept`."""
    lasting = {"entrycsn", *(name.lower() for name in kept)}
    wanted = {k: v for k, v in attributes.items() if k.lower() not in lasting}
    gone = [k for k in entry.attributes if k.lower() not in lasting and k not in wanted]
    mods = (
        *(Mod(Op.REPLACE, k, v) for k, v in wanted.items()),
        *(Mod(Op.REPLACE, k) for k in gone),
    )
    return Modify(entry.dn, mods, expect=(entry.csn,) if entry.csn else ())


def conditional_on_state(plan: Plan) -> Plan:
    """Make a plan conditional on the state in which the named entry was read.

    It then begins with a change of that entry, which the directory carries out in that state
    only. An empty change will do: it leaves a new state, so that the same condition holds once.
    What later steps expect of the entry has been judged by then.
    """
    expect = (plan.state,) if plan.state else ()
    first = plan.steps[0] if plan.steps else None
    if isinstance(first, Modify) and first.dn == plan.named:
        return replace(plan, steps=(replace(first, expect=expect), *plan.steps[1:]))
    rest = (
        replace(step, expect=()) if isinstance(step, Modify) and step.dn == plan.named else step
        for step in plan.steps
    )
    return replace(plan, steps=(Modify(plan.named, (), expect), *rest))


def describe(step: Step) -> str:
    """Describe a step in a few words, for reports; without values."""
    match step:
        case Sweep() | Recheck() | Outside():
            return step.meaning
        case _:
            return f"{type(step).__name__.lower()} {step.dn}"
