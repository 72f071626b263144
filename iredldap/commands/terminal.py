"""What commands exchange with a terminal: secrets, and texts of others."""

import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import click

# Values in the directory are other people's: an escape sequence in a name could rewrite what the
# terminal shows.
_CONTROL = re.compile(r"[\0-\x08\x0a-\x1f\x7f-\x9f]")


def plain(line: str) -> str:
    """Return a line for a terminal, with control characters of stored values as their codes."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", line)


def piped_or_prompted(prompt: str, *, twice: bool = True) -> str:
    """Return a secret: the first line of standard input, asked for at a terminal.

    Args:
        prompt: What is asked for.
        twice: Whether it is asked for again, because it is new.
    """
    if sys.stdin.isatty():
        return str(click.prompt(prompt, hide_input=True, confirmation_prompt=twice, err=True))
    return first_line()


def first_line() -> str:
    """Return the first line of standard input.

    Raises:
        click.UsageError: If it is no text.
    """
    try:
        return sys.stdin.readline().rstrip("\r\n")
    except UnicodeDecodeError as ex:
        raise click.UsageError("standard input is no UTF-8") from ex


@contextmanager
def seekable(file: IO[bytes]) -> Iterator[IO[bytes]]:
    """Give a file that can be read more than once; of a pipe it is one without a name."""
    if file.seekable():
        yield file
        return
    with tempfile.TemporaryFile() as whole:
        shutil.copyfileobj(file, whole)
        yield whole
