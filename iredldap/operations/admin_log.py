"""Write the admin log: who changed what, from where."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import structlog

from iredldap.dit import journal
from iredldap.dit.request import Request
from iredldap.errors import Refusal
from iredldap.gateways.iredadmin import Iredadmin, LogLine

log = structlog.get_logger("iredldap.journal")


class AdminLog:
    """Writes changes to the admin log. A failure to do so does not fail the request.

    A database that hangs is waited for once: the gateway fails at once from then on.
    """

    def __init__(self, iredadmin: Iredadmin) -> None:
        self._iredadmin = iredadmin

    def note(self, who: str, wanted: Request, refusal: Refusal | None = None) -> None:
        """Write a change to the admin log; to the program's own log if the database fails.

        Args:
            who: Address of the admin.
            wanted: What they asked for; no password gets into the log.
            refusal: What broke the change off when a part of it had been done.
        """
        line = _line(who, wanted, refusal)
        try:
            self._iredadmin.write_log(line)
        except Refusal as ex:
            _warn([line], ex)

    def note_several(self, who: str, changes: Sequence[Request]) -> None:
        """Write several changes that were made to the admin log, as `note` writes one."""
        lines = [_line(who, wanted) for wanted in changes]
        if not lines:
            return
        try:
            self._iredadmin.write_logs(lines)
        except Refusal as ex:
            _warn(lines, ex)


def _line(who: str, wanted: Request, refusal: Refusal | None = None) -> LogLine:
    note = journal.note(wanted)
    broken_off = f" (broken off: {','.join(refusal.codes)})" if refusal else ""
    return LogLine(
        timestamp=datetime.now(UTC).replace(tzinfo=None, microsecond=0),
        admin=who,
        ip=wanted.client,
        domain=note.domain,
        username=note.username,
        event=note.event,
        loglevel="error" if refusal else "info",
        msg=note.message + broken_off,
    )


def _warn(lines: Iterable[LogLine], failure: Refusal) -> None:
    log.warning("admin log", detail=failure.detail)
    for line in lines:
        log.warning("not in the admin log", who=line.admin, event_=line.event, msg=line.msg)
