"""The commands `iredldap init`, `check-config` and `serve`."""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import click
from click.core import ParameterSource

from iredldap import file_causes, trust
from iredldap.changes.opening import open_register
from iredldap.commands.options import config_option
from iredldap.config.checks import certificates
from iredldap.config.ldap import LdapSettings
from iredldap.config.reader import (
    CONFIG_VARIABLE,
    ConfigurationError,
    read,
    read_file,
    variable,
)
from iredldap.config.sections import Config
from iredldap.dit import generations
from iredldap.embedded.gunicorn import gunicorn_command
from iredldap.errors import Refusal
from iredldap.gateways.change_store import ChangeStore
from iredldap.gateways.directory import Directory
from iredldap.gateways.state import StateDatabase
from iredldap.installation import (
    SECRETS,
    Value,
    changed,
    configuration,
    new_secret,
    secrets_folder,
    write_new,
)
from iredldap.operations.diagnosis import findings, probe, server_survey
from iredldap.operations.diagnosis.findings import Finding
from iredldap.operations.diagnosis.node_keys import differing_keys
from iredldap.operations.diagnosis.writer_findings import writer_findings
from iredldap.operations.diagnosis.writer_status import status
from iredldap.operations.outside_systems import OutsideSystems

_CA_VARIABLES = ["IREDLDAP_LDAP_CA_FILE", *trust.VARIABLES]


def _certificates(
    context: click.Context, option: click.Parameter, path: Path | None
) -> Path | None:
    """Validate a file of CA certificates; an error names the variable that the path comes from."""
    wrong = certificates(str(path)) if path else None
    if not path or not wrong:
        return path
    named = "--ca-file"
    if context.get_parameter_source(option.name or "") is ParameterSource.ENVIRONMENT:
        # A variable of the shell's profile may have been forgotten, and the message would name an
        # option that no one has given.
        named = next(filter(os.environ.get, _CA_VARIABLES))
    if path.is_file():
        _fail(f"{named}: {path}: {wrong}")
    raise click.BadParameter(f"{path}: {wrong}", param_hint=named)


