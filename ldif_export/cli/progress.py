"""Show the progress of an export or a restore on a terminal."""

import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from iredldap.config.ldap import LdapSettings
from iredldap.errors import Refusal
from ldif_export.readers import libldap
from ldif_export.selection import Search

_BEGINNING = b"\ndn:"
"""Begins every record and nothing else in a text: other lines begin otherwise or are folded."""


def shown(
    chunks: Iterable[bytes], settings: LdapSettings, searches: Sequence[Search]
) -> Iterator[bytes]:
    """Pass chunks on, and show the progress: entries, bytes, speed and time left."""
    with progress_bar() as progress:
        entries = progress.add_task("entries", total=None)
        size = progress.add_task("bytes", total=None)
        counting = threading.Thread(
            target=_count, args=(settings, searches, progress, entries), daemon=True
        )
        counting.start()
        for chunk in chunks:
            progress.advance(entries, chunk.count(_BEGINNING))
            progress.advance(size, len(chunk))
            yield chunk


def progress_bar() -> Progress:
    """Make a progress bar on standard error; it counts entries or bytes."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        _Amount(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(file=sys.stderr),
        transient=True,
    )


class _Amount(TextColumn):
    """Show bytes in their units, and entries as a number."""

    def __init__(self) -> None:
        super().__init__("")
        self._bytes, self._entries = DownloadColumn(), MofNCompleteColumn()

    def render(self, task: Any) -> Any:
        column = self._bytes if task.description == "bytes" else self._entries
        return column.render(task)


def _count(
    settings: LdapSettings, searches: Sequence[Search], progress: Progress, task: TaskID
) -> None:
    """Count the entries while the export runs; without the number no time left is shown."""
    try:
        connection = libldap.connect(settings)
        progress.update(task, total=sum(libldap.count(connection, one) for one in searches))
        connection.unbind_ext()
    except Refusal as ex:
        progress.console.print(f"time left unknown: {ex.code}")
