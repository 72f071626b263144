"""Private SQL servers for the tests: processes on the loopback interface, ended with the tests."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import sqlalchemy as sql
from sqlalchemy.exc import OperationalError

from iredldap.embedded.child import ended_with_parent
from iredldap.embedded.ports import free_port, refuse_taken_port
from tests.support.mailservers import PATH
from tests.support.patience import PATIENCE

ADMIN = "tests"


class DatabaseError(Exception):
    """A server could not be started; the text is its own."""


class Server(ABC):
    """A server on a port of 127.0.0.1 that it keeps.

    Run by root, it is a process of the account that its package made for it.
    """

    backend: ClassVar[str]
    account: ClassVar[str]
    """What its package calls its account."""
    driver: ClassVar[str]
    system_database: ClassVar[str]
    """What an administrator connects to."""
    crash: ClassVar[signal.Signals]
    """Ends it without giving it time to tidy up."""
    end: ClassVar[signal.Signals]
    """Ends it in order, without waiting for clients."""
    arguments: ClassVar[dict[str, Any]]
    """What the tests' own connections are made with."""

    def __init__(self) -> None:
        """Reserve a directory; `close` removes it."""
        self.home = Path(tempfile.mkdtemp(prefix="iredldap-"))
        self.port = free_port()
        self.password = secrets.token_hex(8)
        self._process: subprocess.Popen[bytes] | None = None
        self._engines: dict[str, sql.Engine] = {}
        self._rights: dict[str, Any] = {}
        if os.geteuid() == 0:
            account = _account(self.account)
            self._rights = {
                "user": account.pw_uid,
                "group": account.pw_gid,
                "extra_groups": (),
            }
            os.chown(self.home, account.pw_uid, account.pw_gid)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> Path:
        return self.home / "log"

    def start(self, deadline: float = PATIENCE) -> None:
        """Start it, anew or with what it has, and wait until it answers.

        It gets SIGTERM when the thread that called this ends.

        Raises:
            DatabaseError: With the end of its log, if it ends or stays silent.
        """
        if not (self.home / "data").exists():
            try:
                self._install()
            except BaseException:
                # Half a directory must not pass for a whole one when it is tried again.
                shutil.rmtree(self.home / "data", ignore_errors=True)
                raise
        refuse_taken_port(self.port)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                stdout=log,
                stderr=log,
                # Ctrl-C at the terminal is for the tests, which then stop it.
                start_new_session=True,
                preexec_fn=ended_with_parent(),  # noqa: PLW1509
                **self._surroundings(),
            )
        try:
            self._await_answer(time.monotonic() + deadline)
        except BaseException:
            self.kill()
            raise

    def stop(self, deadline: float = PATIENCE) -> None:
        """End it in order; by force after `deadline` seconds."""
        self.forget_connections()
        if self._process is not None and self.running:
            self._process.send_signal(self.end)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(deadline)
        self.kill()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self.forget_connections()
        if self._process is not None:
            self._process.send_signal(self.crash)
            try:
                self._process.wait(PATIENCE)
            finally:
                self._process.kill()
                self._process.wait()
                self._process = None

    def close(self) -> None:
        """End it, and remove its data."""
        self.stop()
        shutil.rmtree(self.home)

    def url(self, database: str, user: str | None = None) -> str:
        """Say how its own user, or the one named, reaches a database."""
        return sql.URL.create(
            self.driver, user or database, self.password, "127.0.0.1", self.port, database
        ).render_as_string(hide_password=False)

    def administer(self, database: str, *statements: str) -> None:
        """Have an administrator do something, each statement for itself."""
        with self.engine(database).connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def engine(self, database: str) -> sql.Engine:
        """Give an administrator's connections to a database, kept until the server ends."""
        if database not in self._engines:
            self._engines[database] = sql.create_engine(
                self.url(database, ADMIN),
                pool_pre_ping=True,
                isolation_level="AUTOCOMMIT",
                connect_args=self.arguments,
                execution_options={"no_parameters": True},
            )
        return self._engines[database]

    def forget_connections(self) -> None:
        """Close what `engine` opened."""
        for engine in self._engines.values():
            engine.dispose()
        self._engines.clear()

    @abstractmethod
    def _install(self) -> None:
        """Make the data directory, as the first thing that is done there."""

    @abstractmethod
    def _command(self) -> Sequence[str | Path]:
        """Say what to run in the foreground."""

    def _await_answer(self, until: float) -> None:
        while not self._answers():
            if not self.running:
                raise DatabaseError(f"{self.backend} ended: {self._log_end()}")
            if time.monotonic() > until:
                raise DatabaseError(f"{self.backend} gave no answer in time: {self._log_end()}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            self.administer(self.system_database, "SELECT 1")
        except OperationalError:
            return False
        return True

    def _log_end(self) -> str:
        return "\n".join(["", *self.log.read_text(errors="replace").splitlines()[-15:]])

    def _run(self, *command: str | Path) -> None:
        answer = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=5 * PATIENCE,
            check=False,
            **self._surroundings(),
        )
        if answer.returncode:
            raise DatabaseError(f"{command[0]}: {answer.stdout}")

    def _surroundings(self) -> dict[str, Any]:
        return {
            "stdin": subprocess.DEVNULL,
            "cwd": self.home,
            "env": {"PATH": PATH, "HOME": str(self.home), "LC_ALL": "C"},
            **self._rights,
        }

    def _write(self, name: str, text: str) -> Path:
        """Write a file that nobody but the server can read."""
        path = self.home / name
        path.touch(mode=0o600)
        path.write_text(text, "utf-8")
        if self._rights:
            os.chown(path, self._rights["user"], self._rights["group"])
        return path


def program(name: str, path: str) -> str:
    """Find a program in the directories of `path`."""
    found = shutil.which(name, path=path)
    if found is None:
        raise FileNotFoundError(f"{name} is not installed; tools/provide test installs it")
    return found


def _account(name: str) -> pwd.struct_passwd:
    """Find whom a server runs as that root started: it would refuse to be root."""
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return pwd.getpwnam("nobody")
