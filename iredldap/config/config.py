"""Settings as frozen records, read from one TOML file and the environment.

A setting is a field of a record below: name, type, default and meaning stand there and nowhere
else; `docs/configuration.md` is printed from them. The environment variable
``IREDLDAP_<SECTION>_<NAME>`` wins over the file. A secret never stands in the file itself: it
comes from the environment or from the file that ``<name>_file`` points to.
"""

import dataclasses
import ipaddress
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import urlsplit

from iredldap.config.accounts import Accounts
from iredldap.config.ldap import Ldap
from iredldap.config.settings import (
    POSITIVE,
    Secret,
    between,
    certificates,
    cookie_name,
    holds,
    listening,
    setting,
)

CONFIG_VARIABLE = "IREDLDAP_CONFIG"
DEFAULT_CONFIG = "/etc/iredldap.toml"

_PREFIX = "IREDLDAP"
_END_OF_NUMBERS = 2**63
"""TOML has no larger ones, and the libraries that are given them take none."""
_YES = {"yes", "true", "on", "1"}
_NO = {"no", "false", "off", "0"}
_HEADER = re.compile(r"[A-Za-z0-9-]{1,80}")
_COUNTERS = ("memory://", "redis://", "rediss://", "redis+unix://", "memcached://")


class ConfigurationError(Exception):
    """The configuration has faults; all of them are told together."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def _networks(items: tuple[str, ...]) -> str | None:
    for item in items:
        try:
            ipaddress.ip_network(item, strict=False)
        except ValueError:
            return f"{item!r} is neither an address nor a network"
    return None


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _keys(keys: tuple[Secret, ...]) -> str | None:
    if any(len(key.reveal()) < 32 for key in keys):
        return "a key has less than 32 characters"
    return None if keys else "missing"


def _database(url: Secret) -> str | None:
    """Say what is wrong with the URL of a database, or None; it is not shown, nor asked."""
    # Most commands need no database.
    from sqlalchemy import make_url  # noqa: PLC0415
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    try:
        parsed = make_url(url.reveal())
        name = DRIVERS.get(parsed.drivername, parsed.drivername)
        parsed.set(drivername=name).get_dialect().import_dbapi()
    except (ArgumentError, ValueError):
        # A port that is no number is the latter.
        return "no SQLAlchemy URL of a known database"
    except ImportError as ex:
        return f"its driver cannot be loaded: {ex}"
    return None


def _scheme(name: str) -> str | None:
    if name == "BCRYPT" and find_spec("bcrypt") is None:
        return "BCRYPT needs the extra bcrypt"
    known = ("SSHA512", "SSHA", "BCRYPT")
    return None if name in known else f"one of {', '.join(known)}"


@dataclass(frozen=True, kw_only=True)
class Api:
    """The switch, the clients and the shape of answers."""

    enable_restful_api: bool = setting(
        "Whether the API answers at all; otherwise every path is `API_DISABLED`.", default=False
    )
    restrict_api_access: bool | None = setting(
        "On: only listed clients are served, and an empty list admits nobody. Off: no"
        " restriction. Absent: a list that is not empty is enforced.",
        default=None,
    )
    restful_api_clients: tuple[str, ...] = setting(
        "Addresses and networks (CIDR) of the clients that may use the API.", _networks, default=()
    )
    trusted_proxies: tuple[str, ...] = setting(
        "Addresses and networks of proxies whose `X-Forwarded-For`, `X-Forwarded-Proto` and"
        " `X-Forwarded-Host` are believed.",
        _networks,
        default=(),
    )
    api_hidden_user_profiles: tuple[str, ...] = setting(
        "Attributes of users that no answer shows.", default=("password", "userPassword")
    )
    api_hidden_admin_profiles: tuple[str, ...] = setting(
        "Attributes of standalone admins that no answer shows.",
        default=("password", "userPassword"),
    )
    always_ok_status: bool = setting(
        "Answer 200 to every refusal, for clients whose HTTP library raises on 4xx.",
        default=False,
    )
    legacy_keys: bool = setting(
        "Add the April 2016 keys `success` and `msg` to every answer, not to login alone.",
        default=False,
    )
    max_body: int = setting("Largest request body, in bytes.", between(1024), default=1024 * 1024)
    max_upload: int = setting(
        "Largest LDIF file to be restored, in bytes; it is put aside in the temporary directory.",
        between(1024),
        default=1024 * 1024 * 1024,
    )
    ldif_passwords: bool = setting(
        "Whether an export made by a global admin holds password hashes.", default=True
    )
    stalled_download: int = setting(
        "Seconds after which a client that takes no byte of an answer is cut off.",
        between(1),
        default=120,
    )
    downloads: int = setting(
        "Most downloads at once, of all callers: exports of a domain or of everything, and listings"
        " of more than 2 MB. Further ones are refused with `TOO_MANY_REQUESTS`. Each machine counts"
        " for itself.",
        between(1),
        default=6,
    )
    downloads_per_admin: int = setting("The same, of one caller.", between(1), default=3)


@dataclass(frozen=True, kw_only=True)
class Session:
    """Logins."""

    keys: tuple[Secret, ...] = setting(
        "Keys that sign the cookie, separated by blanks or line breaks: the last one signs, the"
        " others are still accepted. At least 32 characters each.",
        _keys,
    )
    cookie_name: str = setting("Name of the cookie.", cookie_name, default="iRedAdmin-LDAP")
    max_age: int = setting("Seconds after login when a cookie ends.", between(1), default=8 * 3600)
    idle_age: int = setting(
        "Seconds without a request after which a cookie ends, and one minute more, by which clocks"
        " may differ; 0: never. Only for clients that keep the cookie of each answer.",
        between(0),
        default=0,
    )
    recheck: float = setting(
        "Seconds for which a worker may rely on what it last saw of the caller: 2 at most.",
        between(0.05, 2),
        default=1.0,
    )


@dataclass(frozen=True, kw_only=True)
class Login:
    """Who may try to log in, and how often.

    Failed logins are counted per account and client network (a /24, of IPv6 a /64). In memory each
    worker counts for itself, up to its share of `failures`, at least 1.
    """

    failures: int = setting(
        "Failed logins after which further ones are refused with `TOO_MANY_REQUESTS`.",
        between(1),
        default=10,
    )
    period: int = setting(
        "Seconds after the first failure when the count begins anew.", between(1), default=900
    )
    storage_url: Secret = setting(
        "Where failures are counted: `memory://`; or, where many workers or several machines serve,"
        " `redis://host:port/0`, `rediss://`, `redis+unix://` (needs the extra `redis`) or"
        " `memcached://host:port` (extra `memcached`).",
        holds(
            lambda url: url.reveal().startswith(_COUNTERS),
            f"no URL that begins with one of {', '.join(_COUNTERS)}",
        ),
        default=Secret("memory://"),
    )
    admin_login_ip_list: tuple[str, ...] = setting(
        "Addresses and networks from which admins may log in; empty: from anywhere. A session that"
        " has begun is not tied to them.",
        _networks,
        default=(),
    )
    global_admin_ip_list: tuple[str, ...] = setting(
        "The same for global admins, who must come from an address on both lists.",
        _networks,
        default=(),
    )


@dataclass(frozen=True, kw_only=True)
class Passwords:
    """New passwords."""

    password_scheme: str = setting(
        "Scheme of new hashes: `SSHA512`, `SSHA` or `BCRYPT` (stored as `{CRYPT}$2b$`, needs the"
        " extra `bcrypt`). `iredldap init` writes what the directory verifies.",
        _scheme,
        default="SSHA512",
    )
    verified_schemes: tuple[str, ...] = setting(
        "Schemes that the directory verifies, hence those that `password_hash` takes.",
        default=("SSHA512", "SHA512", "SSHA", "SHA", "SMD5", "MD5", "CRYPT"),
    )
    bcrypt_rounds: int = setting("Cost of `BCRYPT`, as a power of two.", between(4, 16), default=12)
    min_length: int = setting(
        "Fewest characters, where the domain says nothing.", between(0), default=8
    )
    max_length: int = setting(
        "Most characters, where the domain says nothing; 0: any.", between(0), default=0
    )
    require_letter: bool = setting("Demand a letter (`PW_NO_LETTER`).", default=False)
    require_uppercase: bool = setting("Demand a capital (`PW_NO_UPPERCASE`).", default=False)
    require_digit: bool = setting("Demand a digit (`PW_NO_DIGIT_NUMBER`).", default=False)
    require_special: bool = setting(
        "Demand a special character (`PW_NO_SPECIAL_CHAR`).", default=False
    )


DRIVERS = {
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
    "postgresql": "postgresql+psycopg",
}
"""The driver of a database whose URL names none."""

_SQL_URL = (
    "SQLAlchemy URL, `mysql+pymysql://user:password@host/{name}`, say; PostgreSQL needs the extra"
    " `postgresql`. Tables are made in SQLite only."
)


def _sql_url(name: str) -> Any:
    default = Secret(f"sqlite:////var/lib/iredldap/{name}.sqlite3")
    return setting(_SQL_URL.format(name=name), _database, default=default)


@dataclass(frozen=True, kw_only=True)
class Iredapd:
    """The database of iRedAPD: throttling and greylisting."""

    url: Secret = _sql_url("iredapd")


@dataclass(frozen=True, kw_only=True)
class Amavisd:
    """The database of Amavisd: white- and blacklists, spam policy."""

    url: Secret = _sql_url("amavisd")
    spam_subject_prefix: str = setting(
        "What `prefix_spam_in_subject` puts before the subject of spam.",
        holds(lambda prefix: 0 < len(prefix) <= 64, "1 to 64 characters"),
        default="[SPAM] ",
    )


@dataclass(frozen=True, kw_only=True)
class Iredadmin:
    """The database of iRedAdmin: deleted mailboxes, used quota, last logins and the admin log."""

    url: Secret = _sql_url("iredadmin")


@dataclass(frozen=True, kw_only=True)
class Mlmmjadmin:
    """The program that keeps subscribable lists, with `backend_api = bk_none` as iRedMail has it.

    Without `url` there are none: their endpoints answer `MLMMJADMIN_UNAVAILABLE`.
    """

    url: str = setting(
        "Base URL of its HTTP interface, `http://127.0.0.1:7790/api`, say; empty: not used.",
        holds(
            lambda url: not url or _is_web_address(url), "no http:// or https:// address of a host"
        ),
        default="",
    )
    token: Secret = setting("One of its `api_auth_tokens`.", default=Secret(""))
    auth_header: str = setting(
        "Name of the header that carries the token.",
        holds(lambda name: bool(_HEADER.fullmatch(name)), "letters, digits and hyphens"),
        default="X-MLMMJADMIN-API-AUTH-TOKEN",
    )
    timeout: float = setting("Seconds to wait for an answer.", POSITIVE, default=15.0)
    ca_file: str = setting(
        "Certificates to trust, PEM; empty: the system's.", certificates, default=""
    )
    verify_certificate: bool = setting(
        "Whether the certificate of an `https://` address is checked.", default=True
    )


@dataclass(frozen=True, kw_only=True)
class State:
    """Our own small database: jobs and revoked sessions."""

    url: Secret = setting(
        "SQLAlchemy URL: SQLite on one machine; MariaDB or PostgreSQL where several serve.",
        _database,
        default=Secret("sqlite:////var/lib/iredldap/state.sqlite3"),
    )


@dataclass(frozen=True, kw_only=True)
class Jobs:
    """Changes that a client does not wait for (`Prefer: respond-async`).

    A worker carries out one at a time; those of one admin follow one another, in the order in
    which they came.
    """

    abandoned: float = setting(
        "Seconds without a sign of life from its worker after which another one finishes a job."
        " The clocks of machines that share the state database must agree better than that.",
        between(0.2),
        default=15.0,
    )
    kept: int = setting(
        "Seconds for which a finished job can be asked about.", between(1), default=7 * 24 * 3600
    )
    queue: int = setting(
        "Most unfinished jobs of one admin; further ones are refused with `TOO_MANY_REQUESTS`.",
        between(1),
        default=20,
    )


@dataclass(frozen=True, kw_only=True)
class Server:
    """The processes; read by `gunicorn.conf.py`."""

    bind: str = setting(
        "Where the API listens: `HOST:PORT` or `unix:PATH`.", listening, default="127.0.0.1:8080"
    )
    workers: int = setting(
        "Worker processes; 0: one per core, at least two.", between(0), default=0
    )
    threads: int = setting(
        "Calls that a worker carries out at once. A call that takes longer than half a second no"
        " longer counts, so that slow ones never keep others waiting; of listings and changes of"
        " whole domains half as many run at once.",
        between(1),
        default=4,
    )
    queue_timeout: float = setting(
        "Seconds that a call waits for such a place before it is refused with `TOO_MANY_REQUESTS`.",
        POSITIVE,
        default=30.0,
    )
    request_timeout: float = setting(
        "Seconds in which a request must be there, head and body; a body of more than 32 KB has the"
        " time that it takes at `least_rate` beside them. Then it is refused with"
        " `REQUEST_TIMEOUT`.",
        POSITIVE,
        default=30.0,
    )
    least_rate: int = setting(
        "Bytes per second that a client has to take of an answer, averaged over two minutes, and to"
        " send of a large body; 0: any.",
        between(0),
        default=8192,
    )
    graceful_timeout: int = setting(
        "Seconds that a running request or download gets at a restart.", between(0), default=30
    )
    log_level: str = setting(
        "`debug`, `info`, `warning` or `error`.",
        holds(
            lambda level: level in {"debug", "info", "warning", "error"},
            "debug, info, warning or error",
        ),
        default="info",
    )

    @property
    def processes(self) -> int:
        """How many workers there are."""
        return self.workers or max(2, os.cpu_count() or 1)


@dataclass(frozen=True, kw_only=True)
class Config:
    """All settings, one record per section of the file."""

    api: Api
    ldap: Ldap
    session: Session
    login: Login
    passwords: Passwords
    accounts: Accounts
    iredapd: Iredapd
    amavisd: Amavisd
    iredadmin: Iredadmin
    mlmmjadmin: Mlmmjadmin
    state: State
    jobs: Jobs
    server: Server


def sections() -> Iterator[tuple[str, type]]:
    """Name and record of each section, in the order of the file."""
    yield from get_type_hints(Config).items()


def read(mapping: Mapping[str, Any], environment: Mapping[str, str]) -> Config:
    """Make the settings from a parsed TOML file and the environment.

    Raises:
        ConfigurationError: With every fault: unknown names, wrong types, missing settings,
            unreadable secret files, values out of bounds.
    """
    faults: list[str] = []
    known = dict(sections())
    faults += [f"[{name}]: no such section" for name in mapping if name not in known]
    records = {}
    for name, record in known.items():
        given = mapping.get(name, {})
        if not isinstance(given, Mapping):
            faults.append(f"[{name}]: expected a section")
            given = {}
        values = _section(name, record, given, environment, faults)
        if values is not None:
            records[name] = record(**values)
    if faults:
        raise ConfigurationError(faults)
    return Config(**records)


def read_file(path: Path, environment: Mapping[str, str]) -> Config:
    """Make the settings from a TOML file and the environment.

    Raises:
        ConfigurationError: As `read`, or when the file cannot be read.
    """
    try:
        mapping = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as ex:
        # A number of thousands of digits is a ValueError too, and what is too deep is the third.
        raise ConfigurationError([f"{path}: {ex}"]) from ex
    return read(mapping, environment)


def variable(section: str, name: str) -> str:
    """Environment variable of a setting."""
    return f"{_PREFIX}_{section}_{name}".upper()


def is_secret(hint: Any) -> bool:
    """Whether a setting of this type comes from a file of its own."""
    return hint in (Secret, tuple[Secret, ...])


def _section(
    name: str,
    record: type,
    given: Mapping[str, Any],
    environment: Mapping[str, str],
    faults: list[str],
) -> dict[str, Any] | None:
    hints = get_type_hints(record)
    values: dict[str, Any] = {}
    before = len(faults)
    allowed = {key if not is_secret(hint) else f"{key}_file" for key, hint in hints.items()}
    for key in given:
        if key in hints and key not in allowed:
            faults.append(f"{name}.{key}: a secret; use {key}_file or {variable(name, key)}")
        elif key not in allowed:
            faults.append(f"{name}.{key}: no such setting")
    for row in dataclasses.fields(record):
        named = f"{name}.{row.name}"
        if variable(name, row.name) in environment and not is_secret(hints[row.name]):
            named += f" ({variable(name, row.name)})"
        try:
            found = _find(name, row.name, hints[row.name], given, environment)
            if found is not None:
                value = values[row.name] = _convert(hints[row.name], found)
                if wrong := row.metadata["check"](value):
                    faults.append(f"{named}: {wrong}")
            elif row.default is dataclasses.MISSING:
                faults.append(f"{named}: missing")
        except (ValueError, OSError) as ex:
            faults.append(f"{named}: {ex}")
    return values if len(faults) == before else None


def _find(
    section: str, key: str, hint: Any, given: Mapping[str, Any], environment: Mapping[str, str]
) -> Any:
    if variable(section, key) in environment:
        return environment[variable(section, key)]
    if not is_secret(hint):
        return given.get(key)
    path = environment.get(variable(section, f"{key}_file"), given.get(f"{key}_file"))
    return None if path is None else Path(str(path)).read_text(encoding="utf-8").strip()


def _convert(hint: Any, value: Any) -> Any:
    match hint:
        case _ if hint is Secret:
            return Secret(str(value))
        case _ if hint == tuple[Secret, ...]:
            return tuple(Secret(word) for word in str(value).split())
        case _ if hint in (tuple[str, ...], tuple[int, ...]):
            return _words(value) if hint == tuple[str, ...] else _whole_numbers(value)
        case _ if hint in (bool, bool | None):
            return _flag(value)
        case _ if hint in (int, float):
            return _number(hint, value)
        case _:
            if not isinstance(value, str):
                raise ValueError(f"expected a text, got {value!r}")
            return value


def _number(hint: Any, value: Any) -> Any:
    wanted = "whole number" if hint is int else "number"
    taken = (int, str) if hint is int else (int, float, str)
    try:
        if isinstance(value, taken) and not isinstance(value, bool):
            number = hint(value)
            if abs(number) < _END_OF_NUMBERS:
                return number
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"expected a {wanted}, got {value!r}")


def _whole_numbers(value: Any) -> tuple[int, ...]:
    items = value if isinstance(value, list) else _words(value)
    return tuple(_number(int, item) for item in items)


def _words(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise ValueError(f"expected a list of texts, got {value!r}")


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word not in _YES | _NO:
        raise ValueError(f"expected yes or no, got {value!r}")
    return word in _YES
