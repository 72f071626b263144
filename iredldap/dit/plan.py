"""What a request will do, as a value.

A plan is a tuple of steps. The operations build it without touching anything; `changes.apply`
carries it out, and `change_records` prints it as LDIF. There is no transaction over several
entries, so the order of the steps is chosen such that a plan broken off at any point can be
made and carried out again, and mail flows meanwhile.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum

from iredldap.dit import depth, filters, names
from iredldap.dit.entry import Entry
from iredldap.errors import Refusal, Unplaced
from iredldap.ldif import writer

Scope = depth.Scope


class Op(IntEnum):
    """What a modification does with its values; the numbers are those of RFC 4511."""

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

    `container` is the entry above it, which is made where it is missing.
    """

    dn: str
    attributes: Mapping[str, tuple[bytes, ...]]
    present_ok: bool = False
    container: "Add | None" = None


@dataclass(frozen=True, slots=True)
class Modify:
    """Change an entry, expecting that it is there.

    `expect` lists the states (entryCSN) of which the entry must have one; the directory itself
    judges that. No modifications and an expectation: a guard, which only makes a new state.
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
    """Leave an entry that has children alone; a later round comes back to it."""
    with_children: bool = False
    """Remove what other programs have put below it first, if they have."""


@dataclass(frozen=True, slots=True)
class Rename:
    """Give an entry another name, and another parent where one is named.

    What lies below it goes along. `container` is the new parent, which is made where it is missing.
    The values of the old name go, unless `keeps_values`: an entry that another tool has named by
    something else than its address could lack an attribute that it must have.
    """

    dn: str
    new_rdn: str
    new_parent: str | None = None
    container: Add | None = None
    keeps_values: bool = False

    @property
    def new_dn(self) -> str:
        """DN that the entry has after it."""
        return f"{self.new_rdn},{self.new_parent or names.parent(self.dn)}"


Operation = Add | Modify | Delete | Rename


@dataclass(frozen=True)
class Sweep:
    """Change many entries: search, and for each entry found the operations it needs.

    It is expanded while it streams. `until_empty` repeats it until nothing is found, for trees
    that are taken away leaf first. `foreseen` gives the same operations as `change`, where that
    does more than that.
    """

    meaning: str
    query: Query
    change: Callable[[Entry], Iterable[Operation]]
    until_empty: bool = False
    foreseen: Callable[[Entry], Iterable[Operation]] | None = None


def everything_below(dn: str) -> Sweep:
    """Return the sweep that removes all entries below one, leaf first."""

    def take(found: Entry) -> Iterator[Operation]:
        if not names.same_dn(found.dn, dn):
            yield Delete(found.dn, absent_ok=True, parent_ok=True)

    query = Query(dn, Scope.SUBTREE, "(objectClass=*)", ("1.1",))
    return Sweep(f"delete everything below {dn}", query, take, until_empty=True)


@dataclass(frozen=True)
class Correction:
    """What a recheck orders: operations, and then a refusal where the race was lost."""

    operations: tuple[Operation, ...] = ()
    refusal: Refusal | None = None


@dataclass(frozen=True)
class Recheck:
    """Look again after the write, where another client could have been as quick.

    `judge` sees the entries found and says what follows.
    """

    meaning: str
    query: Query
    judge: Callable[[Iterable[Entry]], Correction]


def merge_rechecks(first: Recheck, second: Recheck) -> Recheck:
    """Return one recheck for two that search the same place: it costs one search.

    Each judges the entries of both. The second one is not asked if the first one refuses.
    """

    def judge(entries: Iterable[Entry]) -> Correction:
        there = [*entries]
        found = first.judge(there)
        if found.refusal:
            return found
        more = second.judge(there)
        return Correction((*found.operations, *more.operations), more.refusal)

    filter_ = filters.either(first.query.filter, second.query.filter)
    attributes = tuple(dict.fromkeys((*first.query.attributes, *second.query.attributes)))
    query = replace(first.query, filter=filter_, attributes=attributes)
    return Recheck(first.meaning, query, judge)


@dataclass(frozen=True)
class Outside:
    """Write to what is beside the directory; done twice it is as done once.

    `undo` takes it back, where the entry that it was done for does not come to be.
    """

    meaning: str
    work: Callable[[], None]
    undo: Callable[[], None] | None = None


Step = Operation | Sweep | Recheck | Outside

GLOBAL_ADMINS = "the global admins"
"""Name that is held by whatever may take away an active global admin; no domain is called so."""


@dataclass(frozen=True)
class Plan:
    """The steps of one request, in order.

    `named` is the DN of the entry that the request names and `state` the entryCSN in which it
    was read, None for an entry yet to be made. `ignored` are values that were sent and are no
    part of the change (`X-Ignored-Values`), `unplaced` parameters that have no place in the
    directory (`X-Ignored-Parameters`). `shared_with` are the accounts whose mailbox the named one
    gets on purpose (`X-Shared-Mailbox`), and `kept` the members that a new list has beside those
    that were asked for (`X-Kept-Members`). `found` are the accounts that the plan has looked up
    for addresses that it mentions: entryUUID by address, in lower case. `touches` are the names
    that must be held while the plan is made and carried out, beside those that the request itself
    tells: mail domains, and `GLOBAL_ADMINS`.

    `back` gives what takes back everything that the steps have done so far, in case one of them is
    refused for good: a change that is refused has changed nothing. It is for plans that must write
    before they can know; the others find out before their first step.
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


