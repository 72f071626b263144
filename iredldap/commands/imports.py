"""The command `iredldap import`: users of a CSV file, on the server, as its root may."""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from iredldap.changes.change_log import ChangeLog
from iredldap.commands.options import Installation, config_option, installation
from iredldap.commands.terminal import plain
from iredldap.desired.batches import Batches
from iredldap.desired.imports import Import, Options
from iredldap.desired.reports import Report
from iredldap.desired.rows import RESULTS, Outcome
from iredldap.dit.imports import ENCODINGS, PRESETS
from iredldap.dit.request import Request
from iredldap.errors import InvalidFile
from iredldap.gateways import unix_user
from iredldap.operations.context import Context
from iredldap.operations.login import Caller

_SHOWN = 20
"""Rows of each kind that are printed one by one."""


@click.command("import")
@click.argument("file", type=click.File("rb"))
@config_option
@click.option(
    "--preset",
    type=click.Choice(["none", *PRESETS]),
    help="Program that the file comes from.  [default: recognised by its header; else our own"
    " columns]",
)
@click.option(
    "--encoding", type=click.Choice(ENCODINGS), help="Encoding, if neither UTF-8 nor UTF-16."
)
@click.option("--dry-run", is_flag=True, help="Print what would be done, and change nothing.")
@click.option("--update", "updates", is_flag=True, help="Change accounts that exist and differ.")
@click.option(
    "--passwords", is_flag=True, help="With --update, give them the passwords of the file, too."
)
@click.option(
    "--rejected",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File for refused rows, with the reason behind each; mended, it can be imported again.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def import_users(
    file: Any,
    path: Path,
    preset: str | None,
    encoding: str | None,
    rejected: Path | None,
    *,
    dry_run: bool,
    updates: bool,
    passwords: bool,
    as_json: bool,
) -> None:
    """Create the users of a CSV FILE (-: standard input), with their aliases and lists.

    Accounts that are there and agree are left as they are: the same file can be imported again,
    also after a run that broke off. The exit status is 1 if rows were refused.
    """
    options = Options(preset, encoding, dry_run, updates, passwords)
    try:
        read = Import.of(file.read(), options)
    except InvalidFile as refusal:
        raise click.ClickException(refusal.detail) from refusal
    report = Report()
    with (
        installation(path) as opened,
        closing(ChangeLog.open(opened.config, opened.directory)) as log,
        _progress(len(read.rows), is_hidden=as_json) as bar,
    ):

        def watch(outcomes: Sequence[Outcome]) -> None:
            bar.update(len(outcomes))

        try:
            read.run(_batches(opened, log, options), report, watch)
        finally:
            # Also of a run that broke off: what was refused until then is not asked again.
            if rejected and report.refused:
                _write(rejected, read, report)
    if as_json:
        shown = read.described(report, dry_run=dry_run)
        del shown["rejected"]
        click.echo(json.dumps(shown, ensure_ascii=False))
    else:
        for line in _lines(read, report, dry_run=dry_run):
            click.echo(plain(line))
        if rejected and report.refused:
            click.echo(f"{rejected}: {len(report.refused)} rows to mend")
    if report.refused:
        raise click.exceptions.Exit(1)


def _progress(length: int, *, is_hidden: bool) -> Any:
    """Return the progress bar, which only a terminal shows."""
    bar: Any = click.progressbar(length=length, label="Users", file=sys.stderr, hidden=is_hidden)
    return bar


def _batches(opened: Installation, log: ChangeLog, options: Options) -> Batches:
    caller = Caller(unix_user.name(), "", is_global=True, stored=())
    return Batches(
        Context(opened.directory, opened.config, caller, opened.outside),
        log,
        # Who can read the service account's password may do anything.
        lambda _: None,
        Request("import_create", {}),
        dry_run=options.dry_run,
        updates=options.updates,
        passwords=options.passwords,
    )


def _write(target: Path, read: Import, report: Report) -> None:
    """Write the refused rows to a file of its own: they may have passwords."""
    rows = {cells.line: cells.cells for _, cells in read.rows}
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as opened:
        opened.writelines(read.rejected(report, rows))


def _lines(read: Import, report: Report, *, dry_run: bool) -> Iterator[str]:
    """Yield the report for people."""
    if read.file.preset:
        yield f"read as an export of {read.file.preset.name}"
    if read.file.left_out:
        yield f"columns left out: {', '.join(read.file.left_out)}"
    for word, rows in (("refused", report.refused), ("differs", report.differs)):
        for row in rows[:_SHOWN]:
            yield f"line {row['line']}  {row['address'] or '-'}  {word}: {_why(row)}"
        if len(rows) > _SHOWN:
            yield f"… and {len(rows) - _SHOWN} more"
    for row in report.noted[:_SHOWN]:
        yield f"line {row['line']}  {row['address']}  left out: {', '.join(row['ignored'])}"
    counts = ", ".join(f"{report.counts[word]} {word}" for word in RESULTS)
    joined = f", {report.counts['joined']} memberships made" if report.counts["joined"] else ""
    changed = "would be changed" if dry_run else "changed"
    yield f"{len(read.rows)} rows: {counts}{joined}; {report.changes} {changed}"


def _why(row: dict[str, Any]) -> str:
    if row["result"] == "differs":
        return ", ".join(row["differs"])
    parts = (row["code"], ", ".join(row["parameters"]), row.get("detail", ""))
    return ": ".join(filter(None, parts))
