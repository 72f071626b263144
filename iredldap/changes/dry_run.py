"""Dry run of a plan: what the directory would refuse, found out before the first step.

slapd accepts or refuses one operation as a whole. A plan of several could fail in the middle, for
example because of the classes of an entry that another program has made: so each operation is first
sent under the No-Op control, on the entries as they are. Operations that must not be sent
(`gateways/ldap/no_op.py`), or that depend on earlier steps, are checked by the schema.

Source: `docs/decisions/0032-judged-first.md`.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import islice
from typing import Literal

from iredldap.directory_errors import (
    HasChildren,
    LastMember,
    NamesEntry,
    SchemaViolation,
    ValueExists,
)
from iredldap.dit import clashes, naming
from iredldap.dit.dn_references import ACCOUNT_DNS
from iredldap.dit.entry import Entry
from iredldap.dit.names import key, parent, same_dn
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
from iredldap.dit.schema import Schema
from iredldap.errors import AlreadyExists, NoSuchAccount, PreconditionFailed, Refusal
from iredldap.gateways.directory import Directory
from iredldap.gateways.ldap.errors import ValueAbsent, ValuePresent
from iredldap.gateways.ldap.no_op import NotJudged

Fail = Callable[[Operation, Refusal], None]
"""Called with an operation that would be refused, and its refusal."""

JudgedBy = Literal["directory", "schema"]
"""`directory`: slapd has judged each operation; `schema`: some it could not be asked about."""

_MOST_LISTED = 20
"""Maximum of entries that a report lists."""

_ACCOUNTS = ("mailUser", "mailList", "mailAlias")


def judge(
    directory: Directory, plan: Plan, fail: Fail = lambda *_: None, *, thorough: bool = False
) -> JudgedBy | None:
    """Check that the directory would accept a plan that writes more than once.

    Nothing is changed. Changes by other clients, and a full database, can still make a step fail.

    Args:
        directory: Where.
        plan: The plan that is about to be applied.
        fail: Called with what would be refused.
        thorough: Whether a single write is judged too, and the name of each addition is looked up:
            where the plan is not carried out, nothing else will find out.

    Returns:
        Who judged; None: nothing was to be judged.

    Raises:
        HasChildren: If an entry to be deleted has children which no search finds, or accounts
            below it, which the report lists.
        LastMember: If groups would lose their last members; the report lists them.
        NamesEntry: If entries that sweeps find would lose values of their DNs; the report lists
            them.
        ValueExists: If a value exists already in another spelling.
        PreconditionFailed: If another client has changed an entry since the plan was made.
        Refusal: Any other of the directory.
    """
    # A single operation is accepted or refused as a whole: to ask beforehand would only cost time.
    writes = [step for step in plan.steps if isinstance(step, Operation | Sweep)]
    if len(writes) > 1 or any(isinstance(step, Sweep) for step in writes) or (thorough and writes):
        return _Judge(directory, fail, plan.parameters, thorough=thorough).judge(writes)
    return None


class _Judge:
    def __init__(
        self, directory: Directory, fail: Fail, parameters: Mapping[str, str], *, thorough: bool
    ) -> None:
        self._directory = directory
        self._fail = fail
        self._parameters = parameters
        self._thorough = thorough
        self._judged_by: JudgedBy = "directory"
        self._touched: set[str] = set()
        self._made: set[Hashable] = set()
        self._emptied: set[str] = set()

    def judge(self, steps: list[Operation | Sweep]) -> JudgedBy:
        """Check single operations in one pipeline, then each sweep, on the directory as it is."""
        single = [step for step in steps if not isinstance(step, Sweep)]
        # Sweeps that delete all entries below an entry; its deletion then finds no children any
        # more.
        self._emptied = {
            step.query.base.lower()
            for step in steps
            if isinstance(step, Sweep) and step.until_empty
        }
        for operation, refusal in self._directory.judged([*self._independent(single)]):
            if refusal and not is_tolerated(operation, refusal):
                self._handle(operation, refusal)
        for step in steps:
            if isinstance(step, Sweep):
                self._sweep(step)
        return self._judged_by

    def _independent(self, operations: list[Operation]) -> Iterator[Operation]:
        """Yield operations that do not depend on earlier ones; check additions among the others."""
        made: set[str] = set()
        for operation in operations:
            dn = operation.dn.lower()
            # The second change of an entry is made for what the first one leaves, which slapd does
            # not have.
            is_changed_twice = isinstance(operation, Modify) and dn in self._touched
            if not is_changed_twice and dn not in made:
                yield clashes.without_duplicates(operation, self._directory.equality_of)
            elif isinstance(operation, Add):
                self._by_schema(operation)
            else:
                self._judged_by = "schema"
            self._touched.add(dn)
            if isinstance(operation, Add):
                made.add(dn)
                self._made.add(key(dn))
            elif isinstance(operation, Rename):
                # Under its new name there is no entry yet that slapd could check.
                made.add(operation.new_dn.lower())

    def _handle(self, operation: Operation, refusal: Refusal) -> None:
        """Handle the refusal of an operation: check further, ignore it or raise it."""
        match operation, refusal:
            case _, NotJudged():
                self._by_schema(operation)
            case Delete(with_children=True), HasChildren():
                if operation.dn.lower() in self._emptied:
                    return
                self._refuse_accounts(operation, refusal)
                # Refused for children that no search returns, such as subentries: the deletion
                # would be refused as well.
                if not self._sweep(everything_below(operation.dn)):
                    self._refuse(operation, refusal)
            case Rename(container=Add()), NoSuchAccount():
                # The new parent is missing, and will be created.
                return
            case _:
                self._refuse(operation, refusal)

    def _refuse_accounts(self, operation: Operation, refusal: Refusal) -> None:
        """Refuse to delete accounts as children: each has references, a mailbox and rights."""
        query = replace(everything_below(operation.dn).query, attributes=("objectClass",))
        with closing(self._directory.stream(query)) as found:
            others = (one.dn for one in found if _is_account(one))
            below = [*islice((dn for dn in others if not same_dn(dn, operation.dn)), _MOST_LISTED)]
        if below:
            refusal.report = {"entries": below}
            self._refuse(operation, refusal)

    def _by_schema(self, operation: Operation) -> None:
        """Refuse an operation that leaves an entry against the schema which was not so before."""
        self._judged_by = "schema"
        schema = self._directory.schema()
        before: list[str] = []
        after: Mapping[str, Sequence[bytes]]
        match operation:
            case Add():
                if self._thorough:
                    self._place(operation)
                after = operation.attributes
            case Modify() if entry := self._directory.read(operation.dn, ("*",)):
                if found := clashes.clash(operation, entry, schema.equality_of):
                    self._refuse(operation, ValuePresent(f"{found.attribute}: {found.value!r}"))
                # An entry may have faults already, of other programs. They do not forbid a change.
                before = schema.faults(entry.attributes)
                after = clashes.changed(entry, operation.mods, schema.equality_of)
            case _:
                return
        if new := [fault for fault in schema.faults(after) if fault not in before]:
            self._refuse(operation, SchemaViolation("; ".join(new)))

    def _place(self, operation: Add) -> None:
        """Refuse an addition whose name is taken, or that has no parent."""
        if not operation.present_ok and self._directory.read(operation.dn, ("1.1",)):
            self._refuse(operation, AlreadyExists(operation.dn))
        above = parent(operation.dn)
        is_coming = operation.container is not None or key(above) in self._made
        if not is_coming and self._directory.read(above, ("1.1",)) is None:
            self._refuse(operation, NoSuchAccount(above))

    def _sweep(self, sweep: Sweep) -> int:
        """Check the operations of a sweep on the entries as they are; return their number."""
        count = 0
        groups: list[str] = []
        unnamed: dict[str, list[str]] = {}
        for operation, refusal in self._directory.judged(self._wanted(sweep, groups)):
            count += 1
            match refusal:
                case None:
                    pass
                case NotJudged() | SchemaViolation() if lost := self._lost(operation):
                    self._fail(operation, NamesEntry())
                    unnamed[operation.dn] = lost
                case NotJudged():
                    self._judged_by = "schema"
                case PreconditionFailed():
                    self._repeat(sweep, operation, refusal)
                case _ if not is_tolerated(operation, refusal):
                    if isinstance(refusal, SchemaViolation):
                        # The client has not named the entry.
                        refusal.report = {**(refusal.report or {}), "entries": [operation.dn]}
                    self._refuse(operation, refusal)
        if unnamed:
            self._refuse_unnaming(sweep, unnamed)
        if groups:
            report = {"groups": groups[:_MOST_LISTED]}
            raise LastMember(f"{sweep.meaning}: {', '.join(groups)[:500]}", report=report)
        return count

    def _lost(self, operation: Operation) -> list[str]:
        """Name the attributes of which an operation takes the value that names the entry."""
        if not isinstance(operation, Modify):
            return []
        return naming.lost(operation, self._directory.equality_of)

    def _refuse_unnaming(self, sweep: Sweep, unnamed: Mapping[str, Sequence[str]]) -> None:
        lost = dict.fromkeys(name for attributes in unnamed.values() for name in attributes)
        raise NamesEntry(
            f"{sweep.meaning}: {', '.join(unnamed)[:500]}",
            naming=[(self._parameters.get(name, ""), name) for name in lost],
            entries=[*unnamed][:_MOST_LISTED],
        )

    def _wanted(self, sweep: Sweep, groups: list[str]) -> Iterator[Operation]:
        """Yield the operations of a sweep; collect groups that would lose their last members."""
        schema = self._directory.schema()
        for entry in self._directory.stream(sweep.query):
            for operation in (sweep.foreseen or sweep.change)(entry):
                if empties_group(schema, operation, entry):
                    groups.append(entry.dn)
                # An entry that a single operation changes was checked with that; for the sweep, it
                # is another entry by then.
                elif operation.dn.lower() not in self._touched:
                    yield clashes.without_duplicates(operation, self._directory.equality_of)

    def _repeat(self, sweep: Sweep, refused: Operation, verdict: Refusal) -> None:
        """Check an entry again that another client has changed since it was read."""
        others = ConcurrentChanges(self._directory)
        others.examine(refused, verdict)
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
                    others.examine(operation, refusal)
                case _ if not is_tolerated(operation, refusal):
                    self._refuse(operation, refusal)

    def _refuse(self, operation: Operation, refusal: Refusal) -> None:
        self._fail(operation, refusal)
        refusal.detail = f"{describe(operation)}: {refusal.detail}"
        raise refusal


def _is_account(entry: Entry) -> bool:
    return any(entry.has("objectClass", kind) for kind in _ACCOUNTS)


class ConcurrentChanges:
    """Distinguishes entries that other clients keep changing from changes that can never succeed.

    Args:
        directory: Where.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._seen: dict[str, str | None] = {}

    def examine(self, refused: Operation | None, refusal: Refusal) -> None:
        """Examine an entry whose values differ from those that a plan was made for.

        If its state is the expected one, or the same as when the last plan was refused, no other
        client has changed it: the operation can never succeed.

        Raises:
            ValueExists: If it adds a value that exists in another spelling; the report has both.
            SchemaViolation: If it removes one that the directory does not find.
        """
        if refused is None or not isinstance(refusal, ValuePresent | ValueAbsent):
            return
        entry = self._directory.read(refused.dn)
        state = entry.csn if entry else None
        expected = refused.expect if isinstance(refused, Modify) else ()
        # Where entries have no state (`entryCSN`), the first refusal may be a race, too.
        is_known = refused.dn in self._seen and self._seen[refused.dn] == state
        if entry is None or (state not in expected and not is_known):
            self._seen[refused.dn] = state
            return
        words, report = f"{describe(refused)}: {refusal.detail}", refusal.report
        if isinstance(refusal, ValueAbsent):
            raise SchemaViolation(words, report=report) from refusal
        found = clashes.clash(refused, entry, self._directory.equality_of)
        both = _clash_report(found) if found else {}
        raise ValueExists(words, report={**(report or {}), **both}) from refusal


