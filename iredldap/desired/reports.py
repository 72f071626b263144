"""Reports of what became of rows, and files of those that were refused."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from iredldap.desired.files import tables
from iredldap.desired.files.tables import Cells
from iredldap.desired.files.users import REASON, UsersFile
from iredldap.desired.rows import RESULTS, Outcome

_SECRET = ("password", "password_hash", "hash", "userpassword")


@dataclass
class Report:
    """What became of the rows of a file so far.

    Args:
        counts: Rows by their results, and memberships made.
        refused: Rows that are to be given again, as JSON has them: refused ones, and users who are
            there without a membership.
        differs: Rows whose accounts differ.
        noted: Others of which there is something to say: ignored values, for example.
        has_details: Whether the words of refusals are told: they may be about other domains.
    """

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys((*RESULTS, "joined"), 0))
    refused: list[dict[str, Any]] = field(default_factory=list)
    differs: list[dict[str, Any]] = field(default_factory=list)
    noted: list[dict[str, Any]] = field(default_factory=list)
    has_details: bool = True

    @property
    def changes(self) -> int:
        """How many rows were changed, or would be."""
        return self.counts["created"] + self.counts["updated"]

    @property
    def listed(self) -> int:
        """How many rows are named one by one."""
        return len(self.refused) + len(self.differs) + len(self.noted)

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Add the outcomes of a batch."""
        for outcome in outcomes:
            self.counts[outcome.result] += 1
            self.counts["joined"] += len(outcome.joined)
            shown = outcome.as_json(has_details=self.has_details)
            shown.pop("change", None)
            if outcome.refusal:
                self.refused.append(shown)
            elif outcome.result == "differs":
                self.differs.append(shown)
            elif outcome.ignored:
                self.noted.append(shown)

    def as_json(self) -> dict[str, Any]:
        """Return it for an answer, or to go on from."""
        return {
            **self.counts,
            "refusals": self.refused,
            "differences": self.differs,
            "ignored_values": self.noted,
        }

    @classmethod
    def of(cls, written: Mapping[str, Any], *, has_details: bool) -> "Report":
        """Return one to go on with, from what `as_json` gave."""
        return cls(
            {name: written[name] for name in (*RESULTS, "joined")},
            [*written["refusals"]],
            [*written["differences"]],
            [*written["ignored_values"]],
            has_details,
        )


def rejected(
    columns: Sequence[str],
    rows: Mapping[int, Sequence[str]],
    refused: Iterable[Mapping[str, Any]],
    *,
    has_header: bool = True,
) -> Iterator[str]:
    """Yield the lines of a file of refused rows, as they were, with the reason behind each.

    Args:
        columns: Of the file.
        rows: Cells by line.
        refused: The refusals of a report.
        has_header: Whether the form of the file has one.
    """
    kept = [number for number, name in enumerate(columns) if name.strip().lower() != REASON]
    names = (*(columns[number] for number in kept), REASON)

    def lines() -> Iterator[tuple[str, ...]]:
        for one in refused:
            cells = [*rows[one["line"]]]
            cells += [""] * (len(columns) - len(cells))
            yield (*(cells[number] for number in kept), _words(one))

    yield from tables.written(names if has_header else None, lines())


def _words(refused: Mapping[str, Any]) -> str:
    parameters, detail = ", ".join(refused["parameters"]), refused.get("detail", "")
    return ": ".join(filter(None, (refused["code"], parameters, detail)))


def without_secrets(file: UsersFile, cells: Cells) -> tuple[str, ...]:
    """Return the cells of a row without passwords and hashes; of one that is shifted, no cell."""
    names = [file.name_of(column) for column in file.columns]
    if any(cells.cells[len(names) :]):
        # A separator within a name moves the password into another column.
        return ("",) * len(names)
    return tuple(
        "" if name in _SECRET else cell for name, cell in zip(names, cells.cells, strict=False)
    )
