"""Files of the command line that cannot be read or written, or are not what they should be."""

from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ldif_export.manifest import Manifest


class FileFailed(click.ClickException):
    """A file has failed; the command ends with a line that names it, and status 1."""

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"ldif-export: {self.format_message()}", file=file, err=True)


def read_manifest(path: Path) -> "Manifest":
    """Read a manifest.

    Raises:
        OSError: If it cannot be read.
        FileFailed: If it is none.
    """
    from ldif_export import manifest  # noqa: PLC0415 - most exports need none

    try:
        return manifest.load(path.read_bytes())
    except ValueError as ex:
        raise FileFailed(f"{path}: {ex}") from ex
