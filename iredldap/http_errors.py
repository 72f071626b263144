"""The refusals of requests and clients, before an operation is called: only `web` raises them."""

from collections.abc import Collection

from iredldap.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    Refusal,
    Unacceptable,
    Unauthenticated,
)


class SessionExpired(Unauthenticated):
    """The cookie has expired."""

    code = "SESSION_EXPIRED"


class MissingScope(PermissionDenied):
    """The token lacks a scope; the header `WWW-Authenticate` names those that are needed.

    Args:
        detail: For the log.
        scopes: All scopes that are needed.
    """

    def __init__(self, detail: str = "", *, scopes: Collection[str] = ()) -> None:
        super().__init__(detail)
        self.scopes = tuple(sorted(scopes))


class NotAuthorized(Forbidden):
    """The client's address is not on the list of API clients."""

    code = "NOT_AUTHORIZED"


class NotAllowedIp(Forbidden):
    """Admins, or global admins, may not log in from the client's address."""

    code = "NOT_ALLOWED_IP"


class CrossSiteRequest(Forbidden):
    """A browser sends a change with the cookie, or a login, for a page of another origin."""

    code = "CROSS_SITE_REQUEST"


class NoSuchRoute(NotFound):
    """The path is not part of the API."""

    code = "NO_SUCH_ROUTE"


class ApiDisabled(NotFound):
    """The configuration does not enable the API."""

    code = "API_DISABLED"


class IdempotencyKeyInUse(Conflict):
    """The first request with this `Idempotency-Key` is still being carried out; ask again."""

    code = "IDEMPOTENCY_KEY_IN_USE"


class IdempotencyKeyReused(Unacceptable):
    """The `Idempotency-Key` was used for another request."""

    code = "IDEMPOTENCY_KEY_REUSED"


class NameTaken(PreconditionFailed):
    """`If-None-Match: *` on a name that exists."""

    @property
    def codes(self) -> tuple[str, ...]:
        return (self.code, AlreadyExists.code)


class BodyTooLarge(Refusal):
    """The body is larger than the configuration allows."""

    code = "BODY_TOO_LARGE"


class UnsupportedMediaType(Refusal):
    """The body has a content type that is not supported."""

    code = "UNSUPPORTED_MEDIA_TYPE"


class MethodNotAllowed(Refusal):
    """The path exists and does not support this method."""

    code = "METHOD_NOT_ALLOWED"


class RequestTimeout(Refusal):
    """The request was not received completely in time."""

    code = "REQUEST_TIMEOUT"
