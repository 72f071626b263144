"""Endpoints of API tokens."""

from iredldap.dit import token_parameters
from iredldap.web.endpoints.endpoint import Endpoint

_TOKENS = "/api/tokens"
_ONE = f"{_TOKENS}/{{token}}"
_ANY_ADMIN = ("admin",)
_FIELDS = (
    "id; admin; name; scopes; domains, none: all that the admin manages; networks, none: any;"
    " parent: the token that created it, or null; created and expires, in UTC, null: it does not"
    " end by itself"
)

TOKENS: tuple[Endpoint, ...] = (
    Endpoint(
        id="token_create",
        method="POST",
        path=_TOKENS,
        auth=_ANY_ADMIN,
        summary="Create a token of the caller, by which a program calls in their name. One that a"
        " token creates is within the bounds of that one, and ends with it.",
        table=token_parameters.CREATE,
        errors=(
            "TOKEN_TOO_WIDE",
            "INVALID_DOMAIN_NAME",
            "NO_SUCH_ACCOUNT",
            "EXCEED_LIMIT_TOKENS",
        ),
        returns=f"{_FIELDS}; secret: what the program sends as `Authorization: Bearer …`. No other"
        " answer has it.",
        shape="NewToken",
        era="ours",
        tries=True,
    ),
    Endpoint(
        id="tokens_list",
        method="GET",
        path=_TOKENS,
        auth=_ANY_ADMIN,
        summary="List the tokens of the caller; to global admins those of all admins. A token that"
        " is limited to domains lists itself, and those that it created.",
        returns=f"The oldest first, of each {_FIELDS}.",
        shape="Tokens",
        era="ours",
    ),
    Endpoint(
        id="token_get",
        method="GET",
        path=_ONE,
        auth=_ANY_ADMIN,
        summary="Read one of these tokens.",
        errors=("NO_SUCH_TOKEN",),
        returns=f"{_FIELDS[0].upper()}{_FIELDS[1:]}.",
        shape="Token",
        era="ours",
    ),
    Endpoint(
        id="token_delete",
        method="DELETE",
        path=_ONE,
        auth=_ANY_ADMIN,
        summary="Delete one of these tokens, and those that it created; they end on every worker"
        " within two seconds.",
        errors=("NO_SUCH_TOKEN",),
        era="ours",
        tries=True,
    ),
    Endpoint(
        id="whoami",
        method="GET",
        path="/api/whoami",
        auth=_ANY_ADMIN,
        summary="Show who calls, and with which rights.",
        returns="admin: the address; is_global_admin; token: as a read of it has it, or null for a"
        " session; scopes: all for a session; domains: sorted, null for all; limits of a normal"
        " admin, as their settings have them.",
        shape="Caller",
        era="ours",
        token_scopes=(),
    ),
)
