"""Answer reads and changes by the rows of endpoints, with entity tags and preferences."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from urllib.parse import quote, urlencode

import falcon

from iredldap.changes import aftermath
from iredldap.changes.apply import ChangeResult, Turn, execute, judge_state
from iredldap.changes.change_log import ChangeLog
from iredldap.changes.jobs import Jobs
from iredldap.changes.preview import Preview, preview
from iredldap.changes.recording import Recording
from iredldap.config.sections import Config
from iredldap.directory_errors import NotSupportedByDirectory, Unplaced
from iredldap.dit import request as requests
from iredldap.dit import token_scopes
from iredldap.dit.change_log import LoggedChange
from iredldap.dit.fields import Parsed
from iredldap.dit.logged_request import logged
from iredldap.dit.plan import Outside, Plan
from iredldap.dit.request import Request
from iredldap.errors import AlreadyExists, InvalidParameter, NoSuchChange, Refusal, raise_all
from iredldap.gateways.directory import Directory
from iredldap.gateways.ldap.errors import Unanswered
from iredldap.http_errors import NameTaken
from iredldap.operations import dispatch
from iredldap.operations.admin_log import AdminLog
from iredldap.operations.context import Context
from iredldap.operations.login import Caller
from iredldap.operations.outside_systems import OutsideSystems
from iredldap.operations.undo.logged import UNDO
from iredldap.operations.undo.undo import undo
from iredldap.undo_errors import AlreadyUndone, ChangedSince, NothingToUndo
from iredldap.web import forms
from iredldap.web.endpoints.endpoint import Endpoint
from iredldap.web.local_calls import progress_of
from iredldap.web.responses import Responses, listed, older_names
from iredldap.web.undoable import PermittedChanges

_HASHES = "userPassword"


@dataclass(frozen=True)
class Resource:
    """A resource: handlers of the methods of a path."""

    config: Config
    directory: Directory
    responses: Responses
    jobs: Jobs
    outside: OutsideSystems
    admin_log: AdminLog
    change_log: ChangeLog

    def show(self, request: falcon.Request, response: falcon.Response, **_: str) -> None:
        """Answer a read by its endpoint's row; with 304 if the client has the current state."""
        context = request.context
        answer = context.endpoint.read(self.context(request), context.names, context.parsed)
        if answer.state:
            response.etag = answer.state
            known = forms.states(request.get_header("If-None-Match"), weakly=True)
            if answer.cacheable and answer.state in known:
                response.status = 304
                return
        returns_data = context.endpoint.returns is not None
        self.responses.done(response, answer.data, read=returns_data)

    def context(self, request: falcon.Request) -> Context:
        """Return the context of a request."""
        caller = request.context.caller
        config = _config_for(self.config, caller)
        changes = PermittedChanges(self.change_log, self.config.accounts.default_transport)
        return Context(self.directory, config, caller, self.outside, changes)

    def change(self, request: falcon.Request, response: falcon.Response, **_: str) -> None:
        """Execute a change under the conditions of the request, and answer.

        A client that prefers not to wait gets a job, after all checks; one that asks for a dry run
        gets what the change would do.

        Args:
            request: The request; the row of its endpoint has an operation.
            response: The answer.

        Raises:
            PreconditionFailed: If the entry is not in a state named by `If-Match`.
            NameTaken: If it exists, against `If-None-Match: *`.
            InvalidParameter: If values would be ignored and the client prefers strictness.
            NotSupportedByDirectory: If parameters have no place in the directory.
        """
        has_state = dispatch.changes_an_entry(request.context.endpoint.id)
        if_match = forms.states(request.get_header("If-Match")) if has_state else ()
        wanted = self.asked(request, if_match)
        context = self.context(request)
        note = partial(self.admin_log.note, context.caller.address, wanted)
        only_new = "*" in forms.states(request.get_header("If-None-Match"))
        checked = partial(self._plan, request, context, wanted, only_new=only_new)
        try:
            if request.context.dry_run:
                sees = context.caller.manages_place
                shown = preview(self.directory, checked, if_match, sees=sees)
                self._show_plan(request, response, shown)
            elif forms.is_asynchronous(request):
                plan = checked()
                judge_state(plan, if_match)
                self._promise(request, response, dispatch.sealed(context, wanted), plan)
            elif self._is_finished(request, context):
                # The first request made the change, and its answer was lost.
                response.set_header("X-Change-Id", request.context.earlier.id)
                self._done(request, response, ChangeResult(None))
            else:
                turn = Turn(self.outside.turns, requests.domains(wanted))
                # The recording ends when the result is known, so that the log has the same one.
                with self.recording(request, response, wanted) as recording:
                    try:
                        outcome = execute(
                            self.directory,
                            checked,
                            if_match,
                            begin=progress_of(request),
                            turn=turn,
                            recording=recording,
                        )
                    except Unanswered as ex:
                        directory = recording.of(self.directory)
                        # Until a failover is over, others may have made the same change.
                        states = if_match if self.config.ldap.is_agreed else ()
                        outcome = aftermath.result_of(directory, ex, states)
                note()
                self._done(request, response, outcome)
        except AlreadyExists as refusal:
            if only_new:
                raise NameTaken(refusal.detail) from refusal
            raise
        except Refusal as refusal:
            if refusal.report and "done" in refusal.report:
                note(refusal)
            raise

    def _is_finished(self, request: falcon.Request, context: Context) -> bool:
        """Return whether an earlier request with the same `Idempotency-Key` made the change.

        What one has created that did not come to its end is taken back: else the creation would be
        refused, because the account exists. All other changes can be made again.

        Raises:
            Refusal: That of the undo.
        """
        earlier: LoggedChange | None = request.context.get("earlier")
        if earlier is None:
            return False
        if earlier.result == "done":
            return True
        if request.context.endpoint.id.endswith("_create"):
            wanted = Request(UNDO, {"id": earlier.id}, client=request.context.client)
            make = partial(dispatch.plan, context, undo, wanted)
            change = logged(wanted, context.caller.address, request_id=request.context.id)
            with (
                suppress(AlreadyUndone, ChangedSince, NoSuchChange, NothingToUndo),
                Recording(self.change_log, change) as recording,
            ):
                turn = Turn(self.outside.turns, frozenset())
                execute(self.directory, make, turn=turn, recording=recording)
        return False

    def _plan(
        self, request: falcon.Request, context: Context, wanted: Request, *, only_new: bool
    ) -> Plan:
        """Make the plan of a request, under the conditions that do not depend on its execution."""
        strict = request.context.strict
        plan = dispatch.plan(context, request.context.endpoint.operation, wanted)
        if only_new and plan.state:
            raise NameTaken(plan.named)
        if plan.unplaced and strict:
            raise NotSupportedByDirectory(unplaced=plan.unplaced)
        if plan.ignored and strict:
            raise_all(_refusals_of_ignored(wanted.parsed, plan.ignored))
        return plan

    def asked(self, request: falcon.Request, if_match: tuple[str, ...] = ()) -> Request:
        """Return what was sent as a value; `if_match` are the states of `If-Match`."""
        context = request.context
        return Request(
            context.endpoint.id,
            context.names,
            context.parsed,
            if_match=if_match,
            client=context.client,
            older_names=older_names(request),
            token=context.caller.token.id if context.caller.token else "",
        )

    @contextmanager
    def recording(
        self, request: falcon.Request, response: falcon.Response, wanted: Request
    ) -> Iterator[Recording]:
        """Record a change in the change log, during the block; the answer names it."""
        admin = request.context.caller.address
        number = request.context.get("change_id")
        change = logged(wanted, admin, request_id=request.context.id, number=number)
        recording = Recording(self.change_log, change)
        try:
            with recording:
                yield recording
        finally:
            _name_change(response, recording)

    def note(self, request: falcon.Request) -> None:
        """Write what was sent to the admin log."""
        self.admin_log.note(request.context.caller.address, self.asked(request))

    def _done(
        self, request: falcon.Request, response: falcon.Response, outcome: ChangeResult
    ) -> None:
        if outcome.state and request.method != "DELETE":
            response.etag = outcome.state
        name_ignored(response, outcome.ignored)
        name_unplaced(request, response, outcome.unplaced)
        _name_others(response, outcome)
        if request.context.endpoint.returns is None:
            self.responses.done(response)
        else:
            left = [one.as_json() for one in outcome.left]
            self.responses.done(response, {"left_alone": left}, read=True)

    def _show_plan(
        self, request: falcon.Request, response: falcon.Response, shown: Preview
    ) -> None:
        plan = shown.plan
        if plan.state:
            response.etag = plan.state
        name_ignored(response, plan.ignored)
        name_unplaced(request, response, plan.unplaced)
        _name_others(response, plan)
        self.responses.done(response, shown.as_json(), read=True)

    def show_trial(
        self,
        request: falcon.Request,
        response: falcon.Response,
        meaning: str,
        work: Callable[[], object],
    ) -> None:
        """Answer with what work outside the directory would do; nothing is changed.

        Raises:
            Refusal: That of the work.
        """
        plan = Plan("", (Outside(meaning, work),))
        self._show_plan(request, response, preview(self.directory, lambda: plan))

    def _promise(
        self,
        request: falcon.Request,
        response: falcon.Response,
        wanted: Request,
        plan: Plan,
    ) -> None:
        self.promise(request, response, wanted)
        name_ignored(response, plan.ignored)
        name_unplaced(request, response, plan.unplaced)
        _name_others(response, plan)

    def promise(self, request: falcon.Request, response: falcon.Response, wanted: Request) -> None:
        """Accept a request as a job, and answer with its id; `wanted` has no clear password.

        Raises:
            TooManyRequests: If too many jobs of the caller wait already.
        """
        job = self.jobs.accept(request.context.caller.address, wanted)
        response.status = 202
        response.location = f"{request.root_path}/api/jobs/{job}"
        response.set_header("Preference-Applied", "respond-async")
        response.set_header("Retry-After", "1")
        self.responses.done(response, {"job": job}, read=True)


