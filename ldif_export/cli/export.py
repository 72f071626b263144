"""Run the command `ldif-export export`."""

import gc
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from iredldap.config.ldap import LdapSettings
from iredldap.dit import names
from iredldap.errors import InvalidDomainName, InvalidMail, Refusal
from iredldap.file_causes import STANDARD_OUTPUT, named
from ldif_export import handover
from ldif_export.backup import full
from ldif_export.cli import connection, output
from ldif_export.cli.files_given import read_manifest
from ldif_export.cli.output import shows_progress
from ldif_export.ldif.compression import Compression, compressed, compression_of
from ldif_export.readers import choice, domain_lookup
from ldif_export.readers.base import Projection, Reader
from ldif_export.readers.choice import ReaderName
from ldif_export.selection import Search, Selection, SelectionKind, parse_name

if TYPE_CHECKING:
    from ldif_export.manifest import ExportMode, ManifestBuilder

_LARGE = 4 * 1024 * 1024
"""More bytes than an export allocates at once, except for single values."""


@dataclass(frozen=True, kw_only=True)
class ExportJob:
    """One export: what is read, how, and where it is written; no output: standard output.

    `by_options`: its settings are of the command line, and not of a parent process.
    """

    selections: tuple[Selection, ...]
    reader: ReaderName = "auto"
    output: Path | None = None
    compression: Compression = "none"
    manifest: Path | None = None
    exact: bool = False
    since: Path | None = None
    progress: bool = False
    by_options: bool = True


def parse_selections(
    kind: str, given_names: Sequence[str], given: Mapping[str, Any]
) -> tuple[Selection, ...]:
    """Read what to export from the command line.

    Raises:
        click.UsageError: If a name is malformed, missing or superfluous.
    """
    known = cast("SelectionKind", kind)
    if (known == "all") == bool(given_names):
        raise click.UsageError("`all` takes no name" if given_names else "a name is missing")
    try:
        # Each name once, in the given order: an entry must not be in the text twice.
        read = dict.fromkeys(parse_name(known, name) for name in given_names)
    except (InvalidDomainName, InvalidMail) as ex:
        raise click.UsageError(f"{ex.code}: {ex.detail}") from ex
    return tuple(
        Selection(
            known,
            name,
            subtree=given["subtree"],
            omit=frozenset(map(str.lower, given["omit"])),
            passwords=given["passwords"],
            only=frozenset(given["only"]),
            operational=given["operational"],
            global_admins=given["global_admins"],
        )
        for name in (read or ("",))
    )


def parse_job(selections: tuple[Selection, ...], given: Mapping[str, Any]) -> ExportJob:
    """Read how to export from the command line.

    Raises:
        click.UsageError: If options exclude each other.
    """
    path = given["output"]
    if given["exact"] and given["since"]:
        raise click.UsageError("--exact and --since exclude each other")
    return ExportJob(
        selections=selections,
        reader=given["reader"],
        output=path,
        compression=given["compress"] or compression_of(path),
        manifest=given["manifest"],
        exact=given["exact"],
        since=given["since"],
        progress=shows_progress(given),
    )


def run(
    kind: str, given_names: Sequence[str], credentials_fd: int | None, given: Mapping[str, Any]
) -> int:
    """Run the command and return the exit status.

    Args:
        kind: What to export.
        given_names: Names of what to export.
        credentials_fd: Descriptor to read the settings from; None: they are options.
        given: The options of the command line.

    Raises:
        click.UsageError: If the command line is wrong.
    """
    chosen = parse_selections(kind, given_names, given)
    if credentials_fd is None:
        settings = connection.settings(given, "vmail")
    else:
        settings = connection.inherited_settings(credentials_fd)
    # An export makes no reference cycles, and looking for some takes a twentieth of its time.
    gc.disable()
    try:
        job = replace(parse_job(chosen, given), by_options=credentials_fd is None)
        return export(settings, job)
    finally:
        gc.enable()


def export(settings: LdapSettings, job: ExportJob) -> int:
    """Write an export and return the exit status; one line on stderr says what went wrong.

    Raises:
        OSError, FileFailed: Of a file; the group of commands prints its line.
    """
    _keep_freed_memory()
    if job.manifest:
        # It is written at the end, which an export without its folder need not reach.
        with named(job.manifest):
            job.manifest.parent.stat()
    try:
        if job.output is None:
            _copy(settings, job, sys.__stdout__.fileno() if sys.__stdout__ else -1)
        else:
            with output.complete_output(job.output) as descriptor:
                _copy(settings, job, descriptor)
    except BrokenPipeError:
        # As a shell reports SIGPIPE: the reader has left, and nothing has failed.
        return handover.READER_GONE
    except Refusal as ex:
        return output.failed(ex, by_options=job.by_options)
    return handover.DONE


