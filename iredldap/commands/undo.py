"""The command `iredldap undo`: take changes back, on the server, as its root may."""

import json
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from iredldap.changes.apply import Turn, execute
from iredldap.changes.change_log import ChangeLog
from iredldap.changes.preview import preview
from iredldap.changes.recording import Recording
from iredldap.commands.options import Installation, config_option, installation, moment, plain
from iredldap.dit.change_ids import is_id
from iredldap.dit.change_log import LoggedChange, as_json
from iredldap.dit.left_alone import LeftAlone
from iredldap.dit.logged_request import logged
from iredldap.dit.plan import Plan
from iredldap.dit.request import Request
from iredldap.errors import NoSuchChange
from iredldap.gateways import unix_user
from iredldap.gateways.change_store import ChangeFilter
from iredldap.operations import dispatch
from iredldap.operations.admin_log import AdminLog
from iredldap.operations.context import Context
from iredldap.operations.login import Caller
from iredldap.operations.undo.logged import UNDO, UndoableChanges
from iredldap.operations.undo.undo import undo as plan_undo
from iredldap.undo_errors import AlreadyUndone, ChangedSince, NothingToUndo

_PAGE = 100
_PATIENCE = 60.0
"""Seconds for which other changes of the same domains are waited for."""

_NEEDLESS = (AlreadyUndone, NothingToUndo, ChangedSince)
"""Refusals of one of several changes with which the others go on: nothing of it is left to undo."""


@click.command("undo")
@click.argument("number", metavar="[ID]", required=False)
@config_option
@click.option(
    "--since",
    callback=moment,
    help="Undo all changes of an admin from then on: a date, a date and time in UTC, or how long"
    " ago: 30m, 2h, 7d.",
)
@click.option("--admin", help="Whose changes: an address, or unix:NAME for a command.")
@click.option("--dry-run", is_flag=True, help="Print what would be done, and change nothing.")
def undo(
    number: str | None, path: Path, since: int | None, admin: str | None, *, dry_run: bool
) -> None:
    """Undo the change of an ID in the change log, or those of an admin, the newest first.

    What others have changed since is left alone and printed. The exit status is 1 if a change
    cannot be undone; of several, those before it then stay as they are.
    """
    if (number is None) == (since is None) or (since is None) != (admin is None):
        raise click.UsageError("an ID, or --since and --admin")
    with (
        installation(path) as opened,
        closing(ChangeLog.open(opened.config, opened.directory)) as log,
    ):
        caller = Caller(unix_user.name(), "", is_global=True, stored=())
        undoing = _Undoing(opened, log, caller)
        if number is not None:
            undoing.run(number, dry_run=dry_run)
            return
        for change in undoing.changes(ChangeFilter(since=since, admin=(admin or "").lower())):
            try:
                undoing.run(change.id, dry_run=dry_run)
            except _NEEDLESS as refusal:
                click.echo(f"{change.id}  {refusal.code}")


@dataclass(frozen=True)
class _Undoing:
    """What an undo on the server needs, in the name of whoever runs the command."""

    opened: Installation
    log: ChangeLog
    caller: Caller

    def changes(self, wanted: ChangeFilter) -> Iterator[LoggedChange]:
        """Yield the changes to undo, the newest first; not those of this command."""
        found = self.log.store.find(wanted, _PAGE)
        while found:
            yield from found
            last = found[-1].id
            # By id, not by a count: the undos themselves are changes, and would shift what comes
            # next.
            older = ChangeFilter(since=wanted.since, admin=wanted.admin, before=last)
            found = self.log.store.find(older, _PAGE)

    def run(self, number: str, *, dry_run: bool) -> None:
        """Undo one change, and print what became of it.

        Raises:
            Refusal: As the operation says.
        """
        if not is_id(number):
            raise NoSuchChange(number[:80])
        changes = UndoableChanges(self.log)
        directory, outside = self.opened.directory, self.opened.outside
        context = Context(directory, self.opened.config, self.caller, outside, changes)
        wanted = Request(UNDO, {"id": number})
        make: partial[Plan] = partial(dispatch.plan, context, plan_undo, wanted)
        if dry_run:
            shown = preview(directory, make)
            click.echo(shown.ldif, nl=False)
            for step in shown.outside:
                click.echo(f"# outside the directory: {step.step}")
                for one in step.rows or ():
                    click.echo(f"#   {json.dumps(as_json(one))}")
            _print_left(shown.plan.left)
            return
        # Which domains it touches is only known with the plan (`Plan.touches`), which takes them.
        turn = Turn(outside.turns, frozenset(), _PATIENCE)
        with Recording(self.log, logged(wanted, self.caller.address)) as recording:
            outcome = execute(directory, make, turn=turn, recording=recording)
        AdminLog(outside.iredadmin).note(self.caller.address, wanted)
        click.echo(f"{number}  undone by {recording.id}")
        _print_left(outcome.left)


def _print_left(left: Iterable[LeftAlone]) -> None:
    for one in left:
        values = f": {', '.join(one.values)}" if one.values else ""
        what = f"  {one.what}" if one.what else ""
        click.echo(plain(f"  left alone: {one.where}{what}{values} ({one.why})"))
