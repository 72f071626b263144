"""The commands `iredldap snapshot`, `diff` and `apply`: the state that there is, and one wanted."""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click

from iredldap.commands.api import connect, render, requests
from iredldap.commands.api.answers import Api
from iredldap.commands.api.asked import Asked
from iredldap.commands.api.failures import Failed, unavailability_reported
from iredldap.commands.api.meter import Meter
from iredldap.commands.api.refusals import refusal
from iredldap.commands.api.rows import call
from iredldap.commands.exit_status import ExitStatus
from iredldap.commands.terminal import plain, seekable
from iredldap.dit.states import STATE_WORDS

DIFFERENT = 2
"""Exit status of `diff` if something would change, as other programs that plan have it."""

_FORMATS = {".yaml": "yaml", ".yml": "yaml", ".toml": "toml"}
_CLEAR_TEXT = re.compile(rb'(?<!\w)password"?\s*[:=]')
_DONE = ("created", "renamed", "updated", "deleted")

_FILE = click.argument("file", type=click.File("rb"))
_PRUNE = click.option(
    "--prune", is_flag=True, help="Delete what FILE covers and does not name (docs/gitops.md)."
)


@click.command("snapshot")
@click.argument("domains", nargs=-1, metavar="[DOMAIN]...")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(STATE_WORDS),
    help="Only this kind; can be given several times.",
)
@click.option("--hashes", is_flag=True, help="Write the hashes of passwords, too.")
@click.option(
    "--no-ids", is_flag=True, help="Leave out the ids, which differ from server to server."
)
@connect.options(as_json="Report a failure as JSON, too; the lines are JSON in any case.")
def snapshot(
    config: Path | None,
    url: str | None,
    domains: tuple[str, ...],
    kinds: tuple[str, ...],
    *,
    hashes: bool,
    no_ids: bool,
    as_json: bool,
) -> None:
    """Print admins, domains, accounts and policies as JSON lines: all, or those of each DOMAIN.

    Each line has what `iredldap apply` makes so again. The same state gives the same bytes. What no
    request could set is named on standard error.
    """
    form = {
        "domains": [",".join(domains)] if domains else [],
        "kinds": [",".join(kinds)] if kinds else [],
        "hashes": ["yes"] if hashes else [],
        "ids": ["no"] if no_ids else [],
    }
    with _opened(config, url) as api:
        asked = Asked(call=call("state_get"), form={n: v for n, v in form.items() if v})
        with api.open("GET", asked.path, asked.form) as answer:
            if not answer.is_stream:
                raise refusal(api, asked, answer.whole())
            for line in _lines(answer.chunks):
                click.echo(line, nl=False)
                if b'"left_out"' in line:
                    _tell_left_out(json.loads(line))


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines of a text that comes in parts."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line + b"\n" for line in lines)
    if rest:
        yield rest


def _tell_left_out(line: Mapping[str, Any]) -> None:
    name = line.get("mail") or line.get("domain") or line.get("target")
    words = ", ".join(line["left_out"])
    click.echo(plain(f"{line['kind']} {name}: not written: {words}"), err=True)


@contextmanager
def _two_is_free() -> Iterator[None]:
    try:
        yield
    except click.ClickException as ex:
        if ex.exit_code == DIFFERENT:
            ex.exit_code = ExitStatus.REFUSED  # type: ignore[misc]
        raise


class ComparingCommand(click.Command):
    """A command that ends with 2 only if something would change.

    Of others that is the status of a wrong command line or configuration: a check in a repository
    that lets 2 pass would pass without having compared anything.
    """

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        """Parse the command line."""
        with _two_is_free():
            return super().make_context(*args, **more)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with _two_is_free():
            return super().invoke(ctx)


@click.command("diff", cls=ComparingCommand)
@_FILE
@_PRUNE
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "ldif"]),
    default="table",
    show_default=True,
    help="What is printed: a line for each value that differs, or change records.",
)
@connect.options()
def diff(
    config: Path | None, url: str | None, file: IO[bytes], form: str, *, prune: bool, as_json: bool
) -> None:
    """Print what `iredldap apply FILE` would change (-: standard input), and change nothing.

    The exit status is 0 if nothing would change, 2 if something would, and 1 if lines would be
    refused, or the command line or configuration is wrong.
    """
    with seekable(file) as data, _opened(config, url) as api:
        report = requests.report(api, _asked(file, data, prune=prune, dry_run=True))
    if as_json:
        render.as_json(report)
    elif form == "ldif":
        click.echo("version: 1\n")
        for one in report["changed"]:
            click.echo(one.get("ldif") or _comment(one), nl=False)
    else:
        _print(report)
    _end(report, DIFFERENT if report["changes"] else ExitStatus.DONE)


