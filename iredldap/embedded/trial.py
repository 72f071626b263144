"""What installations for trials have in common: a private directory, secrets, tree and settings."""

import fcntl
import os
import tomllib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TextIO

from iredldap import file_causes
from iredldap.dit import base, passwords, user_entry
from iredldap.dit.names import Tree
from iredldap.embedded.errors import EmbeddedError, PortRefusedError
from iredldap.embedded.ports import refuse_taken_port
from iredldap.installation import Value, changed, configuration, kept_secret, write_secret

SUFFIX = "dc=example,dc=com"
ADMIN = "admin@iredldap.test"

Sections = Mapping[str, Mapping[str, Value]]


class Trial:
    """The private directory of an installation on one machine.

    Args:
        home: Created on first use.
    """

    def __init__(self, home: Path) -> None:
        self.home = home.absolute()
        self._secrets = self.home / "secrets"

    @contextmanager
    def locked(self, ports: Collection[int]) -> Iterator[None]:
        """Keep others out during the block.

        Args:
            ports: TCP ports of 127.0.0.1 that the block needs.

        Raises:
            PortRefusedError: If one of them is taken, or none; then the directory is not created.
            EmbeddedError: If the directory is in use, or cannot be.
        """
        if not self.home.exists():
            _refuse_taken(ports)
        with self._lock_file() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as ex:
                raise EmbeddedError(f"{self.home} is in use by another `iredldap dev`") from ex
            # Of one that runs there it is said that it does, and not that it has the ports.
            _refuse_taken(ports)
            yield

    def _lock_file(self) -> TextIO:
        try:
            # Not by `parents`, which makes them for everybody.
            for folder in reversed([self.home, *self.home.parents]):
                folder.mkdir(mode=0o700, exist_ok=True)
            return (self.home / "lock").open("w")
        except OSError as ex:
            reason = f"{self.home} cannot be the directory for the data: {file_causes.words(ex)}"
            raise EmbeddedError(f"{reason}; choose another one with the variable VAR") from ex

    def facts(self, url: str, ldap: str) -> dict[str, str]:
        """Return addresses and credentials, by name."""
        return {
            "url": url,
            "admin": ADMIN,
            "password": self.secret("admin"),
            "ldap": ldap,
            "suffix": SUFFIX,
            "reader": f"cn=vmail,{SUFFIX} {self.secret('vmail')}",
        }

    def secret(self, name: str) -> str:
        """Return a secret; the first call generates it."""
        return kept_secret(self._secrets / name)

    def secret_file(self, name: str) -> str:
        """Return the path of a secret; the first call generates it."""
        self.secret(name)
        return str(self._secrets / name)

    def url_file(self, name: str, url: str | None = None) -> str:
        """Return the path of a file with the URL of a database.

        Args:
            name: Of the database.
            url: Which is written; by default one of SQLite, unless there is one already.
        """
        path = self._secrets / f"{name}-url"
        if url is not None:
            path.unlink(missing_ok=True)
        if not path.exists():
            write_secret(path, url or f"sqlite:///{self.home / name}.sqlite3")
        return str(path)

    def first_tree(self) -> bytes:
        """Return the LDIF of a directory with nothing in it but the first admin."""
        tree = Tree(SUFFIX)
        reader, writer, admin = (
            passwords.hashed(self.secret(name), "SSHA", os.urandom(16))
            for name in ("vmail", "vmailadmin", "admin")
        )
        first = base.global_admin_entry(
            tree,
            ADMIN,
            admin,
            user_entry.days_since_epoch(date.today()),  # noqa: DTZ011 - local, as every writer has it
        )
        return base.ldif(iter([*base.entries(tree, reader, writer), first]))

    def sections(self, ldap: Mapping[str, Value], state: str) -> dict[str, Mapping[str, Value]]:
        """Return the settings of the API.

        Args:
            ldap: Of the directory servers.
            state: File with the URL of the state database.
        """
        databases = {name: self.url_file(name) for name in ("iredapd", "amavisd", "iredadmin")} | {
            "state": state
        }
        return {
            "api": {"enable_restful_api": True},
            "ldap": {
                **ldap,
                "suffix": SUFFIX,
                "bind_dn": f"cn=vmailadmin,{SUFFIX}",
                "bind_password_file": self.secret_file("vmailadmin"),
            },
            "session": {"keys_file": self.secret_file("session-keys")},
            "changes": {"keys_file": self.secret_file("change-log-keys")},
            **{name: {"url_file": file} for name, file in databases.items()},
        }


def _refuse_taken(ports: Collection[int]) -> None:
    for port, uses in Counter(ports).items():
        if uses > 1:
            raise PortRefusedError(port, "asked for twice")
        refuse_taken_port(port)


def write_configuration(path: Path, sections: Sections, always: frozenset[str]) -> None:
    """Write a configuration, or add the sections that one of an older version lacks.

    Commands that are given this file find the databases by it, as gunicorn does.

    Args:
        path: Of the file.
        sections: Settings by section.
        always: Sections whose settings are written also where they are there.
    """
    text = path.read_text(encoding="utf-8") if path.exists() else configuration({})
    present, whole = tomllib.loads(text), text
    for section, settings in sections.items():
        if section not in present or section in always:
            whole = changed(whole, section, settings)
    if whole != text:
        path.write_text(whole, encoding="utf-8")