def _keep_freed_memory() -> None:
    """Let the C library keep the memory of one chunk for the next one.

    It returns memory to the kernel that is larger than the largest block that was ever mapped and
    freed (mallopt(3), M_MMAP_THRESHOLD), and faulting it in again is up to a sixth of an export.
    The block that is mapped and freed here is never touched.
    """
    bytes(_LARGE)


def _copy(settings: LdapSettings, job: ExportJob, descriptor: int) -> None:
    """Write the text of an export, and its manifest when the text is complete."""
    with ExitStack() as stack:
        text, searched = _text(settings, job, stack)
        if job.progress:
            # Most exports run without a terminal, and rich takes long to load.
            from ldif_export.cli.progress import shown  # noqa: PLC0415

            text = shown(text, settings, searched)
        for chunk in compressed(text, job.compression):
            output.write_all(descriptor, chunk, job.output or STANDARD_OUTPUT)


def _text(
    settings: LdapSettings, job: ExportJob, stack: ExitStack
) -> tuple[Iterator[bytes], Sequence[Search]]:
    """Return the text of an export, and the searches whose entries its progress counts."""
    first = job.selections[0]
    if job.since:
        counted = _resolved(settings, job) if job.progress else ()
        return _increment(settings, job, job.since, stack), counted
    if job.manifest is None:
        return _export(settings, job, stack, Projection(first))
    from ldif_export.backup import manifest_writer  # noqa: PLC0415 - not needed without --manifest

    mode: ExportMode = "exact" if job.exact else "fuzzy"
    builder = stack.enter_context(
        manifest_writer.gathered(job.manifest, settings, job.selections, mode)
    )
    wanted = Projection(first, manifest_writer.WATCHED)
    text, searched = _export(settings, job, stack, wanted, builder)
    return manifest_writer.digested(text, builder), searched


def _export(
    settings: LdapSettings,
    job: ExportJob,
    stack: ExitStack,
    wanted: Projection,
    builder: "ManifestBuilder | None" = None,
) -> tuple[Iterator[bytes], Sequence[Search]]:
    if job.exact:
        from ldif_export.backup import snapshot  # noqa: PLC0415 - loads python-ldap

        searched = _resolved(settings, job)
        with named("the temporary copy of the directory"):
            exact = stack.enter_context(closing(snapshot.read(settings, searched, wanted)))
        if builder:
            builder.state(exact.state)
        reader: Reader = exact
    else:
        reader = stack.enter_context(closing(choice.connect(settings, wanted, job.reader)))
        searched = domain_lookup.resolve_searches(
            reader, job.selections, names.Tree(settings.suffix)
        )
    observe = None
    if builder:
        from ldif_export.backup import manifest_writer  # noqa: PLC0415 - as above

        observe = manifest_writer.observer(builder)
    passwords = wanted.selection.has_passwords
    text = full.export(reader, searched, passwords=passwords, observe=observe)
    return stack.enter_context(closing(text)), searched


def _resolved(settings: LdapSettings, job: ExportJob) -> tuple[Search, ...]:
    """Return the searches of an export, resolved on a connection of its own."""
    wanted = Projection(job.selections[0])
    with closing(choice.connect(settings, wanted, job.reader)) as reader:
        return domain_lookup.resolve_searches(reader, job.selections, names.Tree(settings.suffix))


def _increment(
    settings: LdapSettings, job: ExportJob, earlier: Path, stack: ExitStack
) -> Iterator[bytes]:
    """Yield what has changed since an earlier export, as change records.

    Raises:
        PreconditionFailed: If that was an export of something else.
        FileFailed: If there is no manifest of it.
    """
    from ldif_export.backup import incremental, manifest_writer  # noqa: PLC0415 - only for --since

    previous = read_manifest(earlier)
    began, entries = manifest_writer.now(), manifest_writer.entry_list_path(earlier)
    increment = incremental.gather(
        settings, job.selections, previous, entries, began=began, reader=job.reader
    )
    stack.enter_context(closing(increment))
    yield from increment.text()
    if job.manifest:
        manifest_writer.write(
            job.manifest, increment.manifest(manifest_writer.now()), increment.write_entry_list
        )
