"""Endpoints of jobs, documents and health."""

from iredldap.dit import job_query
from iredldap.web.endpoints.endpoint import Endpoint, Load

SERVICE: tuple[Endpoint, ...] = (
    Endpoint(
        id="jobs_list",
        method="GET",
        path="/api/jobs",
        auth=("admin",),
        summary="List changes that were sent with `Prefer: respond-async`, the newest first: to"
        " global admins all, to others their own; for a week after they ended.",
        table=job_query.JOBS,
        returns="Of each what reading one returns, without changes.",
        shape="Jobs",
        era="ours",
    ),
    Endpoint(
        id="job_get",
        method="GET",
        path="/api/jobs/{id}",
        auth=("admin",),
        summary="Read the state of a change that was sent with `Prefer: respond-async`. Global"
        " admins may read any, other admins their own; for a week after it ended.",
        errors=("NO_SUCH_JOB",),
        returns="id; status: queued, running, done or failed; node: whose worker runs it, or ran it"
        " last; done and total: entries and single"
        " steps, total is null until they have been counted; failures: entries that the directory"
        " refused to change; code and report of a failed one, as its answer would have had them in"
        " _msg and _data, and under failed the DN and code of each of those entries; of one that"
        " waits for a system that does not respond the report has waiting: its code, since and"
        " until when it is tried again; changes: the ids of what it has written in the change log,"
        " one for each run, null while the log does not respond; created and finished, in UTC.",
        shape="Job",
        era="ours",
    ),
    Endpoint(
        id="openapi",
        method="GET",
        path="/openapi.json",
        auth=("anonymous",),
        summary="Return this API as an OpenAPI 3.1 document.",
        bare=("application/json",),
        era="ours",
    ),
    Endpoint(
        id="reference",
        method="GET",
        path="/docs",
        auth=("anonymous",),
        summary="That document as a page, on which one can log in and try each call.",
        bare=("text/html",),
        era="ours",
    ),
    Endpoint(
        id="reference_file",
        method="GET",
        path="/docs/{file}",
        auth=("anonymous",),
        summary="A script or style sheet of the page.",
        errors=("NO_SUCH_ROUTE",),
        bare=("text/javascript", "text/css"),
        era="ours",
    ),
    Endpoint(
        id="livez",
        method="GET",
        path="/livez",
        auth=("anonymous",),
        summary="Report whether the process answers.",
        era="ours",
        load=Load.LIVE,
    ),
    Endpoint(
        id="readyz",
        method="GET",
        path="/readyz",
        auth=("anonymous",),
        summary="Report whether the directory answers and the state database and change log can be"
        " written; of several nodes, whether this one is worse than the others.",
        errors=("SERVER_DOWN",),
        era="ours",
        load=Load.PROBE,
    ),
)
