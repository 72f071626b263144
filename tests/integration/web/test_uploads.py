"""Files that are sent to be restored: they hold hashes, and leave nothing behind."""

import os
import signal
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.client import Client
from tests.support.gunicorn import gunicorn
from tests.support.patience import wait_until
from tests.support.processes import descendants, holds_file_in
from tests.support.world import World

SECRET = b"{SSHA512}a-hash-that-nobody-else-may-see"
FILE = b"version: 1\n\n" + b"# " + SECRET + b"\n" + b"# padding\n" * 200_000
BOUNDARY = "the-boundary"
PART = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.ldif"\r\n\r\n'
).encode()
BODIES = {
    "application/octet-stream": FILE,
    f"multipart/form-data; boundary={BOUNDARY}": PART + FILE,
}


@pytest.mark.parametrize("content_type", BODIES, ids=["plain", "multipart"])
def test_a_worker_that_is_killed_leaves_no_upload_behind(
    world: World, tmp_path: Path, content_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of it, when part of it is on the disk; nor has that a name before."""
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    before = descendants(os.getpid())
    with gunicorn(world, home) as url:
        cookies = Client(url).log_in().session.cookies
        workers = descendants(os.getpid()) - before
        body = BODIES[content_type]
        head = (
            f"POST /api/ldif?dry_run=yes HTTP/1.1\r\nHost: here\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {len(body) * 2}\r\n"
            f"Cookie: {'; '.join(f'{c.name}={c.value}' for c in cookies)}\r\n\r\n"
        )
        with socket.create_connection((urlsplit(url).hostname, urlsplit(url).port)) as client:
            client.sendall(head.encode() + body)

            def holding() -> list[int]:
                return [worker for worker in workers if holds_file_in(worker, temporary)]

            wait_until(lambda: bool(holding()))
            assert [*temporary.iterdir()] == []
            for worker in holding():
                os.kill(worker, signal.SIGKILL)
            wait_until(lambda: not holding())
        assert [*temporary.iterdir()] == []
        left = [path for path in home.rglob("*") if path.is_file() and SECRET in path.read_bytes()]
        assert left == []