def _config_for(config: Config, caller: Caller) -> Config:
    """Return the configuration for a caller: no token without the scope for it is shown hashes."""
    if caller.may(token_scopes.HASHES):
        return config
    users, admins = config.api.api_hidden_user_profiles, config.api.api_hidden_admin_profiles
    api = replace(
        config.api,
        api_hidden_user_profiles=(*users, _HASHES),
        api_hidden_admin_profiles=(*admins, _HASHES),
    )
    return replace(config, api=api)


def _refusals_of_ignored(parsed: Parsed, ignored: tuple[str, ...]) -> list[InvalidParameter]:
    """Return a refusal for each parameter whose values would be ignored; at least one."""
    words, values = f"would be ignored: {', '.join(ignored)[:200]}", {*ignored}
    changes = (change for change in parsed.changes if values.intersection(change.values))
    parameters = dict.fromkeys(change.field.name for change in changes)
    return [InvalidParameter(words, parameter=name) for name in parameters or (None,)]


class RowResource:
    """Handlers of the methods of one path, made from the rows of its endpoints."""

    def __init__(self, shared: Resource, endpoints: Iterable[Endpoint]) -> None:
        for endpoint in endpoints:
            handler = shared.change if endpoint.operation else shared.show
            setattr(self, f"on_{endpoint.method.lower()}", handler)


