"""Build a command from the calls that it may make."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from iredldap.commands.api import connect, render
from iredldap.commands.api.answers import Answer, Api
from iredldap.commands.api.asked import Asked
from iredldap.commands.api.failures import unavailability_reported
from iredldap.commands.api.meter import Meter
from iredldap.commands.api.options import form, option, prompted, spelled, variable
from iredldap.commands.api.requests import send
from iredldap.commands.api.rows import Call, Parameter
from iredldap.commands.terminal import plain

VIEW, PARAMETERS = "view", "params"
"""A parameter of reads, and its value: what is stored, under the names that options have."""

Given = Mapping[str, Any]
"""Values of the options and arguments of a command."""


@dataclass(frozen=True)
class Chosen:
    """The call that a command makes, and the variables of its path."""

    call: Call
    names: Mapping[str, str]


Choose = Callable[[Api, Given], Chosen]
Show = Callable[[Answer, Given], None]
Reads = Callable[[Api, Asked, Given], None]


@dataclass(frozen=True, kw_only=True)
class CommandRow:
    """A command, as a row.

    Args:
        name: Its name.
        word: What the thing is that it is about: a user, a domain.
        calls: All calls that it may make: options, help and what may be asked for come from them.
        choose: Decides which one is made.
        arguments: What the thing is named by, and further options.
        reads: Reads and prints what takes more than one request.
        show: Prints the answer to a read; a change is reported by `done`.
        done: What has happened to the thing; `{name}` is replaced.
        parameters: Those that have options.
        sends: Parameters that are always sent.
        asks: Whether what it destroys is asked about.
        prompts: Secret parameters that are asked for if no file is named.
        confirms: Whether a secret is asked for twice.
        listed: A parameter whose values are the last arguments.
        summary: Its help; empty: that of the first call.
    """

    name: str
    word: str
    calls: Sequence[Call]
    choose: Choose
    arguments: Sequence[click.Parameter]
    reads: Reads | None = None
    show: Show | None = None
    done: str = "changed"
    parameters: Sequence[Parameter] = ()
    sends: Mapping[str, str] = field(default_factory=dict)
    asks: bool = False
    prompts: Sequence[str] = ()
    confirms: bool = True
    listed: str = ""
    summary: str = ""


class RowCommand(click.Command):
    """The command of a row.

    Args:
        row: The row.
        parameters: Its options and arguments.
    """

    def __init__(self, row: CommandRow, parameters: list[click.Parameter]) -> None:
        super().__init__(
            row.name,
            params=parameters,
            callback=lambda **given: _run(row, given),
            help=_help(row),
            short_help=_summary(row),
        )
        self.row = row


def command(row: CommandRow) -> click.Command:
    """Make the command of a row."""
    face = row.calls[0]
    reads = not face.changes
    parameters: list[click.Parameter] = [*row.arguments]
    for parameter in row.parameters:
        if parameter.name == VIEW:
            continue
        if parameter.name == row.listed:
            metavar, name = f"{parameter.name.upper()}...", variable(parameter.name)
            parameters.append(click.Argument([name], nargs=-1, required=True, metavar=metavar))
        else:
            parameters.append(option(parameter, of_a_read=reads))
    parameters += _switches(row)
    made = RowCommand(row, parameters)
    add_options: Callable[[click.Command], object] = connect.options()
    add_options(made)
    return made


def _switches(row: CommandRow) -> Iterable[click.Option]:
    if any(call.tries for call in row.calls):
        words = "Print what would be done, and change nothing."
        yield click.Option(["--dry-run"], is_flag=True, help=words)
    if any(call.heavy and call.waits for call in row.calls):
        words = "From elsewhere: do not wait for the end; see `iredldap jobs show`."
        yield click.Option(["--no-wait"], is_flag=True, help=words)
    if row.asks:
        yield click.Option(["--yes", "-y"], is_flag=True, help="Do not ask.")


def _summary(row: CommandRow) -> str:
    return row.summary or row.calls[0].summary


def _help(row: CommandRow) -> str:
    text = [_summary(row)]
    if row.prompts:
        text.append(
            "The password is asked for; without a terminal it is the first line of standard input."
        )
    return "\n\n".join(text)


def _run(row: CommandRow, given: dict[str, Any]) -> None:
    with ExitStack() as stack:
        stack.enter_context(unavailability_reported())
        meter = stack.enter_context(Meter(f"{row.name} {row.word}"))
        api = stack.enter_context(opened(given, meter.show))
        if api.is_local and given.get("no_wait"):
            raise click.UsageError("--no-wait: on the server the command makes the change itself")
        chosen = row.choose(api, given)
        sent = form(given, row.parameters)
        _refuse_foreign(row, chosen.call, sent)
        asked = Asked(
            call=chosen.call,
            names=chosen.names,
            form=sent | _always_sent(row, chosen.call),
            word=row.word,
            dry_run=given.get("dry_run", False),
            waits=not given.get("no_wait"),
        )
        if row.reads:
            row.reads(api, asked, given)
            return
        _confirm(row, asked, given)
        answer = send(api, _with_secrets(row, asked), meter)
    _report(row, asked, answer, given)


def _always_sent(row: CommandRow, call: Call) -> dict[str, list[str]]:
    """Return what is sent without an option; of reads, that values have the names of options."""
    # A listing of names has no values.
    views = not call.changes and call.parameter(VIEW) and not row.reads
    return {name: [value] for name, value in row.sends.items()} | (
        {VIEW: [PARAMETERS]} if views else {}
    )


def opened(given: Given, show: Callable[[int, int | None], None] = lambda *_: None) -> Any:
    """Open the API that the options of a command name."""
    config: Path | None = given["config"]
    return connect.connected(config, given["url"], show)


def _refuse_foreign(row: CommandRow, call: Call, sent: Mapping[str, Any]) -> None:
    """Refuse options that belong to another of the calls of a command.

    Raises:
        click.UsageError: If there is one.
    """
    foreign = [spelled(name) for name in sent if call.parameter(name) is None]
    if foreign:
        raise click.UsageError(f"{', '.join(foreign)}: not with {row.word} of this kind")
    changes_nothing = not (sent or row.sends or row.prompts)
    if call.method == "PUT" and call.parameters and changes_nothing:
        raise click.UsageError("nothing to change: no option was given")


def _with_secrets(row: CommandRow, asked: Asked) -> Asked:
    """Return the request with the secrets that no file was named for."""
    secrets = [one for one in asked.call.parameters if one.secret]
    # A hash takes the place of a password.
    if any(one.name in asked.form for one in secrets):
        return asked
    typed = {
        one.name: prompted(one, asked.name, twice=row.confirms)
        for one in secrets
        if one.name in row.prompts
    }
    return asked.with_form(**typed)


def _confirm(row: CommandRow, asked: Asked, given: Given) -> None:
    """Ask about what destroys.

    Raises:
        click.UsageError: If there is no terminal to ask on.
        click.Abort: If the answer is no.
    """
    if not row.asks or asked.dry_run or given["yes"]:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"this would {row.name} {asked.name}: --yes is needed")
    click.confirm(f"{row.name.capitalize()} {row.word} {asked.name}?", abort=True, err=True)


def _report(row: CommandRow, asked: Asked, answer: Answer, given: Given) -> None:
    for header, words in (
        ("x-shared-mailbox", "the mailbox is shared with"),
        ("x-kept-members", "members that it had before it was made"),
        ("warning", "the answer may lack the last changes"),
    ):
        if value := answer.headers.get(header):
            click.echo(plain(f"beware: {words}: {value}"), err=True)
    if answer.headers.get("x-change-log"):
        click.echo("beware: the change log does not have it yet", err=True)
    if given["as_json"]:
        render.as_json(answer.data if answer.data is not None else _change(answer))
    elif asked.dry_run:
        render.trial(answer.data)
    elif row.show:
        row.show(answer, given)
    elif answer.status == 202 and not asked.waits:
        click.echo(answer.data["job"])
    else:
        done = row.done.format_map({**asked.names})
        # What is for everybody is named by no variable of the path.
        name = asked.name or given.get("account", "")
        click.echo(plain(" ".join(filter(None, (row.word, name, done)))))


def _change(answer: Answer) -> Mapping[str, str | None]:
    return {"change": answer.headers.get("x-change-id")}
