"""The error of a command that calls the API: a message, an exit status, and codes for programs."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

import click

from iredldap.commands.api.answers import Unavailable
from iredldap.commands.exit_status import ExitStatus


class Failed(click.ClickException):
    """A command that failed.

    Args:
        message: What is wrong with what was asked, and the remedy.
        status: The exit status.
        codes: Those of the API; empty: the API was not asked.
        report: What was done and what not, as the API answers it.
    """

    def __init__(
        self,
        message: str,
        status: ExitStatus = ExitStatus.REFUSED,
        codes: Sequence[str] = (),
        report: Any = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.exit_code = status  # type: ignore[misc]
        self.codes = tuple(codes)
        self.report = report
        # When it is printed, the command has ended.
        context = click.get_current_context(silent=True)
        self._as_json = bool(context and context.params.get("as_json"))

    def show(self, file: IO[Any] | None = None) -> None:
        """Print it on standard error; with `--json` as an object, with the members of an answer."""
        if self._as_json:
            told: dict[str, Any] = {"_success": False, "_msg": ",".join(self.codes)}
            if self.report is not None:
                told["_data"] = self.report
            click.echo(json.dumps(told | {"message": self.message}), file=file, err=True)
            return
        super().show(file)


@contextmanager
def unavailability_reported() -> Iterator[None]:
    """End the command with its exit status if the API cannot be reached during the block."""
    try:
        yield
    except Unavailable as ex:
        raise Failed(str(ex), ExitStatus.UNAVAILABLE) from ex


@contextmanager
def one_status() -> Iterator[None]:
    """Have whatever is refused during the block end the command with status 1.

    Commands from before there was a table of exit statuses keep what they had.
    """
    try:
        yield
    except Unavailable as ex:
        raise Failed(str(ex)) from ex
    except Failed as ex:
        ex.exit_code = ExitStatus.REFUSED  # type: ignore[misc]
        raise
