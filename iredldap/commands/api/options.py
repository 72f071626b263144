"""Make options and arguments of a command from the parameters of a call."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from iredldap.commands.api.failures import Failed
from iredldap.commands.api.rows import Call, Parameter
from iredldap.commands.exit_status import ExitStatus
from iredldap.commands.terminal import first_line, piped_or_prompted

_METAVARS: Mapping[str, str] = {
    "int_mb": "MB",
    "int_bytes": "BYTES",
    "int_seconds": "SECONDS",
    "int_count": "NUMBER",
    "int_limit": "NUMBER",
    "int_quota_unit": "NUMBER",
    "float": "NUMBER",
    "email": "ADDRESS",
    "csv_emails": "ADDRESS",
    "csv_domains": "DOMAIN",
    "csv_services": "SERVICE",
    "csv_wb_addresses": "ADDRESS",
    "csv_gl_senders": "SENDER",
    "csv_headers": "HEADER",
    "csv_networks": "NETWORK",
    "csv_scopes": "SCOPE",
    "transport": "TRANSPORT",
    "relay": "TRANSPORT",
    "ip_or_host": "HOST",
    "lang": "LANGUAGE",
    "path": "PATH",
    "time": "TIME",
    "date_time": "TIME",
}

_STANDARD_INPUT = "-"
_IN_PATH = "path_"


def spelled(name: str) -> str:
    """Return the option of a parameter: `accountStatus` is `--account-status`."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name.replace("_", "-"))
    return f"--{words.lower()}"


def option_of(parameter: Parameter) -> str:
    """Return the option of a parameter; that of a secret one names a file."""
    return f"{spelled(parameter.name)}{'-file' if parameter.secret else ''}"


def variable(name: str) -> str:
    """Return the name by which click hands the value of a parameter over."""
    return f"sent_{name.lower()}"


def option(parameter: Parameter, *, of_a_read: bool = False) -> click.Option:
    """Return the option of a parameter; of a secret one a file is named, and not the value.

    Args:
        parameter: The row.
        of_a_read: Whether a question with the answer `no` by default is a flag.
    """
    name, meaning = variable(parameter.name), parameter.meaning
    if parameter.secret:
        return click.Option(
            [option_of(parameter), name],
            metavar="FILE",
            type=click.Path(dir_okay=False, allow_dash=True),
            help=f"{meaning} The first line of this file; {_STANDARD_INPUT}: standard input.",
        )
    if parameter.acts or (of_a_read and parameter.type == "bool_yes_no"):
        return click.Option([spelled(parameter.name), name], is_flag=True, help=_as_a_flag(meaning))
    default = f"  [default: {parameter.default}]" if parameter.default else ""
    choice = click.Choice(parameter.choices, case_sensitive=False) if parameter.choices else None
    # A list may be given as one word with separators, and emptied, so any text is taken.
    chosen = None if parameter.many else choice
    return click.Option(
        [spelled(parameter.name), name],
        type=_OptionalChoice(parameter.choices) if chosen else str,
        multiple=parameter.many,
        required=parameter.required and not parameter.replaced_by,
        metavar=None if chosen else _METAVARS.get(parameter.type, "TEXT"),
        help=f"{meaning}{' Repeatable.' if parameter.many else ''}{default}",
    )


class _OptionalChoice(click.Choice):  # type: ignore[type-arg,unused-ignore]
    """Takes one of some words, or an empty one, which means what the row says."""

    def __init__(self, words: Sequence[str]) -> None:
        super().__init__([*words], case_sensitive=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if value == "" else super().convert(value, param, ctx)


def _as_a_flag(meaning: str) -> str:
    text = meaning.removeprefix("`yes`: ")
    return text[:1].upper() + text[1:]


def form(given: Mapping[str, Any], chosen: Iterable[Parameter]) -> dict[str, list[str]]:
    """Return the parameters that were given, as they are sent.

    Args:
        given: Values of options, by the names of `variable`.
        chosen: The parameters that have options.

    Raises:
        Failed: If a file of a secret cannot be read.
    """
    sent: dict[str, list[str]] = {}
    for parameter in chosen:
        value = given.get(variable(parameter.name))
        if value is None or value is False or value == ():
            continue
        if value is True:
            sent[parameter.name] = ["yes"]
        elif parameter.secret:
            sent[parameter.name] = [secret_in(value)]
        else:
            sent[parameter.name] = [value] if isinstance(value, str) else [*value]
    return sent


def secret_in(file: str) -> str:
    """Return the first line of a file, or of standard input.

    Raises:
        Failed: If it cannot be read.
    """
    if file == _STANDARD_INPUT:
        return first_line()
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as ex:
        reason = ex.strerror if isinstance(ex, OSError) else "it is no UTF-8"
        raise Failed(f"{file}: {reason}", ExitStatus.USAGE) from ex
    return lines[0] if lines else ""


def prompted(parameter: Parameter, whose: str, *, twice: bool = True) -> str:
    """Return a secret that no file was named for: from the terminal, or else standard input."""
    return piped_or_prompted(f"{parameter.name.capitalize()} of {whose}", twice=twice)


def arguments(call: Call) -> Iterator[click.Argument]:
    """Yield the arguments of a call: the variables of its path."""
    for name in re.findall(r"\{(\w+)\}", call.path):
        yield click.Argument([f"{_IN_PATH}{name}"], metavar=PATH_NAMES.get(name, name.upper()))


def path_names(given: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables of a path, from the arguments of a command."""
    return {
        name.removeprefix(_IN_PATH): value
        for name, value in given.items()
        if name.startswith(_IN_PATH)
    }


PATH_NAMES: Mapping[str, str] = {
    "mail": "ADDRESS",
    "new_mail": "NEW_ADDRESS",
    "domain": "DOMAIN",
    "number": "DAYS",
    "id": "ID",
    "token": "ID",
}
