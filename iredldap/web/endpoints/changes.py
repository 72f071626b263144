"""Endpoints of the change log."""

from iredldap.dit import change_query
from iredldap.operations.undo.undo import undo
from iredldap.web.endpoints.endpoint import LISTS_DOWN, NAMING, Endpoint, Load

NDJSON = "application/x-ndjson"

CHANGES: tuple[Endpoint, ...] = (
    Endpoint(
        id="changes_find",
        method="GET",
        path="/api/changes",
        auth=("admin",),
        summary="List changes, the newest first: to global admins all, to others what happened in"
        " their domains.",
        table=change_query.CHANGES,
        returns="For each change id, time, admin, endpoint, result, and what else reading one"
        " returns; in touched up to 20 entries or rows that match, and in more whether there are"
        " others. As a stream, by `Accept: application/x-ndjson`, each change is a line, and"
        " without limit there are all.",
        shape="Changes",
        bare=(NDJSON,),
        era="ours",
        load=Load.HEAVY,
    ),
    Endpoint(
        id="change_get",
        method="GET",
        path="/api/changes/{id}",
        auth=("admin",),
        summary="Read a change, with everything that it touched.",
        errors=("NO_SUCH_CHANGE",),
        returns="id; time, in UTC; admin, token, client, request (its `X-Request-Id`) and job;"
        " endpoint, account, domain and parameters; steps of the plan; result: open, done, broken"
        " off, or unconfirmed after the death of a worker; codes of the refusal; duration_ms;"
        " entries: how many were touched; undoes: the change that it takes back. touched: for each"
        " entry its event (add, modify, delete, rename), dn, new_dn, uuid, state before and after,"
        " and for each attribute the values that were removed and added; for rows of other systems"
        " these before and after. Admins of domains see of other domains' requests only what it"
        " touched in theirs. Passwords are never shown.",
        shape="Change",
        era="ours",
        load=Load.HEAVY,
    ),
    Endpoint(
        id="change_undo",
        method="POST",
        path="/api/changes/{id}/undo",
        auth=("admin",),
        summary="Undo a change, with the rights that the change itself needs. What others have"
        " changed since is left alone and named. An account that comes back has its old DN,"
        " password and references, but a new entryUUID. The undo is a change itself, and can be"
        " undone.",
        errors=(
            *NAMING,
            LISTS_DOWN,
            "PERMISSION_DENIED_UPDATE_GLOBAL_ADMIN_PROFILE",
            "NO_SUCH_CHANGE", "CHANGE_UNFINISHED", "ALREADY_UNDONE", "CHANGED_SINCE",
            "NOTHING_TO_UNDO", "SECRET_NOT_KEPT", "MAILBOX_REMOVED", "ALREADY_EXISTS",
            "CAN_NOT_BE_LOCAL_DOMAIN", "NOT_ALLOWED", "EXCEEDED_DOMAIN_ACCOUNT_LIMIT",
            "EXCEEDED_DOMAIN_QUOTA_SIZE",
        ),
        returns="left_alone: what others have changed since, each with where (a DN, or a database"
        " and its table), what (an attribute, or a row; empty: all of it), values and why.",
        shape="Undo",
        era="ours",
        operation=undo,
    ),
)  # fmt: skip
