"""What a benchmark gives: times beside a peer's, and readings beside a limit; as tables."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median

_BESIDE = (
    "| what | ours | peer | peer's | times as fast | wanted | rounds | |\n"
    "|---|---|---|---|---|---|---|---|"
)
_ALONE = "| what | measured | allowed | rounds | |\n|---|---|---|---|---|"


@dataclass(frozen=True)
class Row:
    """One round: ours and the peer's seconds.

    Args:
        what: Of ours.
        peer: Of the peer.
        ours: Seconds.
        theirs: Seconds.
        note: What else there is to say.
        wanted: How many times as fast as the peer ours is to be; 0: there is no target.
    """

    what: str
    peer: str
    ours: float
    theirs: float
    note: str = ""
    wanted: float = 0

    @property
    def ratio(self) -> float:
        """How many times as fast as the peer."""
        return self.theirs / self.ours

    def __str__(self) -> str:
        said = [f"{self.what}: {_time(self.ours)}", f"{self.peer}: {_time(self.theirs)}"]
        return "; ".join([*said, f"{self.ratio:.2f} times as fast", *filter(None, [self.note])])


@dataclass(frozen=True)
class Reading:
    """A value that was measured in one round.

    Args:
        what: Was measured.
        value: In units.
        unit: Of both.
        limit: Highest value that is allowed; None: there is no limit.
        note: What else there is to say.
        rounds: How many it stands for.
    """

    what: str
    value: float
    unit: str
    limit: float | None = None
    note: str = ""
    rounds: int = 1

    def __str__(self) -> str:
        said = f"{self.what}: {_number(self.value)} {self.unit}"
        return "; ".join([said, *filter(None, [self.note])])


Result = Row | Reading


def tables(results: Iterable[Result]) -> str:
    """Lay out results as Markdown: the rounds of one thing as one line, with their medians."""
    rows: dict[tuple[str, str], list[Row]] = {}
    readings: dict[str, list[Reading]] = {}
    for result in results:
        if isinstance(result, Row):
            rows.setdefault((result.what, result.peer), []).append(result)
        else:
            readings.setdefault(result.what, []).append(result)
    beside = [_BESIDE, *map(_beside, rows.values())] if rows else []
    alone = [_ALONE, *map(_alone, readings.values())] if readings else []
    return "\n".join([*beside, *([""] if rows and readings else []), *alone])


def _beside(rounds: list[Row]) -> str:
    last = rounds[-1]
    ours = _time(median(row.ours for row in rounds))
    theirs = _time(median(row.theirs for row in rounds))
    ratios = _spread([row.ratio for row in rounds], "{:.2f}".format)
    wanted = f"{round(last.wanted, 2):g}" if last.wanted else ""
    cells = (last.what, ours, last.peer, theirs, ratios, wanted, str(len(rounds)), last.note)
    return _line(cells)


def _alone(rounds: list[Reading]) -> str:
    last = rounds[-1]
    measured = _spread([reading.value for reading in rounds], _number)
    allowed = "" if last.limit is None else f"{_number(last.limit)} {last.unit}"
    held = str(sum(reading.rounds for reading in rounds))
    return _line((last.what, f"{measured} {last.unit}", allowed, held, last.note))


def _spread(values: list[float], shown: Callable[[float], str]) -> str:
    middle = f"**{shown(median(values))}**"
    if len(values) == 1:
        return middle
    return f"{middle} ({shown(min(values))} to {shown(max(values))})"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{seconds * 1000:.2f} ms"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"
