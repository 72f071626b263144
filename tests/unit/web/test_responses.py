"""Envelopes, statuses and headers of answers."""

import json
from typing import Any
from urllib.parse import unquote

import falcon
import pytest
from falcon import testing
from hypothesis import example, given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from iredldap import directory_errors, errors, http_errors
from iredldap.config.sections import ApiSettings
from iredldap.error_codes import refusals
from iredldap.errors import Refusal, Several, WeakPassword
from iredldap.web import responses
from iredldap.web.responses import Responses, listed, status_of, status_of_code

STATUSES = {
    400: "INVALID_PARAMETER MISSING_PARAMETER PARAMETER_CONFLICT INVALID_DOMAIN_NAME INVALID_MAIL"
    " INVALID_USERNAME EMPTY_PASSWORD NO_ADMINS INVALID_LDIF INVALID_FILE"
    " NEVER_APPLIES",
    401: "LOGIN_REQUIRED SESSION_EXPIRED INVALID_CREDENTIALS",
    403: "PERMISSION_DENIED PERMISSION_DENIED_UPDATE_GLOBAL_ADMIN_PROFILE NOT_AUTHORIZED"
    " NOT_ALLOWED_IP CROSS_SITE_REQUEST TOKEN_TOO_WIDE",
    404: "NO_SUCH_ACCOUNT NO_SUCH_ROUTE NO_SUCH_JOB NO_SUCH_CHANGE NO_SUCH_TOKEN API_DISABLED",
    405: "METHOD_NOT_ALLOWED",
    408: "REQUEST_TIMEOUT",
    409: "ALREADY_EXISTS AMBIGUOUS_ACCOUNT CAN_NOT_BE_LOCAL_DOMAIN NOT_ALLOWED MAILBOX_IN_USE"
    " CHANGE_UNFINISHED ALREADY_UNDONE CHANGED_SINCE NOTHING_TO_UNDO SECRET_NOT_KEPT"
    " MAILBOX_REMOVED"
    " EXCEEDED_DOMAIN_ACCOUNT_LIMIT"
    " EXCEEDED_DOMAIN_QUOTA_SIZE EXCEEDED_MAX_USER_QUOTA"
    " EXCEEDED_LDAP_SERVER_SIZELIMIT EXCEEDED_LDAP_SERVER_TIMELIMIT"
    " EXCEEDED_LDAP_SERVER_ADMINLIMIT HAS_CHILDREN LAST_MEMBER VALUE_EXISTS DIRECTORY_UNWILLING"
    " EXCEED_LIMIT_DOMAIN EXCEED_LIMIT_QUOTA EXCEED_LIMIT_USERS"
    " IDEMPOTENCY_KEY_IN_USE EXCEED_LIMIT_ALIASES EXCEED_LIMIT_LISTS EXCEED_LIMIT_TOKENS",
    412: "PRECONDITION_FAILED",
    413: "BODY_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    422: "INVALID_PASSWORD_SCHEME PW_EMPTY SCHEMA_VIOLATION NOT_SUPPORTED_BY_DIRECTORY"
    " IDEMPOTENCY_KEY_REUSED",
    429: "TOO_MANY_REQUESTS",
    500: "INTERNAL_ERROR",
    502: "MLMMJADMIN_UNAVAILABLE",
    503: "SERVER_DOWN CHANGE_LOG_UNAVAILABLE DIRECTORY_FAILED DIRECTORY_READ_ONLY DIRECTORY_DENIES",
    507: "DIRECTORY_FULL",
}
STATUS = {code: status for status, codes in STATUSES.items() for code in codes.split()}


