"""Private servers of Redis: one, one that follows it, and one that names its successor."""

import socket
import subprocess
from pathlib import Path

from iredldap.embedded.child import ended_with_parent
from iredldap.embedded.ports import free_port
from tests.support.patience import PATIENCE, wait_until


class Redis:
    """A private Redis on the loopback interface, which keeps nothing."""

    def __init__(self, home: Path) -> None:
        self.port = free_port()
        self._home = home
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        return ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--save", ""]

    def start(self, deadline: float = PATIENCE) -> None:
        self._process = subprocess.Popen(
            self.command(),
            cwd=self._home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            preexec_fn=ended_with_parent(),  # noqa: PLW1509
        )
        try:
            wait_until(self._answers, deadline)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(PATIENCE)
            self._process = None

    def kill(self) -> None:
        """End it by SIGKILL."""
        if self._process:
            self._process.kill()
            self._process.wait(PATIENCE)
            self._process = None

    def _answers(self) -> bool:
        assert self._process
        assert self._process.poll() is None, "it ended"
        try:
            socket.create_connection(("127.0.0.1", self.port), PATIENCE).close()
        except ConnectionRefusedError:
            return False
        return True


class Replica(Redis):
    """One that follows another one."""

    def __init__(self, home: Path, master: Redis) -> None:
        super().__init__(home)
        self._master = master

    def command(self) -> list[str]:
        return [*super().command(), "--replicaof", "127.0.0.1", str(self._master.port)]


class Sentinel(Redis):
    """Watches a Redis, and names the replica that takes its place."""

    def __init__(self, home: Path, master: Redis) -> None:
        super().__init__(home)
        self._master = master

    @property
    def url(self) -> str:
        """Beside one that does not answer."""
        return f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{self.port}/logins"

    def command(self) -> list[str]:
        file = self._home / f"sentinel-{self.port}.conf"
        lines = (
            "bind 127.0.0.1",
            f"port {self.port}",
            f"sentinel monitor logins 127.0.0.1 {self._master.port} 1",
            "sentinel down-after-milliseconds logins 500",
            "sentinel failover-timeout logins 2000",
        )
        file.write_text("\n".join([*lines, ""]))
        return ["redis-server", str(file), "--sentinel"]
