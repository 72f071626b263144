"""Checks of the values of settings.

Each takes a value and returns what is wrong with it, or None.
"""

import ipaddress
import re
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from iredldap.config.settings import Secret

_TCP = re.compile(r"(?:tcp://)?(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]*)(?::(?P<port>[0-9]{1,5}))?")

_ORIGIN = re.compile(r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?")

_SEVERAL_PORTS = re.compile(r":[0-9]+,|,[^,]*:[0-9]+$")
"""Several hosts with ports, as libpq takes them, and SQLAlchemy does not."""
_SEVERAL_HOSTS = (
    "postgresql://USER:PASSWORD@/NAME?host=HOST1:5432&host=HOST2:5432"
    "&target_session_attrs=read-write"
)

DRIVERS = {
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
    "postgresql": "postgresql+psycopg",
}
"""Default driver of each kind of database, for URLs that name none."""

_EXTRAS = {"psycopg": "postgresql"}
"""Extras of this program by the drivers that they install."""


def networks(items: tuple[str, ...]) -> str | None:
    """Check addresses and networks (CIDR) of clients."""
    for item in items:
        try:
            # Host bits are allowed: an address with the length of its network is a usual way to
            # write one.
            ipaddress.ip_network(item, strict=False)
        except ValueError:
            return f"{item!r} is neither an address nor a network"
    return None


def is_web_address(url: str) -> bool:
    """Return whether a URL is an `http://` or `https://` address of a host."""
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def web_origins(items: tuple[str, ...]) -> str | None:
    """Check origins of web pages: scheme, host and port, and nothing else."""
    for item in items:
        if not _ORIGIN.fullmatch(item):
            return f"{item!r} is no origin as https://HOST or https://HOST:PORT"
    return None


def signing_keys(keys: tuple[Secret, ...]) -> str | None:
    """Check the keys that sign cookies."""
    return sealing_keys(keys) if keys else "missing"


def sealing_keys(keys: tuple[Secret, ...]) -> str | None:
    """Check the keys that encrypt values of the change log; there may be none."""
    short = any(len(key.reveal()) < 32 for key in keys)
    return "a key has less than 32 characters" if short else None


def database_url(url: Secret) -> str | None:
    """Check the URL of a database, without connecting to it; the result does not quote it."""
    # Imported here: most commands need no database, and SQLAlchemy takes long to load.
    from sqlalchemy import make_url  # noqa: PLC0415
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    authority = url.reveal().partition("://")[2].partition("/")[0].partition("?")[0]
    if _SEVERAL_PORTS.search(authority.rpartition("@")[2]):
        return f"several hosts are written as {_SEVERAL_HOSTS}"
    try:
        parsed = make_url(url.reveal())
        name = DRIVERS.get(parsed.drivername, parsed.drivername)
        parsed.set(drivername=name).get_dialect().import_dbapi()
    except (ArgumentError, ValueError):
        # A port that is not a number raises a ValueError.
        return "no SQLAlchemy URL of a known database"
    except ImportError as ex:
        return missing_driver(ex)
    hosts = f"{parsed.host or ''},{','.join(parsed.normalized_query.get('host', ()))}"
    if len(list(filter(None, hosts.split(",")))) > 1 and parsed.get_backend_name() != "postgresql":
        return "only PostgreSQL takes several hosts; name a proxy that knows which one to write to"
    return None


def missing_driver(error: ImportError) -> str:
    """Return what is missing for a database, and what installs it."""
    extra = _EXTRAS.get(error.name or "")
    way = f"; the extra {extra} installs it, as docs/deployment.md says" if extra else ""
    return f"its driver cannot be loaded: {error}{way}"


def hash_scheme(name: str) -> str | None:
    """Check the scheme of new password hashes."""
    if name == "BCRYPT" and find_spec("bcrypt") is None:
        return "BCRYPT needs the extra bcrypt"
    known = ("SSHA512", "SSHA", "BCRYPT")
    return None if name in known else f"one of {', '.join(known)}"


def certificates(path: str) -> str | None:
    """Check a file of CA certificates; an empty path is valid.

    libldap reports an invalid file in different ways, and with GnuTLS not at all.
    """
    if not path:
        return None
    # Imported here: most exports need it not, and it would delay their start.
    import ssl  # noqa: PLC0415

    if not Path(path).is_file():
        return "no such file"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile=path)
    except ssl.SSLError:
        return "no PEM certificate in it"
    except OSError as ex:
        return ex.strerror or str(ex)
    # A file that holds only a revocation list is loaded without an error, too.
    return None if context.cert_store_stats()["x509"] else "no PEM certificate in it"


def listening(addresses: str) -> str | None:
    """Check addresses to listen on, separated by commas.

    gunicorn reads them at a reload too, and its master process exits on an invalid one.
    """
    words = [word.strip() for word in addresses.split(",") if word.strip()]
    for word in words:
        # Whether such a socket can be opened is known only when it is.
        if re.fullmatch(r"unix:.+|fd://[0-9]+", word):
            continue
        parts = _TCP.fullmatch(word)
        if not parts:
            return f"{word!r} is neither HOST:PORT nor unix:PATH"
        if int(parts["port"] or 0) > 65535:
            return f"{word!r} has no such port"
    return None if words else "missing"


def cookie_name(name: str) -> str | None:
    """Check the name of a cookie."""
    # Imported here: an export loads this module and needs no cookies.
    from http.cookies import CookieError, SimpleCookie  # noqa: PLC0415

    try:
        SimpleCookie()[name] = ""
    except CookieError as ex:
        return str(ex)
    return None
