"""Make single changes as calls of their own: rights, turns, limits, checks, logs."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from iredldap.changes import aftermath
from iredldap.changes.apply import Turn, execute
from iredldap.changes.change_log import ChangeLog
from iredldap.changes.preview import Preview, preview
from iredldap.changes.recording import Recording
from iredldap.desired.calls import Calls
from iredldap.dit import request as requests
from iredldap.dit.fields import Form, Parsed, Table
from iredldap.dit.form_parser import parse
from iredldap.dit.logged_request import logged
from iredldap.dit.plan import Plan
from iredldap.dit.request import Request
from iredldap.errors import (
    ChangeLogUnavailable,
    InvalidParameter,
    Refusal,
    ServerDown,
    raise_all,
)
from iredldap.gateways.ldap.errors import Unanswered
from iredldap.gateways.locks import Busy
from iredldap.operations import dispatch
from iredldap.operations.admin_log import AdminLog
from iredldap.operations.context import Context

_FATAL = (ServerDown, ChangeLogUnavailable)
"""Refusals that say nothing about a line: all that follow would get them."""


_BRIEF = 1.0
_SLICE = 5.0
"""Seconds between two checks while a turn is waited for."""


def refused(refusal: Refusal) -> Refusal:
    """Return a refusal that is about one line.

    Raises:
        ServerDown, ChangeLogUnavailable: If it is one that all that follow would get. Others may
            hold one domain for long, which says nothing about the rest.
    """
    if isinstance(refusal, _FATAL) and not isinstance(refusal, Busy):
        raise refusal
    return refusal


def patience_for(names: Collection[str], busy: Collection[str], seconds: float) -> float:
    """Return for how long a turn is waited for: briefly, where that was in vain before.

    A domain that others hold for long would hold up each of thousands of lines otherwise.
    """
    return min(seconds, _BRIEF) if {*names} & {*busy} else seconds


@contextmanager
def taken(turn: Turn, busy: set[str]) -> Iterator[None]:
    """Hold the names of a turn during the block, as a change does.

    Args:
        turn: Its check is called while it waits.
        busy: Names for which it was waited in vain; these become some of them.

    Raises:
        Busy: If others hold one of them for longer than the patience.
    """
    until = time.monotonic() + patience_for(turn.names, busy, turn.patience)
    with ExitStack() as stack:
        while True:
            left = max(0.0, until - time.monotonic())
            try:
                stack.enter_context(turn.turns.take(turn.names, min(left, _SLICE)))
            except Busy:
                if left <= _SLICE:
                    busy.update(turn.names)
                    raise
                turn.check()
            else:
                break
        yield


def strictly(table: Table, form: Form) -> Parsed:
    """Read a form, as a request under strict handling is.

    Raises:
        Malformed: One for each parameter that is malformed, or unknown.
    """
    parsed = parse(table, form)
    refuse_unknown(parsed.unknown)
    return parsed


def refuse_unknown(names: Iterable[str]) -> None:
    """Refuse parameters that a call does not have.

    Raises:
        InvalidParameter: One for each of them.
    """
    raise_all([InvalidParameter("not known", parameter=name) for name in sorted(names)])


@dataclass(frozen=True)
class Made:
    """A change that was made, or tried: its plan, and what it would do where it was tried."""

    plan: Plan
    shown: Preview | None = None

    @property
    def wrote(self) -> bool:
        """Return whether there was something to do."""
        return bool(self.plan.steps)


@dataclass(frozen=True)
class Gate:
    """Makes changes one by one.

    Args:
        context: Where, and for whom.
        log: The change log.
        calls: The calls of the API.
        of: Who asks, from where; its parameters do not count.
        job: Id of the background job.
        request_id: `X-Request-Id` of the request.
        dry_run: Whether nothing is changed.
        patience: Seconds for which a change waits for its turn.
        check: Called while it waits; raises to end the work.
        busy: Names for which this run has waited in vain: it does not wait as long again.
    """

    context: Context
    log: ChangeLog
    calls: Calls
    of: Request
    job: str = ""
    request_id: str = ""
    dry_run: bool = False
    patience: float = 60.0
    check: Callable[[], None] = field(default=lambda: None)
    busy: set[str] = field(default_factory=set)

    def asked(
        self,
        endpoint: str,
        names: dict[str, str],
        form: Form | None = None,
        further: Table = (),
        if_match: tuple[str, ...] = (),
        *,
        requires: bool = True,
    ) -> Request:
        """Return the request of a call, strictly read.

        Args:
            endpoint: Id of the call.
            names: The variables of its path.
            form: Its parameters.
            further: Rows beside those of the call.
            if_match: States of which the entry must have one.
            requires: Whether required parameters must be there.

        Raises:
            Malformed: One for each parameter that the call would refuse or ignore.
        """
        table = (*self.calls.tables[endpoint], *further)
        if not requires:
            table = tuple(row.but(required=False) for row in table)
        return Request(
            endpoint,
            names,
            strictly(table, form or {}),
            if_match,
            client=self.of.client,
            token=self.of.token,
        )

    def make(self, wanted: Request) -> Made:
        """Make a change, or try it.

        Raises:
            Refusal: As the call.
        """
        planned: list[Plan] = []

        def plan() -> Plan:
            self.calls.permit(wanted)
            operation = self.calls.operations[wanted.endpoint]
            planned[:] = [dispatch.plan(self.context, operation, wanted)]
            return planned[0]

        directory, caller = self.context.directory, self.context.caller
        if self.dry_run:
            shown = preview(directory, plan, wanted.if_match, sees=caller.manages_place)
            return Made(shown.plan, shown)
        names = requests.domains(wanted)
        patience = patience_for(names, self.busy, self.patience)
        turn = Turn(self.context.outside.turns, names, patience, self.check)
        change = logged(wanted, caller.address, request_id=self.request_id, job=self.job)
        with Recording(self.log, change) as recording:
            try:
                execute(directory, plan, wanted.if_match, turn=turn, recording=recording)
            except Busy:
                self.busy.update(names)
                raise
            except Unanswered as ex:
                aftermath.result_of(recording.of(directory), ex)
        if planned[0].steps:
            AdminLog(self.context.outside.iredadmin).note(caller.address, wanted)
        return Made(planned[0])
