"""What the command line does, once it is parsed."""

import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NoReturn, cast

import click

from iredldap.config import Ldap, Secret
from iredldap.dit import names
from iredldap.errors import InternalError, InvalidDomainName, InvalidMail, Refusal
from iredldap.gateways import directory
from ldif_export import handover, source, stream
from ldif_export.selection import Kind, Selection, read_name

PASSWORD_VARIABLE = "LDIF_EXPORT_PASSWORD"  # noqa: S105 - the name of a variable


def selection(
    kind: str, name: str, *, subtree: bool, omit: Sequence[str], passwords: bool
) -> Selection:
    """Read what to export.

    Raises:
        click.UsageError: If the name is malformed.
    """
    known = cast("Kind", kind)
    try:
        read = read_name(known, name)
    except (InvalidDomainName, InvalidMail) as ex:
        raise click.UsageError(f"{ex.code}: {ex.detail}") from ex
    return Selection(known, read, subtree, frozenset(map(str.lower, omit)), passwords)


def settings(
    uri: tuple[str, ...],
    suffix: str | None,
    bind_dn: str | None,
    password_file: Path | None,
    *,
    starttls: bool | None,
    ca_file: str,
) -> Ldap:
    """Read where the directory is and who we are there.

    Raises:
        click.UsageError: If something is missing.
    """
    if not uri or not suffix:
        raise click.UsageError("--uri and --suffix are needed")
    return Ldap(
        uri=uri,
        suffix=suffix,
        bind_dn=bind_dn or f"cn=vmail,{suffix}",
        bind_password=_password(password_file),
        starttls=starttls,
        ca_file=ca_file,
    )


def inherited_settings(descriptor: int) -> Ldap:
    """Read the settings that a parent process wrote.

    Raises:
        click.UsageError: If there are none. It does not show what it read.
    """
    try:
        with open(descriptor, "rb") as pipe:
            return handover.load(pipe.read())
    except (OSError, ValueError, TypeError, KeyError):
        raise click.UsageError("no settings come from --credentials-fd") from None


def run(settings: Ldap, selection: Selection, output: Path | None) -> int:
    """Write the export and give the exit status; one line says what went wrong."""
    try:
        if output is None:
            _copy(settings, selection, sys.__stdout__.fileno() if sys.__stdout__ else -1)
        else:
            with _whole(output) as descriptor:
                _copy(settings, selection, descriptor)
    except BrokenPipeError:
        return handover.READER_GONE
    except OSError as ex:
        return _failed(InternalError(str(ex)))
    except Refusal as ex:
        return _failed(ex)
    return handover.DONE


def _password(file: Path | None) -> Secret:
    if file is not None:
        password = file.read_text(encoding="utf-8").rstrip("\r\n")
    else:
        password = os.environ.get(PASSWORD_VARIABLE, "")
    # A bind with an empty password succeeds, as nobody.
    if not password:
        raise click.UsageError(f"--password-file or {PASSWORD_VARIABLE} must give a password")
    return Secret(password)


def _copy(settings: Ldap, selection: Selection, descriptor: int) -> None:
    connection = directory.connect(settings)
    try:
        tree = names.Tree(settings.suffix)
        timeout = settings.operation_timeout
        found = source.entries(connection, tree, selection, timeout=timeout)
        with closing(found):
            for chunk in stream.text(found, passwords=selection.has_passwords):
                _write(descriptor, chunk)
    finally:
        with suppress(Refusal), directory.translated():
            connection.unbind_ext()


def _write(descriptor: int, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


@contextmanager
def _whole(path: Path) -> Iterator[int]:
    """Open a file that takes its name only when all of it is on the disk; its owner's alone."""
    signal.signal(signal.SIGTERM, _terminated)
    descriptor, scratch = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        try:
            yield descriptor
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        Path(scratch).replace(path)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _terminated(_number: int, _frame: object) -> NoReturn:
    raise SystemExit(handover.TERMINATED)


def _failed(refusal: Refusal) -> int:
    sentence = " ".join(refusal.detail.split())
    click.echo(f"ldif-export: {refusal.code}: {sentence}", err=True)
    return handover.exit_status(refusal)
