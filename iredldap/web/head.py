"""Answer HEAD as GET, without the body (RFC 9110, 9.3.2).

Everything behind the wrapper gets a GET, so that rights, refusals and headers are the same. Only
the handlers of long answers call `is_head`, and do not begin to make the answer.
"""

from collections.abc import Iterable
from typing import Any

import falcon

_ASKED = "iredldap.head"


class HeadAsGet:
    """WSGI wrapper that passes HEAD on as GET, and drops the body of the answer."""

    def __init__(self, application: Any) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ.get("REQUEST_METHOD") != "HEAD":
            answer: Iterable[bytes] = self._application(environ, start_response)
            return answer
        environ["REQUEST_METHOD"] = "GET"
        environ[_ASKED] = True
        body = self._application(environ, start_response)
        # Its source may be a search, or an export in a child process.
        if close := getattr(body, "close", None):
            close()
        return ()


def is_head(request: falcon.Request) -> bool:
    """Return whether the client sent HEAD."""
    return _ASKED in request.env


def method(request: falcon.Request) -> str:
    """Return the method that the client sent."""
    return "HEAD" if is_head(request) else str(request.method)


def allow_head(response: falcon.Response) -> None:
    """Add HEAD to the allowed methods of an answer that has GET among them."""
    if allowed := response.get_header("Allow"):
        words = [word.strip() for word in allowed.split(",")]
        if "GET" in words and "HEAD" not in words:
            words.insert(words.index("GET") + 1, "HEAD")
            response.set_header("Allow", ", ".join(words))
