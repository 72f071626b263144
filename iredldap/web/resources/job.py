"""`/api/jobs` and `/api/jobs/{id}`: the state of changes in the background."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import falcon
import structlog

from iredldap.errors import NoSuchJob, ServerDown
from iredldap.gateways.change_store import ChangeFilter
from iredldap.gateways.state import Job, JobFilter
from iredldap.operations.login import Caller
from iredldap.web.resources.base import Resource, link_next

_MOST_CHANGES = 100
"""Changes of a job that its status names; it has one for each run."""

_PAGE = 100

log = structlog.get_logger("iredldap.jobs")


class JobsResource(Resource):
    """The jobs that the caller may see."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        parsed = request.context.parsed
        size = int(parsed.value("limit") or 0) or _PAGE
        wanted = replace(
            _visible(request.context.caller),
            status=parsed.value("status") or "",
            before=parsed.value("cursor") or "",
        )
        page = self.jobs.latest(wanted, size + 1)
        if len(page) > size:
            link_next(request, response, page[size - 1].id)
        self.responses.done(response, [_shown(job) for job in page[:size]], read=True)


class JobResource(Resource):
    """One job."""

    def on_get(self, request: falcon.Request, response: falcon.Response, id: str) -> None:  # noqa: A002
        caller, job = request.context.caller, self.jobs.find(id)
        # The same answer: whether the job of another admin exists is not shown.
        if job is None or not _may_see(caller, job):
            raise NoSuchJob(id[:80])
        if job.finished is None:
            response.set_header("Retry-After", "1")
        shown = _shown(job) | {"changes": self._changes(job)}
        self.responses.done(response, shown, read=True)

    def _changes(self, job: Job) -> list[str] | None:
        """Return the ids of a job's changes, the oldest first; None: the log does not respond.

        Each run of a job is a change of its own.
        """
        try:
            found = self.change_log.store.find(ChangeFilter(job=job.id), _MOST_CHANGES)
        except ServerDown as ex:
            log.warning("changes of a job", job=job.id, detail=ex.detail)
            return None
        return [change.id for change in reversed(found)]


def _visible(caller: Caller) -> JobFilter:
    """Return which jobs a caller may see, as `_may_see` judges one."""
    if caller.token and caller.is_limited:
        return JobFilter(token=caller.token.id)
    return JobFilter(owner=None if caller.is_global else caller.address)


def _may_see(caller: Caller, job: Job) -> bool:
    """Return whether a job is the caller's: of a token limited to domains, one of that token."""
    if caller.token and caller.is_limited:
        return job.id.startswith(f"{caller.token.id}.")
    return caller.is_global or job.owner == caller.address


def _shown(job: Job) -> dict[str, object]:
    return {
        "id": job.id,
        "status": job.status,
        "node": job.node,
        "done": job.done,
        "total": job.total,
        "failures": job.failures,
        "code": job.code,
        "report": json.loads(job.report) if job.report else None,
        "created": _time(job.created),
        "finished": None if job.finished is None else _time(job.finished),
    }


def _time(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
