"""The command `iredldap changes`: print the change log for people, or as JSON."""

import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import click

from iredldap.changes.change_log import ChangeLog
from iredldap.config.reader import CONFIG_VARIABLE, DEFAULT_CONFIG, ConfigurationError, read_file
from iredldap.dit.change_ids import first_id
from iredldap.dit.change_query import milliseconds
from iredldap.errors import InvalidParameter, Refusal
from iredldap.gateways.change_store import ChangeFilter
from iredldap.gateways.directory import Directory
from iredldap.operations.listings.change_log import ChangeReader, Shown
from iredldap.operations.login import Caller

_PAUSE = 0.5
"""Seconds between two looks for new changes."""

_UNFINISHED = 60
"""Seconds for which those behind a change that is being made wait for its end."""

_CONTROL = re.compile(r"[\0-\x08\x0b-\x1f\x7f-\x9f]")


def _moment(_: click.Context, __: click.Parameter, text: str | None) -> int | None:
    """Read the time of an option, in milliseconds since 1970."""
    try:
        return milliseconds(text, datetime.now(UTC)) if text else None
    except InvalidParameter as ex:
        raise click.BadParameter(ex.detail) from ex


@click.command("changes")
@click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=DEFAULT_CONFIG,
    envvar=CONFIG_VARIABLE,
    show_default=True,
    help="Configuration file, which names the state database.",
)
@click.option("--domain", default="", help="Only changes that concern this domain.")
@click.option("--account", default="", help="Only changes of the account of this address.")
@click.option("--attribute", default="", help="Only changes of this attribute.")
@click.option("--admin", default="", help="Only changes by this admin.")
@click.option("--token", default="", help="Only changes by the token of this id.")
@click.option("--endpoint", default="", help="Only changes by this endpoint, user_update say.")
@click.option(
    "--since",
    callback=_moment,
    help="A date, a date and time in UTC, or how long ago: 30m, 2h, 7d.",
)
@click.option("--until", callback=_moment, help="The same; changes before it.")
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
    lowered = {name: word.lower() for name, word in words.items()}
    wanted = replace(_chosen(**lowered), since=since, until=until)
    try:
        config = read_file(path, os.environ)
        with (
            closing(Directory(config.ldap)) as directory,
            closing(ChangeLog.open(config, directory)) as log,
        ):
            everybody = Caller("", "", is_global=True, stored=())
            reader = ChangeReader(log, directory, everybody, config.api)
            for change in _found(reader, wanted, limit, follow=follow):
                click.echo(json.dumps(change) if as_json else "\n".join(_lines(change)))
    except ConfigurationError as ex:
        raise click.ClickException("\n".join(ex.errors)) from ex
    except Refusal as ex:
        raise click.ClickException(f"{ex.code}: {ex}") from ex
    except KeyboardInterrupt:
        click.echo()


def _chosen(
    *, domain: str, account: str, attribute: str, admin: str, token: str, endpoint: str
) -> ChangeFilter:
    return ChangeFilter(
        domain=domain,
        account=account,
        attribute=attribute,
        admin=admin,
        token=token,
        endpoint=endpoint,
    )


def _found(
    reader: ChangeReader, wanted: ChangeFilter, limit: int, *, follow: bool
) -> Iterator[Shown]:
    newest = [*islice(reader.changes(wanted), limit)]
    yield from reversed(newest)
    last = newest[0]["id"] if newest else first_id(0)
    while follow:
        for change in reader.changes(replace(wanted, after=last)):
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
    yield _plain(f"{began:%Y-%m-%d %H:%M:%S}  {by}  {change['endpoint']} {named}{ended}")
    yield f"  id {change['id']}"
    for touched in change["touched"]:
        yield from map(_plain, _touched(touched))
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


def _plain(line: str) -> str:
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", line.replace("\n", "\\x0a"))