KINDS: list[type[Refusal]] = [Refusal, *(kind for kind in refusals() if kind is not Several)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_refusal_has_the_status_of_its_code(kind: type[Refusal]) -> None:
    """A new class without one here is noticed."""
    result_not_fault = kind is errors.PasswordMismatch
    assert status_of(kind("PW_EMPTY")) == (200 if result_not_fault else STATUS[kind.code])


def test_no_code_is_left_over() -> None:
    """The table and the tree know the same codes."""
    assert {kind.code for kind in KINDS} == set(STATUS)


@pytest.mark.parametrize("code", [*STATUS, "PW_NO_LETTER"])
def test_a_code_alone_tells_the_status(code: str) -> None:
    """One that a login and a password check share tells that of the login."""
    assert status_of_code(code) == STATUS.get(code, 422)


def test_an_unknown_code_has_no_status() -> None:
    with pytest.raises(LookupError):
        status_of_code("NO_SUCH_CODE")


def test_the_first_of_several_decides() -> None:
    """Their codes are all told, each once."""
    both = Several([errors.InvalidMail("x"), errors.NoSuchAccount("y"), errors.InvalidMail("z")])
    assert status_of(both) == 400
    assert answered(both)[1]["_msg"] == "INVALID_MAIL,NO_SUCH_ACCOUNT"


def answered(
    no: Refusal, *, twins: bool = False, **api: Any
) -> tuple[falcon.Response, dict[str, Any]]:
    response = falcon.Response()
    response.context.twins = twins
    Responses(ApiSettings(**api)).refused(testing.create_req(), response, no)
    return response, json.loads(response.data or b"")


def done(
    data: Any = None, *, read: bool = False, twins: bool = False, **api: Any
) -> tuple[falcon.Response, bytes]:
    response = falcon.Response()
    response.context.twins = twins
    Responses(ApiSettings(**api)).done(response, data, read=read)
    return response, response.data or b""


def test_success_is_exactly_this() -> None:
    """Word for word; a read adds its data, also where that is nothing."""
    response, body = done()
    assert body == b'{"_success": true}'
    assert (response.status_code, response.content_type) == (200, "application/json")
    assert done({"cn": ["Zoë"]}, read=True)[1] == (
        '{"_success": true, "_data": {"cn": ["Zoë"]}}'.encode()
    )
    assert done(read=True)[1] == b'{"_success": true, "_data": null}'


def test_failure_is_exactly_this() -> None:
    """No detail reaches the client."""
    response, body = answered(errors.NoSuchAccount("secret detail"))
    assert response.data == b'{"_success": false, "_msg": "NO_SUCH_ACCOUNT"}'
    assert response.status_code == 404
    assert response.content_type == "application/json"
    assert "X-Invalid-Parameters" not in response.headers
    assert list(body) == ["_success", "_msg"]


def test_parameters_have_the_names_they_were_sent_by() -> None:
    """In the header and in the data; one that was not sent by an older name has its own."""
    request, response = testing.create_req(), falcon.Response()
    response.context.twins = False
    request.context.older_names = {"quota": "mailQuota", "name": "cn"}
    unplaced = [("name", "cn"), ("outboundRelay", "senderRelayHost")]
    both = Several(
        [
            directory_errors.NotSupportedByDirectory(unplaced=unplaced),
            errors.InvalidParameter(parameter="quota"),
        ]
    )
    Responses(ApiSettings()).refused(request, response, both)
    assert response.headers["x-invalid-parameters"] == "cn, outboundRelay, mailQuota"
    Responses(ApiSettings()).refused(request, response, both.refusals[0])
    assert json.loads(response.data or b"")["_data"] == {
        "unsupported": [
            {"parameter": "cn", "attribute": "cn"},
            {"parameter": "outboundRelay", "attribute": "senderRelayHost"},
        ]
    }


@pytest.mark.parametrize(("twins", "legacy"), [(True, False), (False, True), (True, True)])
def test_the_older_keys_are_twins(twins: bool, legacy: bool) -> None:
    """On the login, or on every answer where configured."""
    assert json.loads(done(twins=twins, legacy_keys=legacy)[1]) == {
        "_success": True,
        "success": True,
    }
    refusal = errors.InvalidCredentials("x")
    assert answered(refusal, twins=twins, legacy_keys=legacy)[1] == {
        "_success": False,
        "_msg": "INVALID_CREDENTIALS",
        "success": False,
        "msg": "INVALID_CREDENTIALS",
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_refusal_can_be_answered_with_200(kind: type[Refusal]) -> None:
    """For clients whose library raises otherwise; the envelope says no all the same."""
    response, body = answered(kind("PW_EMPTY"), always_ok_status=True)
    assert response.status_code == 200
    assert body["_success"] is False
    assert body["_msg"]


def test_several_rules_are_joined_by_commas() -> None:
    """As the reference has it."""
    no = Several([WeakPassword("PW_NO_LETTER"), WeakPassword("PW_NO_DIGIT_NUMBER")])
    response, body = answered(no)
    assert body == {"_success": False, "_msg": "PW_NO_LETTER,PW_NO_DIGIT_NUMBER"}
    assert response.status_code == 422
    assert response.get_header("X-Invalid-Parameters") == "password"


def test_a_taken_name_is_a_failed_precondition() -> None:
    """Both codes are told."""
    response, body = answered(http_errors.NameTaken("x"))
    assert (response.status_code, body["_msg"]) == (412, "PRECONDITION_FAILED,ALREADY_EXISTS")


def test_what_was_done_is_reported() -> None:
    """A refusal in the middle is the one that carries data."""
    report = {"done": ["add o=x"], "not_done": []}
    assert answered(errors.ServerDown("x", report=report))[1]["_data"] == report
    assert "_data" not in answered(errors.ServerDown("x"))[1]


def test_who_is_told_to_wait_is_told_how_long() -> None:
    """Only where asking again may help."""
    assert int(answered(errors.ServerDown("x"))[0].get_header("Retry-After") or 0) > 0
    assert answered(errors.InternalError("x"))[0].get_header("Retry-After") is None
    too_many = errors.TooManyRequests("x", retry_after=17)
    assert answered(too_many)[0].get_header("Retry-After") == "17"


class Raises:
    """A resource that does nothing but raise."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        raise self._error


def called(error: Exception, method: str = "GET", path: str = "/x") -> testing.Result:
    app = falcon.App()
    Responses(ApiSettings()).install(app)
    app.add_route("/x", Raises(error))
    return testing.TestClient(app).simulate_request(method, path)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.PermissionDenied("x"), 403, "PERMISSION_DENIED"),
        (falcon.HTTPBadRequest(), 400, "INVALID_PARAMETER"),
        (falcon.HTTPInvalidHeader("x", "y"), 400, "INVALID_PARAMETER"),
        (falcon.HTTPNotFound(), 404, "NO_SUCH_ROUTE"),
        (falcon.HTTPContentTooLarge(), 413, "BODY_TOO_LARGE"),
        (falcon.HTTPUnsupportedMediaType(), 415, "UNSUPPORTED_MEDIA_TYPE"),
        (falcon.HTTPServiceUnavailable(), 500, "INTERNAL_ERROR"),
        (ValueError("secret"), 500, "INTERNAL_ERROR"),
    ],
)
def test_every_error_becomes_an_answer(error: Exception, status: int, code: str) -> None:
    """Ours, Falcon's and surprises, in the same envelope."""
    with capture_logs() as lines:
        answer = called(error)
    assert (answer.status_code, answer.json) == (status, {"_success": False, "_msg": code})
    assert "secret" not in answer.text
    assert bool(lines) == (status == 500 and not isinstance(error, falcon.HTTPError))


def test_a_strange_path_or_method_wears_the_envelope_too() -> None:
    """The allowed methods are named, as HTTP wants it."""
    assert called(ValueError(), path="/y").json == {"_success": False, "_msg": "NO_SUCH_ROUTE"}
    answer = called(ValueError(), method="PUT")
    assert (answer.status_code, answer.json["_msg"]) == (405, "METHOD_NOT_ALLOWED")
    assert "GET" in answer.headers["Allow"]


def test_a_surprise_is_in_the_log() -> None:
    """With its traceback, which the client does not see."""
    with capture_logs() as lines:
        called(ValueError("secret"))
    assert "ValueError: secret" in lines[0]["traceback"]


LISTED = [
    ([], ""),
    (["cn"], "cn"),
    (["a@b.test", "x/y"], "a@b.test, x/y"),
    (["two words", "a,b"], "two%20words, a%2Cb"),
    (["a\r\nSet-Cookie: b"], "a%0D%0ASet-Cookie:%20b"),
    (["ü", "\x00", '"%'], "%C3%BC, %00, %22%25"),
    (["x" * 600, "y" * 600, "z"], "x" * 600),
]


@pytest.mark.parametrize(("words", "header"), LISTED)
def test_words_are_listed_in_a_header(words: list[str], header: str) -> None:
    """Percent-encoded, cut between words."""
    assert listed(words) == header


def test_a_long_word_is_cut_and_not_dropped() -> None:
    """The client learns that something was ignored."""
    assert listed(["x" * 2000, "y"]).startswith("xxx")


@given(st.lists(st.text(max_size=90), max_size=30))
@example(["\r", "\n", ", "])
@example(["é" * 90] * 30)
def test_a_header_cannot_be_broken(words: list[str]) -> None:
    """Whatever the words: printable ASCII, at most 1 KB, each word whole and in its place."""
    header = listed(words)
    assert len(header) <= 1024
    assert all(" " <= char <= "~" for char in header)
    told = [unquote(word) for word in header.split(", ")] if header else words[:0]
    assert told == words[: len(told)] or words == [""]


@given(st.lists(st.text('a"\\\n\x00\x7f /é<', max_size=8), max_size=5))
def test_a_stream_in_an_envelope_is_json(chunks: list[str]) -> None:
    """However the text is cut into chunks."""
    text = [chunk.encode("ascii", "replace") for chunk in chunks]
    whole = b"".join(responses.json_text(text))
    assert json.loads(whole) == {"_success": True, "_data": b"".join(text).decode()}


@given(st.lists(st.dictionaries(st.text(), st.lists(st.text()), max_size=3)), st.booleans())
def test_an_object_in_pieces_is_that_of_a_whole_answer(
    batches: list[dict[str, Any]], legacy: bool
) -> None:
    whole = {f"{number}{key}": value for number, batch in enumerate(batches)
             for key, value in batch.items()}  # fmt: skip
    pieces = ({f"{n}{key}": value for key, value in b.items()} for n, b in enumerate(batches))

    text = b"".join(Responses(ApiSettings(legacy_keys=legacy)).members(pieces))

    assert json.loads(text) == json.loads(done(whole, read=True, legacy_keys=legacy)[1])
