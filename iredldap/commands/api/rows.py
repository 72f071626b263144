"""The rows of the API as commands need them: calls and their parameters.

`rows.json` is made from the endpoints by `make docs`, and a test fails when it is stale: to import
the endpoints takes half a second, and a shell that completes a word cannot wait for that.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("rows.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter of a call.

    `type` is that of its kind; `many`: its value is a list, with `separator` between the items.
    `replaced_by` are those that exclude it: one of them may be sent instead of a required one.
    `secret`: it must not be seen on a command line. `acts`: it acts by being sent, whatever its
    value.
    """

    name: str
    type: str
    meaning: str
    many: bool = False
    separator: str = ","
    choices: tuple[str, ...] = ()
    required: bool = False
    replaced_by: tuple[str, ...] = ()
    default: str | None = None
    secret: bool = False
    acts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A method on a path.

    `tries`: it has a dry run. `waits`: it can be carried out by a job. `heavy`: it may take long.
    `returns` describes the data of its answer; None: there are none.
    """

    id: str
    method: str
    path: str
    summary: str
    parameters: tuple[Parameter, ...] = ()
    returns: str | None = None
    tries: bool = False
    waits: bool = False
    heavy: bool = False
    takes_file: bool = False

    @property
    def changes(self) -> bool:
        """Whether it changes something."""
        return self.method != "GET"

    def parameter(self, name: str) -> Parameter | None:
        """Return the parameter of a name; None: there is none."""
        return next((one for one in self.parameters if one.name == name), None)


@cache
def calls() -> Mapping[str, Call]:
    """Return all calls by their ids."""
    rows = json.loads(FILE.read_text(encoding="utf-8"))
    return {row["id"]: _call(row) for row in rows}


def call(id_: str) -> Call:
    """Return a call by its id.

    Raises:
        LookupError: If there is none.
    """
    return calls()[id_]


def _call(row: Mapping[str, Any]) -> Call:
    parameters = tuple(_parameter(one) for one in row.get("parameters", ()))
    return Call(**{**row, "parameters": parameters})


def _parameter(row: Mapping[str, Any]) -> Parameter:
    lists = {name: tuple(value) for name, value in row.items() if isinstance(value, list)}
    return Parameter(**{**row, **lists})
