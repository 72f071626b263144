"""Options and openings that several commands share."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from iredldap import file_causes
from iredldap.changes.opening import open_directory
from iredldap.config.reader import CONFIG_VARIABLE, DEFAULT_CONFIG, ConfigurationError, read_file
from iredldap.config.sections import Config
from iredldap.errors import Refusal
from iredldap.gateways.directory import Directory
from iredldap.gateways.state import StateDatabase
from iredldap.operations.outside_systems import OutsideSystems

config_option = click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=DEFAULT_CONFIG,
    envvar=CONFIG_VARIABLE,
    help=f"Configuration file.  [default: the variable {CONFIG_VARIABLE}, else {DEFAULT_CONFIG}]",
)


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


UNREADABLE = 2
"""Exit status: nothing was judged, as with a wrong command line."""


class Unreadable(click.ClickException):
    """What a command judges cannot be read; the text says why."""

    exit_code = UNREADABLE


@contextmanager
def unreadable() -> Iterator[None]:
    """Translate errors that keep something from being read into exit status 2."""
    try:
        yield
    except ConfigurationError as ex:
        raise Unreadable("\n".join(ex.errors)) from ex
    except Refusal as ex:
        raise Unreadable(f"{ex.code}: {ex}") from ex
    except OSError as ex:
        raise Unreadable(file_causes.words(ex)) from ex


def _words(refusal: Refusal) -> str:
    codes, named = ",".join(refusal.codes), ", ".join(refusal.parameters)
    detail = refusal.detail if refusal.detail not in refusal.codes else ""
    return ": ".join(filter(None, (codes, named, detail)))
