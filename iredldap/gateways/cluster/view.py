"""What a worker knows about the writer: the row of the state database, and the two servers.

Values only. Times are seconds on the monotonic clock of the process that saw them; durations in the
row are measured by the database's clock alone. Clocks of different machines are never compared.

Source: `docs/decisions/0059-one-agreed-writer.md`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from iredldap.dit.csn import CsnVector


class Mode(StrEnum):
    """Whether the standby has every acknowledged change.

    Attributes:
        TOGETHER: It has. Only now may it take the writer's place by itself.
        ALONE: It may not: changes are acknowledged without it, and everybody knows.
        JOINING: Changes are confirmed again, but there may be earlier ones that it lacks.
    """

    TOGETHER = "together"
    ALONE = "alone"
    JOINING = "joining"


@dataclass(frozen=True, slots=True)
class WriterRow:
    """The row of a directory in the state database.

    Attributes:
        epoch: Number of the agreement; each has one writer.
        serial: Number of the row's last change; every change is made conditional on it.
        uri: The writer of the epoch.
        usable: Whether it may be written to: nobody relies on an earlier epoch any more.
        mode: See `Mode`.
        lease: Seconds for which a worker may rely on a row of this epoch.
        wait: Seconds after the beginning of the epoch, or of a mode, after which nobody relies on
            what was before.
        unseen: Seconds since any worker has seen the writer answer, when the row was read.
        mode_age: Seconds since the mode changed, when the row was read.
        standby: The server beside the writer of which the mode speaks; empty: not known.
    """

    epoch: int
    serial: int
    uri: str
    usable: bool
    mode: Mode
    lease: float
    wait: float
    unseen: float = 0.0
    mode_age: float = 0.0
    standby: str = ""

    def is_same(self, other: "WriterRow") -> bool:
        """Return whether the row has not changed between two readings."""
        return (self.epoch, self.serial) == (other.epoch, other.serial)

    def speaks_of(self, uri: str | None) -> bool:
        """Return whether the mode is that of this server beside the writer.

        A node may name another one, while an address is changed on all of them, or by mistake.
        """
        return self.standby in {"", uri}


@dataclass(frozen=True, slots=True)
class Sample:
    """The vector of a server, and when it was requested and received."""

    asked: float
    got: float
    vector: CsnVector


@dataclass(frozen=True, slots=True)
class Sight:
    """What one worker's probes have seen of a server.

    Attributes:
        answered: When it last answered; None: never.
        failures: Probes that have failed in succession since.
        silent_since: When the first of these began; None: the last one succeeded.
        is_provider: Whether it accepts writes; a consumer does not. None: not known.
        last: What it answered last.
        before: What it answered before that.
        rest_since: Since when its vector is the same; None: no sample.
    """

    answered: float | None = None
    failures: int = 0
    silent_since: float | None = None
    is_provider: bool | None = None
    last: Sample | None = None
    before: Sample | None = None
    rest_since: float | None = None

    @property
    def is_healthy(self) -> bool:
        """Whether the last probe succeeded."""
        return self.answered is not None and self.silent_since is None

    def after_success(self, sample: Sample, *, is_provider: bool) -> "Sight":
        """Return the sight after a probe that succeeded."""
        same = self.is_healthy and self.last is not None and self.last.vector == sample.vector
        return Sight(
            answered=sample.got,
            is_provider=is_provider,
            last=sample,
            before=self.last,
            rest_since=self.rest_since if same else sample.got,
        )

    def after_failure(self, began: float) -> "Sight":
        """Return the sight after a probe that failed."""
        return Sight(
            answered=self.answered,
            failures=self.failures + 1,
            silent_since=began if self.silent_since is None else self.silent_since,
            is_provider=self.is_provider,
            last=self.last,
            before=self.before,
        )


FRESH = 0.75
"""Seconds since a row was requested for which the standby is read from; then the writer is. As long
as that, the first changes that are acknowledged without the standby wait."""


@dataclass(frozen=True, slots=True)
class Held:
    """A row, and for how long this worker may rely on it.

    Attributes:
        row: As it was read last.
        until: The end of the lease: counted from before the row was requested.
        epoch_since: Since when this worker knows that the epoch has begun.
        mode_since: Since when it knows that the mode has begun.
        asked: When the row was requested.
    """

    row: WriterRow
    until: float
    epoch_since: float
    mode_since: float
    asked: float = float("-inf")

    def is_fresh(self, now: float) -> bool:
        """Return whether the standby may be read from, if the row says so."""
        return self.is_valid(now) and now < self.asked + FRESH

    def is_valid(self, now: float) -> bool:
        return now < self.until

    def seen_after(self, moment: float) -> bool:
        """Return whether a worker has noted after a moment that the writer answers it."""
        return self.asked - self.row.unseen > moment

    def may_write(self, now: float) -> bool:
        """Return whether writes may be sent to the writer of the row."""
        return self.row.usable and self.is_valid(now)


def held_after(
    former: Held | None, row: WriterRow, asked: float, got: float, lease: float
) -> Held | None:
    """Return what is held after the row was read; None: it is older than what was known.

    Args:
        former: What was held.
        row: What was read.
        asked: When it was requested. Whoever changes the row later waits for the lease, so that it
            is counted from here.
        got: When it arrived: the epoch and the mode have begun by then.
        lease: This worker's own setting; the shorter of both holds.
    """
    if former and (row.epoch, row.serial) < (former.row.epoch, former.row.serial):
        # A database that has lost a commit, or a replica that lags: nothing newer is known.
        return None
    until = asked + min(lease, row.lease)
    if former is None or former.row.epoch != row.epoch:
        return Held(row, until, got, got, asked)
    same_mode = former.row.mode is row.mode and former.row.serial == row.serial
    # A mode that was left and came back has another serial.
    return Held(row, until, former.epoch_since, former.mode_since if same_mode else got, asked)


@dataclass(frozen=True, slots=True)
class Times:
    """The settings that decisions depend on, in seconds.

    Attributes:
        failover_after: Silence of the writer after which the standby takes its place.
        lease: For how long a worker relies on the row.
        margin: Added to it for what was sent at its end and is under way.
        rest: For how long the vector of a standby must not change before it counts as drained.
        patience: For how long a new writer waits for what the former one has, beyond the wait.
    """

    failover_after: float
    lease: float
    margin: float
    rest: float = 1.0
    patience: float = 10.0

    def wait_after(self, row: WriterRow | None) -> float:
        """Return the wait of the epoch that follows a row."""
        if row is None:
            return self.lease + self.margin
        longest = max(self.lease, row.lease) + self.margin
        # An epoch that was never usable: those who rely on the one before it may still do.
        return longest if row.usable else max(longest, row.wait)


@dataclass(frozen=True, slots=True)
class View:
    """All that a worker decides on.

    Attributes:
        now: The moment of the decision.
        held: The row; None: there is none yet.
        writer: Sight of the writer of the row.
        other: Sight of the other server.
        uris: The servers of the settings, the admin's first choice first.
        sights: Sights of all of them.
        equal: The row for which this worker has found both servers equal; None: none.
    """

    now: float
    held: Held | None
    times: Times
    sights: Mapping[str, Sight] = field(default_factory=dict)
    uris: tuple[str, ...] = ()
    equal: WriterRow | None = None

    @property
    def writer(self) -> Sight:
        assert self.held
        return self.sights.get(self.held.row.uri, Sight())

    @property
    def standby(self) -> str | None:
        """The other server of the settings; None: the row names one that they do not have."""
        if self.held is None or self.held.row.uri not in self.uris:
            return None
        return next((uri for uri in self.uris if uri != self.held.row.uri), None)

    @property
    def other(self) -> Sight:
        return self.sights.get(self.standby or "", Sight())
