"""The command `iredldap doctor` on files, which need no server."""

import base64
import gzip
import json
from collections.abc import Iterable
from pathlib import Path

import pytest
import zstandard
from click.testing import CliRunner, Result

from iredldap.cli import main
from iredldap.dit.names import Tree
from tests.unit.dit.test_consistency import healthy

TREE = Tree("dc=x,dc=y")


def ldif(tree: dict[str, dict[str, list[str]]]) -> bytes:
    records = (
        "".join((f"dn: {dn}\n", *(f"{name}: {v}\n" for name, vs in held.items() for v in vs)))
        for dn, held in tree.items()
    )
    return "\n".join(records).encode()


def doctor(*arguments: str | Path, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["doctor", *map(str, arguments)], input=stdin)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A healthy tree."""
    path = tmp_path / "all.ldif"
    path.write_bytes(ldif(healthy()))
    return path


@pytest.fixture
def sick(tmp_path: Path) -> Path:
    """A tree with an error and a warning."""
    tree = healthy()
    tree[TREE.user("bob@b.test")]["mailForwardingAddress"] = ["ghost@b.test"]
    tree[TREE.domain("b.test")]["enabledService"].append("domainalias")
    path = tmp_path / "sick.ldif"
    path.write_bytes(ldif(tree))
    return path


def test_a_healthy_file_ends_with_0(file: Path) -> None:
    """And says how much was judged."""
    told = doctor("--ldif", file)
    assert (told.exit_code, told.output) == (
        0,
        f"0 errors, 0 warnings in {len(healthy())} entries\n",
    )


def test_broken_rules_are_told_with_dn_and_reason(sick: Path) -> None:
    """A line each, ordered by DN; an error makes the status 1."""
    told = doctor("--ldif", sick)
    warning, error, summary = told.output.splitlines()
    assert told.exit_code == 1
    assert warning.startswith(f"warning: domainalias-stale: {TREE.domain('b.test')}: ")
    assert error == (
        f"error: reference-dangling: {TREE.user('bob@b.test')}: mailForwardingAddress names"
        " ghost@b.test, which no account has"
    )
    assert summary.startswith("1 errors, 1 warnings in ")


def test_programs_get_an_object_a_line(sick: Path) -> None:
    """The summary comes last."""
    told = doctor("--ldif", sick, "--json")
    *found, last = map(json.loads, told.output.splitlines())
    assert told.exit_code == 1
    assert [(one["rule"], one["severity"], one["dn"]) for one in found] == [
        ("domainalias-stale", "warning", TREE.domain("b.test")),
        ("reference-dangling", "error", TREE.user("bob@b.test")),
    ]
    assert all(one["reason"] for one in found)
    assert last == {
        "summary": {
            "entries": len(healthy()),
            "errors": 1,
            "warnings": 1,
            "rules": {"domainalias-stale": 1, "reference-dangling": 1},
        }
    }


@pytest.mark.parametrize(
    ("rules", "status", "lines"),
    [
        (("domainalias-stale",), 0, 2),
        (("reference-dangling",), 1, 2),
        (("mailbox-shared",), 0, 1),
        (("reference-dangling", "domainalias-stale"), 1, 3),
    ],
)
def test_only_the_rules_asked_for_are_told(
    sick: Path, rules: Iterable[str], status: int, lines: int
) -> None:
    """Warnings alone, and rules that hold, leave the status at 0."""
    told = doctor("--ldif", sick, *(word for rule in rules for word in ("--rule", rule)))
    assert (told.exit_code, len(told.output.splitlines())) == (status, lines)


@pytest.mark.parametrize("packed", [gzip.compress, zstandard.compress, bytes])
def test_packed_files_and_standard_input_are_read(file: Path, packed: object) -> None:
    """As `ldif-export verify` reads them."""
    assert callable(packed)
    data = packed(file.read_bytes())
    file.write_bytes(data)
    assert doctor("--ldif", file).exit_code == 0
    assert doctor("--ldif", "-", stdin=data).exit_code == 0


def test_names_of_attributes_may_have_any_case(tmp_path: Path) -> None:
    """As some exports spell them."""
    tree = {
        dn: {name.lower(): values for name, values in held.items()}
        for dn, held in healthy().items()
    }
    path = tmp_path / "lower.ldif"
    path.write_bytes(ldif(tree))
    assert doctor("--ldif", path).exit_code == 0


def test_another_suffix_can_be_named(file: Path) -> None:
    """Then the entries of that tree alone are judged, and here there are none."""
    assert doctor("--ldif", file, "--suffix", "dc=x, dc=y").exit_code == 0
    told = doctor("--ldif", file, "--suffix", "dc=elsewhere")
    assert [line.split(": ")[1] for line in told.output.splitlines()[:-1]] == [
        "global-admin-missing"
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "no entry of an iRedMail directory"),
        (b"dn: dc=x\ndc: x\n", "no entry of an iRedMail directory"),
        (b"nonsense\n", "a record does not begin with dn:"),
        (b"dn: o=domains,dc=x\no: domains\n\ndn: dc=y\nobjectClass", "no colon"),
        (gzip.compress(b"dn: o=domains,dc=x\no: domains\n")[:-9], "the data end too early"),
    ],
)
def test_a_file_that_is_not_whole_is_not_judged(tmp_path: Path, text: bytes, reason: str) -> None:
    """What is missing in it would be told as an error of the tree."""
    path = tmp_path / "bad.ldif"
    path.write_bytes(text)
    told = doctor("--ldif", path)
    assert told.exit_code == 2
    assert reason in told.output
    assert "errors" not in told.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("--ldif", "/no/such/file"),
        ("--ldif", "/"),
        ("--config", "/no/such/file"),
        ("--suffix", "dc=x"),
        ("--ldif", "-", "--suffix", "nonsense"),
        ("--rule", "no-such-rule"),
        ("--unknown",),
        ("surplus",),
    ],
)
def test_a_wrong_command_line_ends_with_2(arguments: tuple[str, ...]) -> None:
    """As does a configuration that cannot be read."""
    assert doctor(*arguments).exit_code == 2


def test_control_characters_of_a_value_are_not_sent_to_a_terminal(tmp_path: Path) -> None:
    """An entry may hold what whoever wrote it liked."""
    tree = healthy()
    path = tmp_path / "rude.ldif"
    path.write_bytes(ldif(tree) + b"\ndn:: " + rude_dn() + b"\nobjectClass: mailUser\n")
    told = doctor("--ldif", path)
    assert told.exit_code == 1
    assert "\x1b" not in told.output
    assert "\\x1b" in told.output


def rude_dn() -> bytes:
    return base64.b64encode(f"mail=\x1b[2J@b.test,ou=Users,{TREE.domain('b.test')}".encode())
