"""The printed pages say what the program does."""

import re
import sys
import tomllib
from pathlib import Path

import click
import pytest

from iredldap import cli
from iredldap.config import reader, sections
from iredldap.dit.consistency.checks import RULES
from iredldap.error_codes import refusals
from iredldap.web.endpoints.endpoint import PASSWORD_RULES
from iredldap.web.endpoints.index import ENDPOINTS
from tools import document


@pytest.mark.parametrize("name", document.PAGES)
def test_page_is_up_to_date(name: str) -> None:
    """`make docs` prints it again."""
    page = document.DOCS / name

    assert page.read_text(encoding="utf-8") == document.PAGES[name]()


def test_every_setting_is_described() -> None:
    page = document.configuration_page()

    for section, record in sections.sections():
        rows = page.partition(f"## `[{section}]`")[2].partition("\n## ")[0]
        for name in record.__dataclass_fields__:  # type: ignore[attr-defined]
            assert f"`{reader.variable(section, name)}`" in rows


def test_example_is_without_faults() -> None:
    """Its secrets come from the environment here, so their files need not be there."""
    secrets = {"IREDLDAP_LDAP_BIND_PASSWORD": "secret", "IREDLDAP_SESSION_KEYS": "k" * 32}

    settings = reader.read(tomllib.loads(document.EXAMPLE), secrets)

    assert settings.api.enable_restful_api


def test_example_of_errors_has_some() -> None:
    faults = document.configuration_page().partition("For example:\n\n```\n")[2].partition("```")[0]

    assert len(faults.splitlines()) > 3


def test_every_code_is_explained() -> None:
    """Those of the endpoints, and those of every refusal."""
    page = document.api_page()
    explained = page.partition("| Status | Code | Meaning |")[2].partition("\n## ")[0]
    codes = {code for endpoint in ENDPOINTS for code in endpoint.errors}
    codes |= {kind.code for kind in refusals()}

    assert [code for code in sorted(codes) if f"| `{code}` |" not in explained] == []


def test_endpoints_that_take_a_password_name_every_rule_for_it() -> None:
    page = document.api_page()
    explained = page.partition("| Status | Code | Meaning |")[2].partition("\n## ")[0]

    assert set(re.findall(r"`(PW_\w+)`", explained)) == set(PASSWORD_RULES)


def test_codes_are_explained_once() -> None:
    """Beside a code that is the result of a request, and not a fault in it."""
    page = document.api_page()
    explained = page.partition("| Status | Code | Meaning |")[2].partition("\n## ")[0]
    rows = [line.split(" | ")[:2] for line in explained.splitlines() if line.startswith("| ")]
    codes = [code for status, code in rows if status != "| 200"]

    assert len(codes) == len(set(codes))


def test_check_tells_stale_pages_and_writes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --check it writes them, and is content afterwards."""
    monkeypatch.setattr(document, "DOCS", tmp_path / "docs")
    checking, writing = ["document", "--check"], ["document"]
    answers = []

    for arguments in (checking, writing, checking):
        monkeypatch.setattr(sys, "argv", arguments)
        answers.append((document.main(), capsys.readouterr().out.count("\n")))

    assert answers == [(1, len(document.PAGES)), (0, len(document.PAGES)), (0, 0)]


def test_every_rule_of_a_healthy_tree_is_explained() -> None:
    """With its severity, and nothing that is no rule."""
    page = (document.DOCS / "doctor.md").read_text(encoding="utf-8")
    told = [line.split(" | ")[0] for line in page.splitlines() if line.startswith("| `")]
    notes = {"error": "", "warning": " (warning)"}

    assert sorted(told) == sorted(f"| `{r.name}`{notes[r.severity]}" for r in RULES.values())


def test_the_manual_page_has_every_command() -> None:
    """Those of a group, too; groups of commands that call the API have pages of their own."""
    context = click.Context(cli.main)
    for group in ("admin", "directory", "token"):
        commands = cli.main.get_command(context, group)
        assert isinstance(commands, click.Group)
        apart = group in cli.main.made
        name = f"man/iredldap-{group}.1" if apart else "man/iredldap.1"
        page = (document.DOCS / name).read_text("utf-8")
        for word in commands.list_commands(context):
            words = word if apart else f"{group} {word}"
            assert f".SS {words}\n".replace("-", "\\-") in page
