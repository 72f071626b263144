"""Write the envelope of every answer, and the HTTP status of every refusal.

Source: `docs/decisions/0007-answers.md`.
"""

import json
import re
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

import falcon
import structlog

from iredldap import directory_errors, error_codes, errors, http_errors
from iredldap.config.sections import ApiSettings
from iredldap.dit.request import names_sent, with_names_sent
from iredldap.errors import Refusal
from iredldap.web import credentials

JSON = "application/json"
_LONGEST_HEADER = 1024
_RETRY_AFTER = "5"
_ENCODER = json.JSONEncoder(ensure_ascii=False)

_STATUSES: tuple[tuple[type[Refusal], int], ...] = (
    # The first class that matches decides, so a subclass comes before its base, as DirectoryFull
    # does. A wrong password is the result that a check was asked for.
    (errors.PasswordMismatch, 200),
    (errors.Malformed, 400),
    (errors.Unauthenticated, 401),
    (errors.Forbidden, 403),
    (errors.NotFound, 404),
    (http_errors.MethodNotAllowed, 405),
    (http_errors.RequestTimeout, 408),
    (errors.Conflict, 409),
    (errors.PreconditionFailed, 412),
    (http_errors.BodyTooLarge, 413),
    (http_errors.UnsupportedMediaType, 415),
    (errors.Unacceptable, 422),
    (errors.WeakPassword, 422),
    (errors.InvalidPasswordScheme, 422),
    (errors.TooManyRequests, 429),
    (errors.MlmmjadminUnavailable, 502),
    (directory_errors.DirectoryFull, 507),
    (directory_errors.DirectoryUnable, 503),
    (errors.ServerDown, 503),
    (errors.ChangeLogUnavailable, 503),
)

_FALCON: dict[int, type[Refusal]] = {
    # What the framework itself refuses, before any endpoint of ours is called.
    404: http_errors.NoSuchRoute,
    405: http_errors.MethodNotAllowed,
    413: http_errors.BodyTooLarge,
    415: http_errors.UnsupportedMediaType,
}

log = structlog.get_logger("iredldap.web")


def status_of(refusal: Refusal) -> int:
    """Return the HTTP status of a refusal; the first of several decides."""
    if isinstance(refusal, errors.Several):
        return status_of(refusal.refusals[0])
    return _status_of_kind(type(refusal))


def status_of_code(code: str) -> int:
    """Return the HTTP status of a code; of the two of `INVALID_CREDENTIALS` that of a login.

    Raises:
        LookupError: If no refusal has the code.
    """
    return _status_of_kind(error_codes.of_code(code))


def _status_of_kind(kind: type[Refusal]) -> int:
    return next((status for base, status in _STATUSES if issubclass(kind, base)), 500)


