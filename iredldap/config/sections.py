"""Sections of the configuration, as frozen records.

A setting is a field of a record below: name, type, default and meaning are defined there and
nowhere else; `docs/configuration.md` is generated from them. Some sections have modules of their
own: `ldap.py`, all that an export needs, `accounts.py`, for the layer that only computes,
`server.py`, the processes, and `state.py`, what the program keeps for itself.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_type_hints

from iredldap.config.accounts import AccountSettings
from iredldap.config.checks import (
    certificates,
    cookie_name,
    database_url,
    hash_scheme,
    is_web_address,
    networks,
    signing_keys,
    web_origins,
)
from iredldap.config.ldap import LdapSettings
from iredldap.config.server import ServerSettings
from iredldap.config.settings import (
    POSITIVE,
    Secret,
    between,
    holds,
    setting,
)
from iredldap.config.state import ChangeSettings, JobSettings, StateSettings

_HEADER = re.compile(r"[A-Za-z0-9-]{1,80}")
_COUNTERS = (
    "memory://", "redis://", "rediss://", "redis+unix://", "redis+sentinel://", "memcached://",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ApiSettings:
    """The switch of the API, its clients and the format of responses."""

    enable_restful_api: bool = setting(
        "Whether the API is enabled; otherwise every path answers `API_DISABLED`.", default=False
    )
    restrict_api_access: bool | None = setting(
        "On: only listed clients are served, with an empty list none. Off: no"
        " restriction. Absent: a list that is not empty is enforced.",
        default=None,
    )
    restful_api_clients: tuple[str, ...] = setting(
        "Addresses and networks (CIDR) of the clients that may use the API.", networks, default=()
    )
    trusted_proxies: tuple[str, ...] = setting(
        "Addresses and networks of proxies whose `X-Forwarded-For`, `X-Forwarded-Proto` and"
        " `X-Forwarded-Host` are trusted.",
        networks,
        default=(),
    )
    api_hidden_user_profiles: tuple[str, ...] = setting(
        "Attributes of users that responses leave out.", default=("password", "userPassword")
    )
    api_hidden_admin_profiles: tuple[str, ...] = setting(
        "Attributes of standalone admins that responses leave out.",
        default=("password", "userPassword"),
    )
    always_ok_status: bool = setting(
        "Answer 200 to every refusal, for clients whose HTTP library raises on 4xx.",
        default=False,
    )
    legacy_keys: bool = setting(
        "Add the April 2016 keys `success` and `msg` to every response, not to login alone.",
        default=False,
    )
    max_body: int = setting("Largest request body, in bytes.", between(1024), default=1024 * 1024)
    max_upload: int = setting(
        "Largest LDIF file to be restored, in bytes; kept in the temporary directory meanwhile.",
        between(1024),
        default=1024 * 1024 * 1024,
    )
    cors_origins: tuple[str, ...] = setting(
        "Origins (`https://panel.example.com`) of pages whose scripts may call with an API token;"
        " never with the session cookie. Empty: none.",
        web_origins,
        default=(),
    )
    idempotency_hours: int = setting(
        "Hours for which the answer to a request with an `Idempotency-Key` is kept.",
        between(1, 24 * 30),
        default=24,
    )
    ldif_passwords: bool = setting(
        "Whether an export made by a global admin contains password hashes.", default=True
    )
    stalled_download: int = setting(
        "Seconds after which a client that reads no byte of a response is disconnected.",
        between(1),
        default=120,
    )
    downloads: int = setting(
        "Maximum of concurrent downloads, of all callers: exports of a domain or of everything, and"
        " listings of more than 2 MB. Further ones are refused with `TOO_MANY_REQUESTS`. Each"
        " machine counts for itself.",
        between(1),
        default=6,
    )
    downloads_per_admin: int = setting("The same, for one caller.", between(1), default=3)


@dataclass(frozen=True, kw_only=True)
class SessionSettings:
    """Logins."""

    keys: tuple[Secret, ...] = setting(
        "Keys that sign the cookie, separated by white space: the last one signs, the"
        " others are still accepted. At least 32 characters each.",
        signing_keys,
    )
    cookie_name: str = setting("Name of the cookie.", cookie_name, default="iRedAdmin-LDAP")
    max_age: int = setting(
        "Seconds after login until a cookie expires.", between(1), default=8 * 3600
    )
    idle_age: int = setting(
        "Seconds without a request after which a cookie expires, and one minute more, by which"
        " clocks may differ; 0: never. Only for clients that keep the cookie of each response.",
        between(0),
        default=0,
    )
    recheck: float = setting(
        "Seconds for which a worker caches the caller's account and rights: 2 at most.",
        between(0.05, 2),
        default=1.0,
    )


@dataclass(frozen=True, kw_only=True)
class TokenSettings:
    """API tokens, by which programs call instead of logging in."""

    max_days: int = setting(
        "Days after which a new token ends at the latest; 0: it need not end.",
        between(0, 36500),
        default=0,
    )
    per_admin: int = setting("Maximum of tokens of one admin.", between(1), default=100)


@dataclass(frozen=True, kw_only=True)
class LoginSettings:
    """Where admins may log in from, and how often a login may fail.

    Failed logins are counted per account and client network (a /24, of IPv6 a /64). In memory each
    worker counts for itself, up to its share of `failures`, at least 1.
    """

    failures: int = setting(
        "Failed logins after which further ones are refused with `TOO_MANY_REQUESTS`.",
        between(1),
        default=10,
    )
    period: int = setting(
        "Seconds after the first failure until the count starts again.", between(1), default=900
    )
    storage_url: Secret = setting(
        "Where failures are counted: `memory://`; or, where many workers or several machines serve,"
        " `redis://host:port/0`, `rediss://`, `redis+unix://`, or by sentinels"
        " `redis+sentinel://host:port,host:port/name` (needs the extra `redis`); or"
        " `memcached://host:port` (extra `memcached`).",
        holds(
            lambda url: url.reveal().startswith(_COUNTERS),
            f"no URL that begins with one of {', '.join(_COUNTERS)}",
        ),
        default=Secret("memory://"),
    )
    admin_login_ip_list: tuple[str, ...] = setting(
        "Addresses and networks from which admins may log in; empty: from anywhere. A session that"
        " exists already is not affected.",
        networks,
        default=(),
    )
    global_admin_ip_list: tuple[str, ...] = setting(
        "The same for global admins, who must come from an address on both lists.",
        networks,
        default=(),
    )


@dataclass(frozen=True, kw_only=True)
class PasswordSettings:
    """New passwords."""

    password_scheme: str = setting(
        "Scheme of new hashes: `SSHA512`, `SSHA` or `BCRYPT` (stored as `{CRYPT}$2b$`, needs the"
        " extra `bcrypt`). `iredldap init` chooses one that the directory verifies.",
        hash_scheme,
        default="SSHA512",
    )
    verified_schemes: tuple[str, ...] = setting(
        "Schemes that the directory verifies, hence those that `password_hash` accepts.",
        default=("SSHA512", "SHA512", "SSHA", "SHA", "SMD5", "MD5", "CRYPT"),
    )
    bcrypt_rounds: int = setting("Cost of `BCRYPT`, as a power of two.", between(4, 16), default=12)
    min_length: int = setting("Minimum length, where the domain sets none.", between(0), default=8)
    max_length: int = setting(
        "Maximum length, where the domain sets none; 0: any.", between(0), default=0
    )
    require_letter: bool = setting("Require a letter (`PW_NO_LETTER`).", default=False)
    require_uppercase: bool = setting(
        "Require an upper-case letter (`PW_NO_UPPERCASE`).", default=False
    )
    require_digit: bool = setting("Require a digit (`PW_NO_DIGIT_NUMBER`).", default=False)
    require_special: bool = setting(
        "Require a special character (`PW_NO_SPECIAL_CHAR`).", default=False
    )


_SQL_URL = (
    "SQLAlchemy URL, for example `mysql+pymysql://user:password@host/{name}`; PostgreSQL needs the"
    " extra `postgresql`. Tables are created in SQLite only."
)


def _sql_url(name: str) -> Any:
    default = Secret(f"sqlite:////var/lib/iredldap/{name}.sqlite3")
    return setting(_SQL_URL.format(name=name), database_url, default=default)


@dataclass(frozen=True, kw_only=True)
class IredapdSettings:
    """The database of iRedAPD: throttling and greylisting."""

    url: Secret = _sql_url("iredapd")


@dataclass(frozen=True, kw_only=True)
class AmavisdSettings:
    """The database of Amavisd: white- and blacklists, spam policy."""

    url: Secret = _sql_url("amavisd")
    spam_subject_prefix: str = setting(
        "Prefix of the subject of spam, where `prefix_spam_in_subject` is on.",
        holds(lambda prefix: 0 < len(prefix) <= 64, "1 to 64 characters"),
        default="[SPAM] ",
    )


@dataclass(frozen=True, kw_only=True)
class IredadminSettings:
    """The database of iRedAdmin: deleted mailboxes, used quota, last logins and the admin log."""

    url: Secret = _sql_url("iredadmin")


@dataclass(frozen=True, kw_only=True)
class MlmmjadminSettings:
    """mlmmjadmin, which manages subscribable lists, with `backend_api = bk_none` as in iRedMail.

    Without `url` there are no such lists: their endpoints answer `MLMMJADMIN_UNAVAILABLE`.
    """

    url: str = setting(
        "Base URL of its HTTP interface, for example `http://127.0.0.1:7790/api`; empty: not used.",
        holds(
            lambda url: not url or is_web_address(url), "no http:// or https:// address of a host"
        ),
        default="",
    )
    token: Secret = setting("One of its `api_auth_tokens`.", default=Secret(""))
    auth_header: str = setting(
        "Name of the HTTP header for the token.",
        holds(lambda name: bool(_HEADER.fullmatch(name)), "letters, digits and hyphens"),
        default="X-MLMMJADMIN-API-AUTH-TOKEN",
    )
    timeout: float = setting("Seconds to wait for an answer.", POSITIVE, default=15.0)
    ca_file: str = setting(
        "File of CA certificates, PEM; empty: the system's.", certificates, default=""
    )
    verify_certificate: bool = setting(
        "Whether the certificate of an `https://` address is checked.", default=True
    )


@dataclass(frozen=True, kw_only=True)
class Config:
    """The whole configuration, one record per section of the file."""

    api: ApiSettings
    ldap: LdapSettings
    session: SessionSettings
    tokens: TokenSettings
    login: LoginSettings
    passwords: PasswordSettings
    accounts: AccountSettings
    iredapd: IredapdSettings
    amavisd: AmavisdSettings
    iredadmin: IredadminSettings
    mlmmjadmin: MlmmjadminSettings
    state: StateSettings
    jobs: JobSettings
    changes: ChangeSettings
    server: ServerSettings

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with settings taken together, each with its remedy."""
        yield from self.ldap.faults()
        if self.ldap.is_agreed and self.state.is_local:
            yield (
                'state.url: SQLite serves one machine; ldap.writer = "agreed" needs a MariaDB or'
                " PostgreSQL that all nodes reach"
            )


def sections() -> Iterator[tuple[str, type]]:
    """Yield the name and the record of each section, in the order of the file."""
    yield from get_type_hints(Config).items()
