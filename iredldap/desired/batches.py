"""Bring about what rows want, batch by batch: each row as a call of its own would be judged.

A batch holds the domains that it mentions, and releases them before the next one, so that other
calls get their turn. What its rows depend on is searched for together, additions are sent without
waiting for one another, and logs are written in one transaction. Rights, limits, rechecks and
records are those of single calls; whatever is no plain addition is made by one.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

from iredldap import finders
from iredldap.changes import aftermath
from iredldap.changes.apply import Turn, execute
from iredldap.changes.change_log import ChangeLog
from iredldap.changes.recording import Recording
from iredldap.changes.together.additions import Addition, add_all, is_addition
from iredldap.changes.together.log_buffer import LogBuffer
from iredldap.desired.comparison import RowComparison, differing
from iredldap.desired.memberships import Lists, NewMembers, refused_by
from iredldap.desired.rows import CREATE, UPDATE, Outcome, Result, UserRow
from iredldap.dit import request as requests
from iredldap.dit.change_log import LoggedChange
from iredldap.dit.entry import Entry
from iredldap.dit.fields import Parsed
from iredldap.dit.logged_request import logged
from iredldap.dit.plan import Plan
from iredldap.dit.request import Request
from iredldap.errors import (
    ChangeLogUnavailable,
    PreconditionFailed,
    Refusal,
    ServerDown,
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

_SLICE = 5.0
"""Seconds between two checks while a batch waits for its turn."""

_FATAL = (ServerDown, ChangeLogUnavailable)
"""Refusals that say nothing about a row: all that follow would get them."""


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

    def run(self, rows: Iterable[UserRow], size: int = ROWS) -> Iterator[list[Outcome]]:
        """Bring rows about; yield the outcomes of each batch, in order.

        Raises:
            ServerDown: If the directory or a database does not answer: what was done until then
                stays, and the same rows can be given again.
            ChangeLogUnavailable: If nothing can be recorded, and changes are refused then.
        """
        for batch in _cut(rows, size):
            self.check()
            outcomes = _Batch(self, batch).outcomes()
            yield [outcomes[row.line] for row in batch]

    @contextmanager
    def taken(self, names: Iterable[str]) -> Iterator[None]:
        """Hold names during the block, as a change does; `check` is called while it waits.

        Raises:
            Busy: If others hold one of them for longer than the patience.
        """
        until = time.monotonic() + self.patience
        with ExitStack() as stack:
            while True:
                left = max(0.0, until - time.monotonic())
                try:
                    stack.enter_context(self.context.outside.turns.take(names, min(left, _SLICE)))
                except Busy:
                    if left <= _SLICE:
                        raise
                    self.check()
                else:
                    break
            yield

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
        self._noted: list[Request] = []
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

    def _settle(self, rows: Sequence[UserRow]) -> None:
        """Create and compare in one turn; what is left for calls of their own comes after it."""
        wanted = {row.line: self._creation(row) for row in rows}
        names = frozenset[str]().union(*map(requests.domains, wanted.values()))
        if self._all.dry_run:
            later = self._in_turn(rows, wanted, names)
        else:
            with self._all.taken(names), self._context.directory.change():
                later = self._in_turn(rows, wanted, names)
        AdminLog(self._context.outside.iredadmin).note_several(
            self._context.caller.address, self._noted
        )
        for row in later:
            self._alone(row, updates=row.line in self._differing)

    def _creation(self, row: UserRow) -> Request:
        return row.request(CREATE, row.parsed, self._all.of)

    def _in_turn(
        self, rows: Sequence[UserRow], wanted: Mapping[int, Request], held: frozenset[str]
    ) -> list[UserRow]:
        """Do what can be done together; return the rows that are left."""
        paths = {row.mail: row.parsed.value("maildir") or "" for row in rows}
        near = Neighbourhood(
            self._context,
            {row.mail: row.addresses for row in rows},
            {mail: path for mail, path in paths.items() if path},
        )
        later, additions = list[UserRow](), list[tuple[UserRow, Plan]]()
        for row in rows:
            try:
                existing = self._existing(near.holders.get(row.mail, ()), row.mail)
                if existing is not None:
                    if self._compare(row, existing):
                        later.append(row)
                    continue
                plan = self._planned(row, wanted[row.line], near)
            except _FATAL:
                raise
            except Refusal as refusal:
                self._refuse(row, refusal)
                continue
            if self._all.dry_run:
                self._outcomes[row.line] = Outcome(row, "created", ignored=plan.ignored)
            elif is_addition(plan) and plan.touches <= held:
                additions.append((row, plan))
            else:
                later.append(row)
        return [*later, *self._add(additions, wanted)]

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

    def _add(
        self, planned: Sequence[tuple[UserRow, Plan]], wanted: Mapping[int, Request]
    ) -> list[UserRow]:
        """Add users; return the rows that others came between."""
        if not planned:
            return []
        buffer = LogBuffer(self._all.log)
        additions = [
            Addition(plan, Recording(buffer, self._logged(wanted[row.line])))
            for row, plan in planned
        ]
        failure: BaseException | None = None
        again: list[UserRow] = []
        try:
            add_all(self._context.directory, buffer, additions)
        except BaseException as ex:
            failure = ex
            raise
        finally:
            for (row, plan), addition in zip(planned, additions, strict=True):
                error = addition.refusal or failure
                addition.recording.__exit__(type(error) if error else None, error, None)
                if isinstance(addition.refusal, PreconditionFailed):
                    again.append(row)
                elif addition.refusal:
                    self._refuse(row, addition.refusal)
                else:
                    self._noted.append(wanted[row.line])
                    self._outcomes[row.line] = Outcome(
                        row, "created", ignored=plan.ignored, change=addition.recording.id
                    )
            buffer.flush_ends()
        return again

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
        except _FATAL:
            raise
        except Refusal as refusal:
            self._refuse(row, refusal)
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
        wanted = {row.mail: row.lists for row in rows if row.lists}
        if not wanted:
            return
        by_mail = {row.mail: row for row in rows}
        for name, members in self._lists.lacking(wanted).items():
            joining = self._lists.request(name, members, self._all.of)
            try:
                self._all.permit(joining.wanted)
                if not self._all.dry_run:
                    self._executed(joining.wanted, partial(self._plan_joining, joining))
            except _FATAL:
                raise
            except Refusal as refusal:
                for mail in members:
                    self._refuse(by_mail[mail], refused_by(joining, refusal))
                continue
            for mail in members:
                self._joined(by_mail[mail], name)

    def _plan_joining(self, joining: NewMembers) -> Plan:
        return dispatch.plan(self._context, joining.operation, joining.wanted)

    def _joined(self, row: UserRow, name: str) -> None:
        before = self._outcomes[row.line]
        if before.result == "refused":
            return
        result = "updated" if before.result == "unchanged" else before.result
        self._outcomes[row.line] = replace(before, result=result, joined=(*before.joined, name))
