"""Which scopes a token needs for each endpoint, written by hand from `docs/tokens.md`."""

import re

from iredldap.web.endpoints.endpoint import Endpoint

NEED_NONE = {"whoami", "state_get", "state_apply"}
"""Endpoints that any token may call: it learns nothing but what it is itself. Of a state it reads
and changes what it could with single calls."""

AREAS = {
    "domain": "domains",
    "domains": "domains",
    "user": "users",
    "users": "users",
    "alias": "aliases",
    "aliases": "aliases",
    "maillist": "lists",
    "maillists": "lists",
    "ml": "lists",
    "mls": "lists",
    "admin": "admins",
    "admins": "admins",
    "throttle": "policies",
    "greylisting": "policies",
    "wblist": "policies",
    "spampolicy": "policies",
    "ldif": "ldif",
    "import": "users",
    "changes": "changes",
    "change": "changes",
    "job": "jobs",
    "jobs": "jobs",
    "token": "tokens",
    "tokens": "tokens",
}
"""Areas by the first word of an endpoint's id."""

VERBS = {"GET": "read", "PUT": "update", "DELETE": "delete"}
_EVERY_ACCOUNT = {"domains:read", "users:read", "aliases:read", "lists:read"}
OTHERS = {
    "references_get": _EVERY_ACCOUNT,
    "references_domain": _EVERY_ACCOUNT,
    "resolve": _EVERY_ACCOUNT,
    "user_verify_password": {"passwords:read"},
    "admin_verify_password": {"passwords:read"},
    "domain_admins_update": {"admins:update"},
    "sessions_end": {"admins:update"},
    "sessions_end_all": {"admins:update"},
    "ldif_restore": {"ldif:create", "passwords:update", "admins:update"},
}


def expected(endpoint: Endpoint) -> set[str]:
    """The scopes of an endpoint: what creates an account is a creation, another POST a change."""
    if endpoint.is_open or endpoint.id in NEED_NONE:
        return set()
    creates = re.search("_create$", endpoint.id)
    verb = VERBS.get(endpoint.method) or ("create" if creates else "update")
    if endpoint.id in OTHERS:
        return OTHERS[endpoint.id]
    return {f"{AREAS[endpoint.id.split('_')[0]]}:{verb}"}
