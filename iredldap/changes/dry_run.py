"""What the directory would refuse of a plan, found out before its first step.

One operation is judged by slapd as a whole. A plan of several could be refused in the middle, by
the classes of an entry that another program has made, say: so each of its operations is shown to
slapd first, under the No-Op control, as the entries are now. What must not be shown to it is judged
by the schema, and so is what stands on earlier steps.

Source: `docs/decisions/0032-judged-first.md`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import islice

from iredldap.dit import clashes
from iredldap.dit.entry import Entry
from iredldap.dit.names import same_dn
from iredldap.dit.plan import (
    Add,
    Delete,
    Modify,
    Op,
    Operation,
    Plan,
    Rename,
    Scope,
    Sweep,
    describe,
    everything_below,
)
from iredldap.dit.references import MEMBER_DNS
from iredldap.dit.schema import Schema
from iredldap.errors import (
    AlreadyExists,
    HasChildren,
    LastMember,
    NoSuchAccount,
    PreconditionFailed,
    Refusal,
    SchemaViolation,
    ValueExists,
)
from iredldap.gateways.directory import Directory
from iredldap.gateways.ldap.errors import ValueAbsent, ValuePresent
from iredldap.gateways.ldap.no_op import NotJudged

Fail = Callable[[Operation, Refusal], None]
"""Is told of an operation that would be refused."""

_MOST_TOLD = 20
"""Entries that a refusal names."""

_ACCOUNTS = ("mailUser", "mailList", "mailAlias")


def judge(directory: Directory, plan: Plan, fail: Fail = lambda *_: None) -> None:
    """See whether the directory would refuse a plan that writes more than once.

    Nothing is changed. What others do meanwhile, and a database that is full, show only later.

    Args:
        directory: Where.
        plan: What is about to be done.
        fail: Is told what would be refused.

    Raises:
        HasChildren: If an entry would go that has children which no search finds, or accounts
            below it; the report names these.
        LastMember: If groups would lose their last members; the report names them.
        ValueExists: If a value is there already in another spelling.
        PreconditionFailed: If somebody has changed an entry since the plan was made.
        Refusal: Whatever else the directory says.
    """
    writes = [step for step in plan.steps if isinstance(step, Operation | Sweep)]
    if len(writes) > 1 or any(isinstance(step, Sweep) for step in writes):
        _Judge(directory, fail).judge(writes)


class _Judge:
    def __init__(self, directory: Directory, fail: Fail) -> None:
        self._directory = directory
        self._fail = fail
        self._touched: set[str] = set()
        self._emptied: set[str] = set()

    def judge(self, steps: list[Operation | Sweep]) -> None:
        """Judge single operations together, then sweeps, each on the directory as it is."""
        single = [step for step in steps if not isinstance(step, Sweep)]
        self._emptied = {
            step.query.base.lower()
            for step in steps
            if isinstance(step, Sweep) and step.until_empty
        }
        for operation, refusal in self._directory.judged([*self._independent(single)]):
            if refusal and not is_tolerated(operation, refusal):
                self._answer(operation, refusal)
        for step in steps:
            if isinstance(step, Sweep):
                self._sweep(step)

    def _independent(self, operations: list[Operation]) -> Iterator[Operation]:
        """Give those that do not stand on earlier ones, and judge what the others add."""
        made: set[str] = set()
        for operation in operations:
            dn = operation.dn.lower()
            is_changed_twice = isinstance(operation, Modify) and dn in self._touched
            if not is_changed_twice and dn not in made:
                yield clashes.without_duplicates(operation, self._directory.equality_of)
            elif isinstance(operation, Add):
                self._by_schema(operation)
            self._touched.add(dn)
            if isinstance(operation, Add):
                made.add(dn)
            elif isinstance(operation, Rename):
                made.add(operation.new_dn.lower())

    def _answer(self, operation: Operation, refusal: Refusal) -> None:
        """Do what can be done about a verdict, or refuse."""
        match operation, refusal:
            case _, NotJudged():
                self._by_schema(operation)
            case Delete(with_children=True), HasChildren():
                if operation.dn.lower() in self._emptied:
                    return
                self._spare_accounts(operation, refusal)
                if not self._sweep(everything_below(operation.dn)):
                    self._refuse(operation, refusal)
            case Rename(container=Add()), NoSuchAccount():
                # The new parent is missing, and is made.
                return
            case _:
                self._refuse(operation, refusal)

    def _spare_accounts(self, operation: Operation, refusal: Refusal) -> None:
        """Refuse to take accounts along: each has mentions, a mailbox and rights of its own."""
        query = replace(everything_below(operation.dn).query, attributes=("objectClass",))
        with closing(self._directory.stream(query)) as found:
            others = (one.dn for one in found if _is_account(one))
            below = [*islice((dn for dn in others if not same_dn(dn, operation.dn)), _MOST_TOLD)]
        if below:
            refusal.report = {"entries": below}
            self._refuse(operation, refusal)

    def _by_schema(self, operation: Operation) -> None:
        """Refuse what makes an entry that the schema forbids, and that it was not before."""
        schema = self._directory.schema()
        before: list[str] = []
        after: Mapping[str, Sequence[bytes]]
        match operation:
            case Add():
                after = operation.attributes
            case Modify() if entry := self._directory.read(operation.dn, ("*",)):
                if found := clashes.clash(operation, entry, schema.equality_of):
                    self._refuse(operation, ValuePresent(f"{found.attribute}: {found.value!r}"))
                before = schema.faults(entry.attributes)
                after = clashes.changed(entry, operation.mods, schema.equality_of)
            case _:
                return
        if new := [fault for fault in schema.faults(after) if fault not in before]:
            self._refuse(operation, SchemaViolation("; ".join(new)))

    def _sweep(self, sweep: Sweep) -> int:
        """Judge what a sweep would do as things are now; return how many operations that is."""
        count = 0
        groups: list[str] = []
        for operation, refusal in self._directory.judged(self._wanted(sweep, groups)):
            count += 1
            match refusal:
                case None | NotJudged():
                    pass
                case PreconditionFailed():
                    self._again(sweep, operation, refusal)
                case _ if not is_tolerated(operation, refusal):
                    self._refuse(operation, refusal)
        if groups:
            told = {"groups": groups[:_MOST_TOLD]}
            raise LastMember(f"{sweep.meaning}: {', '.join(groups)[:500]}", report=told)
        return count

    def _wanted(self, sweep: Sweep, groups: list[str]) -> Iterator[Operation]:
        """Give the operations of a sweep; note the groups that would lose their last members."""
        schema = self._directory.schema()
        for entry in self._directory.stream(sweep.query):
            for operation in (sweep.foreseen or sweep.change)(entry):
                if empties_group(schema, operation, entry):
                    groups.append(entry.dn)
                elif operation.dn.lower() not in self._touched:
                    yield clashes.without_duplicates(operation, self._directory.equality_of)

    def _again(self, sweep: Sweep, refused: Operation, verdict: Refusal) -> None:
        """Judge an entry again that is not as it was read: by now it may be right."""
        others = ConcurrentChanges(self._directory)
        others.look(refused, verdict)
        query = replace(sweep.query, base=refused.dn, scope=Scope.BASE)
        wanted = [
            clashes.without_duplicates(operation, self._directory.equality_of)
            for entry in self._directory.find(query)
            for operation in (sweep.foreseen or sweep.change)(entry)
        ]
        for operation, refusal in self._directory.judged(wanted):
            match refusal:
                case None | NotJudged():
                    pass
                case PreconditionFailed():
                    # Another client again: the sweep itself tries often enough for that.
                    others.look(operation, refusal)
                case _ if not is_tolerated(operation, refusal):
                    self._refuse(operation, refusal)

    def _refuse(self, operation: Operation, refusal: Refusal) -> None:
        self._fail(operation, refusal)
        refusal.detail = f"{describe(operation)}: {refusal.detail}"
        raise refusal


def _is_account(entry: Entry) -> bool:
    return any(entry.has("objectClass", kind) for kind in _ACCOUNTS)


class ConcurrentChanges:
    """Tells an entry that others keep changing from one that can never be changed so.

    Args:
        directory: Where.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._seen: dict[str, str | None] = {}

    def look(self, refused: Operation | None, refusal: Refusal) -> None:
        """Look at an entry of which values were not as a plan had them.

        If it is as the operation expected it, or as it was when the last plan was refused, nobody
        has come between: the plan wants what can never be.

        Raises:
            ValueExists: If it adds a value that is there in another spelling; both are named.
            SchemaViolation: If it removes one that the directory does not find.
        """
        if refused is None or not isinstance(refusal, ValuePresent | ValueAbsent):
            return
        entry = self._directory.read(refused.dn)
        state = entry.csn if entry else None
        expected = refused.expect if isinstance(refused, Modify) else ()
        # Where entries have no states, the first refusal may be a race as well.
        is_known = refused.dn in self._seen and self._seen[refused.dn] == state
        if entry is None or (state not in expected and not is_known):
            self._seen[refused.dn] = state
            return
        words, report = f"{describe(refused)}: {refusal.detail}", refusal.report
        if isinstance(refusal, ValueAbsent):
            raise SchemaViolation(words, report=report) from refusal
        found = clashes.clash(refused, entry, self._directory.equality_of)
        told = _told(found) if found else {}
        raise ValueExists(words, report={**(report or {}), **told}) from refusal


