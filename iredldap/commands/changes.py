"""The command `iredldap changes`: print the change log for people, or as JSON."""

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import click

from iredldap.commands.api import connect
from iredldap.commands.api.answers import Api
from iredldap.commands.api.asked import Asked
from iredldap.commands.api.failures import one_status
from iredldap.commands.api.options import form, option
from iredldap.commands.api.requests import pages
from iredldap.commands.api.rows import call
from iredldap.commands.terminal import plain
from iredldap.commands.times import moment

Shown = dict[str, Any]

_FIND = call("changes_find")
_FILTERS = tuple(row for row in _FIND.parameters if row.name not in {"limit", "cursor"})

_PAUSE = 0.5
"""Seconds between two looks for new changes."""

_UNFINISHED = 60
"""Seconds for which those behind a change that is being made wait for its end."""


@click.command("changes")
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="The newest ones, at most so many.",
)
@click.option("--follow", is_flag=True, help="Go on with changes as they are made, until Ctrl-C.")
@connect.options(as_json="One JSON object a line.")
@click.pass_context
def changes(
    context: click.Context,
    /,
    *,
    config: Path | None,
    url: str | None,
    limit: int,
    follow: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Print who changed what: time, admin, and the values before and after; the newest last."""
    asked = Asked(call=_FIND, form=form(given, _FILTERS))
    for name in ("since", "until"):
        # Before anything is opened, with the exit status of a wrong command line.
        moment(context, context.command.params[0], next(iter(asked.form.get(name, ())), None))
    try:
        with ExitStack() as stack:
            stack.enter_context(one_status())
            api = stack.enter_context(connect.connected(config, url))
            for change in _found(api, asked, limit, follow=follow):
                click.echo(json.dumps(change) if as_json else "\n".join(_lines(change)))
    except KeyboardInterrupt:
        click.echo()


changes.params[:0] = [option(row) for row in _FILTERS]


def _found(api: Api, asked: Asked, limit: int, *, follow: bool) -> Iterator[Shown]:
    began = datetime.now(UTC).isoformat()
    newest: list[Shown] = [*chain.from_iterable(pages(api, asked, limit))]
    yield from reversed(newest)
    # Ids sort by the time when a change began.
    last, since = (newest[0]["id"], newest[0]["time"]) if newest else ("", began)
    while follow:
        later = asked.with_form(since=since)
        found = chain.from_iterable(pages(api, later, None))
        for change in sorted(found, key=lambda one: str(one["id"])):
            if change["id"] <= last:
                continue
            # Changes end in another order than they begin in: whoever passes over one that is open
            # never prints its end. One of a worker that was killed stays open, and must not stop
            # the rest.
            if change["result"] == "open" and _age(change) < _UNFINISHED:
                break
            last, since = change["id"], change["time"]
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
