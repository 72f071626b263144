"""Call the API in this process, as the Unix user who runs the command.

The way of a request is the same as on the server: rights, turns, the change log and dry runs. No
work in the background is started, so jobs are not carried out here.
"""

import io
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from iredldap.app import Gateways, create_app
from iredldap.changes.progress import Progress
from iredldap.commands.api.answers import Api, Arriving, Outgoing, Unavailable
from iredldap.commands.api.failures import Failed
from iredldap.commands.exit_status import ExitStatus
from iredldap.commands.logs import errors_only_logged
from iredldap.config.reader import ConfigurationError, read_file
from iredldap.dit.plan import Plan
from iredldap.errors import Refusal
from iredldap.gateways import unix_user
from iredldap.operations.login import Caller
from iredldap.web.local_calls import KEY, LocalCall

_REFUSED = "refused"
"""What the web server logs of a refusal; the command itself says it."""


Show = Callable[[int, int | None], None]
"""Called with the number of entries, rows or steps that are done, and of all; None: not known."""


class LocalApi(Api):
    """The API of a configuration file.

    Args:
        where: The file.
        application: The application.
        show: Shows how far a change is.
    """

    is_local = True

    def __init__(self, where: str, application: Any, show: Show) -> None:
        self.where = where
        self._application = application
        self._show = show

    @contextmanager
    def _exchange(self, request: Outgoing) -> Iterator[Arriving]:
        # The rights of whoever may read the secrets of the service.
        caller = Caller(unix_user.name(), "", is_global=True, stored=())
        call = LocalCall(caller, self._begin, self._show)
        begun: list[tuple[str, list[tuple[str, str]]]] = []

        def start(status: str, headers: list[tuple[str, str]], _: object = None) -> None:
            begun.append((status, headers))

        chunks = self._application(_environ(request) | {KEY: call}, start)
        try:
            status, headers = begun[-1]
            named = {name.lower(): value for name, value in headers}
            detail = call.refusal.detail if call.refusal else ""
            told = "" if detail in _codes(call) else detail
            yield Arriving(int(status.split()[0]), named, _read(chunks), told)
        finally:
            if close := getattr(chunks, "close", None):
                close()

    def _begin(self, _: Plan) -> Progress:
        return _ShownProgress(self._show)


def _read(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the parts of an answer.

    Raises:
        Unavailable: If the rest of it cannot be made.
    """
    try:
        yield from chunks
    except Refusal as refusal:
        raise Unavailable(f"the answer broke off: {refusal.code}: {refusal.detail}") from refusal


class _ShownProgress(Progress):
    def __init__(self, show: Show) -> None:
        super().__init__()
        self._show = show

    def visit(self) -> None:
        super().visit()
        self._show(self.visited, None)


@contextmanager
def open_local(path: Path, show: Show) -> Iterator[LocalApi]:
    """Open the API of a configuration file.

    Raises:
        Failed: If the file, or a secret that it names, cannot be read.
    """
    try:
        config = read_file(path, os.environ)
    except ConfigurationError as ex:
        text = "\n".join(ex.errors)
        remedy = "use --config FILE, or --url and a token" if "Errno" in text else ""
        raise Failed("\n".join(filter(None, (text, remedy))), ExitStatus.USAGE) from ex
    with errors_only_logged(_REFUSED), closing(Gateways.open(config)) as gateways:
        yield LocalApi(str(path), create_app(config, gateways, runs_jobs=False), show)


def _codes(call: LocalCall) -> tuple[str, ...]:
    return call.refusal.codes if call.refusal else ()


def _environ(request: Outgoing) -> dict[str, Any]:
    """Return the environment of a request as a server makes it (PEP 3333)."""
    headers = {name.upper().replace("-", "_"): value for name, value in request.headers.items()}
    kind = headers.pop("CONTENT_TYPE", "")
    return {f"HTTP_{name}": value for name, value in headers.items()} | {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(request.path).decode("latin-1"),
        "RAW_URI": request.path,
        "QUERY_STRING": request.query,
        "CONTENT_TYPE": kind,
        "CONTENT_LENGTH": str(request.length),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "0",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": request.body,
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": True,
    }
