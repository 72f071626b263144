"""Settings of the server's processes, and of the node that they are."""

import os
import re
import socket
from dataclasses import dataclass

from iredldap.config.checks import listening
from iredldap.config.settings import POSITIVE, between, holds, setting

_LONGEST_NODE = 64
_NODE = re.compile(rf"[A-Za-z0-9._-]{{1,{_LONGEST_NODE}}}")
_NODE_WORDS = f"1 to {_LONGEST_NODE} letters, digits, dots, hyphens and underscores"
_UNFIT = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """The server's processes; read by `gunicorn.conf.py`."""

    bind: str = setting(
        "Address to listen on: `HOST:PORT` or `unix:PATH`.", listening, default="127.0.0.1:8080"
    )
    workers: int = setting(
        "Worker processes; 0: one per core, at least two.", between(0), default=0
    )
    threads: int = setting(
        "Requests that a worker handles at once. A request that takes longer than half a second no"
        " longer counts, so that slow ones never delay others; of listings and changes of"
        " whole domains half as many run at once.",
        between(1),
        default=4,
    )
    queue_timeout: float = setting(
        "Seconds that a request waits for a free thread before it is refused with"
        " `TOO_MANY_REQUESTS`.",
        POSITIVE,
        default=30.0,
    )
    request_timeout: float = setting(
        "Seconds in which a request, head and body, must be received; a body of more than 32 KB has"
        " the time that it takes at `least_rate` in addition. Later it is refused with"
        " `REQUEST_TIMEOUT`.",
        POSITIVE,
        default=30.0,
    )
    least_rate: int = setting(
        "Bytes per second at which a client must read a response, averaged over two minutes, and"
        " send a large body; 0: any.",
        between(0),
        default=8192,
    )
    graceful_timeout: int = setting(
        "Seconds that a running request or download gets to finish at a restart.",
        between(0),
        default=30,
    )
    log_level: str = setting(
        "`debug`, `info`, `warning` or `error`.",
        holds(
            lambda level: level in {"debug", "info", "warning", "error"},
            "debug, info, warning or error",
        ),
        default="info",
    )

    node: str = setting(
        "Name of this machine among those that share the state database: in the log, in the status"
        " of jobs and in `X-Served-By`. Empty: its host name.",
        holds(lambda name: not name or bool(_NODE.fullmatch(name)), _NODE_WORDS),
        default="",
    )
    served_by: bool = setting(
        "Whether each response names the node that made it, in `X-Served-By`.", default=True
    )

    @property
    def node_name(self) -> str:
        """Name of this node, which fits into a header and a column."""
        return self.node or _UNFIT.sub("-", socket.gethostname())[:_LONGEST_NODE] or "localhost"

    @property
    def processes(self) -> int:
        """Number of worker processes."""
        return self.workers or max(2, os.cpu_count() or 1)
