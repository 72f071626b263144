"""Find the API that a command calls: that of a configuration file, or of a URL.

Options come before the environment, and this before the user's own file. The token is never an
option: others see the command lines of all processes.
"""

import os
import stat
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from iredldap.commands.api.answers import Api
from iredldap.commands.api.failures import Failed
from iredldap.commands.exit_status import ExitStatus
from iredldap.config.reader import CONFIG_VARIABLE, DEFAULT_CONFIG

URL_VARIABLE = "IREDLDAP_URL"
TOKEN_VARIABLE = "IREDLDAP_TOKEN"  # noqa: S105 - a name
_NAMES = {"url", "token", "ca_file"}


def options(*, as_json: str = "Print what the API answers, as JSON.") -> Callable[[Any], Any]:
    """Make the options of every command that calls the API."""
    made = (
        click.option(
            "--config",
            "config",
            type=click.Path(path_type=Path, dir_okay=False),
            envvar=CONFIG_VARIABLE,
            help="Configuration file, on the server itself."
            f"  [default: the variable {CONFIG_VARIABLE}, else {DEFAULT_CONFIG}]",
        ),
        click.option(
            "--url",
            envvar=URL_VARIABLE,
            help="URL of the API, from elsewhere; the token is read from IREDLDAP_TOKEN, or with"
            " the URL from ~/.config/iredldap.toml.",
        ),
        click.option("--json", "as_json", is_flag=True, help=as_json),
    )

    def add(command: Any) -> Any:
        for option in reversed(made):
            command = option(command)
        return command

    return add


def user_file() -> Path:
    """Return the path of the user's own settings."""
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(home).expanduser() / "iredldap.toml"


@contextmanager
def connected(
    config: Path | None, url: str | None, show: Callable[[int, int | None], None] = lambda *_: None
) -> Iterator[Api]:
    """Open the API that the options of a command name.

    Args:
        config: Configuration file.
        url: URL of the API.
        show: Called with the number of entries, rows or steps that a change in this process has
            come to, and of all; None: that is not known.

    Raises:
        Failed: If no API is named, or its settings cannot be read.
        click.UsageError: If two are named.
    """
    config, url = _one_of(config, url)
    if config is None:
        mine = _user_settings()
        if url or "url" in mine:
            yield _remote(url, mine)
            return
    # Half a second, which no call of another machine needs, nor does help.
    from iredldap.commands.api.local import open_local  # noqa: PLC0415

    with open_local(config or Path(DEFAULT_CONFIG), show) as api:
        yield api


def _one_of(config: Path | None, url: str | None) -> tuple[Path | None, str | None]:
    """Return which API was named: by an option, or else by the environment."""
    if config is None or url is None:
        return config, url
    context = click.get_current_context()
    typed = [
        context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        for name in ("config", "url")
    ]
    if typed[0] == typed[1]:
        named = "--config and --url" if typed[0] else f"{CONFIG_VARIABLE} and {URL_VARIABLE}"
        raise click.UsageError(f"{named} exclude each other")
    return (config, None) if typed[0] else (None, url)


def _remote(url: str | None, mine: dict[str, str]) -> Api:
    # Not for help and completion, as above.
    from iredldap.commands.api.remote import RemoteApi  # noqa: PLC0415

    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not token and url in {None, mine.get("url")}:
        # The token of the file is for the URL of the file, and sent to no other server.
        token = mine.get("token", "")
    named = url or mine["url"]
    if not token:
        raise Failed(
            f"no token for {named}: set {TOKEN_VARIABLE}, or url and token in {user_file()}",
            ExitStatus.USAGE,
        )
    return RemoteApi(named, token, mine.get("ca_file", ""), str(user_file()))


def _user_settings() -> dict[str, str]:
    """Read the user's own settings; without a file there are none.

    Raises:
        Failed: If others may read or change the file, or it cannot be read.
    """
    path = user_file()
    try:
        with path.open("rb") as file:
            about = os.fstat(file.fileno())
            if stat.S_IMODE(about.st_mode) & 0o077 or about.st_uid not in {os.getuid(), 0}:
                raise Failed(
                    f"{path} holds a token, and others may read it: chmod 600 {path}",
                    ExitStatus.USAGE,
                )
            found = tomllib.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as ex:
        raise Failed(f"{path}: {ex}", ExitStatus.USAGE) from ex
    if wrong := [n for n, v in found.items() if n not in _NAMES or not isinstance(v, str)]:
        known = ", ".join(sorted(_NAMES))
        raise Failed(f"{path}: {wrong[0]}: only {known}, each a text", ExitStatus.USAGE)
    return found
