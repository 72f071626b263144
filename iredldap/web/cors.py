"""Let scripts of pages of other origins call with a token (CORS), where the settings say so.

Never with the cookie: no answer allows credentials, and only one to a request with a token says
that the page may read it.

Source: `docs/decisions/0057-tokens.md`; Fetch standard, HTTP-network-or-cache fetch.
"""

from collections.abc import Iterable

import falcon

from iredldap.web import credentials, origins

_METHODS = "GET, HEAD, POST, PUT, DELETE"
_SENT = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Prefer, X-Request-Id"
)
SHOWN = (
    "ETag, Idempotency-Replayed, Link, Location, Preference-Applied, Retry-After,"
    " WWW-Authenticate, Warning, X-Change-Id, X-Change-Log, X-Dry-Run, X-Ignored-Parameters,"
    " X-Ignored-Values, X-Invalid-Parameters, X-Kept-Members, X-Next-Cursor, X-Request-Id,"
    " X-Served-By, X-Shared-Mailbox"
)
"""Headers of answers that a page may read."""

_SECONDS = "600"


class CrossOrigin:
    """Answers the `OPTIONS` that browsers send first, and marks what pages of others may read.

    Args:
        allowed: Origins, as the header `Origin` has them; none: no page of another origin.
    """

    def __init__(self, allowed: Iterable[str]) -> None:
        self._allowed = frozenset(filter(None, map(origins.parse, allowed)))

    def answers(self, request: falcon.Request, response: falcon.Response) -> bool:
        """Answer an `OPTIONS` request of a listed origin; return whether it was one."""
        wanted = request.get_header("Access-Control-Request-Method")
        if request.method != "OPTIONS" or wanted is None or not self._is_allowed(request):
            return False
        response.status = 204
        response.set_header("Access-Control-Allow-Origin", _sender(request))
        response.set_header("Access-Control-Allow-Methods", _METHODS)
        response.set_header("Access-Control-Allow-Headers", _SENT)
        response.set_header("Access-Control-Max-Age", _SECONDS)
        response.complete = True
        return True

    def mark(self, request: falcon.Request, response: falcon.Response) -> None:
        """Let the page read the answer, if its origin is listed and it has sent a token."""
        if not self._allowed:
            return
        response.append_header("Vary", "Origin")
        if credentials.secret_of(request) is not None and self._is_allowed(request):
            response.set_header("Access-Control-Allow-Origin", _sender(request))
            response.set_header("Access-Control-Expose-Headers", SHOWN)

    def _is_allowed(self, request: falcon.Request) -> bool:
        is_api = request.path == "/api" or request.path.startswith("/api/")
        return is_api and origins.parse(_sender(request)) in self._allowed


def _sender(request: falcon.Request) -> str:
    return request.get_header("Origin") or ""
