"""`docs/commands.md` shows what the commands print.

`COMMANDS_MD` names a file for the page with today's output, and `TERMINAL_SVG` one for the picture
of a session; `make screenshot` takes both.
"""

import io
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from iredldap.shipped import shipped
from tests.support.command_line import configured, run
from tests.support.databases import Urls
from tests.support.serving import Served

STARTED_IN = Path.cwd()
PAGE = shipped("docs/commands.md")
BLOCK = re.compile(r"(?<=```console\n).*?(?=```)", re.DOTALL)
VARYING = (
    (re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "ID"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "TIME"),
    (re.compile(r"-\d{4}(?:\.\d\d){5}/"), "-TIME/"),
    (re.compile(r"unix:[\w-]+"), "unix:NAME"),
)
SESSION = (
    "iredldap domain create example.com",
    "iredldap user create ann@example.com --name 'Ann Smith' --password-file new-password",
    "iredldap user create bob@example.com --name 'Bob Brown' --password-file new-password",
    "iredldap user list example.com",
    "iredldap user update amn@example.com --add-alias sales@example.com",
    "iredldap user update ann@example.com --add-alias sales@example.com",
    "iredldap resolve sales@example.com",
    "iredldap user disable bob@example.com --dry-run",
    "iredldap changes --limit 1",
)


@pytest.fixture
def here(served: Served, tmp_path: Path, urls: Urls, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a password, on the server."""
    configured(served, tmp_path, urls, monkeypatch)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "new-password").write_text("correct horse 2\n")
    return tmp_path


class Shell:
    """Runs lines; an ID in one is that of the last change that was printed."""

    last = ""

    def output(self, line: str) -> str:
        program, *words = shlex.split(line)
        assert program == "iredldap"
        told = run(*(self.last if word == "ID" else word for word in words)).output
        if found := VARYING[0][0].findall(told):
            self.last = found[-1]
        return told


def without_varying(text: str) -> str:
    for pattern, word in VARYING:
        text = pattern.sub(word, text)
    return text


def test_the_page_has_the_output_of_each_line(here: Path) -> None:
    """All of them in their order, on one directory; what varies is left out."""
    page = PAGE.read_text(encoding="utf-8")
    shell = Shell()

    def with_output(block: re.Match[str]) -> str:
        return "".join(lines_of(block[0], shell))

    made = BLOCK.sub(with_output, page)
    if name := os.environ.get("COMMANDS_MD"):
        Path(STARTED_IN, name).write_text(made, encoding="utf-8")
        page = made
    assert without_varying(made) == without_varying(page)
    assert page.count("$ iredldap ") >= 10


def lines_of(block: str, shell: Shell) -> Iterator[str]:
    for line in block.splitlines():
        if line.startswith("$ "):
            typed = VARYING[0][0].sub("ID", line[2:])
            shown = typed.removesuffix("ID") + shell.last if typed.endswith(" ID") else typed
            yield f"$ {shown}\n"
            yield shell.output(typed)


def test_a_session_can_be_shown_as_a_picture(here: Path, tmp_path: Path) -> None:
    """Of real commands; the reader sees tables, a suggestion and a dry run."""
    screen = Console(record=True, width=96, file=io.StringIO(), color_system="truecolor")
    shell = Shell()
    for line in SESSION:
        screen.print(Text.assemble(("$ ", "bold green"), (line, "bold")))
        told = shell.output(line).rstrip("\n")
        screen.print(Text(told, "red" if told.startswith("Error") else ""))
    picture = screen.export_svg(title="iredldap", unique_id="terminal")
    path = Path(STARTED_IN, os.environ.get("TERMINAL_SVG") or tmp_path / "terminal.svg")
    path.write_text(picture, encoding="utf-8")
    assert "did&#160;you&#160;mean&#160;ann@example.com?" in picture
