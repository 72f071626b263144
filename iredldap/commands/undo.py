"""The command `iredldap undo`: take changes back."""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path

import click

from iredldap.commands.api import connect, render
from iredldap.commands.api.answers import Api
from iredldap.commands.api.asked import Asked
from iredldap.commands.api.failures import Failed, one_status
from iredldap.commands.api.requests import pages, send
from iredldap.commands.api.rows import call
from iredldap.commands.times import moment

_NEEDLESS = {"ALREADY_UNDONE", "NOTHING_TO_UNDO", "CHANGED_SINCE"}
"""Refusals of one of several changes with which the others go on: nothing of it is left to undo."""


@click.command("undo")
@click.argument("number", metavar="[ID]", required=False)
@click.option(
    "--since",
    help="Undo all changes of an admin from then on: a date, a date and time in UTC, or how long"
    " ago: 30m, 2h, 7d.",
)
@click.option("--admin", help="Whose changes: an address, or unix:NAME for a command.")
@click.option("--dry-run", is_flag=True, help="Print what would be done, and change nothing.")
@connect.options(as_json="Print what the API answers: one JSON object for each change.")
@click.pass_context
def undo(
    context: click.Context,
    /,
    *,
    number: str | None,
    config: Path | None,
    url: str | None,
    since: str | None,
    admin: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Undo the change of an ID in the change log, or those of an admin, the newest first.

    What others have changed since is left alone and printed. The exit status is 1 if a change
    cannot be undone; of several, those before it then stay as they are.
    """
    if (number is None) == (since is None) or (since is None) != (admin is None):
        raise click.UsageError("an ID, or --since and --admin")
    moment(context, context.command.params[0], since)
    with ExitStack() as stack:
        stack.enter_context(one_status())
        api = stack.enter_context(connect.connected(config, url))
        if number is not None:
            _undo(api, number, dry_run=dry_run, as_json=as_json)
            return
        for id_ in _ids(api, since or "", admin or ""):
            try:
                _undo(api, id_, dry_run=dry_run, as_json=as_json)
            except Failed as ex:
                if not _NEEDLESS.issuperset(ex.codes):
                    raise
                click.echo(f"{id_}  {','.join(ex.codes)}", err=as_json)


def _ids(api: Api, since: str, admin: str) -> Iterator[str]:
    """Yield the ids of the changes of an admin, the newest first; not those of this command."""
    asked = Asked(call=call("changes_find"), form={"since": [since], "admin": [admin]})
    # By pages behind an id, not by a count: the undos themselves are changes, and would shift what
    # comes next.
    yield from (str(change["id"]) for change in chain.from_iterable(pages(api, asked, None)))


def _undo(api: Api, number: str, *, dry_run: bool, as_json: bool) -> None:
    """Undo one change, and print what became of it.

    Raises:
        Failed: If it is refused.
    """
    asked = Asked(call=call("change_undo"), names={"id": number}, word="change", dry_run=dry_run)
    answer = send(api, asked)
    if as_json:
        render.as_json(answer.data)
    elif dry_run:
        render.trial(answer.data)
    else:
        click.echo(f"{number}  undone by {answer.headers['x-change-id']}")
        render.left_alone(answer.data["left_alone"])
