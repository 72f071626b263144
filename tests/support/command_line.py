"""Run `iredldap` in this process, on the directory and the databases under test."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from iredldap.cli import main
from iredldap.config.reader import CONFIG_VARIABLE
from tests.support.databases import Urls
from tests.support.serving import Served, environment


def configured(served: Served, folder: Path, urls: Urls, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the configuration of a served instance, and have commands find it and its secrets."""
    settings, path = served.config.ldap, folder / "iredldap.toml"
    path.write_text(
        f"[ldap]\nuri = {json.dumps(settings.uri)}\n"
        f'suffix = "{settings.suffix}"\nbind_dn = "{settings.bind_dn}"\n'
    )
    if settings_of_lists := served.config.mlmmjadmin.url:
        path.write_text(f'{path.read_text()}[mlmmjadmin]\nurl = "{settings_of_lists}"\n')
    monkeypatch.setenv(CONFIG_VARIABLE, str(path))
    for name, value in environment(folder, urls).items():
        monkeypatch.setenv(name, value)
    return path


def run(*arguments: str | Path, typed: str | None = None) -> Result:
    """Run the command; `typed` is its standard input, which is no terminal."""
    result = CliRunner().invoke(main, [*map(str, arguments)], input=typed)
    if result.exception and not isinstance(result.exception, SystemExit):
        # A traceback is never an answer.
        raise result.exception
    return result


def done(*arguments: str | Path, typed: str | None = None) -> str:
    """Insist on success, and on nothing on standard error; give the output."""
    result = run(*arguments, typed=typed)
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


def refused(*arguments: str | Path, status: int, typed: str | None = None) -> str:
    """Insist on an exit status, and on nothing on standard output; give the message."""
    result = run(*arguments, typed=typed)
    assert (result.exit_code, result.stdout) == (status, ""), result.output
    return result.stderr
