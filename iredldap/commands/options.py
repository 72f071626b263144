"""Options and openings that several commands share."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from iredldap.changes.opening import open_directory
from iredldap.config.reader import CONFIG_VARIABLE, DEFAULT_CONFIG, ConfigurationError, read_file
from iredldap.config.sections import Config
from iredldap.dit.change_query import milliseconds
from iredldap.errors import InvalidParameter, Refusal
from iredldap.gateways.directory import Directory
from iredldap.gateways.state import StateDatabase
from iredldap.operations.outside_systems import OutsideSystems

# Values in the directory are other people's: an escape sequence in a name could rewrite what the
# terminal shows.
_CONTROL = re.compile(r"[\0-\x08\x0a-\x1f\x7f-\x9f]")

config_option = click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=DEFAULT_CONFIG,
    envvar=CONFIG_VARIABLE,
    show_default=True,
    help="Configuration file.",
)


def moment(_: click.Context, __: click.Parameter, text: str | None) -> int | None:
    """Read the time of an option, in milliseconds since 1970."""
    try:
        return milliseconds(text, datetime.now(UTC)) if text else None
    except InvalidParameter as ex:
        raise click.BadParameter(ex.detail) from ex


def plain(line: str) -> str:
    """Return a line for a terminal, with control characters of stored values as their codes."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", line)


@dataclass(frozen=True)
class Installation:
    """The outside systems of an installation, which are closed with the command."""

    config: Config
    directory: Directory
    state: StateDatabase
    outside: OutsideSystems


@contextmanager
def installation(path: Path) -> Iterator[Installation]:
    """Open the systems of a configuration; errors and refusals end the command with status 1."""
    try:
        config = read_file(path, os.environ)
        with (
            closing(open_directory(config)) as directory,
            closing(StateDatabase(config.state.url)) as state,
            closing(OutsideSystems.open(config)) as outside,
        ):
            yield Installation(config, directory, state, outside)
    except ConfigurationError as ex:
        raise click.ClickException("\n".join(ex.errors)) from ex
    except Refusal as refusal:
        raise click.ClickException(_words(refusal)) from refusal


def _words(refusal: Refusal) -> str:
    codes, named = ",".join(refusal.codes), ", ".join(refusal.parameters)
    detail = refusal.detail if refusal.detail not in refusal.codes else ""
    return ": ".join(filter(None, (codes, named, detail)))


def piped_or_prompted(prompt: str) -> str:
    """Return a secret: the first line of standard input, asked for twice at a terminal."""
    if sys.stdin.isatty():
        return str(click.prompt(prompt, hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")
