"""Run a private slapd on the loopback interface, with an iRedMail server's schema and rules."""

import errno
import os
import re
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from string import Template
from typing import IO
from urllib.parse import quote

import ldap

from iredldap.embedded import installed
from iredldap.embedded.child import ended_with_parent
from iredldap.embedded.errors import EmbeddedError
from iredldap.embedded.local_socket import LocalSocket
from iredldap.embedded.ports import refuse_taken_port
from iredldap.embedded.replication import Replication

GIB = 1024**3

# What needs no escaping in slapd.conf, in a DN and, but for the dot, in a regular expression.
_PLAIN_SUFFIX = re.compile(r"[A-Za-z]+=[\w. -]+(,[A-Za-z]+=[\w. -]+)*", re.ASCII)

# Without the defaults of this machine's ldap.conf and the user's ~/.ldaprc.
_ENVIRONMENT = {"LDAPNOINIT": "1"}

_START_SECONDS = 60.0
"""Enough for a much slower machine; a server that exits is noticed at once."""
_ANSWER_SECONDS = 5


class Slapd:
    """A slapd with its configuration and database in one private directory."""

    def __init__(
        self,
        *,
        home: Path,
        suffix: str,
        schema_dir: Path,
        port: int,
        fast_reads: bool = False,
        syncprov: bool = False,
        extra: str = "",
        maxsize: int = 2 * GIB,
        tls: tuple[Path, Path, Path] | None = None,
        replication: Replication | None = None,
    ) -> None:
        """Configure the server; nothing is written yet.

        Args:
            home: Directory for configuration, database, socket and log; created by `prepare`.
            suffix: Of the tree, such as `dc=example,dc=com`.
            schema_dir: Where `slapd.conf` and our schema files are.
            port: TCP port on 127.0.0.1.
            fast_reads: Exempt reads by the service accounts from iRedMail's access rules.
            syncprov: Offer content synchronization (RFC 4533), which iRedMail does not enable.
            extra: Lines for slapd.conf at the end of the database section.
            maxsize: Limit of the database in bytes.
            tls: Files of the CA certificate, the certificate and its key, to offer StartTLS.
            replication: How it takes part in a pair of servers; that includes `syncprov`.

        Raises:
            EmbeddedError: If the suffix has characters that need escaping.
        """
        self.home = home.absolute()
        self.suffix = re.sub(r"\s*,\s*", ",", suffix.strip())
        if not _PLAIN_SUFFIX.fullmatch(self.suffix):
            raise EmbeddedError(f"not a plain LDAP suffix: {suffix}")
        self.port = port
        self._schema_dir = schema_dir.absolute()
        self._fast_reads = fast_reads
        self._syncprov = syncprov
        self._extra = extra
        self._maxsize = maxsize
        self._tls = tls
        self._replication = replication
        self._process: subprocess.Popen[bytes] | None = None
        self._socket = LocalSocket(self.home)

    @property
    def uri(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def ldapi(self) -> str:
        return "ldapi://" + quote(str(self._socket.path), safe="")

    @property
    def log(self) -> Path:
        return self.home / "slapd.log"

    @property
    def prepared(self) -> bool:
        """Whether the database exists."""
        return (self._database / "data.mdb").exists()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Process id while running."""
        return self._process.pid if self._process is not None and self.running else None

    def prepare(self, ldif: bytes | IO[bytes]) -> None:
        """Create the database and load the tree; all of it or nothing.

        Args:
            ldif: The tree, or a file from whose position on it is read.

        Raises:
            EmbeddedError: With slapd's message, if it refuses the LDIF; if there is a database
                already; if something is not installed.
        """
        if self.prepared:
            raise EmbeddedError(f"{self._database} holds a database already")
        self._make_home()
        # Loaded into a temporary directory: an interrupted load must not look like a database.
        loading = self.home / "database.loading"
        shutil.rmtree(loading, ignore_errors=True)
        loading.mkdir(mode=0o700)
        # -q: no flush after every entry. An interrupted load is discarded anyway.
        options = ["-q"]
        if self._replication is not None:
            # -w: with the state of the tree, by which a peer with the same one needs nothing of it.
            options += ["-w", "-S", str(self._replication.server_id)]
        try:
            self._tool("add", loading, *options, ldif=ldif)
        except EmbeddedError:
            shutil.rmtree(loading)
            raise
        shutil.rmtree(self._database, ignore_errors=True)
        loading.rename(self._database)

    def dump(self) -> bytes:
        """Return the whole tree with its states, as slapcat writes it: another server's `prepare`.

        Raises:
            EmbeddedError: With slapd's message, if it cannot.
        """
        return self._tool("cat", self._database)

    def start(self, deadline: float = _START_SECONDS) -> None:
        """Start slapd and wait until it responds on both listeners, `deadline` seconds at most.

        It gets SIGTERM when the calling thread ends: call it from one that lasts.

        Raises:
            EmbeddedError: With the end of the log, if it exits or does not respond; if the port is
                taken; if there is no database.
        """
        if self.running:
            raise EmbeddedError("slapd is running already")
        if not self.prepared:
            raise EmbeddedError(f"{self._database} holds no database")
        refuse_taken_port(self.port)
        self._make_home()
        configuration = self._write_configuration("slapd.conf", self._database)
        self._socket.make_folder()
        with self.log.open("ab") as log:
            before = log.tell()
            self._process = self._spawn(configuration, log.fileno())
        try:
            self._await_answers(time.monotonic() + deadline, deadline, before)
        except BaseException:
            self.kill()
            raise

    def stop(self, deadline: float = 30.0) -> None:
        """Stop slapd by SIGTERM; by SIGKILL after `deadline` seconds."""
        if self._process is not None and self.running:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(deadline)
        self.kill()

    def kill(self) -> None:
        """Stop slapd by SIGKILL, as in a crash."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self._socket.remove()

    def _tool(
        self, name: str, database: Path, *options: str, ldif: bytes | IO[bytes] = b""
    ) -> bytes:
        """Run slapadd or slapcat, and return what it writes."""
        configuration = self._write_configuration(f"slap{name}.conf", database)
        done = subprocess.run(  # noqa: S603
            [self._binary(), "-T", name, *options, "-f", configuration, "-b", self.suffix],
            input=ldif if isinstance(ldif, bytes) else None,
            stdin=None if isinstance(ldif, bytes) else ldif,
            capture_output=True,
            env=os.environ | _ENVIRONMENT,
            check=False,
        )
        configuration.unlink()
        if done.returncode != 0:
            said = (done.stdout + done.stderr).decode(errors="replace").strip()
            raise EmbeddedError(f"slap{name} failed:\n{said}")
        return done.stdout

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; nothing if it does not run."""
        if self.pid is not None:
            os.kill(self.pid, number)

    @property
    def _database(self) -> Path:
        return self.home / "database"

    def _make_home(self) -> None:
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.home.chmod(0o700)

    def _write_configuration(self, name: str, database: Path) -> Path:
        template = Template((self._schema_dir / "slapd.conf").read_text("utf-8"))
        binary = installed.find_binary()
        text = template.substitute(
            home=_escape(self.home),
            schema=_escape(self._schema_dir),
            standard_schema=_escape(installed.find_standard_schema(binary)),
            modules=_escape(installed.find_modules(binary)),
            database=_escape(database),
            suffix=self.suffix,
            suffix_pattern=self.suffix.replace(".", "[.]"),
            maxsize=self._maxsize,
            fast_reads="" if self._fast_reads else "# ",
            syncprov="" if self._syncprov else "# ",
            tls=self._tls_lines(),
            before=self._replication_lines("1-before-database"),
            access=self._replication_lines("2-access"),
            extra=f"{self._extra}\n{self._replication_lines('3-end-of-database')}",
        )
        path = self.home / name
        path.write_text(text, "utf-8")
        return path

    def _replication_lines(self, part: str) -> str:
        if self._replication is None:
            return ""
        return self._replication.lines(part, self.suffix)

    def _tls_lines(self) -> str:
        words = ("TLSCACertificateFile", "TLSCertificateFile", "TLSCertificateKeyFile")
        files = self._tls or ()
        return "\n".join(
            f'{word} "{_escape(file.absolute())}"' for word, file in zip(words, files, strict=False)
        )

    def _binary(self) -> Path:
        binary = installed.find_binary()
        if not installed.is_confined():
            return binary
        # AppArmor's profile (Ubuntu) applies to the program's path and denies access to `home`. A
        # copy at another path is not confined; the machine's own slapd still is.
        copy = self.home / "bin" / "slapd"
        copy.parent.mkdir(mode=0o700, exist_ok=True)
        if not copy.exists() or copy.stat().st_mtime < binary.stat().st_mtime:
            shutil.copy2(binary, copy)
        return copy

    def _spawn(self, configuration: Path, log: int) -> subprocess.Popen[bytes]:
        # -d keeps it in the foreground; "none" is the level of what is always logged.
        # -s 0: nothing to the machine's syslog.
        # A session of its own: Ctrl-C at the terminal reaches only this process, which then stops
        # slapd in order.
        return subprocess.Popen(  # noqa: S603
            [
                *(self._binary(), "-d", "none", "-s", "0", "-f", configuration),
                *("-h", f"{self.uri} {self.ldapi}"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=self.home,
            env=os.environ | _ENVIRONMENT,
            start_new_session=True,
            preexec_fn=ended_with_parent(),  # noqa: PLW1509
        )

    def _await_answers(self, until: float, deadline: float, log_start: int) -> None:
        silent = [self.uri, self.ldapi]
        while silent:
            if not self.running:
                raise EmbeddedError(self._complain("slapd ended", log_start))
            if time.monotonic() > until:
                raise EmbeddedError(
                    self._complain(f"slapd gave no answer in {deadline:g} s", log_start)
                )
            silent = [uri for uri in silent if not _answers(uri)]
            time.sleep(0.02 if silent else 0)

    def _complain(self, what: str, log_start: int) -> str:
        with self.log.open("rb") as log:
            log.seek(log_start)
            lines = log.read().decode(errors="replace").splitlines()
        if any(f"errno={errno.EADDRINUSE}" in line for line in lines):
            what = f"port {self.port} is taken: {what}"
        return "\n".join([f"{what}; {self.log} says:", *lines[-15:]])


def _answers(uri: str) -> bool:
    """Return whether a server responds to a search of its root entry in time."""
    connection = ldap.initialize(uri)
    connection.set_option(ldap.OPT_NETWORK_TIMEOUT, _ANSWER_SECONDS)
    connection.set_option(ldap.OPT_TIMEOUT, _ANSWER_SECONDS)
    try:
        connection.search_s("", ldap.SCOPE_BASE, attrlist=["1.1"])
    except ldap.LDAPError:
        return False
    finally:
        connection.unbind_s()
    return True


def _escape(path: Path) -> str:
    """Escape a path for double quotes in slapd.conf."""
    return re.sub(r'(["\\])', r"\\\1", str(path))