def _clash_report(found: clashes.Clash) -> dict[str, object]:
    values = [value.decode("utf-8", "replace") for value in (found.value, found.other)]
    return {"attribute": found.attribute, "values": values}


def empties_group(schema: Schema, operation: Operation, entry: Entry) -> bool:
    """Return whether an operation removes the last member of a group whose class requires one.

    Any other value that names an account by its DN counts as a member.

    Args:
        schema: The server's.
        operation: A change of the group.
        entry: The group, with its classes and all its members.
    """
    if not isinstance(operation, Modify):
        return False
    classes = filter(None, map(schema.object_class, entry.texts("objectClass")))
    must = {oid for kind in classes for oid in kind.must}
    for attribute in ACCOUNT_DNS:
        known = schema.attribute(attribute)
        if known is None or known.oid not in must:
            continue
        mods = [mod for mod in operation.mods if mod.attribute == attribute]
        gone = {value for mod in mods if mod.op is Op.DELETE for value in mod.values}
        comes = any(mod.values for mod in mods if mod.op is not Op.DELETE)
        # The class makes the attribute mandatory, so slapd would refuse the change in the middle of
        # a sweep.
        if gone and not comes and gone >= set(entry.values(attribute)):
            return True
    return False


def is_tolerated(operation: Operation, refusal: Refusal) -> bool:
    """Return whether a refusal means that the directory is already as the operation leaves it."""
    match operation:
        case Add(present_ok=True):
            return isinstance(refusal, AlreadyExists)
        case Modify(absent_ok=True) | Delete(absent_ok=True, parent_ok=False):
            return isinstance(refusal, NoSuchAccount)
        case Delete(absent_ok=True, parent_ok=True):
            return isinstance(refusal, NoSuchAccount | HasChildren)
        case _:
            return False
