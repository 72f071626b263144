"""Write Dovecot's configuration as release 2.3 and as release 2.4 has it, and read their answers.

Both make the look-ups of `tests.support.mail_lookups`. As on iRedMail's servers, 2.3 has the
directory verify a password by a bind as the user, and 2.4 reads the stored hash and compares it.
"""

import os
import pwd
from collections.abc import Iterator, Mapping
from grp import getgrgid
from pathlib import Path
from typing import NamedTuple, Protocol

from tests.support.mail_lookups import (
    ADDRESS,
    ALL_USERS,
    FOLDER,
    FORMAT,
    HOME,
    NETWORKS,
    ONE_USER,
    PASSWORD,
    QUOTA,
    Attribute,
)

CONFIGURATION = "dovecot.conf"
LOG = "dovecot.log"
STATE = "state"


class Site(NamedTuple):
    """Where one Dovecot has its files, and the directory that it asks."""

    home: Path  # of the configuration, the log and the state
    base: Path  # of the sockets
    uri: str
    suffix: str
    reader_password: str  # of ``cn=vmail``


class Mailbox(NamedTuple):
    """What Dovecot's look-up of a user finds."""

    address: str  # the user's own, if they were asked for by another one
    home: str
    format: str  # such as ``maildir``
    path: str  # absolute, without an end of ``/``
    quota: int  # bytes; 0 is no limit


class Dialect(Protocol):
    """How one release of Dovecot is configured, and how it shows a user."""

    verifies_by_bind: bool
    """Whether the directory verifies passwords, or Dovecot does."""

    def files(self, site: Site) -> Mapping[str, list[str]]:
        """Write the configuration: lines by the names of files in `site.home`."""

    def mailbox(self, asked: str, fields: Mapping[str, str]) -> Mailbox:
        """Read the fields that ``doveadm user`` shows for a user, `asked` for by an address."""


class Dovecot23:
    """Dovecot 2.3: a file of its own for LDAP, variables of one letter."""

    verifies_by_bind = True

    _ldap = "ldap.conf"

    # %s is the service, %c how the connection is secured, %u the login name, %L lower case.
    _one_user = ONE_USER.substitute(user="%u", protocol="%Ls", security="%Lc")

    def files(self, site: Site) -> Mapping[str, list[str]]:
        """Write the configuration: lines by the names of files in `site.home`."""
        driver = f"driver = ldap\n  args = {site.home / self._ldap}"
        return {
            CONFIGURATION: [
                *_settings(site),
                "import_environment = $import_environment LDAPNOINIT=1",
                *(f"{word} {{\n  {driver}\n}}" for word in ("passdb", "userdb")),
            ],
            self._ldap: list(self._look_ups(site)),
        }

    def _look_ups(self, site: Site) -> Iterator[str]:
        yield f"uris = {site.uri}"
        yield "ldap_version = 3"
        yield "auth_bind = yes"
        yield f"dn = cn=vmail,{site.suffix}"
        yield f"dnpass = {site.reader_password}"
        yield f"base = o=domains,{site.suffix}"
        yield "scope = subtree"
        yield f"iterate_filter = {ALL_USERS}"
        yield f"iterate_attrs = {ADDRESS.name}=user"
        yield f"pass_filter = {self._one_user}"
        # A field of an attribute that the entry lacks is left out, so these have no default.
        yield f"pass_attrs = {ADDRESS.name}=user,{NETWORKS.name}=allow_nets"
        yield f"user_filter = {self._one_user}"
        fields = (
            f"{ADDRESS.name}=user",
            f"{ADDRESS.name}=master_user",
            f"=home={self._value(HOME)}",
            f"=mail={self._value(FORMAT)}:~/{self._value(FOLDER)}/",
            f"{QUOTA.name}=quota_rule=*:bytes=%$",
        )
        yield f"user_attrs = {','.join(fields)}"

    @staticmethod
    def _value(attribute: Attribute) -> str:
        default = "" if attribute.default is None else f":{attribute.default}"
        return f"%{'L' if attribute.lower else ''}{{ldap:{attribute.name}{default}}}"

    def mailbox(self, asked: str, fields: Mapping[str, str]) -> Mailbox:
        """Read the fields that ``doveadm user`` shows for a user, `asked` for by an address."""
        home = fields["home"]
        format_, _, path = fields["mail"].partition(":")
        return Mailbox(
            address=fields.get("user", asked),
            home=home,
            format=format_,
            path=_absolute(path, home),
            quota=int(fields.get("quota_rule", "0").removeprefix("*:bytes=")),
        )


