"""The command `iredldap import`: users of a CSV file, on the server, or by the API elsewhere."""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click

from iredldap.commands.api import connect, render, requests
from iredldap.commands.api.asked import Asked
from iredldap.commands.api.failures import Failed, unavailability_reported
from iredldap.commands.api.meter import Meter
from iredldap.commands.api.options import form, option
from iredldap.commands.api.rows import call
from iredldap.commands.exit_status import ExitStatus
from iredldap.commands.terminal import plain, seekable

_SHOWN = 20
"""Rows of each kind that are printed one by one."""

_RESULTS = ("created", "updated", "unchanged", "differs", "refused")
_CALL = call("import_create")
_OPTIONS = tuple(row for row in _CALL.parameters if row.name != "dry_run")

Shown = Mapping[str, Any]


@click.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--dry-run", is_flag=True, help="Print what would be done, and change nothing.")
@click.option(
    "--rejected",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File for refused rows, with the reason behind each; mended, it can be imported again.",
)
@connect.options(as_json="Print the report as JSON.")
def import_users(
    file: IO[bytes],
    config: Path | None,
    url: str | None,
    rejected: Path | None,
    *,
    dry_run: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Create the users of a CSV FILE (-: standard input), with their aliases and lists.

    Accounts that are there and agree are left as they are: the same file can be imported again,
    also after a run that broke off. The exit status is 1 if rows were refused.
    """
    if rejected and _is_same(rejected, file):
        raise Failed(f"--rejected: {rejected} is FILE itself", ExitStatus.USAGE)
    sent = form(given, _OPTIONS)
    if "passwords" in sent and "update" not in sent:
        raise click.UsageError("--passwords is for accounts that --update changes: give both")
    with (
        seekable(file) as data,
        unavailability_reported(),
        Meter("import") as meter,
        connect.connected(config, url, meter.show) as api,
        # Before anything is made that could not be written down.
        _private(rejected) as opened,
    ):
        asked = Asked(call=_CALL, form=sent, word="file", dry_run=dry_run, file=data)
        try:
            report = requests.report(api, asked, meter)
        except Failed as failure:
            # Of a run that broke off, too: what was refused until then is not asked again.
            _write(opened, data, sent, failure.report)
            raise
        _write(opened, data, sent, report)
    if as_json:
        render.as_json({name: value for name, value in report.items() if name != "rejected"})
    else:
        for line in _lines(report):
            click.echo(plain(line))
        if rejected and report["refusals"]:
            click.echo(f"{rejected}: {len(report['refusals'])} rows to mend")
    if report["refusals"]:
        raise click.exceptions.Exit(1)


import_users.params[1:1] = [option(row, of_a_read=True) for row in _OPTIONS]


def _is_same(target: Path, file: IO[bytes]) -> bool:
    """Return whether a path is that of an open file; of standard input it may be, too."""
    try:
        return os.path.samestat(target.stat(), os.fstat(file.fileno()))
    except (OSError, ValueError):
        # It does not exist yet; or what is read is no file, but something in memory.
        return False


@contextmanager
def _private(target: Path | None) -> Iterator[IO[str] | None]:
    """Open a file that nobody else can read, as rows may have passwords.

    It gets its name at the end, if something was written: a file of that name may be readable by
    others, who would read the new one, too.

    Raises:
        Failed: If there can be no such file.
    """
    if target is None:
        yield None
        return
    try:
        # A device is no file that could be replaced.
        is_special = target.exists() and not target.is_file()
        if is_special:
            descriptor, scratch = os.open(target, os.O_WRONLY), ""
        else:
            descriptor, scratch = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as ex:
        raise Failed(f"--rejected: {target}: {ex.strerror}", ExitStatus.USAGE) from ex
    opened = os.fdopen(descriptor, "w", encoding="utf-8", newline="")
    try:
        yield opened
    finally:
        opened.close()
        if scratch and Path(scratch).stat().st_size:
            Path(scratch).replace(target)
        elif scratch:
            Path(scratch).unlink()


def _write(
    opened: IO[str] | None, data: IO[bytes], sent: Mapping[str, Sequence[str]], report: Any
) -> None:
    """Write the refused rows as they are in the file, with the reason behind each.

    A job's own ones have no passwords.
    """
    refused = report.get("refusals") if isinstance(report, Mapping) else None
    if not (opened and refused):
        return
    # Half a second, which only refused rows cost.
    from iredldap.desired.files.users import UsersFile  # noqa: PLC0415
    from iredldap.desired.reports import rejected  # noqa: PLC0415

    data.seek(0)
    chosen = {name: values[0] for name, values in sent.items()}
    file = UsersFile.of(data.read(), chosen.get("preset"), chosen.get("encoding"))
    rows = {cells.line: cells.cells for cells in file.rows}
    opened.writelines(rejected(file.columns, rows, refused, has_header=file.has_header))


def _lines(report: Shown) -> Iterator[str]:
    """Yield the report for people."""
    if report["preset"]:
        yield f"read as an export of {report['preset']}"
    if report["columns_left_out"]:
        yield f"columns left out: {', '.join(report['columns_left_out'])}"
    for word, rows in (("refused", report["refusals"]), ("differs", report["differences"])):
        for row in rows[:_SHOWN]:
            made = "" if row["result"] == word else f"{row['result']}, but "
            yield f"line {row['line']}  {row['address'] or '-'}  {made}{word}: {_why(row)}"
        if len(rows) > _SHOWN:
            yield f"… and {len(rows) - _SHOWN} more"
    for row in report["ignored_values"][:_SHOWN]:
        yield f"line {row['line']}  {row['address']}  left out: {', '.join(row['ignored'])}"
    counts = ", ".join(f"{report[word]} {word}" for word in _RESULTS)
    joined = f", {report['joined']} memberships made" if report["joined"] else ""
    changed = "would be changed" if report["dry_run"] else "changed"
    changes = report["created"] + report["updated"]
    yield f"{report['rows']} rows: {counts}{joined}; {changes} {changed}"


def _why(row: Shown) -> str:
    if row["result"] == "differs":
        return ", ".join(row["differs"])
    parts = (row["code"], ", ".join(row["parameters"]), row.get("detail", ""))
    return ": ".join(filter(None, parts))
