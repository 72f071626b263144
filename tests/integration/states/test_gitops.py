"""`docs/gitops.md` shows what the commands print; `GITOPS_MD` names a file for today's output."""

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from iredldap.shipped import shipped
from tests.integration.commands.test_everyday_tasks import BLOCK, STARTED_IN, without_varying
from tests.support.client import Client, done
from tests.support.command_line import configured, run
from tests.support.databases import Urls
from tests.support.serving import Served

PAGE = shipped("docs/gitops.md")
FILE = "accounts.yaml"


@pytest.fixture
def here(
    served: Served, api: Client, tmp_path: Path, urls: Urls, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder with the file of the page, on the server of a domain without users."""
    done(api.post("/api/domain/example.com", defaultQuota=1024))
    configured(served, tmp_path, urls, monkeypatch)
    monkeypatch.chdir(tmp_path)
    block = re.search(r"(?<=```yaml\n)- kind.*?(?=```)", PAGE.read_text("utf-8"), re.DOTALL)
    assert block
    Path(FILE).write_text(block[0])
    return tmp_path


def lines_of(block: str) -> Iterator[str]:
    for line in block.splitlines():
        if line.startswith("$ "):
            yield f"{line}\n"
            program, *words = shlex.split(line[2:])
            if program == "iredldap":
                yield run(*words).output
            else:
                assert words[:1] == ["-i"]
                before, after = words[1].split("/")[1:3]
                Path(words[2]).write_text(Path(words[2]).read_text().replace(before, after))


def test_the_page_has_the_output_of_each_line(here: Path) -> None:
    page = PAGE.read_text("utf-8")
    made = BLOCK.sub(lambda block: "".join(lines_of(block[0])), page)
    if name := os.environ.get("GITOPS_MD"):
        Path(STARTED_IN, name).write_text(made, encoding="utf-8")
        page = made
    assert without_varying(made) == without_varying(page)
