"""Read the connection settings of the command line, or those that a parent process passes."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from iredldap.config.checks import certificates
from iredldap.config.ldap import LdapSettings
from iredldap.config.settings import Secret
from ldif_export import handover

PASSWORD_VARIABLE = "LDIF_EXPORT_PASSWORD"  # noqa: S105 - the name of a variable


def settings(given: Mapping[str, Any], account: str) -> LdapSettings:
    """Read servers, bind account and password; by default the account `cn=<account>,<suffix>`.

    Raises:
        click.UsageError: If an option is missing, or options contradict one another.
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
        click.UsageError: If there are none. It does not show what was read.
    """
    try:
        with open(descriptor, "rb") as pipe:
            return handover.load(pipe.read())
    except (OSError, ValueError, TypeError, KeyError):
        raise click.UsageError("no settings come from --credentials-fd") from None


def _password(file: Path | None) -> Secret:
    if file is not None:
        try:
            password = file.read_text(encoding="utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise click.UsageError(f"--password-file: {file} is no UTF-8") from None
    else:
        password = os.environ.get(PASSWORD_VARIABLE, "")
    # A bind with an empty password succeeds, as anonymous.
    if not password:
        raise click.UsageError(f"--password-file or {PASSWORD_VARIABLE} must give a password")
    return Secret(password)
