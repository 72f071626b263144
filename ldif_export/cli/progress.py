"""What is told of an export: how far it is, on a terminal, and what it held, in a manifest."""

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
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
from ldif_export.entry_list import Companion
from ldif_export.manifest import Builder, Manifest, Mode, dump
from ldif_export.readers import libldap
from ldif_export.readers.base import IDENTITY, KIND, Record
from ldif_export.selection import Search, Selection

WATCHED = frozenset({KIND, *IDENTITY})
"""What a manifest has to know of each entry."""

_BEGINNING = b"\ndn:"
"""Begins every record of a text, and nothing else: other lines begin otherwise, or are folded."""


@contextmanager
def manifest(
    path: Path, settings: LdapSettings, selections: Sequence[Selection], mode: Mode
) -> Iterator[Builder]:
    """Gather a manifest, and write it with its companion when all has gone well.

    Args:
        path: Where; the companion is beside it, with the further suffix `.entries`.
        settings: Whose suffix is told.
        selections: What is exported.
        mode: How exactly.
    """
    companion = Companion()
    builder = Builder(
        mode=mode,
        suffix=settings.suffix,
        selections=[chosen.words for chosen in selections],
        passwords=selections[0].has_passwords,
        began=now(),
        companion=companion,
    )
    yield builder
    keep(path, builder.finished(now()), companion.write)


def keep(path: Path, told: Manifest, write_companion: Callable[[Path], None]) -> None:
    """Write a manifest and its companion; each appears when it is whole."""
    beside = companion_of(path)
    scratch = beside.with_name(f".{beside.name}.{os.getpid()}")
    try:
        write_companion(scratch)
        scratch.replace(beside)
        scratch.write_text(dump(told), encoding="utf-8")
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def companion_of(path: Path) -> Path:
    """Where the companion of a manifest is."""
    return path.with_name(f"{path.name}.entries")


def noting(builder: Builder) -> Any:
    """Give what a manifest is to see of each record."""

    def observe(record: Record) -> None:
        csn, uuid = (b"".join(record.watched.get(name.lower(), ())) for name in IDENTITY)
        builder.entry(record.dn, record.watched.get(KIND.lower(), ()), csn, uuid)

    return observe


def digested(chunks: Iterable[bytes], builder: Builder) -> Iterator[bytes]:
    """Let a manifest see a text go by."""
    for chunk in chunks:
        builder.chunk(chunk)
        yield chunk


def shown(
    chunks: Iterable[bytes], settings: LdapSettings, searches: Sequence[Search]
) -> Iterator[bytes]:
    """Show on the terminal how far a text is: entries, bytes, speed and time left."""
    with bar() as progress:
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


def bar() -> Progress:
    """Make a progress bar on standard error; what is counted may be entries or bytes."""
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
    """Bytes in their units, entries as they are."""

    def __init__(self) -> None:
        super().__init__("")
        self._bytes, self._entries = DownloadColumn(), MofNCompleteColumn()

    def render(self, task: Any) -> Any:
        column = self._bytes if task.description == "bytes" else self._entries
        return column.render(task)


def _count(
    settings: LdapSettings, searches: Sequence[Search], progress: Progress, task: TaskID
) -> None:
    """Find out how many entries there are, beside the export; without that no time is told."""
    try:
        connection = libldap.connect(settings)
        progress.update(task, total=sum(libldap.count(connection, one) for one in searches))
        connection.unbind_ext()
    except Refusal as ex:
        progress.console.print(f"time left unknown: {ex.code}")


def now() -> str:
    """The time, as manifests have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
