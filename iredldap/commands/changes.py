"""The command `iredldap changes`: print the change log for people, or as JSON."""

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import click

from iredldap.changes.change_log import ChangeLog
from iredldap.commands.options import config_option, installation, moment, plain
from iredldap.dit.change_ids import first_id
from iredldap.gateways.change_store import ChangeFilter
from iredldap.operations.listings.change_log import ChangeReader, Shown
from iredldap.operations.login import Caller

_PAUSE = 0.5
"""Seconds between two looks for new changes."""

_UNFINISHED = 60
"""Seconds for which those behind a change that is being made wait for its end."""


@click.command("changes")
@config_option
@click.option("--domain", default="", help="Only changes that concern this domain.")
@click.option("--account", default="", help="Only changes of the account of this address.")
@click.option("--attribute", default="", help="Only changes of this attribute.")
@click.option("--admin", default="", help="Only changes by this admin.")
@click.option("--token", default="", help="Only changes by the token of this id.")
@click.option("--endpoint", default="", help="Only changes by this endpoint, user_update say.")
@click.option("--job", default="", help="Only changes of the background job of this id.")
@click.option(
    "--since",
    callback=moment,
    help="A date, a date and time in UTC, or how long ago: 30m, 2h, 7d.",
)
@click.option("--until", callback=moment, help="The same; changes before it.")
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="The newest ones, at most so many.",
)
@click.option("--follow", is_flag=True, help="Go on with changes as they are made, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def changes(
    *,
    path: Path,
    since: int | None,
    until: int | None,
    limit: int,
    follow: bool,
    as_json: bool,
    **words: str,
) -> None:
    """Print who changed what: time, admin, and the values before and after; the newest last."""
    lowered: dict[str, Any] = {name: word.lower() for name, word in words.items()}
    wanted = ChangeFilter(**lowered, since=since, until=until)
    try:
        with (
            installation(path) as opened,
            closing(ChangeLog.open(opened.config, opened.directory)) as log,
        ):
            everybody = Caller("", "", is_global=True, stored=())
            reader = ChangeReader(log, opened.directory, everybody, opened.config.api)
            for change in _found(reader, wanted, limit, follow=follow):
                click.echo(json.dumps(change) if as_json else "\n".join(_lines(change)))
    except KeyboardInterrupt:
        click.echo()


def _found(
    reader: ChangeReader, wanted: ChangeFilter, limit: int, *, follow: bool
) -> Iterator[Shown]:
    newest = [*islice(reader.changes(wanted), limit)]
    yield from reversed(newest)
    # Ids sort by the time when a change began.
    last = newest[0]["id"] if newest else first_id(0)
    while follow:
        for change in reader.changes(replace(wanted, after=last)):
            # Changes end in another order than they begin in: whoever passes over one that is open
            # never prints its end. One of a worker that was killed stays open, and must not stop
            # the rest.
            if change["result"] == "open" and _age(change) < _UNFINISHED:
                break
            last = change["id"]
            yield change
        time.sleep(_PAUSE)


def _age(change: Shown) -> float:
    began = datetime.fromisoformat(change["time"])
    return (datetime.now(UTC) - began).total_seconds()


def _lines(change: Shown) -> Iterator[str]:
    """Yield the lines of a change: who and when, and below it what was touched."""
    began = datetime.fromisoformat(change["time"]).astimezone()
    named = change.get("account") or change.get("domain") or ""
    by = change["admin"] + (f" with token {change['token']}" if change["token"] else "")
    result = change["result"]
    codes = ", ".join(change.get("codes", ()))
    ended = "" if result == "done" else f"  ({result}{': ' if codes else ''}{codes})"
    yield plain(f"{began:%Y-%m-%d %H:%M:%S}  {by}  {change['endpoint']} {named}{ended}")
    yield f"  id {change['id']}"
    for touched in change["touched"]:
        yield from map(plain, _touched(touched))
    if change["more"]:
        yield f"  and more: GET /api/changes/{change['id']}"


_EVENTS = {"add": "added", "modify": "changed", "delete": "deleted", "rename": "renamed"}


def _touched(touched: Shown) -> Iterator[str]:
    if "system" in touched:
        yield f"  {touched['system']} {touched['table']} {touched.get('about', '')}"
        for mark, rows in (("-", touched.get("before", ())), ("+", touched.get("after", ()))):
            yield from (f"    {mark} {json.dumps(row, ensure_ascii=False)}" for row in rows)
        return
    target = f" → {touched['new_dn']}" if touched.get("new_dn") else ""
    yield f"  {_EVENTS[touched['event']]} {touched['dn']}{target}"
    if touched["event"] == "modify":
        for name, values in touched["attributes"].items():
            yield f"    {name}: {_values(values)}"


def _values(values: Shown) -> str:
    """Return values before and after; of one list that grew or shrank what came or went."""
    if values.get("hidden"):
        return "changed, not shown"
    removed, added = values.get("removed", ()), values.get("added", ())
    if removed is None:
        return f"(not known) → {_joined(added)}"
    if removed and added:
        return f"{_joined(removed)} → {_joined(added)}"
    return f"+ {_joined(added)}" if added else f"- {_joined(removed)}"


def _joined(values: Iterable[object]) -> str:
    """Return values in a row; those that are no text as their JSON."""
    texts = [value if isinstance(value, str) else json.dumps(value) for value in values]
    return ", ".join(texts) or "(none)"
