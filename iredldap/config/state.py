"""Sections about what the program keeps for itself: its database, jobs and the change log."""

from dataclasses import dataclass

from iredldap.config.checks import database_url, sealing_keys
from iredldap.config.settings import Secret, between, holds, setting


@dataclass(frozen=True, kw_only=True)
class StateSettings:
    """The program's own database: jobs, revoked sessions and API tokens."""

    url: Secret = setting(
        "SQLAlchemy URL: SQLite on one machine; MariaDB or PostgreSQL where several serve, of which"
        " PostgreSQL may have several hosts: `postgresql://USER:PASSWORD@/NAME?host=HOST1:5432"
        "&host=HOST2:5432&target_session_attrs=read-write`.",
        database_url,
        default=Secret("sqlite:////var/lib/iredldap/state.sqlite3"),
    )

    @property
    def is_local(self) -> bool:
        """Whether it is a file of this machine, which other nodes do not see."""
        return self.url.reveal().startswith("sqlite")

    known_for: int = setting(
        "Seconds since a worker has last confirmed a session or token in the state database, for"
        " which it may still read while that does not respond. Each one that was used in that time"
        " is confirmed every two seconds. 0: nothing is read without the state database.",
        between(0, 3600),
        default=300,
    )


@dataclass(frozen=True, kw_only=True)
class JobSettings:
    """Background jobs: changes that a client does not wait for (`Prefer: respond-async`).

    A worker runs one at a time; those of one admin run one after the other, in the order of their
    requests.
    """

    abandoned: float = setting(
        "Seconds without a heartbeat of its worker after which another one takes over a job."
        " The clocks of machines that share the state database must differ by less than that.",
        between(0.2),
        default=15.0,
    )
    patience: float = setting(
        "Seconds for which a job is tried again, by any node, while the directory or a database"
        " that it needs does not respond and it makes no progress; then it fails. 0: it fails at"
        " once.",
        between(0, 7 * 24 * 3600),
        default=900.0,
    )
    kept: int = setting(
        "Seconds for which the result of a finished job is kept.", between(1), default=7 * 24 * 3600
    )
    queue: int = setting(
        "Maximum of unfinished jobs of one admin; further ones are refused with"
        " `TOO_MANY_REQUESTS`.",
        between(1),
        default=20,
    )


@dataclass(frozen=True, kw_only=True)
class ChangeSettings:
    """The change log: who changed what, with the values before and after.

    It is stored in the state database; where that is an SQLite file, in one beside it with the
    suffix `.changes`.
    """

    keep_days: int = setting(
        "Days for which a change is kept; older ones are deleted in the background.",
        between(1),
        default=90,
    )
    on_failure: str = setting(
        "What happens to a change if the log cannot be written: `refuse` it before anything is"
        " done, with `CHANGE_LOG_UNAVAILABLE`; or `go_on`, which the header `X-Change-Log` and the"
        " program's log say.",
        holds(lambda word: word in {"refuse", "go_on"}, "refuse or go_on"),
        default="refuse",
    )
    keys: tuple[Secret, ...] = setting(
        "Keys that encrypt stored passwords in the log, separated by white space: the last one"
        " encrypts, the others still decrypt. At least 32 characters each. Without one, passwords"
        " are not kept, and an undo cannot restore them.",
        sealing_keys,
        default=(),
    )