class Dovecot24:
    """Dovecot 2.4: one file, variables with names and filters."""

    verifies_by_bind = False

    _one_user = ONE_USER.substitute(
        user="%{user}", protocol="%{protocol | lower}", security="%{secured | lower}"
    )

    def files(self, site: Site) -> Mapping[str, list[str]]:
        """Write the configuration: lines by the names of files in `site.home`."""
        return {
            CONFIGURATION: [
                # These must be the first ones.
                *(f"dovecot_{word}_version = 2.4.0" for word in ("config", "storage")),
                *_settings(site),
                "import_environment {\n  LDAPNOINIT = 1\n}",
                *self._look_ups(site),
            ]
        }

    def _look_ups(self, site: Site) -> Iterator[str]:
        yield f"ldap_uris = {site.uri}"
        yield "ldap_version = 3"
        yield f"ldap_auth_dn = {_literal(f'cn=vmail,{site.suffix}')}"
        yield f"ldap_auth_dn_password = {_literal(site.reader_password)}"
        yield f"ldap_base = {_literal(f'o=domains,{site.suffix}')}"
        yield "ldap_scope = subtree"
        login = {
            "user": self._value(ADDRESS),
            "password": self._value(PASSWORD),
            "allow_nets": self._value(NETWORKS),
        }
        yield f"passdb ldap {{\n  filter = {_quoted(self._one_user)}"
        yield _section("fields", login)
        mailbox = {
            "user": self._value(ADDRESS),
            "master_user": self._value(ADDRESS),
            "home": self._value(HOME),
            "mail_driver": self._value(FORMAT),
            "mail_path": f"~/{self._value(FOLDER)}/",
            "quota_storage_size": f"{self._value(QUOTA)}B",
        }
        yield f"}}\nuserdb ldap {{\n  filter = {_quoted(self._one_user)}"
        yield _section("fields", mailbox)
        yield f"  iterate_filter = {_quoted(ALL_USERS)}"
        yield _section("iterate_fields", {"user": self._value(ADDRESS)})
        yield "}"

    @staticmethod
    def _value(attribute: Attribute) -> str:
        filters = [f"ldap:{attribute.name}"]
        if attribute.default is not None:
            filters.append(f"default('{attribute.default}')")
        if attribute.lower:
            filters.append("lower")
        return f"%{{{' | '.join(filters)}}}"

    def mailbox(self, asked: str, fields: Mapping[str, str]) -> Mailbox:
        """Read the fields that ``doveadm user`` shows for a user, `asked` for by an address."""
        home = fields["home"]
        return Mailbox(
            address=fields.get("user", asked),
            home=home,
            format=fields["mail_driver"],
            path=_absolute(fields["mail_path"], home),
            quota=int(fields["quota_storage_size"].removesuffix("B")),
        )


_DIALECTS: Mapping[str, Dialect] = {"2.3": Dovecot23(), "2.4": Dovecot24()}


def dialect(version: str) -> Dialect | None:
    """Choose the dialect of a release, named as ``dovecot --version`` does; None if unknown."""
    return _DIALECTS.get(".".join(version.split(".")[:2]))


def _settings(site: Site) -> Iterator[str]:
    """Yield what both releases take."""
    user = pwd.getpwuid(os.geteuid()).pw_name
    yield f"base_dir = {site.base}"
    yield f"state_dir = {site.home / STATE}"
    yield f"log_path = {site.home / LOG}"
    yield "auth_verbose = yes"
    # No protocol, so no port either.
    yield "protocols ="
    yield "ssl = no"
    # Dovecot's own users could not enter a private directory.
    yield from (f"default_{role}_user = {user}" for role in ("internal", "login"))
    yield f"default_internal_group = {getgrgid(os.getegid()).gr_name}"
    yield from (f"service {name} {{\n  chroot =\n}}" for name in ("anvil", "stats"))
    # Failures must not slow down what comes after them.
    yield "auth_failure_delay = 0"
    yield "service anvil {\n  unix_listener anvil-auth-penalty {\n    mode = 0\n  }\n}"
    yield from ("mail_uid = 2000", "mail_gid = 2000")


def _section(name: str, settings: Mapping[str, str]) -> str:
    lines = [f"    {key} = {_quoted(value)}\n" for key, value in settings.items()]
    return f"  {name} {{\n{''.join(lines)}  }}"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _literal(value: str) -> str:
    """Quote a value in which a percent sign begins no variable.

    A doubled sign is a single one before a brace only.
    """
    return _quoted(value.replace("%", "%{literal('%')}"))


def _absolute(path: str, home: str) -> str:
    """Expand a path that may begin with ``~/``; leave out each ``/`` that is too many."""
    return os.path.normpath(path.replace("~", home, 1))
