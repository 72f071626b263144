"""Make single changes as calls of their own: rights, turns, limits, checks, logs."""

from collections.abc import Callable
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
from iredldap.errors import ChangeLogUnavailable, InvalidParameter, ServerDown, raise_all
from iredldap.gateways.ldap.errors import Unanswered
from iredldap.operations import dispatch
from iredldap.operations.admin_log import AdminLog
from iredldap.operations.context import Context

FATAL = (ServerDown, ChangeLogUnavailable)
"""Refusals that say nothing about a line: all that follow would get them."""


def strictly(table: Table, form: Form) -> Parsed:
    """Read a form, as a request under strict handling is.

    Raises:
        Malformed: One for each parameter that is malformed, or unknown.
    """
    parsed = parse(table, form)
    raise_all([InvalidParameter("not known", parameter=name) for name in parsed.unknown])
    return parsed


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
        turn = Turn(self.context.outside.turns, requests.domains(wanted), self.patience, self.check)
        change = logged(wanted, caller.address, request_id=self.request_id, job=self.job)
        with Recording(self.log, change) as recording:
            try:
                execute(directory, plan, wanted.if_match, turn=turn, recording=recording)
            except Unanswered as ex:
                aftermath.result_of(recording.of(directory), ex)
        if planned[0].steps:
            AdminLog(self.context.outside.iredadmin).note(caller.address, wanted)
        return Made(planned[0])
