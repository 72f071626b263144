"""`docs/gitops.md` shows what the commands print; `GITOPS_MD` names a file for today's output."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from iredldap.config.reader import CONFIG_VARIABLE
from iredldap.shipped import shipped
from tests.integration.commands.test_everyday_tasks import BLOCK, STARTED_IN, without_varying
from tests.support.client import done
from tests.support.command_line import run
from tests.support.development import Running, running
from tests.support.patience import PATIENCE
from tests.support.user_files import HASH

PAGE = shipped("docs/gitops.md")
FILE = "accounts.yaml"
NAMES = ("zoe", "bob", "eve")


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """What `make run` starts, with a domain without users."""
    with running(tmp_path_factory.mktemp("gitops") / "var") as started:
        done(started.client().post("/api/domain/example.com", defaultQuota=1024))
        yield started


@pytest.fixture
def here(system: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the file of the page, on that server."""
    monkeypatch.setenv(CONFIG_VARIABLE, system.fact("config"))
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


class Repository:
    """A repository, and the machine that runs its workflow.

    Args:
        folder: Of the checkout.
        url: Of the API.
    """

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        programs = folder.parent / "bin"
        programs.mkdir()
        program = programs / "iredldap"
        program.write_text(f"#!{sys.executable}\nfrom iredldap.cli import main\nmain()\n")
        program.chmod(0o755)
        self.variables = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(sys.path),
            "HOME": str(folder.parent),
            "IREDLDAP_URL": url,
            **{
                f"GIT_{role}_{fact}": "ann@example.com"
                for role in ("AUTHOR", "COMMITTER")
                for fact in ("NAME", "EMAIL")
            },
        }

    def run(self, line: str, **more: str) -> str:
        """Run a line in a shell; what it prints on standard error is no success."""
        made = subprocess.run(
            ["bash", "-ec", line],
            cwd=self.folder,
            env=self.variables | more,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert made.returncode == 0, made.stdout + made.stderr
        return made.stdout


def block_with(word: str) -> str:
    """The block of the page without a language that has a word."""
    blocks = re.findall(r"(?<=```\n).*?(?=```)", PAGE.read_text("utf-8"), re.DOTALL)
    return str(next(block for block in blocks if word in block and "$ " not in block))


def test_a_repository_is_looked_at_in_a_pull_request_and_applied_when_it_is_merged(
    system: Running, tmp_path: Path
) -> None:
    """By the lines of the page, from elsewhere, with its token; judged by what Postfix finds."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git = Repository(folder, system.fact("url"))
    admin = system.fact("admin")
    making = block_with("token create").replace("root@example.com", admin)
    secret = git.run(making, **{CONFIG_VARIABLE: system.fact("config"), "IREDLDAP_URL": ""})
    git.variables["IREDLDAP_TOKEN"] = secret.strip()
    api = system.client()
    for name in ("bob", "eve"):
        done(api.post(f"/api/user/{name}@example.com", password="a good password", name=name))
    in_pull_request, on_merge = re.findall(r"run: (iredldap .*)", PAGE.read_text("utf-8"))

    git.run("git init -q -b main && " + block_with("snapshot example.com --kind"))
    git.run("git add . && git commit -qm 'What there is' && git checkout -qb change")
    assert "0 changes would be made" in git.run(in_pull_request)
    file = folder / "state.ndjson"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    bob = next(line for line in lines if line.get("mail") == "bob@example.com")
    new = {"kind": "user", "mail": "zoe@example.com", "password_hash": HASH, "name": "Zoe"}
    changed = [line for line in lines if line.get("mail") != "eve@example.com"]
    changed[changed.index(bob)] = bob | {"name": "Bob Brown"}
    file.write_text("".join(f"{json.dumps(line)}\n" for line in (*changed, new)))
    git.run("git commit -qam 'Bob has a name, Zoe comes, Eve leaves'")

    told = git.run(in_pull_request)
    assert [line.split()[:3] for line in told.splitlines()[1:-1]] == [
        ["updated", "user", "bob@example.com"],
        ["created", "user", "zoe@example.com"],
        ["deleted", "user", "eve@example.com"],
    ]
    assert system.entry(system.user_dn("eve@example.com")), "a pull request changes nothing"
    git.run("git checkout -q main && git merge -q change")
    assert "3 changes (1 created, 1 updated, 1 deleted)" in git.run(on_merge)
    found = {name: system.entry(system.user_dn(f"{name}@example.com")) for name in NAMES}
    assert found["eve"] is None
    assert found["zoe"]
    assert found["bob"]
    assert found["bob"]["cn"] == [b"Bob Brown"]
    assert "0 changes" in git.run(on_merge)
    logged = api.get("/api/changes", account="bob@example.com", limit="1").json()["_data"]
    assert (logged[0]["admin"], bool(logged[0]["token"])) == (admin, True)
