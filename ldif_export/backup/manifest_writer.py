"""Gather the manifest of an export while its text is written, and write it with its entry list."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from iredldap.config.ldap import LdapSettings
from iredldap.file_causes import named
from ldif_export.backup.full import RecordObserver
from ldif_export.complete_files import complete_file
from ldif_export.entry_list import EntryListWriter
from ldif_export.manifest import ExportMode, Manifest, ManifestBuilder, dump
from ldif_export.readers.base import IDENTITY, OBJECT_CLASS, LdifRecord
from ldif_export.selection import Selection

WATCHED = frozenset({OBJECT_CLASS, *IDENTITY})
"""Attributes that a manifest needs of each entry."""


@contextmanager
def gathered(
    path: Path, settings: LdapSettings, selections: Sequence[Selection], mode: ExportMode
) -> Iterator[ManifestBuilder]:
    """Gather a manifest, and write it with its entry list when the export has succeeded.

    Args:
        path: Of the manifest; the entry list is beside it, with the further suffix `.entries`.
        settings: Their suffix is recorded.
        selections: What is exported.
        mode: Whether it is a snapshot.
    """
    entry_list = EntryListWriter()
    builder = ManifestBuilder(
        mode=mode,
        suffix=settings.suffix,
        selections=[chosen.description for chosen in selections],
        passwords=selections[0].has_passwords,
        began=now(),
        entry_list=entry_list,
    )
    yield builder
    write(path, builder.finished(now()), entry_list.write)


def write(path: Path, manifest: Manifest, write_entry_list: Callable[[TextIO], None]) -> None:
    """Write a manifest and its entry list; each appears when it is complete."""
    # The entry list first: a manifest that is there has its list.
    with _complete_text(entry_list_path(path)) as out:
        write_entry_list(out)
    with _complete_text(path) as out:
        out.write(dump(manifest))


@contextmanager
def _complete_text(path: Path) -> Iterator[TextIO]:
    with (
        complete_file(path) as descriptor,
        named(path),
        open(descriptor, "w", encoding="utf-8", newline="\n", closefd=False) as out,
    ):
        yield out


def entry_list_path(path: Path) -> Path:
    """Return the path of the entry list of a manifest."""
    return path.with_name(f"{path.name}.entries")


def observer(builder: ManifestBuilder) -> RecordObserver:
    """Return a function that registers each record with a manifest."""

    def observe(record: LdifRecord) -> None:
        classes = record.watched.get(OBJECT_CLASS.lower(), ())
        builder.entry(record.dn, classes, record.csn, record.uuid)

    return observe


def digested(chunks: Iterable[bytes], builder: ManifestBuilder) -> Iterator[bytes]:
    """Pass chunks on, and register them with a manifest."""
    for chunk in chunks:
        builder.chunk(chunk)
        yield chunk


def now() -> str:
    """Return the current time in the format of manifests."""
    return datetime.now(UTC).isoformat(timespec="seconds")