@click.command()
@config_option
@click.option("--uri", "uris", multiple=True, required=True, help="URI of an LDAP server.")
@click.option("--suffix", required=True, help="Suffix of the tree, such as dc=example,dc=com.")
@click.option("--bind-dn", help="Service account.  [default: cn=vmailadmin,SUFFIX]")
@click.option(
    "--bind-password-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="File with its password; without it the password is prompted for.",
)
@click.option(
    "--ca-file",
    type=click.Path(path_type=Path),
    callback=_certificates,
    envvar=_CA_VARIABLES,
    help="File of CA certificates, PEM.  [default: the system's]",
)
@click.option(
    "--starttls/--no-starttls",
    default=None,
    envvar="IREDLDAP_LDAP_STARTTLS",
    help="Use StartTLS on ldap://.  [default: unless the server is on this machine]",
)
@click.option("--bind", default="127.0.0.1:8080", show_default=True, help="Address to listen on.")
@click.option("--iredapd-url", help="Database of iRedAPD.  [default: SQLite]")
@click.option("--amavisd-url", help="Database of Amavisd.  [default: SQLite]")
@click.option("--iredadmin-url", help="Database of iRedAdmin.  [default: SQLite]")
@click.option("--state-url", help="The program's own database.  [default: SQLite]")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Print the configuration; write nothing, and test no password hashes.",
)
def init(
    path: Path,
    uris: tuple[str, ...],
    suffix: str,
    bind_dn: str | None,
    bind_password_file: Path | None,
    ca_file: Path | None,
    starttls: bool | None,
    bind: str,
    *,
    dry_run: bool,
    **urls: str | None,
) -> None:
    """Write a configuration for a directory, with new keys and the API enabled.

    It is tested which password hashes the directory verifies. Databases are SQLAlchemy URLs; those
    that are not given are SQLite files in /var/lib/iredldap, which are created.
    """
    if path.exists():
        _fail(f"{path} exists; nothing was changed")
    account = bind_dn or f"cn=vmailadmin,{suffix}"
    secret = _given_password(bind_password_file, account)
    folder = secrets_folder(path)
    secrets = {
        "bind-password": secret,
        "session-keys": new_secret(),
        "change-log-keys": new_secret(),
    }
    secrets |= {name.replace("_", "-"): url for name, url in urls.items() if url}
    # Looked for before the server is asked: a run that stops here has changed nothing, not even the
    # probe's entry.
    for name in secrets:
        if (folder / name).exists():
            _fail(f"{folder / name} exists; nothing was changed")
    sections: dict[str, dict[str, Value]] = {
        "api": {"enable_restful_api": True},
        "ldap": {
            "uri": list(uris),
            "suffix": suffix,
            "bind_dn": account,
            **_tls_settings(ca_file, starttls),
        },
        "server": {"bind": bind},
    }
    # Judged as the service will read it, with the secrets, before a file is written.
    settings = _judged(sections, secrets).ldap
    if not dry_run:
        sections["passwords"] = _password_settings(settings)
    for name in secrets:
        section, setting = _secret_setting(name)
        sections.setdefault(section, {})[f"{setting}_file"] = str(folder / name)
    if dry_run:
        click.echo(configuration(sections), nl=False)
        click.echo(f"dry run: neither {path} nor {len(secrets)} secrets were written", err=True)
        return
    files = {folder / name: (f"{text}\n", SECRETS) for name, text in secrets.items()}
    try:
        # The configuration last: while it is missing, `init` can be run again. It has no secrets,
        # so its mode is the umask's.
        write_new({**files, path: (configuration(sections), 0o666)})
    except OSError as ex:
        _fail(f"{file_causes.words(ex)}; nothing was changed")
    # Warnings only: databases may be set up after the API.
    for error in _errors_beside(_read(path)):
        click.echo(f"beware: {error}", err=True)
    click.echo(f"{path} written, secrets in {folder}. Start with: iredldap serve --config {path}")


def _tls_settings(ca_file: Path | None, starttls: bool | None) -> dict[str, Value]:
    """Return the settings of TLS that were given."""
    found: dict[str, Value] = {} if ca_file is None else {"ca_file": str(ca_file.absolute())}
    return found if starttls is None else {**found, "starttls": starttls}


def _password_settings(directory: LdapSettings) -> dict[str, Value]:
    """Return the settings for the password hashes that a directory verifies."""
    verified = _probed(directory)
    return {"password_scheme": probe.best_scheme(verified), "verified_schemes": verified}


@click.command("check-config")
@config_option
@click.option(
    "--probe", "probing", is_flag=True, help="Test the servers too, and store the password schemes."
)
def check_config(path: Path, *, probing: bool) -> None:
    """Check the configuration and report all errors.

    With --probe the directory, the databases and mlmmjadmin are tested too. What each directory
    server is, is reported; a consumer, and servers that do not go together, are faults. The
    password schemes that the directory verifies are written into the file, and the release of the
    directory's schema is reported, with what does not work with it.
    """
    config = _read(path)
    if probing:
        verified = _probed(config.ldap)
        chosen = config.passwords.password_scheme
        # The admin's choice, which the probe cannot know; it only shows whether such hashes are
        # verified.
        keeps_bcrypt = chosen == "BCRYPT" and "CRYPT" in verified
        scheme = chosen if keeps_bcrypt else probe.best_scheme(verified)
        found: dict[str, Value] = {"password_scheme": scheme, "verified_schemes": verified}
        text = path.read_text(encoding="utf-8")
        path.write_text(changed(text, "passwords", found), encoding="utf-8")
        click.echo(f"password_scheme: {scheme}\nverified_schemes: {', '.join(verified)}")
        if errors := list(_errors_beside(config)):
            _fail("\n".join(errors))
        with closing(StateDatabase(config.state.url)) as state:
            _tell(differing_keys(config, state))
        if config.ldap.is_agreed:
            with closing(open_register(config)) as register:
                _tell(writer_findings(status(config.ldap, register)))
    click.echo(f"{path}: no faults")


