"""The commands `iredldap snapshot`, `diff` and `apply`: the state that there is, and one wanted."""

import json
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import click

from iredldap.commands.api import connect, render
from iredldap.commands.api.answers import Answer, Api
from iredldap.commands.api.asked import Asked
from iredldap.commands.api.failures import Failed, unavailability_reported
from iredldap.commands.api.meter import Meter
from iredldap.commands.api.refusals import failed_job, refusal
from iredldap.commands.api.rows import call
from iredldap.commands.exit_status import ExitStatus
from iredldap.commands.terminal import plain
from iredldap.dit.states import STATE_WORDS

DIFFERENT = 2
"""Exit status of `diff` if something would change, as other programs that plan have it."""

_FORMATS = {".yaml": "yaml", ".yml": "yaml", ".toml": "toml"}
_CLEAR_TEXT = re.compile(rb'(?<!\w)password"?\s*[:=]')
_PAUSE = 0.5
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
        answer = api.send("GET", asked.path, asked.form)
        if not answer.is_done:
            raise refusal(api, asked, answer)
    for line in answer.body.splitlines(keepends=True):
        click.echo(line, nl=False)
        if b'"left_out"' in line:
            found = json.loads(line)
            name = found.get("mail") or found.get("domain") or found.get("target")
            words = ", ".join(found["left_out"])
            click.echo(plain(f"{found['kind']} {name}: not written: {words}"), err=True)


@click.command("diff")
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
    refused.
    """
    with _opened(config, url) as api:
        report = _sent(api, file, prune=prune, dry_run=True)
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
    data = file.read()
    with _opened(config, url) as api, Meter("apply") as meter:
        if prune and not (yes or dry_run):
            _ask(_sent(api, file, data=data, prune=True, dry_run=True))
        report = _sent(api, file, data=data, prune=prune, dry_run=dry_run, meter=meter)
    if as_json:
        render.as_json(report)
    else:
        _print(report)
    _end(report, ExitStatus.DONE)


@contextmanager
def _opened(config: Path | None, url: str | None) -> Iterator[Api]:
    with unavailability_reported(), connect.connected(config, url) as api:
        yield api


def _sent(
    api: Api,
    file: IO[bytes],
    *,
    data: bytes | None = None,
    prune: bool = False,
    dry_run: bool = False,
    meter: Meter | None = None,
) -> Mapping[str, Any]:
    """Send a state, and return the report; to another machine as a job.

    Raises:
        Failed: If it is refused as a whole.
    """
    text = file.read() if data is None else data
    suffix = Path(getattr(file, "name", "")).suffix.lower()
    form = {
        "format": [_FORMATS.get(suffix, "ndjson")],
        "prune": ["yes" if prune else "no"],
        "dry_run": ["yes" if dry_run else "no"],
    }
    asked = Asked(call=call("state_apply"), form=form, word="file")
    # A job keeps what it was sent: no password in clear text.
    is_job = not (api.is_local or dry_run or _CLEAR_TEXT.search(text))
    headers = {"Prefer": "respond-async"} if is_job else {}
    answer = api.send("POST", asked.path, form, headers, file=text)
    if not answer.is_done:
        raise refusal(api, asked, answer)
    return _report(api, asked, answer, meter) if answer.status == 202 else answer.data


def _report(api: Api, asked: Asked, answer: Answer, meter: Meter | None) -> Mapping[str, Any]:
    """Wait for the end of a job, and return its report."""
    path = f"/api/jobs/{quote(answer.data['job'])}"
    while True:
        job = api.send("GET", path)
        if not job.is_done:
            raise refusal(api, asked, job)
        if meter:
            meter.show(job.data["done"], job.data["total"])
        if job.data["status"] == "failed":
            raise failed_job(asked, job.data)
        if job.data["status"] == "done":
            report: Mapping[str, Any] = job.data["report"]
            return report
        time.sleep(_PAUSE)


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
        named = ", ".join(one["parameters"])
        why = ": ".join(filter(None, (one["code"], named, one.get("detail", ""))))
        click.echo(plain(f"{where}{one['kind']} {one['name']}: refused: {why}"), err=True)
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
    if report["refused"]:
        status = ExitStatus.REFUSED
    if status:
        sys.exit(status)
