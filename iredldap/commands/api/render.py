"""Print answers: for people as tables, for programs as JSON."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import click

from iredldap.commands.terminal import plain

_WIDEST = 10_000
"""Columns where the output is no terminal: nothing is folded."""


def as_json(found: Any) -> None:
    """Print data as JSON."""
    click.echo(json.dumps(found, indent=2, ensure_ascii=False))


def data(found: Any) -> None:
    """Print one thing, or a list of names."""
    members = [*found.values()] if isinstance(found, Mapping) else [found or []]
    if len(members) == 1 and isinstance(members[0], list):
        names(members[0])
    else:
        record(found)


def record(found: Mapping[str, Any]) -> None:
    """Print one thing: a line for each value, the name of each member once."""
    rows = [
        (name if number == 0 else "", text)
        for name, value in found.items()
        for number, text in enumerate(_texts(value) or [""])
    ]
    _print(rows, ())


def names(found: Iterable[str]) -> None:
    """Print names, a line each."""
    for name in found:
        click.echo(plain(str(name)))


def profiles(found: Mapping[str, Mapping[str, Any]], columns: Sequence[str], key: str) -> None:
    """Print things by their names, a line each.

    Args:
        found: The things.
        columns: The members that are shown.
        key: What the names are.
    """
    rows = [
        (name, *(", ".join(_texts(thing.get(column))) for column in columns))
        for name, thing in found.items()
    ]
    _print(rows, (key, *columns))


def table(found: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Print things that have no names, a line each."""
    rows = [tuple(", ".join(_texts(thing.get(column))) for column in columns) for thing in found]
    _print(rows, columns)


def trial(shown: Mapping[str, Any]) -> None:
    """Print what a dry run answers: change records, and what would be done elsewhere."""
    click.echo(shown["ldif"], nl=False)
    if shown["records_left_out"]:
        click.echo(f"# and {shown['records_left_out']} more records")
    for step in shown["outside"]:
        click.echo(plain(f"# outside the directory: {step['step']}"))
        for row in step["rows"] or ():
            click.echo(plain(f"#   {json.dumps(row, ensure_ascii=False)}"))
    left_alone(shown["left_alone"])


def left_alone(found: Iterable[Mapping[str, Any]]) -> None:
    """Print what an undo leaves as others have changed it."""
    for one in found:
        values = f": {', '.join(one['values'])}" if one["values"] else ""
        what = f"  {one['what']}" if one["what"] else ""
        click.echo(plain(f"  left alone: {one['where']}{what}{values} ({one['why']})"))


def _texts(value: Any) -> list[str]:
    """Return a value as texts: of a list one for each item."""
    match value:
        case None:
            return []
        case list():
            return [text for item in value for text in _texts(item)]
        case bool():
            return ["yes" if value else "no"]
        case Mapping():
            return [json.dumps(value, ensure_ascii=False)] if value else []
        case str():
            return [line for line in value.split("\n") if line or value]
        case _:
            return [str(value)]


def _print(rows: Sequence[Sequence[str]], head: Sequence[str]) -> None:
    """Print columns; to a terminal they are folded, else each row is one line."""
    # A tenth of a second, which `--json` and `--help` do without.
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _WIDEST
    grid = Table(box=None, show_header=bool(head), pad_edge=False, header_style="bold")
    for title in head or [""] * len(next(iter(rows), ())):
        grid.add_column(title, overflow="fold")
    for row in rows:
        grid.add_row(*(Text(plain(cell)) for cell in row))
    with console.capture() as capture:
        console.print(grid)
    click.echo("\n".join(_trimmed(capture.get())), color=console.is_terminal)


def _trimmed(text: str) -> Iterator[str]:
    """Yield lines without the blanks by which cells are filled."""
    yield from (line.rstrip() for line in text.rstrip("\n").split("\n"))
