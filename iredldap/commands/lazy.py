"""Groups whose commands are imported when one is used, so that help and completion are quick."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from iredldap import file_causes


def _no_text(words: Sequence[str]) -> str:
    """Return the word of a command line that is no text; it may have been a password on a pipe."""
    for word in words:
        raw = word.encode("utf-8", "surrogateescape")
        if raw != word.encode("utf-8", "replace"):
            return f"'{raw.decode('utf-8', 'backslashreplace')}'"
    return "standard input"


class LazyGroup(click.Group):
    """A group of commands that are made or imported when one is asked for.

    Args:
        name: Its name.
        imported: Where commands are, as `module:name`, and their short help, by their names.
        make: Yields the other commands.
        settings: What every group of click takes.
    """

    def __init__(
        self,
        name: str | None = None,
        imported: Mapping[str, tuple[str, str]] | None = None,
        make: Callable[[], Iterator[click.Command]] = lambda: iter(()),
        **settings: object,
    ) -> None:
        inherited = {"help_option_names": ["-h", "--help"]}
        super().__init__(name, context_settings=inherited, **settings)  # type: ignore[arg-type]
        self.imported = dict(imported or {})
        self._make = make

    def main(self, *args: Any, **settings: Any) -> Any:
        """Run a command; words that are no text, and files that fail, end it with a message."""
        with ExitStack() as stack:
            if sys.stdin is None:
                # It was closed, as some programs start others.
                sys.stdin = stack.enter_context(Path(os.devnull).open(encoding="utf-8"))
            failure: click.ClickException
            try:
                return super().main(*args, **settings)
            except UnicodeEncodeError:
                # What is no UTF-8 comes as half characters, which nothing can be sent as.
                words = [*(settings.get("args") or (args[0] if args else None) or sys.argv[1:])]
                failure = click.UsageError(f"{_no_text(words)} is no UTF-8")
            except OSError as ex:
                # A full disk below standard output, say.
                failure = click.ClickException(file_causes.words(ex))
                file_causes.discard_unwritten()
            failure.show()
            sys.exit(failure.exit_code)

    @cached_property
    def made(self) -> Mapping[str, click.Command]:
        """The commands that need no import."""
        return {str(one.name): one for one in self._make()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.made, *sorted({*self.commands, *self.imported})]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self.imported:
            module, _, name = self.imported[cmd_name][0].partition(":")
            found = getattr(import_module(module), name)
            assert isinstance(found, click.Command)
            return found
        return self.made.get(cmd_name) or super().get_command(ctx, cmd_name)

    def summary_of(self, context: click.Context, name: str, limit: int = 200) -> str:
        """Return the short help of a command, without importing it."""
        if name in self.imported:
            return self.imported[name][1]
        command = self.get_command(context, name)
        return command.get_short_help_str(limit) if command else ""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, self.summary_of(ctx, name)) for name in self.list_commands(ctx)]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        items = [CompletionItem(name, help=self.summary_of(ctx, name)) for name in names]
        return [*items, *click.Command.shell_complete(self, ctx, incomplete)]
