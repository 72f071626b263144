"""Normalize the spelling of paths that clients send."""

import re
from typing import Any
from urllib.parse import quote, unquote


def one_spelling(path: str) -> tuple[str, str]:
    """Return a path as the router has it, and the prefix that was removed."""
    # As nginx does by default; behind another proxy, or none, clients see no difference.
    path, prefix = re.sub(r"/{2,}", "/", path), ""
    if path.startswith("/iredadmin/api/") or path == "/iredadmin/api":
        path, prefix = path.removeprefix("/iredadmin"), "/iredadmin"
    return path.removesuffix("/") or "/", prefix


SLASH = "\uf02f"
"""Replaces a slash that is part of a name in a path: no address and no domain has it."""

_RAW_SLASH = SLASH.encode().decode("latin-1")
"""The same, as WSGI has it."""

_SENT_SLASH = re.compile("%2f", re.IGNORECASE)


def with_names(path: str, raw: str) -> str:
    """Return a path in which encoded slashes differ from those that separate names.

    Args:
        path: As WSGI has it: decoded, so that both are the same.
        raw: What the client sent, with its query string; empty: unknown.
    """
    sent = raw.partition("?")[0]
    if not _SENT_SLASH.search(sent):
        return path
    kept = unquote(_SENT_SLASH.sub(quote(SLASH), sent), "latin-1")
    # An absolute form has the name of the server in front.
    kept = kept[kept.find("/", kept.find("://") + 3) :] if "://" in kept else kept
    # A server in front may have rewritten the path. Then the raw one is not what was routed to us.
    return kept if kept.replace(_RAW_SLASH, "/") == path else path


class Paths:
    """WSGI wrapper that normalizes the spelling of paths.

    The prefix of the public documents is removed, repeated slashes collapse, one at the end is
    ignored. An encoded slash (``%2F``) is part of a name, and separates none.
    """

    def __init__(self, application: Any) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        path = with_names(environ.get("PATH_INFO", ""), environ.get("RAW_URI", ""))
        path, prefix = one_spelling(path)
        environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + prefix
        environ["PATH_INFO"] = path
        return self._application(environ, start_response)
