"""Call the API in this process, as the Unix user who runs the command.

The way of a request is the same as on the server: rights, turns, the change log and dry runs. No
work in the background is started, so jobs are not carried out here.
"""

import io
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes, urlencode

from iredldap.app import Gateways, create_app
from iredldap.changes.progress import Progress
from iredldap.commands.api.answers import FILE_TYPE, Answer, Form
from iredldap.commands.api.failures import Failed
from iredldap.commands.exit_status import ExitStatus
from iredldap.commands.logs import errors_only_logged
from iredldap.config.reader import ConfigurationError, read_file
from iredldap.dit.plan import Plan
from iredldap.gateways import unix_user
from iredldap.operations.login import Caller
from iredldap.web.local_calls import KEY, LocalCall

_REFUSED = "refused"
"""What the web server logs of a refusal; the command itself says it."""


class LocalApi:
    """The API of a configuration file.

    Args:
        where: The file.
        application: The application.
        show: Called with the number of entries that a sweep has visited.
    """

    is_local = True

    def __init__(self, where: str, application: Any, show: Callable[[int], None]) -> None:
        self.where = where
        self._application = application
        self._show = show

    def send(
        self,
        method: str,
        path: str,
        form: Form = {},  # noqa: B006 - read only
        headers: Mapping[str, str] = {},
        file: bytes | None = None,
    ) -> Answer:
        sent = urlencode({name: [*values] for name, values in form.items()}, doseq=True)
        # The rights of whoever may read the secrets of the service.
        caller = Caller(unix_user.name(), "", is_global=True, stored=())
        call = LocalCall(caller, self._begin)
        in_query = file is not None or method in {"GET", "DELETE"}
        body = file if file is not None else b"" if in_query else sent.encode("ascii")
        environ = _environ(method, path, sent if in_query else "", body, headers)
        if file is not None:
            environ["CONTENT_TYPE"] = FILE_TYPE
        status, answered, chunks = _answered(self._application, environ | {KEY: call})
        detail = call.refusal.detail if call.refusal else ""
        return Answer(status, answered, chunks, "" if detail in _codes(call) else detail)

    def _begin(self, _: Plan) -> Progress:
        return _ShownProgress(self._show)


class _ShownProgress(Progress):
    def __init__(self, show: Callable[[int], None]) -> None:
        super().__init__()
        self._show = show

    def visit(self) -> None:
        super().visit()
        self._show(self.visited)


@contextmanager
def open_local(path: Path, show: Callable[[int], None]) -> Iterator[LocalApi]:
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


def _environ(
    method: str, path: str, query: str, body: bytes, headers: Mapping[str, str]
) -> dict[str, Any]:
    """Return the environment of a request as a server makes it (PEP 3333)."""
    sent = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    return sent | {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "RAW_URI": path,
        "QUERY_STRING": query,
        "CONTENT_TYPE": "application/x-www-form-urlencoded" if body else "",
        "CONTENT_LENGTH": str(len(body)),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "0",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": True,
    }


def _answered(application: Any, environ: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    begun: list[tuple[str, list[tuple[str, str]]]] = []

    def start(status: str, headers: list[tuple[str, str]], _: object = None) -> None:
        begun.append((status, headers))

    chunks = application(environ, start)
    try:
        body = b"".join(chunks)
    finally:
        if close := getattr(chunks, "close", None):
            close()
    status, headers = begun[-1]
    return int(status.split()[0]), {name.lower(): value for name, value in headers}, body
