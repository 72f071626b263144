"""Write the output of a command: a file that appears only when it is complete, and errors."""

import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from iredldap.directory_errors import DirectoryUnable
from iredldap.errors import Refusal
from iredldap.file_causes import named
from ldif_export import handover
from ldif_export.complete_files import complete_file

if TYPE_CHECKING:
    # An export, which starts often, needs no parser.
    from ldif_export.chain import ChainBroken
    from ldif_export.ldif.parser import LineIssue


_REPEAT = 2.0
"""Seconds after which a termination that had no effect is repeated."""


@contextmanager
def complete_output(path: Path) -> Iterator[int]:
    """Open the output of a command, as `complete_file`; a termination leaves nothing, either."""
    # By default SIGTERM ends Python without running the cleanup.
    signal.signal(signal.SIGTERM, _terminated)
    with complete_file(path) as descriptor:
        yield descriptor


def _terminated(_number: int, _frame: object) -> NoReturn:
    # Python prints and drops an exception that is raised in a destructor or in a callback of the
    # import system (seen in 1 of 6 runs on a busy machine). So the signal is raised again until the
    # process has ended; the cleanup takes a few milliseconds. More than once: a signal that comes
    # just before a system call begins is handled only when that returns, or by the next signal.
    signal.signal(signal.SIGALRM, _terminated)
    signal.setitimer(signal.ITIMER_REAL, _REPEAT, _REPEAT)
    raise SystemExit(handover.TERMINATED)


def write_all(descriptor: int, chunk: bytes, file: object) -> None:
    """Write all bytes of a chunk to a descriptor.

    Raises:
        OSError: If that is not possible; it names the file.
    """
    rest = memoryview(chunk)
    with named(file):
        while rest:
            # A pipe takes what its reader has room for.
            rest = rest[os.write(descriptor, rest) :]


def failed(refusal: Refusal, *, by_options: bool = True) -> int:
    """Print the line that reports a refusal, and return the exit status.

    Args:
        refusal: What is reported.
        by_options: Whether the settings of the connection were options, which are then named.
    """
    line = handover.error_line(refusal)
    if by_options and isinstance(refusal, DirectoryUnable):
        # Such a refusal has loaded python-ldap; others need not wait for it.
        from iredldap.gateways.ldap.errors import BIND_SETTINGS  # noqa: PLC0415

        line = line.replace(BIND_SETTINGS, "--bind-dn, --password-file")
    click.echo(line, err=True)
    return handover.exit_status(refusal)


def shows_progress(given: Mapping[str, Any]) -> bool:
    """Return whether to show progress: as the option says, otherwise if stderr is a terminal."""
    asked: bool | None = given["progress"]
    return sys.stderr.isatty() if asked is None else asked


def print_findings(
    findings: Sequence["LineIssue"], word: str, number: int, *, to_stderr: bool = False
) -> None:
    """Print findings, a line each, and how many more there are.

    Args:
        findings: The first of them.
        word: What comes before each reason: ``warning: ``, say.
        number: How many there are in all.
        to_stderr: Whether they go to standard error.
    """
    for finding in findings:
        click.echo(f"line {finding.line}: {word}{finding.reason}", err=to_stderr)
    if number > len(findings):
        click.echo(f"… and {number - len(findings)} more", err=to_stderr)


def print_json(report: Mapping[str, object]) -> None:
    """Print a report as JSON."""
    click.echo(json.dumps(report, indent=2, ensure_ascii=False))


def chain_broken(ex: "ChainBroken", *, as_json: bool = False) -> int:
    """Print why files are no whole export and its increments, and return the exit status."""
    if as_json:
        print_json({"ok": False, "faults": [*ex.faults], "fault_count": ex.count})
        return handover.FAILED
    for fault in ex.faults:
        click.echo(fault, err=True)
    if ex.count > len(ex.faults):
        click.echo(f"… and {ex.count - len(ex.faults)} more", err=True)
    return handover.FAILED
