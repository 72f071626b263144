"""What the commands `verify` and `restore` do: the way back of an export."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import click

from iredldap.errors import InternalError, Refusal
from iredldap.gateways.directory import Directory
from ldif_export import handover, manifest
from ldif_export.cli import export
from ldif_export.cli import progress as telling
from ldif_export.ldif.parser import Fault
from ldif_export.restore import run as restoring
from ldif_export.restore import verify as verifying
from ldif_export.restore.validation import Options

_WRONG = 1


def verify(file: Path, beside: Path | None, *, as_json: bool) -> int:
    """Check a file, and give the exit status.

    Args:
        file: LDIF, compressed or not.
        beside: Its manifest.
        as_json: Whether a program reads the result.
    """
    try:
        told = manifest.load(beside.read_bytes()) if beside else None
        with file.open("rb") as opened:
            report = verifying.verify(opened, told)
    except (OSError, ValueError) as ex:
        return export.failed(InternalError(str(ex)))
    except Refusal as ex:
        return export.failed(ex)
    if as_json:
        _print(report.as_json())
    else:
        _tell_report(file, report)
    return handover.DONE if report.ok else _WRONG


def restore(file: Path, given: Mapping[str, Any]) -> int:
    """Bring a file into a directory, and give the exit status."""
    settings = export.settings(given, "vmailadmin")
    try:
        with closing(Directory(settings)) as directory:
            return _restore(file, directory, given)
    except OSError as ex:
        return export.failed(InternalError(str(ex)))
    except Refusal as ex:
        if ex.report:
            click.echo(json.dumps(ex.report), err=True)
        return export.failed(ex)


def _restore(file: Path, directory: Directory, given: Mapping[str, Any]) -> int:
    checkpoint = given["checkpoint"] or file.with_name(f"{file.name}.restoring")
    names = ("old_suffix", "overwrite", "clear_text", "leave_out")
    options = Options(**{name: given[name] for name in names})
    plan = restoring.plan(file, directory, options, checkpoint=checkpoint)
    if given["dry_run"] and plan.ok:
        _tell_omitted(plan)
        for record in restoring.change_records(plan, directory):
            click.echo(record, nl=False)
        return handover.DONE
    _tell_plan(file, plan, as_json=given["as_json"])
    if not plan.ok:
        return _WRONG
    with _progress(shown=export.is_shown(given)) as progress:
        outcome = restoring.execute(plan, directory, checkpoint=checkpoint, progress=progress)
    _tell_outcome(outcome, as_json=given["as_json"])
    return handover.DONE if outcome.ok else _WRONG


def _tell_report(file: Path, report: verifying.Report) -> None:
    _list(report.faults, "", report.fault_count)
    _list(report.warnings, "warning: ", report.warning_count)
    kinds = ", ".join(f"{number} {kind}" for kind, number in report.kinds.items() if number)
    verdict = "whole" if report.ok else "NOT GOOD"
    click.echo(f"{file}: {verdict}: {report.entries} entries ({kinds})")


def _tell_plan(file: Path, plan: restoring.Plan, *, as_json: bool) -> None:
    """Say what is odd before anything is done; all of it, if nothing will be."""
    if as_json:
        if not plan.ok:
            _print(plan.as_json())
        return
    _list(plan.refused, "refused: ", plan.refused_count, to_errors=True)
    _list(plan.warnings, "warning: ", plan.warning_count, to_errors=True)
    _tell_omitted(plan)
    for difference in plan.differences:
        attributes = ", ".join(difference.attributes)
        click.echo(f"line {difference.line}: differs: {difference.dn}: {attributes}", err=True)
    if not plan.ok:
        click.echo(f"{file}: refused, and nothing was written", err=True)


def _tell_omitted(plan: restoring.Plan) -> None:
    for name, number in plan.omitted.items():
        click.echo(f"left out: {name} of {number} entries", err=True)


def _tell_outcome(outcome: restoring.Outcome, *, as_json: bool) -> None:
    if as_json:
        _print(outcome.as_json())
        return
    _list(outcome.shared, "shared: ", len(outcome.shared), to_errors=True)
    told = ("added", "changed", "equal", "differ", "missing")
    click.echo(", ".join(f"{getattr(outcome, name)} {name}" for name in told))


@contextmanager
def _progress(*, shown: bool) -> Iterator[Callable[[int, int], None]]:
    if not shown:
        yield lambda _done, _total: None
        return
    with telling.bar() as bar:
        task = bar.add_task("entries", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _list(faults: tuple[Fault, ...], word: str, number: int, *, to_errors: bool = False) -> None:
    for fault in faults:
        click.echo(f"line {fault.line}: {word}{fault.reason}", err=to_errors)
    if number > len(faults):
        click.echo(f"… and {number - len(faults)} more", err=to_errors)


def _print(report: Mapping[str, object]) -> None:
    click.echo(json.dumps(report, indent=2, ensure_ascii=False))
