"""Run the command `ldif-export restore`."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import click

from iredldap.config.sections import Config
from iredldap.errors import Refusal
from iredldap.file_causes import STANDARD_OUTPUT, named
from iredldap.gateways.directory import Directory
from ldif_export import handover
from ldif_export.chain import ChainBroken, joined
from ldif_export.cli import change_log, connection, output
from ldif_export.cli.output import print_findings, print_json, shows_progress
from ldif_export.ldif import files
from ldif_export.restore.execution import RestoreOutcome, execute, planned_changes
from ldif_export.restore.plan import RestorePlan, plan_restore
from ldif_export.restore.validation import RestoreOptions

_OPTIONS = ("old_suffix", "overwrite", "clear_text", "leave_out")


def run(chosen: Sequence[Path], given: Mapping[str, Any]) -> int:
    """Restore a file into a directory, or the state of a whole export and its increments.

    Args:
        chosen: LDIF, compressed or not; ``-``: standard input.
        given: The options of the command line.

    Returns:
        The exit status.

    Raises:
        click.UsageError: If connection settings are missing, or a configuration is wrong.
    """
    if len(chosen) > 1 and not given["chain"]:
        raise click.UsageError("several files: a whole export and its increments need --chain")
    file = chosen[-1]
    settings = connection.settings(given, "vmailadmin")
    config = change_log.configuration(given["config"], settings)
    try:
        with (
            joined(chosen) if len(chosen) > 1 else files.rereadable(file) as source,
            closing(change_log.directory(config, settings)) as directory,
        ):
            return _restore(file, source, directory, config, given)
    except ChainBroken as ex:
        return output.chain_broken(ex, as_json=given["as_json"])
    except Refusal as ex:
        # Where it stopped; a fault is in the words of the refusal.
        if report := {name: value for name, value in (ex.report or {}).items() if name != "fault"}:
            click.echo(json.dumps(report), err=True)
        return output.failed(ex)


def _restore(
    file: Path,
    source: files.Openable,
    directory: Directory,
    config: Config | None,
    given: Mapping[str, Any],
) -> int:
    # What cannot be read again is not continued where it broke off, unless the caller says so.
    # That of a chain is the last increment's: with other files before it, it does not fit.
    beside = file.with_name(f"{file.name}.restoring") if files.is_kept(file) else None
    checkpoint = given["checkpoint"] or beside
    options = RestoreOptions(**{name: given[name] for name in _OPTIONS})
    planned = plan_restore(source, directory, options, checkpoint=checkpoint)
    if given["dry_run"] and planned.ok:
        # Standard output is for ldapmodify.
        _print_plan(file, planned, as_json=False)
        for record in planned_changes(planned, directory):
            with named(STANDARD_OUTPUT):
                click.echo(record, nl=False)
        return handover.DONE
    _print_plan(file, planned, as_json=given["as_json"])
    if not planned.ok:
        return handover.FAILED
    with (
        change_log.recording(config, directory, file) as recording,
        _progress(shown=shows_progress(given)) as progress,
    ):
        outcome = execute(
            planned, directory, checkpoint=checkpoint, progress=progress, recording=recording
        )
    with named(STANDARD_OUTPUT):
        _print_outcome(outcome, as_json=given["as_json"])
    return handover.DONE if outcome.ok else handover.FAILED


def _print_plan(file: Path, planned: RestorePlan, *, as_json: bool) -> None:
    """Print warnings and differences before anything is written; as JSON, only a refused plan."""
    if as_json:
        # Of a plan that is carried out, standard output has the outcome alone.
        if not planned.ok:
            print_json(planned.as_json())
        return
    print_findings(planned.refused, "refused: ", planned.refused_count, to_stderr=True)
    print_findings(planned.warnings, "warning: ", planned.warning_count, to_stderr=True)
    _print_omitted(planned)
    for difference in planned.differences:
        attributes = ", ".join(difference.attributes)
        click.echo(f"line {difference.line}: differs: {difference.dn}: {attributes}", err=True)
    if not planned.ok:
        click.echo(f"{files.label(file)}: refused, and nothing was written", err=True)


def _print_omitted(planned: RestorePlan) -> None:
    for name, number in planned.omitted.items():
        click.echo(f"left out: {name} of {number} entries", err=True)


def _print_outcome(outcome: RestoreOutcome, *, as_json: bool) -> None:
    if as_json:
        print_json(outcome.as_json())
        return
    print_findings(outcome.shared, "shared: ", len(outcome.shared), to_stderr=True)
    counts = ("added", "changed", "equal", "differ", "missing")
    click.echo(", ".join(f"{getattr(outcome, name)} {name}" for name in counts))


@contextmanager
def _progress(*, shown: bool) -> Iterator[Callable[[int, int], None]]:
    if not shown:
        yield lambda _done, _total: None
        return
    # Loading rich takes longer than everything else that a small restore loads.
    from ldif_export.cli.progress import progress_bar  # noqa: PLC0415

    with progress_bar() as bar:
        task = bar.add_task("entries", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