def _told(found: clashes.Clash) -> dict[str, object]:
    values = [value.decode("utf-8", "replace") for value in (found.value, found.other)]
    return {"attribute": found.attribute, "values": values}


def empties_group(schema: Schema, operation: Operation, entry: Entry) -> bool:
    """Whether an operation takes the last member of a group whose class must have one.

    Args:
        schema: Of the server.
        operation: What is about to be done to it.
        entry: The group, with its classes and all its members.
    """
    if not isinstance(operation, Modify):
        return False
    classes = filter(None, map(schema.object_class, entry.texts("objectClass")))
    must = {oid for kind in classes for oid in kind.must}
    for attribute in MEMBER_DNS:
        known = schema.attribute(attribute)
        if known is None or known.oid not in must:
            continue
        mods = [mod for mod in operation.mods if mod.attribute == attribute]
        gone = {value for mod in mods if mod.op is Op.DELETE for value in mod.values}
        comes = any(mod.values for mod in mods if mod.op is not Op.DELETE)
        if gone and not comes and gone >= set(entry.values(attribute)):
            return True
    return False


def is_tolerated(operation: Operation, refusal: Refusal) -> bool:
    """Whether the directory is already as the operation wants it."""
    match operation:
        case Add(present_ok=True):
            return isinstance(refusal, AlreadyExists)
        case Modify(absent_ok=True) | Delete(absent_ok=True, parent_ok=False):
            return isinstance(refusal, NoSuchAccount)
        case Delete(absent_ok=True, parent_ok=True):
            return isinstance(refusal, NoSuchAccount | HasChildren)
        case _:
            return False
