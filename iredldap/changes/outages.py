"""What a job waits for: a directory or a database that does not respond, and since when."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from iredldap.errors import ChangeLogUnavailable, MlmmjadminUnavailable, Refusal, ServerDown

PAUSE = 1.0
"""Seconds between two attempts."""

HERE = 15.0
"""Seconds for which the worker that runs a job waits itself: longer than another directory server
takes to become the writer. Then another node may try, which may reach what this one does not."""

_PASSING = (ServerDown, ChangeLogUnavailable, MlmmjadminUnavailable)
_WAITING = "waiting"


def passes(refusal: Refusal) -> bool:
    """Return whether a refusal is about a system that does not respond, and not about the job."""
    return isinstance(refusal, _PASSING)


@dataclass(frozen=True, slots=True)
class Outage:
    """Why a job makes no progress. Times are milliseconds since 1970.

    `code` is that of the refusal, `database` which one does not respond, if it is one.
    """

    since: int
    until: int
    code: str = ""
    database: str | None = None

    @classmethod
    def told_in(cls, report: str | None) -> "Outage | None":
        """Read the one that the report of an unfinished job has."""
        found = json.loads(report).get(_WAITING) if report else None
        if not found:
            return None
        return cls(
            _milliseconds(found["since"]),
            _milliseconds(found["until"]),
            found["code"],
            found.get("database"),
        )

    def because(self, refusal: Refusal) -> "Outage":
        """Return the outage with its latest reason."""
        database = (refusal.report or {}).get("database")
        return replace(self, code=refusal.code, database=str(database) if database else None)

    def as_report(self) -> str:
        """Return the report of a job that waits, as JSON."""
        told: dict[str, Any] = {"code": self.code, "since": _time(self.since)}
        told |= {"until": _time(self.until)}
        if self.database:
            told["database"] = self.database
        return json.dumps({_WAITING: told})


def _time(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _milliseconds(time: str) -> int:
    return round(datetime.fromisoformat(time).timestamp() * 1000)
