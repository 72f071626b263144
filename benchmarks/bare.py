"""What an API on python-ldap costs at least: a Falcon handler with one search, and no more.

It knows no callers, rights or rules. Settings are in environment variables: `BARE_URI`,
`BARE_BIND_DN`, `BARE_PASSWORD` and `BARE_BASE`.
"""

import json
import os
import threading

import falcon
import ldap
from ldap.filter import filter_format
from ldap.ldapobject import SimpleLDAPObject

_JSON = "application/json"
_MINE = threading.local()


def _connection() -> SimpleLDAPObject:
    """Return the connection of this thread."""
    try:
        found: SimpleLDAPObject = _MINE.connection
    except AttributeError:
        found = _MINE.connection = ldap.initialize(os.environ["BARE_URI"])
        found.simple_bind_s(os.environ["BARE_BIND_DN"], os.environ["BARE_PASSWORD"])
    return found


class User:
    """A mail user, found by one search."""

    def on_get(self, request: falcon.Request, response: falcon.Response, mail: str) -> None:
        wanted = filter_format("(mail=%s)", (mail,))
        base = os.environ["BARE_BASE"]
        ((_, attributes),) = _connection().search_s(base, ldap.SCOPE_SUBTREE, wanted)
        shown = {name: [*map(bytes.decode, values)] for name, values in attributes.items()}
        response.content_type = _JSON
        response.data = json.dumps({"_success": True, "_data": shown}).encode()


class Constant:
    """An answer that is always the same."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        response.content_type = _JSON
        response.data = b'{"_success": true}'


application = falcon.App()
application.add_route("/api/user/{mail}", User())
application.add_route("/api/constant", Constant())
# What clients call before they are measured, to open their connections.
application.add_route("/api/domains", Constant())
