"""Run a private PostgreSQL on the loopback interface, for the state database of a trial cluster."""

import hashlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from iredldap.embedded.errors import EmbeddedError
from iredldap.embedded.process import Process, last_lines
from iredldap.installation import write_secret

_USER = "iredldap"
_START_SECONDS = 60.0
# Debian keeps PostgreSQL's programs out of the PATH, a folder for each release.
_RELEASES = Path("/usr/lib/postgresql")
_ROOTS_HOME = Path("/var/tmp")  # noqa: S108 - a folder that is ours alone is made in it


class PostgreSQL:
    """A PostgreSQL with its data in one private directory.

    Args:
        home: For data and log. PostgreSQL refuses to be root, and what root has is closed to its
            own account: then the data are in a folder below /var/tmp.
        port: TCP port on 127.0.0.1.
        password: Of its only user.
    """

    def __init__(self, home: Path, port: int, password: str) -> None:
        self.port = port
        self._home = home.absolute()
        self._password = password
        self._account = _account() if os.geteuid() == 0 else None
        self._process = Process([], self.log, {})

    @property
    def log(self) -> Path:
        return self._home / "postgresql.log"

    @property
    def folder(self) -> Path:
        """Where its data are."""
        if self._account is None:
            return self._home
        name = hashlib.sha256(os.fsencode(self._home)).hexdigest()[:16]
        return _ROOTS_HOME / f"iredldap-{name}"

    @property
    def running(self) -> bool:
        return self._process.running

    def url(self, port: int | None = None) -> str:
        """Return the SQLAlchemy URL of its database, at another port if it is reached there."""
        return f"postgresql://{_USER}:{self._password}@127.0.0.1:{port or self.port}/postgres"

    def start(self) -> None:
        """Start it with what it has, or anew, and wait until it responds.

        Raises:
            EmbeddedError: With the end of its log, if it does not; if something is not installed.
        """
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        data = self._made_folder() / "data"
        if not (data / "PG_VERSION").exists():
            self._install(data)
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "shared_buffers": "16MB",
        }
        options = [word for item in settings.items() for word in ("-c", "=".join(item))]
        self._process = Process(
            [_program("postgres"), "-D", data, *options],
            self.log,
            _environment(data),
            # Connections are ended, and not waited for.
            end=signal.SIGINT,
            rights=self._rights(data),
        )
        self._process.start()
        self._await_answer(time.monotonic() + _START_SECONDS)

    def stop(self) -> None:
        """Stop it in order."""
        self._process.stop()

    def kill(self) -> None:
        """End it and its children by SIGKILL."""
        self._process.kill()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and its children."""
        self._process.signal(number)

    def _made_folder(self) -> Path:
        folder = self.folder
        if self._account is None:
            return folder
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            os.chown(folder, self._account.pw_uid, self._account.pw_gid)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != self._account.pw_uid:
            raise EmbeddedError(f"{folder} belongs to another user")
        return folder

    def _install(self, data: Path) -> None:
        # Made beside, and moved: one that was interrupted must not pass for a whole one.
        made = data.with_name("data.new")
        shutil.rmtree(made, ignore_errors=True)
        options = ("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C")
        password = self._password_file(data.with_name("password"))
        done = subprocess.run(  # noqa: S603
            [_program("initdb"), "-D", made, "-U", _USER, f"--pwfile={password}", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_environment(data),
            check=False,
            **self._rights(data),
        )
        password.unlink()
        if done.returncode != 0:
            raise EmbeddedError(f"initdb failed:\n{done.stdout.decode(errors='replace').strip()}")
        made.rename(data)

    def _password_file(self, path: Path) -> Path:
        path.unlink(missing_ok=True)
        write_secret(path, self._password)
        if self._account is not None:
            os.chown(path, self._account.pw_uid, self._account.pw_gid)
        return path

    def _rights(self, data: Path) -> dict[str, Any]:
        if self._account is None:
            return {"cwd": data.parent}
        user, group = self._account.pw_uid, self._account.pw_gid
        return {"cwd": data.parent, "user": user, "group": group, "extra_groups": ()}

    def _await_answer(self, until: float) -> None:
        try:
            import psycopg  # noqa: PLC0415 - an extra
        except ImportError as ex:
            self.kill()
            raise EmbeddedError(f"{ex}: install the extra `postgresql`") from ex
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=5).close()
            except psycopg.OperationalError as ex:
                if not self.running or time.monotonic() > until:
                    words = [f"PostgreSQL does not answer: {ex}", *last_lines(self.log)]
                    self.kill()
                    raise EmbeddedError("\n".join(words)) from ex
                time.sleep(0.05)
            else:
                return


def _program(name: str) -> Path:
    releases: Sequence[Path] = sorted(
        _RELEASES.glob("*/bin"), key=lambda folder: float(folder.parent.name), reverse=True
    )
    path = os.pathsep.join([*map(str, releases), os.environ.get("PATH", os.defpath)])
    found = shutil.which(name, path=path)
    if found is None:
        raise EmbeddedError(
            f"PostgreSQL's {name} is not installed; on Debian and Ubuntu install the package"
            " postgresql"
        )
    return Path(found)


def _account() -> pwd.struct_passwd:
    """Return whom a PostgreSQL runs as that root starts."""
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _environment(data: Path) -> dict[str, str]:
    return {"PATH": os.defpath, "HOME": str(data.parent), "LC_ALL": "C"}