@click.command()
@config_option
def serve(path: Path) -> None:
    """Serve the API with gunicorn."""
    _read(path)
    os.environ[CONFIG_VARIABLE] = str(path.absolute())
    # In place of this process, so that signals reach gunicorn's master.
    command = gunicorn_command()
    os.execv(command[0], command)  # noqa: S606 - our own command


def _read(path: Path) -> Config:
    try:
        return read_file(path, os.environ)
    except ConfigurationError as ex:
        _fail("\n".join(ex.errors))


def _given_password(file: Path | None, account: str) -> str:
    if file is None:
        return str(click.prompt(f"Password of {account}", hide_input=True))
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as ex:
        _fail(file_causes.words(ex))
    except UnicodeDecodeError as ex:
        _fail(f"{file}: {ex}")


def _secret_setting(name: str) -> tuple[str, str]:
    """Return section and name of the setting that a file of secrets is for."""
    known = {
        "bind-password": ("ldap", "bind_password"),
        "session-keys": ("session", "keys"),
        "change-log-keys": ("changes", "keys"),
    }
    return known.get(name) or (name.removesuffix("-url"), "url")


def _judged(sections: Mapping[str, Mapping[str, Value]], secrets: Mapping[str, str]) -> Config:
    """Validate settings before they are written, with the secrets that belong to them."""
    given = {variable(*_secret_setting(name)): text for name, text in secrets.items()}
    listed = {
        section: {
            name: value if isinstance(value, bool | str) else list(value)
            for name, value in rows.items()
        }
        for section, rows in sections.items()
    }
    try:
        return read(listed, os.environ | given)
    except ConfigurationError as ex:
        _fail("\n".join(ex.errors))


def _probed(settings: LdapSettings) -> tuple[str, ...]:
    found = server_survey.survey(settings)
    _tell(found.findings)
    if found.provider is None:
        _fail("no server of ldap.uri accepts writes")
    directory = Directory(settings.only(found.provider))
    try:
        verified = probe.verified_schemes(directory)
        schema = directory.schema()
        _tell(findings.find_all(directory, settings))
    except Refusal as refusal:
        _fail(f"{refusal.code}: {refusal}")
    finally:
        directory.close()
    if not {"SSHA", "SSHA512"} & set(verified):
        _fail("the directory verifies neither {SSHA512} nor {SSHA}")
    click.echo(f"schema: {generations.description(schema)}")
    for want in generations.wants(schema):
        click.echo(f"without {want.attribute}: {want.effect}")
    return verified


def _tell(found: Iterable[Finding]) -> None:
    """Print findings; faults end the command when all of them have been printed."""
    faults = 0
    for finding in found:
        kind = "fault: " if finding.is_fault else "beware: " if finding.warns else ""
        click.echo(f"{kind}{finding.words}", err=finding.warns)
        faults += finding.is_fault
    if faults:
        sys.exit(1)


def _errors_beside(config: Config) -> Iterator[str]:
    """Yield an error for each database and mlmmjadmin that does not respond.

    Testing an SQLite database creates its file.
    """
    with (
        closing(StateDatabase(config.state.url)) as state,
        closing(ChangeStore(config.state.url)) as changes,
        closing(OutsideSystems.open(config)) as outside,
    ):
        lists = (outside.mlmmjadmin,) if outside.mlmmjadmin.is_configured else ()
        databases = (state, outside.iredapd, outside.amavisd, outside.iredadmin, *lists)
        for ask in (*(beside.ask for beside in databases), changes.check):
            try:
                ask()
            except Refusal as refusal:
                yield str(refusal)


def _fail(message: str) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(1)
