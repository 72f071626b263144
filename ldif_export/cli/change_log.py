"""Write a restore as the API of the directory does: to the agreed writer, and in its change log."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import click

from iredldap.changes.recording import Recording
from iredldap.config.ldap import LdapSettings
from iredldap.config.reader import CONFIG_VARIABLE, DEFAULT_CONFIG, ConfigurationError, read_file
from iredldap.config.sections import Config
from iredldap.dit import names
from iredldap.dit.logged_request import logged
from iredldap.dit.request import Request
from iredldap.gateways import unix_user
from iredldap.gateways.directory import Directory

_COMMAND = "ldif_export_restore"


def configuration(path: Path | None, settings: LdapSettings) -> Config | None:
    """Read the configuration whose change log a restore is recorded in.

    Args:
        path: The file that was named; None: the default one, if it is there.
        settings: The directory that is written to.

    Returns:
        None, if the default one is absent, cannot be read, or is of another directory. What keeps
        the restore from being recorded is then said.

    Raises:
        click.UsageError: If the one that was named is so; if a writer is agreed on for servers of
            which the restore names another one.
    """
    chosen = path or Path(os.environ.get(CONFIG_VARIABLE) or DEFAULT_CONFIG)
    if path is None and not chosen.exists():
        return None
    try:
        config = read_file(chosen, os.environ)
        fault = _fault(config, settings)
    except ConfigurationError as ex:
        config, fault = None, "; ".join(ex.errors)
    if not fault:
        if config and config.ldap.is_agreed and not {*settings.uri} <= {*config.ldap.uri}:
            # It may be the standby under another name: what is written there is undone by the
            # writer, or undoes what that has written.
            servers = " or ".join(f"--uri {uri}" for uri in config.ldap.uri)
            other = f"for another directory, name another file by --config or {CONFIG_VARIABLE}"
            raise click.UsageError(f"{chosen} has an agreed writer: name {servers}; {other}")
        return config
    if path is not None:
        raise click.UsageError(f"--config: {fault}")
    click.echo(f"not in the change log: {chosen}: {fault}", err=True)
    return None


def directory(config: Config | None, settings: LdapSettings) -> Directory:
    """Open the directory that is written to: where a writer is agreed on, that one.

    Args:
        config: The configuration; None: there is none.
        settings: Servers and account of the command line.
    """
    if config is None or not config.ldap.is_agreed:
        return Directory(settings)
    # The driver of the state database is loaded where it is needed alone.
    from iredldap.changes.opening import open_directory  # noqa: PLC0415

    account = {
        name: getattr(settings, name)
        for name in ("bind_dn", "bind_password", "starttls", "ca_file")
    }
    return open_directory(replace(config, ldap=replace(config.ldap, **account)))


@contextmanager
def recording(
    config: Config | None, directory: Directory, file: Path
) -> Iterator[Recording | None]:
    """Record what is written during the block.

    Args:
        config: The configuration; None: nothing is recorded.
        directory: The directory that is written to.
        file: The file that is restored.

    Yields:
        The recording, or None.
    """
    if config is None:
        yield None
        return
    # Loading what seals values takes longer than a small restore, and most have no log.
    from iredldap.changes.change_log import ChangeLog  # noqa: PLC0415

    with ExitStack() as stack:
        log = ChangeLog.open(config, directory)
        stack.callback(log.close)
        # For the signs of life of a restore that takes long.
        log.start()
        change = logged(Request(_COMMAND, {}), unix_user.name(), steps=(f"restore {file.name}",))
        yield stack.enter_context(Recording(log, change))


def _fault(config: Config, settings: LdapSettings) -> str:
    if names.same_dn(config.ldap.suffix, settings.suffix):
        return ""
    return f"its directory has the suffix {config.ldap.suffix}"