class ReadingAlone:
    """The handler of GET of a resource alone."""

    def __init__(self, resource: object) -> None:
        self.on_get = getattr(resource, "on_get")  # noqa: B009


def link_next(request: falcon.Request, response: falcon.Response, cursor: str) -> None:
    """Lead to the next page in headers, by a cursor that a header can carry."""
    response.set_header("X-Next-Cursor", cursor)
    response.set_header("Link", f'<{_with_cursor(request, cursor)}>; rel="next"')


def _with_cursor(request: falcon.Request, cursor: str) -> str:
    """Return the request for the page after a key, as a relative reference."""
    # From what was read, not from what was sent: an unknown parameter would be reported on every
    # page.
    given = request.context.endpoint.given
    changes = (one for one in request.context.parsed.changes if one not in given)
    sent = {change.field.name: ",".join(change.values) for change in changes}
    return f"{quote(request.root_path + request.path)}?{urlencode(sent | {'cursor': cursor})}"


def name_ignored(response: falcon.Response, values: tuple[str, ...]) -> None:
    """Name the values in a header that were sent and ignored."""
    if values:
        response.set_header("X-Ignored-Values", listed(values))


def name_unplaced(request: falcon.Request, response: falcon.Response, unplaced: Unplaced) -> None:
    """Name the ignored parameters in a header, with those that the schema has no attribute for.

    Without any of the latter the middleware has named the others already.
    """
    if unplaced:
        sent_as = older_names(request)
        names = requests.names_sent(sent_as, (parameter for parameter, _ in unplaced))
        ignored = (*request.context.parsed.unknown, *names)
        response.set_header("X-Ignored-Parameters", listed(ignored))


def _name_change(response: falcon.Response, recording: Recording) -> None:
    """Name the change in headers; `X-Change-Log` where the log does not have it yet."""
    if recording.id:
        response.set_header("X-Change-Id", recording.id)
    if recording.fault:
        response.set_header("X-Change-Log", "late")


def _name_others(response: falcon.Response, done: Plan | ChangeResult) -> None:
    """Name others in headers: who shares the mailbox, or was a member before a list was added."""
    if done.shared_with:
        response.set_header("X-Shared-Mailbox", listed(done.shared_with))
    if done.kept:
        response.set_header("X-Kept-Members", listed(done.kept))
