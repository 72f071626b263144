"""What a clone says of itself: pages lead where they say, its license is the declared one."""

import configparser
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])

_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def _anchors(page: Path) -> Iterator[str]:
    """Names by which a viewer finds the headings of a page."""
    for heading in re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE):
        yield re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _broken(page: Path) -> Iterator[str]:
    for link in _LINK.findall(_FENCED.sub("", page.read_text(encoding="utf-8"))):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            yield link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    """Files and headings within the project."""
    assert list(_broken(page)) == []


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_files_that_a_page_names_exist(page: str) -> None:
    """Where to change something is found by its path."""
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:iredldap|ldif_export|tests|tools|docs|deploy)/[\w./]*)`", text))

    assert named
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_names_to_change_are_defined_where_the_page_says() -> None:
    """`NAME` in `file.py`, as the table of CONTRIBUTING.md has it."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\|.*?\| ?[^|]*?((?:`\w+`(?: and )?)+) in `(\S+\.py)`", text, re.MULTILINE)
    named = [(name, file) for names, file in rows for name in re.findall(r"`(\w+)`", names)]

    assert {"SERVICES", "COLUMNS", "operation_timeout"} <= {name for name, _ in named}
    for name, file in named:
        source = (ROOT / file).read_text(encoding="utf-8")
        assert re.search(rf"^\s*{name}\b[^=\n]*=", source, re.MULTILINE), f"{name} in {file}"


def test_a_broken_link_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A b\n[1](#a-b) [2](#c) [3](page.md#a-b) [4](none.md) [5](https://a.test/x)\n"
    )

    assert list(_broken(page)) == ["#c", "none.md"]


@pytest.mark.parametrize(
    "folder", ["", "docs", "iredldap", "ldif_export", "tools", "tests", "deploy"]
)
def test_no_index_is_asked_for_the_program(folder: str) -> None:
    """Anybody could register its name there: pip is told of a checkout, and of extras by `.[…]`."""
    # The bracket is escaped for this file, which is read too.
    asking = re.compile(
        r"iredldap\x5b|pip3? install [^\n`]*(?<![\w/.\x5b-])(iredldap|ldif.export)\b(?![/.])"
    )
    files = (ROOT / folder).glob("**/*" if folder else "*")
    kinds = {".py", ".md", ".cfg", ".toml", ".txt", ".service", ".conf", ".1"}
    texts = {file: file.read_text(encoding="utf-8") for file in files if file.suffix in kinds}

    assert texts
    assert [
        (file.name, found[0]) for file, text in texts.items() for found in asking.finditer(text)
    ] == []


def test_the_license_is_the_one_declared() -> None:
    """Its whole text, and those of what is shipped along."""
    metadata = configparser.ConfigParser()
    metadata.read(ROOT / "setup.cfg", encoding="utf-8")
    declared = metadata["metadata"]
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")

    assert declared["license_expression"] == "Apache-2.0"
    assert "Apache License\n" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
    files = declared["license_files"].split()
    shipped = {str(path.relative_to(ROOT)) for path in ROOT.glob("reference/**/*LICENSE*")}
    assert {"LICENSE", *shipped} <= set(files)
    assert [file for file in files if not (ROOT / file).exists()] == []


def test_every_decision_has_a_number_of_its_own() -> None:
    """The same in the name of its page and in its heading."""
    pages = sorted(ROOT.glob("docs/decisions/*.md"))
    numbers = [int(page.name[:4]) for page in pages]

    assert len(numbers) == len({*numbers})
    for page, number in zip(pages, numbers, strict=True):
        assert page.read_text(encoding="utf-8").startswith(f"# {number}. "), page


def test_a_release_has_each_kind_of_change_once() -> None:
    """In one list each, in this order."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    kinds = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
    for release in text.split("\n## ")[1:]:
        found = re.findall(r"^### (.+)$", release, re.MULTILINE)
        assert found == [kind for kind in kinds if kind in found], release.partition("\n")[0]
        assert not re.search(r"^(?:- |  ).*\n\n+(?:- |  )", release, re.MULTILINE)
