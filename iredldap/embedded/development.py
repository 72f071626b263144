"""A complete installation in one private directory: slapd, its tree, and gunicorn."""

import fcntl
import os
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from iredldap.config.reader import CONFIG_VARIABLE
from iredldap.dit import base, passwords, user_entry
from iredldap.dit.names import Tree
from iredldap.embedded.child import ended_with_parent
from iredldap.embedded.errors import EmbeddedError
from iredldap.embedded.slapd import Slapd, refuse_taken_port
from iredldap.installation import Value, changed, configuration, kept_secret, write_secret
from iredldap.shipped import shipped

SUFFIX = "dc=example,dc=com"
ADMIN = "admin@iredldap.test"

_DATABASES = ("iredapd", "amavisd", "iredadmin", "state")

# Enough for a much slower machine; a server that exits is noticed at once.
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0


class Development:
    """An installation for trials and development.

    Args:
        home: Private directory; created on first use.
        port: TCP port of the API on 127.0.0.1.
        ldap_port: TCP port of the directory on 127.0.0.1.
    """

    def __init__(self, home: Path, port: int, ldap_port: int) -> None:
        self._home = home.absolute()
        self._port = port
        self._secrets = self._home / "secrets"
        self._tree = Tree(SUFFIX)
        self.slapd = Slapd(
            home=self._home / "directory",
            suffix=SUFFIX,
            schema_dir=shipped("schema"),
            port=ldap_port,
        )
        self._gunicorn: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/iredadmin/api"

    @property
    def configuration(self) -> Path:
        return self._home / "iredldap.toml"

    @property
    def log(self) -> Path:
        return self._home / "gunicorn.log"

    def facts(self) -> dict[str, str]:
        """Return addresses and credentials, by name."""
        return {
            "url": self.url,
            "admin": ADMIN,
            "password": kept_secret(self._secrets / "admin"),
            "ldap": self.slapd.uri,
            "suffix": SUFFIX,
            "reader": f"cn=vmail,{SUFFIX} {kept_secret(self._secrets / 'vmail')}",
        }

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run both servers during the block; both respond when it begins.

        Raises:
            PortRefusedError: If a port is taken.
            EmbeddedError: If one cannot be started, or the directory is in use.
        """
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._home / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as ex:
                raise EmbeddedError(f"{self._home} is in use by another `iredldap dev`") from ex
            try:
                self._start()
                yield
            finally:
                self._stop()

    def watch(self) -> None:
        """Wait until one of the servers exits.

        Raises:
            EmbeddedError: When one does.
        """
        assert self._gunicorn
        while self.slapd.running:
            try:
                status = self._gunicorn.wait(0.5)
            except subprocess.TimeoutExpired:
                continue
            raise EmbeddedError(f"gunicorn ended with status {status}; see {self.log}")
        raise EmbeddedError(f"slapd ended; see {self.slapd.log}")

    def _start(self) -> None:
        # Both before the first start, which takes some seconds.
        refuse_taken_port(self._port)
        refuse_taken_port(self.slapd.port)
        if not self.slapd.prepared:
            self.slapd.prepare(self._first_tree())
        self._write_configuration()
        self.slapd.start()
        with self.log.open("ab") as log:
            self._gunicorn = subprocess.Popen(  # noqa: S603
                gunicorn_command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
                # A session of its own: Ctrl-C reaches only this process, which then stops both in
                # order.
                start_new_session=True,
                preexec_fn=ended_with_parent(),  # noqa: PLW1509
            )
        self._await_answer(time.monotonic() + _START_SECONDS)

    def _stop(self) -> None:
        if self._gunicorn is not None:
            self._gunicorn.terminate()
            try:
                self._gunicorn.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._gunicorn.kill()
                self._gunicorn.wait()
        self.slapd.stop()

    def _await_answer(self, until: float) -> None:
        assert self._gunicorn
        while True:
            if self._gunicorn.poll() is not None:
                lines = self.log.read_text(errors="replace").splitlines()[-15:]
                raise EmbeddedError("\n".join(["gunicorn ended; its log says:", *lines]))
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/readyz", timeout=5):
                    return
            except (urllib.error.URLError, OSError) as ex:
                if time.monotonic() > until:
                    raise EmbeddedError(f"{self.url} does not answer: {ex}") from ex
            time.sleep(0.05)

    def _first_tree(self) -> bytes:
        reader, writer, admin = (
            passwords.hashed(kept_secret(self._secrets / name), "SSHA", os.urandom(16))
            for name in ("vmail", "vmailadmin", "admin")
        )
        first = base.global_admin_entry(
            self._tree,
            ADMIN,
            admin,
            user_entry.days_since_epoch(date.today()),  # noqa: DTZ011 - local, as every writer has it
        )
        return base.ldif(iter([*base.entries(self._tree, reader, writer), first]))

    def _write_configuration(self) -> None:
        """Write the configuration, or add the sections that one of an older version lacks.

        Commands that are given this file find the databases by it, as gunicorn does.
        """
        path = self.configuration
        text = path.read_text(encoding="utf-8") if path.exists() else configuration({})
        present, whole = tomllib.loads(text), text
        for section, settings in self._sections().items():
            if section not in present:
                whole = changed(whole, section, settings)
        if whole != text:
            path.write_text(whole, encoding="utf-8")

    def _sections(self) -> dict[str, dict[str, Value]]:
        keys = {name: self._secrets / name for name in ("session-keys", "change-log-keys")}
        for key in keys.values():
            kept_secret(key)
        databases = {name: self._secrets / f"{name}-url" for name in _DATABASES}
        for name, file in databases.items():
            if not file.exists():
                write_secret(file, f"sqlite:///{self._home / name}.sqlite3")
        return {
            "api": {"enable_restful_api": True},
            "ldap": {
                "uri": [self.slapd.uri],
                "suffix": SUFFIX,
                "bind_dn": f"cn=vmailadmin,{SUFFIX}",
                "bind_password_file": str(self._secrets / "vmailadmin"),
            },
            "session": {"keys_file": str(keys["session-keys"])},
            "changes": {"keys_file": str(keys["change-log-keys"])},
            **{name: {"url_file": str(file)} for name, file in databases.items()},
        }

    def _environment(self) -> dict[str, str]:
        return os.environ | {
            CONFIG_VARIABLE: str(self.configuration),
            "IREDLDAP_LDAP_URI": self.slapd.ldapi,
            "IREDLDAP_SERVER_BIND": f"127.0.0.1:{self._port}",
        }


def gunicorn_command() -> list[str]:
    """Return the command that serves the API with the shipped settings."""
    return [sys.executable, "-m", "gunicorn", "--config", str(shipped("gunicorn.conf.py"))]
