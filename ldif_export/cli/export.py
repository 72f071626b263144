"""What the command line does, once it is parsed."""

import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

import click

from iredldap.config.checks import certificates
from iredldap.config.ldap import LdapSettings
from iredldap.config.settings import Secret
from iredldap.dit import names
from iredldap.errors import InternalError, InvalidDomainName, InvalidMail, Refusal
from ldif_export import handover
from ldif_export.backup import full
from ldif_export.backup.full import Observer
from ldif_export.ldif.compression import Compression, compressed, compression_of
from ldif_export.readers import choice, domain_lookup
from ldif_export.readers.base import Reader, Wanted
from ldif_export.readers.choice import Choice
from ldif_export.selection import Kind, Search, Selection, read_name

if TYPE_CHECKING:
    from ldif_export.manifest import Mode

PASSWORD_VARIABLE = "LDIF_EXPORT_PASSWORD"  # noqa: S105 - the name of a variable


_LARGE = 4 * 1024 * 1024
"""More bytes than an export asks for at a time, but for single values."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One export: what, how it is read, and where it goes; no output: standard output."""

    selections: tuple[Selection, ...]
    reader: Choice = "auto"
    output: Path | None = None
    compression: Compression = "none"
    manifest: Path | None = None
    exact: bool = False
    since: Path | None = None
    progress: bool = False


def selections(
    kind: str, given_names: Sequence[str], given: Mapping[str, Any]
) -> tuple[Selection, ...]:
    """Read what to export.

    Raises:
        click.UsageError: If a name is malformed, missing or too many.
    """
    known = cast("Kind", kind)
    if (known == "all") == bool(given_names):
        raise click.UsageError("`all` takes no name" if given_names else "a name is missing")
    try:
        read = dict.fromkeys(read_name(known, name) for name in given_names)
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


def job(selections: tuple[Selection, ...], given: Mapping[str, Any]) -> Job:
    """Read how to export.

    Raises:
        click.UsageError: If the parts do not fit together.
    """
    output = given["output"]
    if given["exact"] and given["since"]:
        raise click.UsageError("--exact and --since exclude each other")
    return Job(
        selections=selections,
        reader=given["reader"],
        output=output,
        compression=given["compress"] or compression_of(output),
        manifest=given["manifest"],
        exact=given["exact"],
        since=given["since"],
        progress=is_shown(given),
    )


def is_shown(given: Mapping[str, Any]) -> bool:
    """Whether progress is shown: as asked, else to whoever looks."""
    asked: bool | None = given["progress"]
    return sys.stderr.isatty() if asked is None else asked


def settings(given: Mapping[str, Any], account: str) -> LdapSettings:
    """Read where the directory is and who we are there: unless told, `cn=<account>,<suffix>`.

    Raises:
        click.UsageError: If something is missing.
    """
    uri, suffix, bind_dn = given["uri"], given["suffix"], given["bind_dn"]
    external = given["external"]
    if not uri or not suffix:
        raise click.UsageError("--uri and --suffix are needed")
    if external and (bind_dn or not all(one.startswith("ldapi:") for one in uri)):
        raise click.UsageError("--external goes with ldapi:// alone, and without --bind-dn")
    if wrong := certificates(given["ca_file"]):
        raise click.UsageError(f"--ca-file: {wrong}")
    return LdapSettings(
        uri=uri,
        suffix=suffix,
        bind_dn="" if external else bind_dn or f"cn={account},{suffix}",
        bind_password=Secret("") if external else _password(given["password_file"]),
        starttls=given["starttls"],
        ca_file=given["ca_file"],
    )


def inherited_settings(descriptor: int) -> LdapSettings:
    """Read the settings that a parent process wrote.

    Raises:
        click.UsageError: If there are none. It does not show what it read.
    """
    try:
        with open(descriptor, "rb") as pipe:
            return handover.load(pipe.read())
    except (OSError, ValueError, TypeError, KeyError):
        raise click.UsageError("no settings come from --credentials-fd") from None


def run(settings: LdapSettings, job: Job) -> int:
    """Write the export and give the exit status; one line says what went wrong."""
    _keep_freed_memory()
    try:
        if job.output is None:
            _copy(settings, job, sys.__stdout__.fileno() if sys.__stdout__ else -1)
        else:
            with whole(job.output) as descriptor:
                _copy(settings, job, descriptor)
    except BrokenPipeError:
        return handover.READER_GONE
    except OSError as ex:
        return failed(InternalError(str(ex)))
    except Refusal as ex:
        return failed(ex)
    return handover.DONE


def _keep_freed_memory() -> None:
    """Let the C library keep the memory of one chunk for the next one.

    It gives back to the kernel what is larger than the largest block that was ever mapped and
    freed (mallopt(3), M_MMAP_THRESHOLD), and faulting it in again is up to a sixth of an export.
    The block that is mapped and freed here is never touched.
    """
    bytes(_LARGE)


def _password(file: Path | None) -> Secret:
    if file is not None:
        password = file.read_text(encoding="utf-8").rstrip("\r\n")
    else:
        password = os.environ.get(PASSWORD_VARIABLE, "")
    # A bind with an empty password succeeds, as nobody.
    if not password:
        raise click.UsageError(f"--password-file or {PASSWORD_VARIABLE} must give a password")
    return Secret(password)