class UndoLog:
    """Record what reverts sweeps, entry by entry while they are carried out.

    An operation is recorded before it is sent. One that was never carried out reverts nothing: the
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
                    self._undone.append(Modify(operation.dn, undone, absent_ok=True))
                yield operation

        # The preflight expands a sweep too, and changes nothing: it takes the unrecorded change.
        return replace(sweep, change=change, foreseen=sweep.change)

    def undo(self) -> tuple[Modify, ...]:
        """Return the modifications that revert everything recorded, the last first."""
        return tuple(reversed(self._undone))


def inverse(mods: Iterable[Mod], entry: Entry) -> tuple[Mod, ...]:
    """Take modifications back, value by value: what others wrote meanwhile is in nobody's way.

    Args:
        mods: What was done.
        entry: The entry as it was before.
    """
    undone: list[Mod] = []
    for mod in reversed([*mods]):
        before = tuple(entry.values(mod.attribute))
        added = mod.values if mod.op is not Op.DELETE else ()
        gone = {Op.ADD: (), Op.DELETE: mod.values or before, Op.REPLACE: before}[mod.op]
        undone += [Mod(Op.DELETE, mod.attribute, added)] if added else []
        undone += [Mod(Op.ADD, mod.attribute, gone)] if gone else []
    return tuple(undone)


def undo_modify(entry: Entry, mods: Iterable[Mod], *decisive: str) -> tuple[Operation, ...]:
    """Say what undoes a change of an entry, in case it is there and not as it should be.

    What matters, the attributes named, goes first, in case somebody wrote to the rest meanwhile.
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
    """Say what makes an entry one with these attributes, and no others but those it keeps."""
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


def change_records(plan: Plan, found: Callable[[Query], Iterable[Entry]]) -> Iterator[bytes]:
    """Print a plan as LDIF change records (RFC 2849), one at a time.

    Args:
        plan: What to print.
        found: Gives the entries of a query; sweeps are expanded with it while streaming.

    Rechecks are printed as comments: what they order depends on what others do meanwhile. So is
    what is written outside the directory.
    """
    yield writer.VERSION
    for step in plan.steps:
        match step:
            case Sweep():
                yield writer.comment(f"sweep: {step.meaning}")
                for entry in found(step.query):
                    for operation in step.change(entry):
                        yield change_record(operation)
            case Recheck():
                yield writer.comment(f"recheck: {step.meaning}")
            case Outside():
                yield writer.comment(f"outside the directory: {step.meaning}")
            case _:
                yield change_record(step)


def describe(step: Step) -> str:
    """Say in a few words what a step does, for reports; no values."""
    match step:
        case Sweep() | Recheck() | Outside():
            return step.meaning
        case _:
            return f"{type(step).__name__.lower()} {step.dn}"


_OP_WORDS = {Op.ADD: "add", Op.DELETE: "delete", Op.REPLACE: "replace"}


def change_record(operation: Operation) -> bytes:
    """Print one operation as an LDIF change record, with the empty line behind it."""
    lines = [writer.dn_line(operation.dn)]
    match operation:
        case Add(attributes=attributes):
            lines.append(b"changetype: add\n")
            lines += [writer.attribute(n, v) for n, values in attributes.items() for v in values]
        case Modify(mods=mods):
            lines.append(b"changetype: modify\n")
            for mod in mods:
                lines.append(writer.attribute(_OP_WORDS[mod.op], mod.attribute.encode()))
                lines += [writer.attribute(mod.attribute, value) for value in mod.values]
                lines.append(b"-\n")
        case Delete():
            lines.append(b"changetype: delete\n")
        case Rename(new_rdn=rdn, new_parent=parent, keeps_values=keeps_values):
            lines.append(b"changetype: modrdn\n" + writer.attribute("newrdn", rdn.encode()))
            lines.append(writer.attribute("deleteoldrdn", b"0" if keeps_values else b"1"))
            if parent:
                lines.append(writer.attribute("newsuperior", parent.encode()))
    return b"".join(lines) + b"\n"
