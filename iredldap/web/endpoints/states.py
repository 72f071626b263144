"""The endpoints of a desired state."""

from iredldap.dit import states
from iredldap.web.endpoints.endpoint import Endpoint, Load

APPLY = "state_apply"
NDJSON = "application/x-ndjson"

STATES: tuple[Endpoint, ...] = (
    Endpoint(
        id="state_get",
        method="GET",
        path="/api/snapshot",
        auth=("admin",),
        # Each kind needs the scope that reads it.
        token_scopes=(),
        summary="Write domains, accounts, admins and policies as lines of JSON, each with its"
        " `kind`, its address, domain or `target`, its `id`, and what a request would set: what"
        " [`apply`](gitops.md) makes so again. The first line has kind `snapshot`, and says which"
        " `domains` and `kinds` the others cover. Sorted, and the same bytes for the same state.",
        table=states.SNAPSHOT,
        errors=("NO_SUCH_ACCOUNT", "PERMISSION_DENIED", "MLMMJADMIN_UNAVAILABLE"),
        bare=(NDJSON,),
        era="ours",
        load=Load.DOWNLOAD,
    ),
    Endpoint(
        id=APPLY,
        method="POST",
        path="/api/apply",
        auth=("admin",),
        # Each line needs those of the calls that it stands for.
        token_scopes=(),
        summary="Make domains, accounts, admins and policies what the lines of a state say. Only"
        " what differs is changed, each thing by a change that is judged, logged and undone as a"
        " call of its own; a second time nothing is left to do. The body is the file, or a"
        " multipart form with it; the parameters are in the query string.",
        table=states.APPLY,
        errors=("INVALID_FILE", "BODY_TOO_LARGE"),
        returns="How many things were `created`, `renamed`, `updated`, `deleted`, `unchanged` or"
        " `refused`, and their sum but for the last two, `changes`; `refusals` by line, with code"
        " and parameters, and as `result` what was done before; `pruning_left_out`: nothing was"
        " deleted, because of these; `changed` things with what differs, as it is and as it is"
        " wanted; with `dry_run` their change records as `ldif`. A job has it as its report.",
        shape="Apply",
        era="ours",
        takes_file=True,
        file_type=NDJSON,
        promises=True,
        load=Load.UPLOAD,
    ),
)
