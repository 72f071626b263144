"""Linters find no fault with the served document, and warn of nothing but what is named here."""

import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch

import pytest

from tests.clients.conftest import HERE, Workshop

NAMED = tomllib.loads((HERE / "warnings.toml").read_text(encoding="utf-8"))["warning"]


@dataclass(frozen=True)
class Finding:
    """What a linter says, with the place by its keys from the top of the document."""

    rule: str
    place: str
    text: str
    is_error: bool


def spectral(workshop: Workshop) -> Iterator[Finding]:
    """All of its own rules for OpenAPI."""
    (workshop.folder / "rules.yaml").write_text("extends: [[spectral:oas, all]]\n")
    said = workshop.npm_tool(
        *("spectral", "lint", "--ruleset", "rules.yaml", "--format", "json", "--quiet"),
        *("--fail-severity", "error", workshop.document),
    )
    for found in json.loads(said or "[]"):
        place = "/".join(map(str, found["path"]))
        yield Finding(found["code"], place, found["message"], found["severity"] == 0)


def redocly(workshop: Workshop) -> Iterator[Finding]:
    """The rules that it recommends."""
    said = workshop.npm_tool("redocly", "lint", "--format", "json", workshop.document)
    for found in json.loads(said)["problems"]:
        place = found["location"][0]["pointer"].removeprefix("#/").replace("~1", "/")
        yield Finding(found["ruleId"], place, found["message"], found["severity"] == "error")


LINTERS = {"spectral": spectral, "redocly": redocly}


@pytest.mark.parametrize("name", ["spectral", "redocly"])
def test_linters(workshop: Workshop, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """No error, each warning named in `warnings.toml`, and none there that is not said."""
    monkeypatch.setenv("REDOCLY_TELEMETRY", "off")
    monkeypatch.setenv("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true")
    found = [*LINTERS[name](workshop)]
    named = [row for row in NAMED if row["linter"] == name]

    def names(row: dict[str, str], finding: Finding) -> bool:
        return row["rule"] == finding.rule and fnmatch(finding.place, row["place"])

    assert [f for f in found if f.is_error or not any(names(row, f) for row in named)] == []
    assert [row for row in named if not any(names(row, finding) for finding in found)] == []
