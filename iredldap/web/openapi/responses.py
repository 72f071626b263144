"""Describe the answers of an endpoint, by status."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from iredldap.errors import PasswordMismatch
from iredldap.operations import dispatch
from iredldap.web import dry_runs
from iredldap.web.endpoints.endpoint import Endpoint
from iredldap.web.endpoints.index import SERVED
from iredldap.web.openapi.parts import COUNT, TEXT, reference
from iredldap.web.openapi.profiles import LISTINGS
from iredldap.web.openapi.requests import keeps_answers
from iredldap.web.openapi.schemas import ENVELOPES, envelope
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


_RETRY = ("Retry-After",)
_FAILURES: Mapping[int, tuple[str, ...]] = {
    400: ("X-Invalid-Parameters",),
    429: _RETRY,
    502: _RETRY,
    503: _RETRY,
}
_STATE = ("ETag",)
_IGNORED = ("X-Ignored-Parameters", "X-Ignored-Values")
_SHARED = ("X-Shared-Mailbox",)
_KEPT = ("X-Kept-Members",)
_LOGGED = ("X-Change-Id", "X-Change-Log")
_NEXT = ("X-Next-Cursor", "Link")
_DRY = (dry_runs.HEADER,)
_COOKIE = ("Set-Cookie",)

HEADERS: Mapping[str, Mapping[str, Any]] = {
    "ETag": {"description": "State of the entry that the path names.", "schema": TEXT},
    "Link": {"description": 'The next page, if there is one, with `rel="next"`.', "schema": TEXT},
    "Location": {"description": "Path of the job.", "schema": TEXT},
    "Preference-Applied": {
        "description": "Which wish was granted.",
        "schema": {"type": "string", "const": "respond-async"},
    },
    "Retry-After": {"description": "Seconds to wait.", "schema": COUNT},
    "Set-Cookie": {"description": "The cookie of the session.", "schema": TEXT},
    "X-Change-Id": {
        "description": "Id in the change log, if anything was written.",
        "schema": TEXT,
    },
    "X-Change-Log": {"description": "`late`: the log will have it later.", "schema": TEXT},
    dry_runs.HEADER: {
        "description": "`yes`: this was a dry run, and nothing has been changed.",
        "schema": {"type": "string", "const": "yes"},
    },
    "X-Ignored-Parameters": {"description": "Parameters that were ignored.", "schema": TEXT},
    "X-Ignored-Values": {"description": "Values that were dropped.", "schema": TEXT},
    "X-Invalid-Parameters": {"description": "What it was refused for.", "schema": TEXT},
    "X-Kept-Members": {
        "description": "Members of a new list that the request did not name: they had been"
        " marked before.",
        "schema": TEXT,
    },
    "X-Next-Cursor": {"description": "`cursor` of the next page, if there is one.", "schema": TEXT},
    "X-Shared-Mailbox": {
        "description": "Other accounts whose mailbox a global admin gave to this one.",
        "schema": TEXT,
    },
}
"""Headers of answers, by name."""

_ACCEPTED = "Accepted"
_UNCHANGED = "NotModified"


def shared() -> dict[str, Any]:
    """Return the answers that operations refer to, by name: refusals one for each status."""
    found = {status for row in SERVED for status in _by_status((row,))} - {HTTPStatus.OK}
    return {
        _ACCEPTED: {
            "description": "Asked for with `Prefer: respond-async`: nothing is left to refuse, and"
            " the change is carried out in the background, as a job.",
            "headers": _headers("Location", "Preference-Applied", *_RETRY),
            "content": {JSON: {"schema": reference(_answer("Promise"))}},
        },
        _UNCHANGED: {"description": "It is in the state that the client has."},
        **{_refused(status): _refusal(status) for status in sorted(found)},
    }


def envelopes() -> dict[str, Any]:
    """Return the schemas of answers by name: a success with each shape of data, and the others."""
    shapes = dict.fromkeys(shape for row in SERVED if row.returns for shape in _shapes(row))
    return {**ENVELOPES, **{_answer(shape): envelope(shape) for shape in ("Promise", *shapes)}}


def answers(*endpoints: Endpoint) -> dict[str, Any]:
    """Describe every answer of endpoints that share a path.

    Refusals have a status of their own each, as they do unless `always_ok_status` is set.
    """
    first = endpoints[0]
    # Endpoints that differ by a value in the path have one entry in the document, and answer alike.
    by_status = _by_status(endpoints)
    described: dict[str, Any] = {"200": _success(first, by_status.pop(HTTPStatus.OK, []))}
    if first.operation or first.promises:
        described["202"] = reference(_ACCEPTED, "responses")
    if first.tagged:
        described["304"] = reference(_UNCHANGED, "responses")
    for status, codes in sorted(by_status.items()):
        named = {"description": f"Refused: {', '.join(codes)}."}
        described[str(status)] = reference(_refused(status), "responses") | named
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


def _refused(status: int) -> str:
    return f"Refused{status}"


def _refusal(status: int) -> dict[str, Any]:
    refusal: dict[str, Any] = {
        "description": "Refused, for the reason in `_msg`.",
        "content": {JSON: {"schema": reference("Failure")}},
    }
    return refusal | _headers_of(*_FAILURES.get(status, ()))


def _success(endpoint: Endpoint, refusals: list[str]) -> dict[str, Any]:
    """Describe the answer with status 200, which may be a refusal by some codes."""
    done = "Done." if endpoint.method != "GET" else "Found."
    otherwise = f"Or not so: {', '.join(refusals)}." if refusals else ""
    data = f"`_data`: {endpoint.returns}" if endpoint.returns else ""
    answer: dict[str, Any] = {
        "description": " ".join(filter(None, (done, otherwise, data))),
        "content": {media: {"schema": _bare(media)} for media in endpoint.bare},
    }
    if endpoint.returns or not endpoint.bare:
        either = _answer_schemas(endpoint, may_fail=bool(refusals))
        schema = either[0] if len(either) == 1 else {"anyOf": either}
        answer["content"] = {JSON: {"schema": schema}, **answer["content"]}
    return answer | _headers_of(*_success_headers(endpoint))


def _answer_schemas(endpoint: Endpoint, *, may_fail: bool) -> list[dict[str, Any]]:
    """Return the schemas that an answer may have."""
    if endpoint.returns:
        *others, last = shapes = _shapes(endpoint)
        if last in others:
            # Spelt out: a second reference to the same schema is dropped.
            return [*(reference(_answer(shape)) for shape in others), envelope(last)]
        return [reference(_answer(shape)) for shape in shapes]
    if endpoint.operation or endpoint.tries:
        return [reference("Changed")]
    return [reference("Checked" if may_fail else "Success")]


def _answer(shape: str) -> str:
    return f"{shape}Answer"


def _shapes(endpoint: Endpoint) -> tuple[str, ...]:
    """Return the shapes that the data of an answer may have.

    Some generators take the first one that fits, and look at no items of a list for that; others
    know the last one alone. So the usual shape is the last one, and those before have names that it
    lacks; before a list of names it is the first one, too.
    """
    if endpoint.shape in LISTINGS:
        return (endpoint.shape, "Names", endpoint.shape)
    changes = endpoint.operation or endpoint.tries
    return ("DryRun", endpoint.shape) if changes else (endpoint.shape,)


def _success_headers(endpoint: Endpoint) -> Iterator[str]:
    tagged = endpoint.tagged or (
        endpoint.operation is not None
        and dispatch.changes_an_entry(endpoint.id)
        and endpoint.method != "DELETE"
    )
    yield from _STATE if tagged else ()
    yield from _IGNORED if endpoint.table else ()
    yield from _LOGGED if endpoint.operation or endpoint.id == "ldif_restore" else ()
    yield from _KEPT if endpoint.id == "maillist_create" else ()
    yield from _SHARED if any(row.name == "maildir" for row in endpoint.table) else ()
    yield from _NEXT if endpoint.shape.removesuffix("Params") in LISTINGS else ()
    yield from _DRY if dry_runs.is_offered(endpoint) else ()
    yield from _COOKIE if endpoint.id == "login" else ()


def _headers_of(*names: str) -> dict[str, Any]:
    return {"headers": _headers(*names)} if names else {}


def _headers(*names: str) -> dict[str, Any]:
    return {name: reference(name, "headers") for name in names}


def _bare(media: str) -> dict[str, str]:
    return {"type": "object" if media == JSON else "string"}
