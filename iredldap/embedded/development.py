"""A complete installation in one private directory: slapd, its tree, and gunicorn."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from iredldap.embedded.errors import EmbeddedError
from iredldap.embedded.gunicorn import Gunicorn
from iredldap.embedded.process import await_http
from iredldap.embedded.slapd import Slapd
from iredldap.embedded.trial import SUFFIX, Trial, write_configuration
from iredldap.shipped import shipped


class Development:
    """An installation for trials and development.

    Args:
        home: Private directory; created on first use.
        port: TCP port of the API on 127.0.0.1.
        ldap_port: TCP port of the directory on 127.0.0.1.
    """

    def __init__(self, home: Path, port: int, ldap_port: int) -> None:
        self._trial = Trial(home)
        self._port = port
        self.slapd = Slapd(
            home=self._trial.home / "directory",
            suffix=SUFFIX,
            schema_dir=shipped("schema"),
            port=ldap_port,
        )
        self._gunicorn = Gunicorn(
            self.configuration,
            port,
            self._trial.home / "gunicorn.log",
            {"IREDLDAP_LDAP_URI": self.slapd.ldapi},
        )

    @property
    def configuration(self) -> Path:
        return self._trial.home / "iredldap.toml"

    @property
    def logs(self) -> list[Path]:
        return [self._gunicorn.log, self.slapd.log]

    def facts(self) -> dict[str, str]:
        """Return addresses and credentials, by name."""
        return self._trial.facts(f"http://127.0.0.1:{self._port}/iredadmin/api", self.slapd.uri)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run both servers during the block; both respond when it begins.

        Raises:
            PortRefusedError: If a port is taken, or none.
            EmbeddedError: If one cannot be started, or the directory is in use.
        """
        with self._trial.locked((self._port, self.slapd.port)):
            try:
                self._start()
                yield
            finally:
                self._gunicorn.stop()
                self.slapd.stop()

    def watch(self) -> None:
        """Wait until one of the servers exits.

        Raises:
            EmbeddedError: When one does.
        """
        while self.slapd.running:
            if not self._gunicorn.running:
                raise EmbeddedError(
                    f"gunicorn ended with status {self._gunicorn.status}; see {self._gunicorn.log}"
                )
            time.sleep(0.5)
        raise EmbeddedError(f"slapd ended; see {self.slapd.log}")

    def _start(self) -> None:
        if not self.slapd.prepared:
            self.slapd.prepare(self._trial.first_tree())
        sections = self._trial.sections({"uri": [self.slapd.uri]}, self._trial.url_file("state"))
        write_configuration(self.configuration, sections, frozenset())
        self.slapd.start()
        self._gunicorn.start()
        await_http(self._gunicorn, "gunicorn", f"http://127.0.0.1:{self._port}/readyz")
