"""The command `iredldap doctor`: report violations of rules in a directory or an LDIF file."""

import gc
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path

import click

from iredldap.changes.opening import open_directory
from iredldap.commands.options import config_option, unreadable
from iredldap.config.reader import read_file
from iredldap.dit import generations, names
from iredldap.dit.consistency import checks, rules
from iredldap.dit.consistency.checks import RULES, Violation
from iredldap.dit.entry import Entry
from iredldap.dit.names import Tree
from iredldap.dit.plan import Query, Scope
from iredldap.errors import InvalidLdif
from ldif_export.ldif import parser
from ldif_export.ldif.decompression import ReadableFile, decompressed
from ldif_export.ldif.parser import LineIssue, ParsedRecord

BROKEN = 1
"""Exit status: an error was found."""

_SPELLED = {name.lower(): name for name in checks.ATTRIBUTES}
_TOPS = ((("o", "domains"),), (("o", "domainadmins"),))
_CONTROL = re.compile(r"[\0-\x1f\x7f-\x9f]")


@click.command("doctor")
@config_option
@click.option(
    "--ldif",
    type=click.Path(dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Check this file instead, plain, gzip or zstd; -: standard input.",
)
@click.option("--suffix", help="Suffix of the tree in FILE.  [default: that of its entries]")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, the summary last.")
@click.option(
    "--rule",
    "chosen",
    multiple=True,
    type=click.Choice(sorted(RULES)),
    metavar="NAME",
    help="Check only this rule; repeatable.",
)
@click.pass_context
def doctor(
    context: click.Context,
    /,
    *,
    path: Path,
    ldif: str | None,
    suffix: str | None,
    as_json: bool,
    chosen: tuple[str, ...],
) -> None:
    """Check the tree by the rules of docs/doctor.md, without changing anything.

    The exit status is 0 if no error was found, 1 if one was, and 2 if the command line is wrong
    or the tree cannot be read. Warnings alone do not change it.
    """
    if suffix is not None and (ldif is None or not names.is_dn(suffix)):
        raise click.UsageError("--suffix is a DN, and requires --ldif")
    report = _Report(as_json=as_json)
    with ExitStack() as stack, unreadable():
        # The entries in memory have no reference cycles, and searching for some takes time.
        stack.callback(gc.enable)
        gc.disable()
        tree, entries, passed = _file(ldif, suffix, stack) if ldif else _directory(path, stack)
        # Judged to the end before the first line is printed: a tree that cannot be read as a whole
        # has no violations, but an exit status of its own.
        found = list(checks.examine(tree, report.counted(entries)))
    for violation in found:
        if violation.rule not in passed and (not chosen or violation.rule in chosen):
            report.add(violation)
    report.conclude()
    context.exit(BROKEN if report.severities["error"] else 0)


@dataclass
class _Report:
    """The printed violations, and their counts."""

    as_json: bool
    entries: int = 0
    severities: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)

    def counted(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        for entry in entries:
            self.entries += 1
            yield entry

    def add(self, violation: Violation) -> None:
        self.severities[violation.severity] += 1
        self.rules[violation.rule] += 1
        if self.as_json:
            click.echo(json.dumps(asdict(violation)))
        else:
            line = f"{violation.severity}: {violation.rule}: {violation.dn}: {violation.reason}"
            click.echo(_CONTROL.sub(_escaped, line))

    def conclude(self) -> None:
        errors, warnings = (self.severities[severity] for severity in ("error", "warning"))
        if self.as_json:
            counts = {"entries": self.entries, "errors": errors, "warnings": warnings}
            rules = dict(sorted(self.rules.items()))
            click.echo(json.dumps({"summary": {**counts, "rules": rules}}))
        else:
            click.echo(f"{errors} errors, {warnings} warnings in {self.entries} entries")


def _escaped(found: re.Match[str]) -> str:
    return f"\\x{ord(found[0]):02x}"


Judged = tuple[Tree, Iterator[Entry], tuple[str, ...]]
"""The names of a tree, its entries, and the rules that do not apply to its schema."""


def _directory(path: Path, stack: ExitStack) -> Judged:
    directory = stack.enter_context(closing(open_directory(read_file(path, os.environ))))
    bases = (directory.tree.base, directory.tree.admin_base)
    queries = (Query(b, Scope.SUBTREE, "(objectClass=*)", checks.ATTRIBUTES) for b in bases)
    # A missing base would look like a healthy empty tree.
    entries = chain.from_iterable(directory.stream(query, must_exist=True) for query in queries)
    marks = generations.marks_accounts(directory.schema())
    return directory.tree, entries, () if marks else (rules.DOMAIN_STATUS.name,)


def _file(name: str, suffix: str | None, stack: ExitStack) -> Judged:
    """Read a file; the default suffix is that of the first entry in iRedMail's part of a tree.

    Raises:
        InvalidLdif: If no entry is in iRedMail's part of a tree.
    """
    file = stack.enter_context(click.open_file(name, "rb"))
    entries, passed = _entries(decompressed(file)), list[Entry]()
    if suffix is None:
        for entry in entries:
            passed.append(entry)
            suffix = _suffix(entry.dn)
            if suffix is not None:
                break
        else:
            raise InvalidLdif("no entry of an iRedMail directory; --suffix names its tree")
    return Tree(suffix), chain(passed, entries), ()


def _entries(file: ReadableFile) -> Iterator[Entry]:
    """Read the entries of a file, their attributes under the names of the schema.

    Raises:
        InvalidLdif: If part of it cannot be parsed: checks of the rest would report false errors.
    """
    for item in parser.read(file):
        match item:
            case ParsedRecord(dn=dn, attributes=attributes):
                spelled: dict[str, list[bytes]] = {}
                for name, values in attributes.items():
                    wanted = _SPELLED.get(name.lower())
                    if wanted:
                        spelled.setdefault(wanted, []).extend(values)
                yield Entry(dn, spelled)
            case LineIssue(line=line, reason=reason):
                raise InvalidLdif(f"line {line}: {reason}")


def _suffix(dn: str) -> str | None:
    """Return the part of a DN after `o=domains` or `o=domainAdmins`; None if it has neither."""
    parts = names.components(dn)
    for part in parts:
        if part in _TOPS:
            return names.parent(dn)
        dn = names.parent(dn)
    return None
