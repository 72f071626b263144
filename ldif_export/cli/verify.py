"""Run the command `ldif-export verify`."""

from pathlib import Path

import click

from iredldap.errors import InternalError, Refusal
from ldif_export import handover, manifest
from ldif_export.cli import output
from ldif_export.cli.output import print_findings
from ldif_export.ldif import files
from ldif_export.restore.verify import VerifyReport, verify


def run(file: Path, manifest_path: Path | None, *, as_json: bool) -> int:
    """Verify a file, print the report and return the exit status.

    Args:
        file: LDIF, compressed or not; ``-``: standard input.
        manifest_path: Its manifest.
        as_json: Whether the report is printed as JSON.
    """
    try:
        expected = manifest.load(manifest_path.read_bytes()) if manifest_path else None
        with files.open_once(file) as opened:
            report = verify(opened, expected)
    except (OSError, ValueError) as ex:
        return output.failed(InternalError(str(ex)))
    except Refusal as ex:
        return output.failed(ex)
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
