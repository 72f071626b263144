"""Read the token of a request, and say which credentials an endpoint takes.

Source: `docs/decisions/0057-tokens.md`; RFC 6750, RFC 9110 (11.6.1).
"""

from collections.abc import Collection
from urllib.parse import unquote_plus

import falcon

from iredldap.dit import api_tokens
from iredldap.errors import InvalidParameter

_CHALLENGE = 'Bearer realm="iredldap"'


def secret_of(request: falcon.Request) -> str | None:
    """Return what a request has as the secret of a token; None: it has no such header.

    Other schemes than `Bearer` are for a web server in front, and ignored.
    """
    scheme, _, secret = (request.get_header("Authorization") or "").strip().partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else None


def refuse_in_query(request: falcon.Request) -> None:
    """Refuse a token in the query string, which the logs of proxies and browsers would have.

    Raises:
        InvalidParameter: If there is one.
    """
    sent = request.env.get("QUERY_STRING", "")
    if sent and api_tokens.has_secret(unquote_plus(sent)):
        raise InvalidParameter("a token in the query string")


def challenge(request: falcon.Request) -> str:
    """Return the value of `WWW-Authenticate` for a caller who is unknown."""
    return _CHALLENGE if secret_of(request) is None else f'{_CHALLENGE}, error="invalid_token"'


def challenge_for(scopes: Collection[str]) -> str:
    """Return the value of `WWW-Authenticate` for a token that lacks some of these scopes."""
    return f'{_CHALLENGE}, error="insufficient_scope", scope="{" ".join(sorted(scopes))}"'
