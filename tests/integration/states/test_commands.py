"""The commands `snapshot`, `diff` and `apply`, on the server and from elsewhere."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from iredldap.commands.logs import errors_only_logged
from tests.support.client import Client, done
from tests.support.command_line import configured, run
from tests.support.databases import Urls
from tests.support.serving import Served
from tests.support.world import World

PASSWORD = "a good password"
Way = tuple[str, ...]
OF_USERS = ("users:read", "users:create", "users:update", "users:delete")


@pytest.fixture(params=["local", "remote"])
def way(
    request: pytest.FixtureRequest,
    served: Served,
    api: Client,
    tmp_path: Path,
    urls: Urls,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Way]:
    """Options by which commands find the API: none on the server."""
    done(api.post("/api/domain/home.test"))
    for name in ("ann", "bob"):
        done(api.post(f"/api/user/{name}@home.test", password=PASSWORD, name=name))
    if request.param == "local":
        configured(served, tmp_path, urls, monkeypatch)
        yield ()
        return
    scopes = ",".join(("domains:read", "passwords:update", "jobs:read", *OF_USERS))
    token = api.post("/api/tokens", name="git", scopes=scopes).json()["_data"]
    monkeypatch.setenv("IREDLDAP_TOKEN", token["secret"])
    # The server is in this process, too.
    with errors_only_logged("refused"):
        yield ("--url", api.url)


@pytest.mark.parametrize("words", [("--prun",), ("--format", "xml"), ("--config", "nowhere.toml")])
def test_only_a_difference_ends_with_two(words: tuple[str, ...], tmp_path: Path) -> None:
    """A check in a repository lets 2 pass, and nothing was compared here."""
    path = tmp_path / "state.ndjson"
    path.write_text('{"kind": "domain", "domain": "home.test"}\n')
    ended = run("diff", *words, path)
    assert (ended.exit_code, ended.stdout) == (1, ""), ended.output


def test_a_state_is_compared_and_applied(way: Way, world: World, tmp_path: Path) -> None:
    path = tmp_path / "state.ndjson"
    written = run("snapshot", "home.test", *way)
    assert (written.exit_code, written.stderr) == (0, ""), written.output
    path.write_text(written.stdout)
    same = run("diff", path, *way)
    assert same.exit_code == 0, same.output
    assert (same.exit_code, same.stdout) == (0, "0 changes would be made, 3 unchanged\n")

    lines = [json.loads(line) for line in written.stdout.splitlines()]
    kept = [line for line in lines if line.get("mail") != "bob@home.test"]
    next(line for line in kept if line.get("mail") == "ann@home.test")["name"] = "Ann Smith"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in kept))
    before = world.snapshot()
    differing = run("diff", "--prune", path, *way)
    assert differing.exit_code == 2, differing.output
    assert differing.stdout.splitlines()[1].split() == [
        *("updated", "user", "ann@home.test", "name", "ann", "Ann", "Smith")
    ]
    assert differing.stdout.splitlines()[-1] == (
        "2 changes would be made (1 updated, 1 deleted), 1 unchanged"
    )
    records = run("diff", "--prune", "--format", "ldif", path, *way).stdout
    assert "replace: cn\ncn: Ann Smith\n" in records
    assert "changetype: delete" in records
    asked = run("apply", "--prune", path, *way)
    assert asked.exit_code == 2, asked.output
    assert "delete user bob@home.test" in asked.stderr
    assert world.snapshot() == before

    applied = run("apply", "--prune", "--yes", path, *way)
    assert applied.exit_code == 0, applied.output
    assert applied.stdout.endswith("2 changes (1 updated, 1 deleted), 1 unchanged\n")
    again = run("apply", "--prune", path, *way)
    assert (again.exit_code, again.stdout) == (0, "0 changes, 2 unchanged\n")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('"kind": "user", "quotta": 5', "user x@home.test: refused: INVALID_PARAMETER: quotta"),
        ('"kind": "alias", "quotta": 5', "alias x@home.test: refused: "),
        ('"kind": "usr"', "x@home.test: refused: INVALID_FILE: kind"),
    ],
    ids=["unknown", "of another kind", "no kind"],
)
def test_a_difference_is_refused_as_the_run_is(
    way: Way, world: World, tmp_path: Path, line: str, told: str
) -> None:
    path = tmp_path / "state.ndjson"
    path.write_text(f'{{{line}, "mail": "x@home.test", "password": "{PASSWORD}"}}\n')
    for words in (("diff",), ("apply",)):
        ended = run(*words, path, *way)
        assert ended.exit_code == 1, ended.output
        assert ended.stderr.startswith(f"line 1: {told}"), ended.output


@pytest.mark.parametrize("way", ["remote"], indirect=True)
def test_a_refused_line_names_the_scope_that_the_token_lacks(way: Way, tmp_path: Path) -> None:
    path = tmp_path / "state.ndjson"
    path.write_text('{"kind": "domain", "domain": "home.test", "name": "Home"}\n')
    ended = run("apply", path, *way)
    assert ended.exit_code == 1, ended.output
    assert "PERMISSION_DENIED: " in ended.stderr
    assert "the token lacks the scope domains:update" in ended.stderr, ended.stderr


def test_refused_lines_are_named(way: Way, tmp_path: Path) -> None:
    path = tmp_path / "state.yaml"
    path.write_text(
        "- {kind: user, mail: ann@home.test, quota: much}\n"
        f"- {{kind: user, mail: eve@home.test, password: {PASSWORD}}}\n"
    )
    applied = run("apply", path, *way)
    assert applied.exit_code == 1, applied.output
    assert applied.stderr.startswith(
        "line 1: user ann@home.test: refused: INVALID_PARAMETER: quota"
    )
    assert applied.stdout.endswith("1 changes (1 created, 1 refused), 0 unchanged\n")
    bad = run("apply", "-", *way, typed="{")
    assert (bad.exit_code, bad.stdout) == (1, "")
    assert "INVALID_FILE" in bad.stderr
