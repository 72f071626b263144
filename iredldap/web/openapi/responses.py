"""Describe the answers of an endpoint, by status."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from iredldap.dit.views import schemas as views
from iredldap.errors import PasswordMismatch
from iredldap.operations import dispatch
from iredldap.web import dry_runs
from iredldap.web.endpoints.endpoint import Endpoint
from iredldap.web.openapi.requests import keeps_answers
from iredldap.web.openapi.schemas import envelope, reference
from iredldap.web.origins import SAFE_METHODS
from iredldap.web.responses import JSON, status_of_code

COMMON_ERRORS = (
    "LOGIN_REQUIRED",
    "NOT_AUTHORIZED",
    "PERMISSION_DENIED",
    "INVALID_PARAMETER",
    "MISSING_PARAMETER",
    "PARAMETER_CONFLICT",
)
"""Codes that the public reference gives to every endpoint."""

# Codes that follow from what an endpoint is are added here, so that a row names only its own.
_OF_ANY = (
    "INVALID_PARAMETER",
    "BODY_TOO_LARGE",
    "UNSUPPORTED_MEDIA_TYPE",
    "REQUEST_TIMEOUT",
    "TOO_MANY_REQUESTS",
)
_OF_THE_API = ("API_DISABLED", "NOT_AUTHORIZED")
_OF_CALLERS = (
    "LOGIN_REQUIRED",
    "SESSION_EXPIRED",
    "PERMISSION_DENIED",
    "AMBIGUOUS_ACCOUNT",
    "SERVER_DOWN",
    "DIRECTORY_FAILED",
    "DIRECTORY_DENIES",
    "EXCEEDED_LDAP_SERVER_SIZELIMIT",
    "EXCEEDED_LDAP_SERVER_TIMELIMIT",
    "EXCEEDED_LDAP_SERVER_ADMINLIMIT",
)
_OF_BROWSERS = ("CROSS_SITE_REQUEST",)
_OF_PARAMETERS = ("MISSING_PARAMETER", "PARAMETER_CONFLICT")
_OF_CHANGES = (
    "CHANGE_LOG_UNAVAILABLE",
    "PRECONDITION_FAILED",
    "HAS_CHILDREN",
    "LAST_MEMBER",
    "VALUE_EXISTS",
    "SCHEMA_VIOLATION",
    "NOT_SUPPORTED_BY_DIRECTORY",
    "DIRECTORY_UNWILLING",
    "DIRECTORY_READ_ONLY",
    "DIRECTORY_FULL",
)

_OF_KEYS = ("IDEMPOTENCY_KEY_IN_USE", "IDEMPOTENCY_KEY_REUSED")

_TEXT: Mapping[str, Any] = {"schema": {"type": "string"}}
_NUMBER: Mapping[str, Any] = {"schema": {"type": "integer", "minimum": 0}}

_RETRY = {"Retry-After": {"description": "Seconds to wait.", **_NUMBER}}
_FAILURES: Mapping[int, Mapping[str, Any]] = {
    400: {"X-Invalid-Parameters": {"description": "What it was refused for.", **_TEXT}},
    429: _RETRY,
    502: _RETRY,
    503: _RETRY,
}
_STATE = {"ETag": {"description": "State of the entry that the path names.", **_TEXT}}
_IGNORED = {
    "X-Ignored-Parameters": {"description": "Parameters that were ignored.", **_TEXT},
    "X-Ignored-Values": {"description": "Values that were dropped.", **_TEXT},
}
_SHARED = {
    "X-Shared-Mailbox": {
        "description": "Other accounts whose mailbox a global admin gave to this one.",
        **_TEXT,
    }
}
_KEPT = {
    "X-Kept-Members": {
        "description": "Members of a new list that the request did not name: they had been"
        " marked before.",
        **_TEXT,
    }
}
_LOGGED = {
    "X-Change-Id": {"description": "Id in the change log, if anything was written.", **_TEXT},
    "X-Change-Log": {"description": "`late`: the log will have it later.", **_TEXT},
}
_NEXT = {
    "X-Next-Cursor": {"description": "`cursor` of the next page, if there is one.", **_TEXT},
    "Link": {"description": 'The next page, if there is one, with `rel="next"`.', **_TEXT},
}
_DRY = {
    dry_runs.HEADER: {
        "description": "`yes`: this was a dry run, and nothing has been changed.",
        "schema": {"const": "yes"},
    }
}
_PROMISE = {
    "description": "Asked for with `Prefer: respond-async`: nothing is left to refuse, and the"
    " change is carried out in the background, as a job.",
    "headers": {
        "Location": {"description": "Path of the job.", **_TEXT},
        "Preference-Applied": {"schema": {"const": "respond-async"}},
        **_RETRY,
    },
    "content": {JSON: {"schema": reference("Promise")}},
}


def answers(*endpoints: Endpoint) -> dict[str, Any]:
    """Describe every answer of endpoints that share a path.

    Refusals have a status of their own each, as they do unless `always_ok_status` is set.
    """
    first = endpoints[0]
    # Endpoints that differ by a value in the path have one entry in the document, and answer alike.
    described: dict[str, Any] = {"200": _success(first)}
    if first.operation:
        described["202"] = _PROMISE
    if first.tagged:
        described["304"] = {"description": "It is in the state that the client has."}
    for status, codes in sorted(_by_status(endpoints).items()):
        if status == HTTPStatus.OK:
            _add_result(described["200"], codes)
        else:
            described[str(status)] = _refusal(status, codes)
    return described


def _by_status(endpoints: tuple[Endpoint, ...]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for endpoint in endpoints:
        for code in _codes(endpoint):
            codes = found.setdefault(_status(endpoint, code), [])
            codes += [code] if code not in codes else []
    return found


def _codes(endpoint: Endpoint) -> Iterator[str]:
    yield from endpoint.errors
    yield from _OF_ANY
    if endpoint.path.startswith("/api/"):
        yield from _OF_THE_API
    if endpoint.method not in SAFE_METHODS:
        yield from _OF_BROWSERS
    if not endpoint.is_open:
        yield from _OF_CALLERS
    if endpoint.table:
        yield from _OF_PARAMETERS
    if "{" in endpoint.path:
        yield "NO_SUCH_ROUTE"
    if endpoint.operation:
        yield from _OF_CHANGES
    if keeps_answers(endpoint):
        yield from _OF_KEYS


def _status(endpoint: Endpoint, code: str) -> int:
    """Return the status of a code; a wrong password is a result with 200, except of a login."""
    if code == PasswordMismatch.code and not endpoint.is_open:
        return HTTPStatus.OK
    return status_of_code(code)


def _refusal(status: int, codes: list[str]) -> dict[str, Any]:
    refusal: dict[str, Any] = {
        "description": f"Refused: {', '.join(codes)}.",
        "content": {JSON: {"schema": reference("Failure")}},
    }
    if status in _FAILURES:
        refusal["headers"] = _FAILURES[status]
    return refusal


def _add_result(answer: dict[str, Any], codes: list[str]) -> None:
    """Add to the answer with status 200 that it may be a refusal."""
    media = answer["content"][JSON]
    media["schema"] = {"anyOf": [media["schema"], reference("Failure")]}
    answer["description"] += f" Or not so: {', '.join(codes)}."


def _success(endpoint: Endpoint) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": "Done." if endpoint.method != "GET" else "Found.",
        "content": {media: {"schema": _bare(media)} for media in endpoint.bare},
    }
    if endpoint.returns:
        data = {**_shape(endpoint), "description": endpoint.returns}
        answer["content"] = {JSON: {"schema": envelope(data)}, **answer["content"]}
    elif not endpoint.bare:
        answer["content"] = {JSON: {"schema": reference("Success")}}
    if endpoint.operation or endpoint.tries:
        either = [answer["content"][JSON]["schema"], envelope(reference("DryRun"))]
        answer["content"][JSON] = {"schema": {"anyOf": either}}
    tagged = endpoint.tagged or (
        endpoint.operation is not None
        and dispatch.changes_an_entry(endpoint.id)
        and endpoint.method != "DELETE"
    )
    headers = (_STATE if tagged else {}) | (_IGNORED if endpoint.table else {})
    headers |= _LOGGED if endpoint.operation or endpoint.id == "ldif_restore" else {}
    headers |= _KEPT if endpoint.id == "maillist_create" else {}
    headers |= _SHARED if any(row.name == "maildir" for row in endpoint.table) else {}
    headers |= _NEXT if endpoint.shape == "Listing" else {}
    headers |= _DRY if dry_runs.is_offered(endpoint) else {}
    return answer | ({"headers": headers} if headers else {})


def _shape(endpoint: Endpoint) -> dict[str, Any]:
    stored = reference(endpoint.shape)
    if not endpoint.view:
        return stored
    return {"anyOf": [stored, reference(views.name(endpoint.view))]}


def _bare(media: str) -> dict[str, str]:
    return {"type": "object" if media == JSON else "string"}
