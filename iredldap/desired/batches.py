"""Bring about what rows want, batch by batch: each row as a call of its own would be judged.

A batch holds the domains that it mentions, and releases them before the next one, so that other
calls get their turn. What its rows depend on is searched for together, additions are sent without
waiting for one another, and logs are written in one transaction. Rights, limits, rechecks and
records are those of single calls; whatever is no plain addition is made by one.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial

from iredldap import finders
from iredldap.changes import aftermath
from iredldap.changes.apply import Turn, execute
from iredldap.changes.change_log import ChangeLog
from iredldap.changes.recording import Recording
from iredldap.changes.together.additions import Addition, add_all, end_all, is_addition
from iredldap.changes.together.log_buffer import LogBuffer
from iredldap.desired.comparison import RowComparison, differing
from iredldap.desired.gate import refused, taken
from iredldap.desired.memberships import Lists, NewMembers
from iredldap.desired.rows import CREATE, UPDATE, Outcome, Result, UserRow
from iredldap.dit import mail_names
from iredldap.dit import request as requests
from iredldap.dit.change_log import LoggedChange
from iredldap.dit.entry import Entry
from iredldap.dit.fields import Parsed
from iredldap.dit.logged_request import logged
from iredldap.dit.plan import Plan
from iredldap.dit.request import Request
from iredldap.errors import (
    PreconditionFailed,
    Refusal,
)
from iredldap.gateways.ldap.errors import Unanswered
from iredldap.gateways.locks import Busy
from iredldap.operations import dispatch
from iredldap.operations.admin_log import AdminLog
from iredldap.operations.context import Context, PathVariables
from iredldap.operations.users import new_users
from iredldap.operations.users.new_users import Neighbourhood
from iredldap.operations.users.users import NewUser

ROWS = 100
"""Rows of a batch: with SSHA512 it holds its domains for some tenths of a second."""


@dataclass(frozen=True)
class Batches:
    """Brings about what rows of users want.

    Args:
        context: Where, and for whom.
        log: The change log.
        permit: Refuses a request that the caller may not make.
        of: Who asks, from where; its parameters do not count.
        job: Id of the background job.
        request_id: `X-Request-Id` of the request.
        dry_run: Whether nothing is changed.
        updates: Whether accounts that differ are changed.
        passwords: Whether they get the passwords, too.
        patience: Seconds for which a batch waits for its turn.
        check: Called between batches, and while one waits; raises to end the work.
        broken: Called with what is known of a batch that is broken off.
        busy: Names for which this run has waited in vain: it does not wait as long again.
    """

    context: Context
    log: ChangeLog
    permit: Callable[[Request], None]
    of: Request
    job: str = ""
    request_id: str = ""
    dry_run: bool = False
    updates: bool = False
    passwords: bool = False
    patience: float = 60.0
    check: Callable[[], None] = field(default=lambda: None)
    broken: Callable[[list[Outcome]], None] = field(default=lambda _: None)
    busy: set[str] = field(default_factory=set)

    def run(self, rows: Iterable[UserRow], size: int = ROWS) -> Iterator[list[Outcome]]:
        """Bring rows about; yield the outcomes of each batch, in order.

        Raises:
            ServerDown: If the directory or a database does not answer: what was done until then
                stays, and the same rows can be given again.
            ChangeLogUnavailable: If nothing can be recorded, and changes are refused then.
        """
        for batch in _cut(rows, size):
            self.check()
            one = _Batch(self, batch)
            try:
                outcomes = one.outcomes()
            except Refusal:
                self.broken(one.known())
                raise
            yield [outcomes[row.line] for row in batch]

    def taken(self, names: frozenset[str]) -> AbstractContextManager[None]:
        """Hold names during the block, as `gate.taken` does."""
        turn = Turn(self.context.outside.turns, names, self.patience, self.check)
        return taken(turn, self.busy)

    def turn(self, wanted: Request) -> Turn:
        """Return the turn of a request."""
        turns = self.context.outside.turns
        return Turn(turns, requests.domains(wanted), self.patience, self.check)


def _cut(rows: Iterable[UserRow], size: int) -> Iterator[list[UserRow]]:
    """Cut rows into batches in which no address is twice."""
    batch: list[UserRow] = []
    addresses = set[str]()
    for row in rows:
        own = {*row.addresses}
        if batch and (len(batch) == size or own & addresses):
            yield batch
            batch, addresses = [], set()
        batch.append(row)
        addresses |= own
    if batch:
        yield batch


@dataclass(frozen=True)
class _Added:
    """A row that is added together with others, and the log that they have in common."""

    row: UserRow
    wanted: Request
    buffer: LogBuffer
    addition: Addition

    @property
    def was_overtaken(self) -> bool:
        """Whether others came between: it is left for a call of its own."""
        return isinstance(self.addition.refusal, PreconditionFailed)


class _Batch:
    """One batch: what was found for it, and what becomes of its rows."""

    def __init__(self, batches: Batches, rows: Sequence[UserRow]) -> None:
        self._all = batches
        self._context = batches.context
        self._comparison = RowComparison(
            batches.context, batches.permit, batches.of, passwords=batches.passwords
        )
        self._rows = rows
        self._outcomes: dict[int, Outcome] = {}
        self._differing = set[int]()

    def outcomes(self) -> dict[int, Outcome]:
        """Do what the rows want; return what became of each, by line."""
        for row in self._rows:
            if row.refusal:
                self._refuse(row, row.refusal)
        rows = [row for row in self._rows if not row.refusal]
        if rows:
            self._lists = Lists(self._context, {mail for row in rows for mail in row.lists})
            for row in rows:
                try:
                    self._lists.require(row.lists, self._all.permit, self._all.of)
                except Refusal as refusal:
                    self._refuse(row, refusal)
            self._settle([row for row in rows if row.line not in self._outcomes])
            self._join([row for row in rows if self._outcomes[row.line].result != "refused"])
        return self._outcomes

    def _refuse(self, row: UserRow, refusal: Refusal) -> None:
        self._outcomes[row.line] = Outcome(row, "refused", refusal)

    def known(self) -> list[Outcome]:
        """Return what has become of rows so far."""
        return [self._outcomes[row.line] for row in self._rows if row.line in self._outcomes]

    def _settle(self, rows: Sequence[UserRow]) -> None:
        """Settle rows, domain by domain where one of them is held by others for too long."""
        try:
            self._settle_together(rows)
        except Busy as refusal:
            homes = dict.fromkeys(mail_names.domain_of(row.mail) for row in rows)
            for home in homes:
                own = [row for row in rows if mail_names.domain_of(row.mail) == home]
                if len(homes) > 1:
                    self._settle(own)
                else:
                    for row in own:
                        self._refuse(row, refusal)

    def _settle_together(self, rows: Sequence[UserRow]) -> None:
        """Create and compare in one turn; what is left for calls of their own comes after it."""
        wanted = {row.line: self._creation(row) for row in rows}
        names = frozenset[str]().union(*map(requests.domains, wanted.values()))
        added: list[_Added] = []
        if self._all.dry_run:
            later = self._in_turn(rows, wanted, names, added)
        else:
            failure: BaseException | None = None
            try:
                with self._all.taken(names), self._context.directory.change():
                    later = self._in_turn(rows, wanted, names, added)
            except BaseException as ex:
                failure = ex
                raise
            finally:
                # Only now they are confirmed, or known to be lost.
                self._end(added, failure)
        for row in later:
            self._alone(row, updates=row.line in self._differing)

    def _creation(self, row: UserRow) -> Request:
        return row.request(CREATE, row.parsed, self._all.of)

    def _in_turn(
        self,
        rows: Sequence[UserRow],
        wanted: Mapping[int, Request],
        held: frozenset[str],
        added: "list[_Added]",
    ) -> list[UserRow]:
        """Do what can be done together; return the rows that are left.

        `added` gets the additions, whose recordings are still open.
        """
        paths = {row.mail: row.parsed.value("maildir") or "" for row in rows}
        near = Neighbourhood(
            self._context,
            {row.mail: row.addresses for row in rows},
            {mail: path for mail, path in paths.items() if path},
        )
        later, additions = list[UserRow](), list[tuple[UserRow, Plan]]()
        for row in rows:
            try:
                existing = self._found(row, near)
                if existing is not None:
                    if self._compare(row, existing):
                        later.append(row)
                    continue
                plan = self._planned(row, wanted[row.line], near)
            except Refusal as refusal:
                self._refuse(row, refused(refusal))
                continue
            if self._all.dry_run:
                self._outcomes[row.line] = Outcome(row, "created", ignored=plan.ignored)
            elif is_addition(plan) and plan.touches <= held:
                additions.append((row, plan))
            else:
                later.append(row)
        if additions:
            buffer = LogBuffer(self._all.log)
            for row, plan in additions:
                asked = wanted[row.line]
                recording = Recording(buffer, self._logged(asked))
                added.append(_Added(row, asked, buffer, Addition(plan, recording)))
            add_all(self._context.directory, buffer, [one.addition for one in added])
        return [*later, *(one.row for one in added if one.was_overtaken)]

    def _found(self, row: UserRow, near: Neighbourhood) -> Entry | None:
        """Return the user of a row, if there is one.

        Raises:
            AmbiguousAccount: If there are several.
            PermissionDenied: If the caller may change none of that address.
        """
        try:
            return self._existing(near.holders.get(row.mail, ()), row.mail)
        except Refusal:
            self._all.permit(row.request(UPDATE, Parsed(), self._all.of))
            raise

    def _existing(self, found: Iterable[Entry], mail: str) -> Entry | None:
        """Return the user who has an address as their own.

        Raises:
            AmbiguousAccount: If several have.
        """
        directory, anywhere = self._context.directory, self._context.caller.is_global
        return finders.choose_account(directory, found, mail, "mailUser", anywhere=anywhere)

    def _planned(self, row: UserRow, wanted: Request, near: Neighbourhood) -> Plan:
        new: list[NewUser] = []

        def operation(context: Context, path: PathVariables, parsed: Parsed) -> Plan:
            new.append(new_users.whole_user(context, row.mail, parsed, near.around(row.mail)))
            return new[0].plan

        self._all.permit(wanted)
        plan = dispatch.plan(self._context, operation, wanted)
        near.reserve(new[0])
        return plan

    def _end(self, added: "Sequence[_Added]", failure: BaseException | None) -> None:
        """End the recordings of additions, and note what is there."""
        if not added:
            return
        noted: list[Request] = []
        end_all(self._context.directory, [one.addition for one in added], failure)
        for one in added:
            addition = one.addition
            if addition.is_there:
                noted.append(one.wanted)
                self._outcomes[one.row.line] = Outcome(
                    one.row, "created", ignored=addition.plan.ignored, change=addition.recording.id
                )
            elif addition.refusal and not one.was_overtaken:
                self._refuse(one.row, addition.refusal)
        added[0].buffer.flush_ends()
        AdminLog(self._context.outside.iredadmin).note_several(self._context.caller.address, noted)

    def _logged(self, wanted: Request) -> LoggedChange:
        return logged(
            wanted,
            self._context.caller.address,
            request_id=self._all.request_id,
            job=self._all.job,
        )

    def _compare(self, row: UserRow, existing: Entry) -> bool:
        """Compare an account with its row; return whether it is to be changed."""
        wanted, plan = self._comparison.planned(row, existing)
        differs = differing(plan, wanted.parsed)
        if not plan.steps:
            self._outcomes[row.line] = Outcome(row, "unchanged", ignored=plan.ignored)
        elif not self._all.updates:
            self._outcomes[row.line] = Outcome(row, "differs", differs=differs)
        elif self._all.dry_run:
            self._outcomes[row.line] = Outcome(row, "updated", differs=differs)
        else:
            self._differing.add(row.line)
            return True
        return False

    def _alone(self, row: UserRow, *, updates: bool) -> None:
        """Bring one row about as a call of its own."""
        wanted = row.request(UPDATE if updates else CREATE, row.parsed, self._all.of)
        planned: list[Plan] = []

        def make() -> Plan:
            plan = self._updated(row) if updates else self._created(wanted)
            planned[:] = [plan]
            return plan

        try:
            change = self._executed(wanted, make)
        except Refusal as refusal:
            self._refuse(row, refused(refusal))
            return
        (plan,) = planned
        result: Result = "updated" if updates else "created"
        differs = differing(plan, row.parsed) if updates else ()
        self._outcomes[row.line] = Outcome(
            row, result, differs=differs, ignored=plan.ignored, change=change
        )

    def _created(self, wanted: Request) -> Plan:
        self._all.permit(wanted)
        return dispatch.plan(self._context, new_users.create_whole, wanted)

    def _updated(self, row: UserRow) -> Plan:
        # Read anew: the turn of the batch is over.
        directory = self._context.directory
        found = directory.find(finders.account_query(directory, row.mail))
        existing = finders.require(self._existing(found, row.mail), "user", row.mail)
        return self._comparison.planned(row, existing)[1]

    def _executed(self, wanted: Request, make: Callable[[], Plan]) -> str:
        """Execute one plan as a change of its own; return its id in the log."""
        context = self._context
        with Recording(self._all.log, self._logged(wanted)) as recording:
            try:
                execute(context.directory, make, turn=self._all.turn(wanted), recording=recording)
            except Unanswered as ex:
                aftermath.result_of(recording.of(context.directory), ex)
        AdminLog(context.outside.iredadmin).note(context.caller.address, wanted)
        return recording.id

    def _join(self, rows: Sequence[UserRow]) -> None:
        """Make the memberships that are missing; of a dry run, only say which."""
        if any(row.lists for row in rows):
            self._outcomes |= self._lists.joined(
                [self._outcomes[row.line] for row in rows], self._all.of, self._refused
            )

    def _refused(self, joining: NewMembers) -> Refusal | None:
        """Add members to a list; return why not."""
        try:
            self._all.permit(joining.wanted)
            if not self._all.dry_run:
                self._executed(joining.wanted, partial(self._plan_joining, joining))
        except Refusal as refusal:
            return refused(refusal)
        return None

    def _plan_joining(self, joining: NewMembers) -> Plan:
        return dispatch.plan(self._context, joining.operation, joining.wanted)