@click.command("apply")
@_FILE
@_PRUNE
@click.option("--dry-run", is_flag=True, help="Print what would be done, and change nothing.")
@click.option("--yes", is_flag=True, help="Delete without a question.")
@connect.options()
def apply(
    config: Path | None,
    url: str | None,
    file: IO[bytes],
    *,
    prune: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Make accounts, domains and policies what the lines of FILE say (-: standard input).

    Only what differs is changed; a second time nothing is left to do, also after a run that broke
    off. The exit status is 1 if lines were refused.
    """
    with seekable(file) as data, Meter("apply") as meter, _opened(config, url, meter) as api:
        if prune and not (yes or dry_run):
            _ask(requests.report(api, _asked(file, data, prune=True, dry_run=True)))
        report = requests.report(api, _asked(file, data, prune=prune, dry_run=dry_run), meter)
    if as_json:
        render.as_json(report)
    else:
        _print(report)
    _end(report, ExitStatus.DONE)


@contextmanager
def _opened(config: Path | None, url: str | None, meter: Meter | None = None) -> Iterator[Api]:
    show = meter.show if meter else lambda *_: None
    with unavailability_reported(), connect.connected(config, url, show) as api:
        yield api


def _asked(file: IO[bytes], data: IO[bytes], *, prune: bool, dry_run: bool) -> Asked:
    suffix = Path(getattr(file, "name", "")).suffix.lower()
    form = {
        "format": [_FORMATS.get(suffix, "ndjson")],
        "prune": ["yes" if prune else "no"],
    }
    return Asked(
        call=call("state_apply"),
        form=form,
        word="file",
        dry_run=dry_run,
        file=data,
        # A job keeps what it was sent: no password in clear text.
        may_be_job=not _has_password(data),
    )


def _has_password(data: IO[bytes]) -> bool:
    data.seek(0)
    return any(map(_CLEAR_TEXT.search, data))


def _ask(report: Mapping[str, Any]) -> None:
    """Ask before something is deleted.

    Raises:
        Failed: If nobody can be asked.
    """
    gone = [one for one in report["changed"] if one["result"] == "deleted"]
    if not gone:
        return
    for one in gone:
        click.echo(plain(f"delete {one['kind']} {one['name']}"), err=True)
    if not sys.stdin.isatty():
        raise Failed(f"{report['deleted']} would be deleted: use --yes", ExitStatus.USAGE)
    click.confirm(f"Delete {report['deleted']}?", abort=True, err=True)


def _comment(one: Mapping[str, Any]) -> str:
    return f"# {one['result']}: {one['kind']} {one['name']}\n\n"


def _print(report: Mapping[str, Any]) -> None:
    """Print a report for people."""
    rows = [row for one in report["changed"] for row in _rows(one)]
    if rows:
        render.table(rows, ("what", "kind", "name", "parameter", "is", "wanted"))
    if report["changed_left_out"]:
        click.echo(f"… and {report['changed_left_out']} more")
    for one in report["refusals"]:
        where = f"line {one['line']}: " if one["line"] else ""
        invalid = ", ".join(one["parameters"])
        why = ": ".join(filter(None, (one["code"], invalid, one.get("detail", ""))))
        named = " ".join(filter(None, (one["kind"], one["name"])))
        click.echo(plain(f"{where}{named}: refused: {why}"), err=True)
    if report["pruning_left_out"]:
        click.echo("nothing was deleted, because lines were refused", err=True)
    counts = [f"{report[word]} {word}" for word in _DONE if report[word]]
    counts += [f"{report['refused']} refused"] if report["refused"] else []
    words = f" ({', '.join(counts)})" if counts else ""
    would = " would be made" if report["dry_run"] else ""
    click.echo(f"{report['changes']} changes{would}{words}, {report['unchanged']} unchanged")


def _rows(one: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield a row for each parameter that differs, what was done in the first one alone."""
    first = {"what": one["result"], "kind": one["kind"], "name": one["name"]}
    if one.get("former"):
        yield first | {"is": one["former"]}
        first = {}
    for name, (held, wanted) in (one.get("differs") or {}).items():
        yield first | {"parameter": name, "is": _shown(held), "wanted": _shown(wanted)}
        first = {}
    if first:
        yield first
    if one.get("ignored"):
        yield {"parameter": "ignored", "wanted": ", ".join(one["ignored"])}


def _shown(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)


def _end(report: Mapping[str, Any], status: int) -> None:
    if report["refusals"]:
        status = ExitStatus.REFUSED
    if status:
        sys.exit(status)
