"""Run the command `ldif-export verify`."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import click

from iredldap.errors import Refusal
from iredldap.file_causes import STANDARD_OUTPUT, named
from ldif_export import handover
from ldif_export.chain import ChainBroken, joined
from ldif_export.cli import output
from ldif_export.cli.files_given import read_manifest
from ldif_export.cli.output import print_findings
from ldif_export.ldif import files
from ldif_export.restore.verify import VerifyReport, verify


def run(given: Sequence[Path], manifest_path: Path | None, *, as_json: bool) -> int:
    """Verify a file, or a whole export and its increments; print the report.

    Args:
        given: LDIF, compressed or not; ``-``: standard input.
        manifest_path: The manifest of the one file.
        as_json: Whether the report is printed as JSON.

    Returns:
        The exit status.

    Raises:
        click.UsageError: If a manifest is given for several files.
    """
    if manifest_path and len(given) > 1:
        raise click.UsageError("--manifest is that of one file")
    file = given[-1]
    try:
        expected = read_manifest(manifest_path) if manifest_path else None
        with ExitStack() as stack:
            if len(given) > 1:
                opened: BinaryIO = stack.enter_context(
                    stack.enter_context(joined(given)).open("rb")
                )
            else:
                opened = stack.enter_context(files.open_once(file))
            report = verify(opened, expected)
    except ChainBroken as ex:
        return output.chain_broken(ex, as_json=as_json)
    except Refusal as ex:
        return output.failed(ex)
    with named(STANDARD_OUTPUT):
        if as_json:
            output.print_json(report.as_json())
        else:
            _print_report(file, report)
    return handover.DONE if report.ok else handover.FAILED


def _print_report(file: Path, report: VerifyReport) -> None:
    print_findings(report.faults, "", report.fault_count)
    print_findings(report.warnings, "warning: ", report.warning_count)
    kinds = ", ".join(f"{number} {kind}" for kind, number in report.kinds.items() if number)
    verdict = "whole" if report.ok else "NOT GOOD"
    click.echo(f"{files.label(file)}: {verdict}: {report.entries} entries ({kinds})")
