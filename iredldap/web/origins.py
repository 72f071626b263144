"""Find out whether a browser sends a request for our own page or for one of another site.

A browser adds the cookie to requests of any page: `SameSite=Strict` excludes foreign sites, but
neither other hosts of our site nor other ports of our host. Headers that no page can set say where
a request comes from.

Source: `docs/decisions/0025-requests-of-other-sites.md`.
"""

import re

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing, so that any page may send them."""

_OWN_SITES = {"same-origin", "none"}
"""Values of `Sec-Fetch-Site`: our own page, or none (for example the address bar)."""

_DEFAULT_PORTS = {"http": 80, "https": 443}
_ORIGIN = re.compile(r"(https?)://(.+)")
_AUTHORITY = re.compile(r"([^\s/\\@?#,:\[\]]+|\[[0-9a-f:.]+\])(?::([0-9]{0,5}))?")

Origin = tuple[str, str, int]
"""Scheme, host in lower case, and port."""


def origin(scheme: str, authority: str) -> Origin | None:
    """Return the origin of a scheme and a value as the header `Host` has it.

    Returns:
        None if the value is no host with or without a port.
    """
    found = _AUTHORITY.fullmatch(authority.strip().lower())
    if not found:
        return None
    host, port = found.groups()
    return scheme, host, int(port) if port else _DEFAULT_PORTS[scheme]


def parse(header: str) -> Origin | None:
    """Return the origin that the header `Origin` names.

    Returns:
        None if it names none (`null`), several, or one that is no web server's.
    """
    found = _ORIGIN.fullmatch(header.strip().lower())
    return origin(*found.groups()) if found else None


def is_foreign(site: str | None, sender: str | None, ours: Origin | None) -> bool:
    """Return whether a request was sent for a page of another site.

    Args:
        site: The header `Sec-Fetch-Site`; None if it is missing.
        sender: The header `Origin`; None if it is missing.
        ours: The origin under which the client reaches us; None if that is unknown.

    Returns:
        False for clients that send neither header: current browsers send them.
    """
    # First, as it says so directly: `Origin` is compared with what a proxy says of our own name.
    if site is not None:
        return site.strip().lower() not in _OWN_SITES
    if sender is not None:
        return ours is None or parse(sender) != ours
    return False