def _copy(settings: LdapSettings, job: Job, descriptor: int) -> None:
    """Write the text, and beside it what tells of it."""
    with ExitStack() as stack:
        text, searched = _text(settings, job, stack)
        if job.progress:
            from ldif_export.cli import progress as telling  # noqa: PLC0415 - most exports are watched by nobody

            text = telling.shown(text, settings, searched)
        for chunk in compressed(text, job.compression):
            _write(descriptor, chunk)


def _text(
    settings: LdapSettings, job: Job, stack: ExitStack
) -> tuple[Iterator[bytes], Sequence[Search]]:
    """Give the text, and the searches that tell how long it is; a manifest sees it go by."""
    first = job.selections[0]
    if job.since:
        counted = _located(settings, job) if job.progress else ()
        return _increment(settings, job, job.since, stack), counted
    if job.manifest is None:
        return _export(settings, job, stack, Wanted(first))
    from ldif_export.cli import progress as telling  # noqa: PLC0415 - it loads what a bare export does without

    mode: Mode = "exact" if job.exact else "fuzzy"
    builder = stack.enter_context(telling.manifest(job.manifest, settings, job.selections, mode))
    wanted = Wanted(first, telling.WATCHED)
    text, searched = _export(settings, job, stack, wanted, telling.noting(builder))
    return telling.digested(text, builder), searched


def _export(
    settings: LdapSettings,
    job: Job,
    stack: ExitStack,
    wanted: Wanted,
    observe: Observer | None = None,
) -> tuple[Iterator[bytes], Sequence[Search]]:
    if job.exact:
        from ldif_export.backup import snapshot as exact  # noqa: PLC0415 - it loads python-ldap

        searched = _located(settings, job)
        reader: Reader = stack.enter_context(closing(exact.read(settings, searched, wanted)))
    else:
        reader = stack.enter_context(closing(choice.connected(settings, wanted, job.reader)))
        searched = domain_lookup.located(reader, job.selections, names.Tree(settings.suffix))
    passwords = wanted.selection.has_passwords
    text = full.export(reader, searched, passwords=passwords, observe=observe)
    return stack.enter_context(closing(text)), searched


def _located(settings: LdapSettings, job: Job) -> tuple[Search, ...]:
    """Find out what to search for, on a connection for that alone."""
    wanted = Wanted(job.selections[0])
    with closing(choice.connected(settings, wanted, job.reader)) as reader:
        return domain_lookup.located(reader, job.selections, names.Tree(settings.suffix))


def _increment(
    settings: LdapSettings, job: Job, earlier: Path, stack: ExitStack
) -> Iterator[bytes]:
    """Give what has changed since an earlier export as change records.

    Raises:
        PreconditionFailed: If that was an export of something else.
        InternalError: If there is no manifest of it.
    """
    from ldif_export import manifest  # noqa: PLC0415 - as above
    from ldif_export.backup import incremental as since  # noqa: PLC0415 - as above
    from ldif_export.cli import progress as telling  # noqa: PLC0415 - as above

    try:
        told = manifest.load(earlier.read_bytes())
    except ValueError as ex:
        raise InternalError(f"{earlier}: {ex}") from ex
    began, entries = telling.now(), telling.companion_of(earlier)
    increment = since.gather(
        settings, job.selections, told, entries, began=began, reader=job.reader
    )
    stack.enter_context(closing(increment))
    yield from increment.text()
    if job.manifest:
        telling.keep(job.manifest, increment.manifest(telling.now()), increment.write_companion)


def _write(descriptor: int, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


@contextmanager
def whole(path: Path) -> Iterator[int]:
    """Open a file that takes its name only when all of it is on the disk; its owner's alone."""
    # Standard output needs no scratch file, and starts sooner without.
    import tempfile  # noqa: PLC0415

    signal.signal(signal.SIGTERM, _terminated)
    descriptor = _unnamed(path.parent)
    scratch = None
    try:
        try:
            if descriptor is None:
                descriptor, scratch = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
            yield descriptor
            os.fsync(descriptor)
            if scratch is None:
                # A link replaces no file: when it is whole it has a name of its own for a moment.
                scratch = str(path.with_name(f".{path.name}.{os.urandom(8).hex()}"))
                # Any directory: Python follows the link in /proc only if there is one.
                os.link(f"/proc/self/fd/{descriptor}", scratch, src_dir_fd=0)
        finally:
            if descriptor is not None:
                os.close(descriptor)
        Path(scratch).replace(path)
    except BaseException:
        if scratch is not None:
            Path(scratch).unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _unnamed(directory: Path) -> int | None:
    """Open a file without a name, which goes with the process; None: there are none here."""
    flag = getattr(os, "O_TMPFILE", None)
    if flag is None or not Path("/proc/self/fd").is_dir():
        return None
    try:
        return os.open(directory, os.O_WRONLY | flag, 0o600)
    except OSError:
        # Some file systems, network ones among them, have none. What else is wrong is told next.
        return None


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _terminated(_number: int, _frame: object) -> NoReturn:
    raise SystemExit(handover.TERMINATED)


def failed(refusal: Refusal) -> int:
    """Say in one line what went wrong; give the exit status."""
    click.echo(handover.told(refusal), err=True)
    return handover.exit_status(refusal)
