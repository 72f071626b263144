"""Log at the start which release's schema the directory has, and the findings about it."""

import threading
from collections.abc import Callable, Iterable

import structlog

from iredldap.config.ldap import LdapSettings
from iredldap.dit import generations
from iredldap.errors import Refusal, ServerDown
from iredldap.gateways.directory import Directory
from iredldap.operations.diagnosis import findings
from iredldap.operations.diagnosis.findings import Finding
from iredldap.operations.diagnosis.writability import writes_refused

_INTERVAL = 5.0
"""Seconds between two tries while the directory does not answer."""

_GRACE = 5.0
"""Seconds that a try under way gets when the process ends."""

log = structlog.get_logger("iredldap.directory")


class StartupReport:
    """Logs the report once, as soon as the directory answers, in a thread of its own.

    It also reads the schema before the first request needs it.

    Args:
        directory: What is reported.
        settings: Its settings.
        more: Yields further findings; as the directory, it is tried again while a server is down.
    """

    def __init__(
        self,
        directory: Directory,
        settings: LdapSettings,
        more: Callable[[], Iterable[Finding]] = tuple,
    ) -> None:
        self._directory = directory
        self._settings = settings
        self._more = more
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._report, name="startup report", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the thread."""
        self._closing.set()
        if self._thread:
            self._thread.join(_GRACE)

    def _report(self) -> None:
        while not self._closing.is_set():
            try:
                # Here, and not in the first request: making sense of the schema takes 25 to 50 ms.
                schema = self._directory.schema()
                found = [
                    *writes_refused(self._directory, self._settings),
                    *findings.find_all(self._directory, self._settings),
                    *self._more(),
                ]
            except ServerDown:
                # The health probe logs that it does not answer.
                self._closing.wait(_INTERVAL)
                continue
            except Refusal as ex:
                # For example, a schema that we may not read: a retry would fail the same way.
                log.warning("directory", code=ex.code, detail=ex.detail)
                return
            wants = [want.effect for want in generations.wants(schema)]
            log.info("directory", schema=generations.description(schema), without=wants)
            for finding in found:
                write = log.warning if finding.warns else log.info
                write("directory", finding=finding.words)
            return