class Responses:
    """Writes envelopes.

    Args:
        api: Switches that existing clients may need.
        judged: Returns the refusal that a client is told in place of one.
    """

    def __init__(
        self, api: ApiSettings, judged: Callable[[Refusal], Refusal] = lambda no: no
    ) -> None:
        self._api = api
        self._judged = judged

    def done(self, response: falcon.Response, data: Any = None, *, read: bool = False) -> None:
        """Answer success; a read with data."""
        envelope: dict[str, Any] = {"_success": True}
        if read:
            envelope["_data"] = data
        self._write(response, envelope)

    def members(self, batches: Iterable[Mapping[str, object]]) -> Generator[bytes, None, None]:
        """Yield a success envelope around an object, as its members come; names must be unique."""
        yield b'{"_success": true, '
        if self._api.legacy_keys:
            yield b'"success": true, '
        yield b'"_data": {'
        # The braces of each batch are cut off: together they become one object, which never is in
        # memory as a whole.
        separator = b""
        for batch in filter(None, batches):
            yield separator + _ENCODER.encode(batch)[1:-1].encode("utf-8", "replace")
            separator = b", "
        yield b"}}"

    def with_array(
        self, data: Mapping[str, object], name: str, items: Iterable[object]
    ) -> Generator[bytes, None, None]:
        """Yield a success envelope around an object with one more member, an array as it comes."""
        envelope: dict[str, Any] = {"_success": True}
        if self._api.legacy_keys:
            envelope["success"] = True
        envelope["_data"] = {**data, name: []}
        beginning, end = _ENCODER.encode(envelope).rsplit("]", 1)
        yield beginning.encode("utf-8", "replace")
        separator = ""
        for item in items:
            yield (separator + _ENCODER.encode(item)).encode("utf-8", "replace")
            separator = ", "
        yield f"]{end}".encode()

    def refused(self, request: falcon.Request, response: falcon.Response, no: Refusal) -> None:
        """Answer a refusal."""
        status = status_of(no)
        envelope: dict[str, Any] = {"_success": False, "_msg": ",".join(no.codes)}
        if no.report:
            envelope["_data"] = with_names_sent(older_names(request), no.report)
        if no.parameters:
            invalid = names_sent(older_names(request), no.parameters)
            response.set_header("X-Invalid-Parameters", listed(invalid))
        if status == 401 and not self._api.always_ok_status:
            response.set_header("WWW-Authenticate", credentials.challenge(request))
        elif isinstance(no, http_errors.MissingScope):
            response.set_header("WWW-Authenticate", credentials.challenge_for(no.scopes))
        if isinstance(no, http_errors.IdempotencyKeyInUse):
            response.set_header("Retry-After", "1")
        if isinstance(no, errors.TooManyRequests):
            response.set_header("Retry-After", str(no.retry_after))
        # All of these pass by themselves, when the directory, a database or mlmmjadmin answers
        # again.
        elif status in {502, 503}:
            response.set_header("Retry-After", _RETRY_AFTER)
        # For clients whose library raises an exception on any 4xx, and which look at `_success`.
        response.status = 200 if self._api.always_ok_status else status
        self._write(response, envelope)
        request.context.refusal = no

    def _write(self, response: falcon.Response, envelope: dict[str, Any]) -> None:
        # A login has carried both spellings from the beginning; other answers only on request.
        if self._api.legacy_keys or response.context.get("twins"):
            envelope["success"] = envelope["_success"]
            if "_msg" in envelope:
                envelope["msg"] = envelope["_msg"]
        response.content_type = JSON
        # A lone surrogate in a text must not make the answer itself fail.
        response.data = _ENCODER.encode(envelope).encode("utf-8", "replace")

    def install(self, app: falcon.App[Any, Any]) -> None:
        """Register the handlers that turn errors into answers."""
        # Falcon calls the handler that was registered for the most specific class, whatever the
        # order.
        app.add_error_handler(Exception, self._surprise)
        app.add_error_handler(falcon.HTTPError, self._from_falcon)
        app.add_error_handler(Refusal, self._refusal)

    def _refusal(
        self, request: falcon.Request, response: falcon.Response, no: Refusal, _: object
    ) -> None:
        no = self._judged(no)
        if status_of(no) >= 500:
            cause = repr(no.__cause__) if no.__cause__ else None
            # Refusals below 500 are in the access log already.
            log.error("refused", code=no.code, detail=no.detail, cause=cause)
        self.refused(request, response, no)

    def _from_falcon(
        self, request: falcon.Request, response: falcon.Response, error: Any, _: object
    ) -> None:
        kind = _FALCON.get(int(error.status_code))
        if kind is None:
            # Other statuses of the framework are about headers and bodies that cannot be read.
            kind = errors.Malformed if error.status_code < 500 else errors.InternalError
        for name, value in dict(error.headers or {}).items():
            response.set_header(name, value)
        self.refused(request, response, kind(str(error.title)))

    def _surprise(
        self, request: falcon.Request, response: falcon.Response, error: Exception, _: object
    ) -> None:
        # The client gets the class only: texts of foreign exceptions may hold values, even
        # passwords.
        log.error("surprise", traceback="".join(traceback.format_exception(error)))
        self.refused(request, response, errors.InternalError(type(error).__name__))


def older_names(request: falcon.Request) -> Mapping[str, str]:
    """Return the older names by which parameters were sent, by the names of their rows."""
    found: Mapping[str, str] | None = request.context.get("older_names")
    return found or {}


def listed(words: Iterable[str]) -> str:
    """Return a header value of words that a client sent: percent-encoded, cut at 1 KB."""
    return ", ".join(_fitting(quote(word, safe="@.+=/:*[]") for word in words))


def _fitting(words: Iterable[str]) -> Iterator[str]:
    room = _LONGEST_HEADER
    for word in words:
        if len(word) > room:
            if room == _LONGEST_HEADER:
                # Cut before an escape, not inside: what is left must still be decodable.
                yield re.sub(r"%.?$", "", word[:room])
            return
        yield word
        room -= len(word) + 2


def lines(items: Iterable[object]) -> Generator[bytes, None, None]:
    """Yield values as JSON, one a line, without an envelope."""
    for item in items:
        yield f"{_ENCODER.encode(item)}\n".encode("utf-8", "replace")


def json_text(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a success envelope around a stream of text, as it comes."""
    yield b'{"_success": true, "_data": "'
    for chunk in chunks:
        # LDIF is ASCII: other values are in Base64. So no character is cut at the border of two
        # chunks.
        yield json.dumps(chunk.decode("ascii")).encode()[1:-1]
    yield b'"}'
