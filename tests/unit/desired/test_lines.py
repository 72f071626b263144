"""Lines of a state: what is no line is refused with a code before anything is compared."""

import io
import json
from typing import Any

import pytest

from iredldap.desired import lines
from iredldap.desired.differences import subscriptions
from iredldap.desired.lines import WantedState
from iredldap.dit import passwords
from iredldap.errors import InvalidFile, Malformed
from iredldap.web.resources.state_work import dumped, loaded


def read(objects: list[dict[str, Any]]) -> WantedState:
    text = "".join(json.dumps(one) + "\n" for one in objects)
    return lines.read(io.BytesIO(text.encode()))


BOMB = "- &a [x, x]\n- &b [*a, *a]\n- {kind: user, mail: a@b.test, name: *b}\n"


@pytest.mark.parametrize(
    ("text", "format_"),
    [
        (BOMB, "yaml"),
        ("- {<<: &a {kind: user}, mail: a@b.test}\n- *a\n", "yaml"),
        ('{"kind": "snapshot", "version": 1, "domains": [{}], "kinds": []}', None),
        ('{"kind": "snapshot", "version": 1, "domains": "some", "kinds": []}', None),
        ('{"kind": "snapshot", "version": 1, "domains": "all", "kinds": [[]]}', None),
        ("- 1\n", "yaml"),
        (f"x{'.y' * 100_000} = 1", "toml"),
        ("- " * 100_000 + "x", "yaml"),
        ("[" * 100_000, "yaml"),
        ("[" * 100_000, None),
        ("- ? [1]\n  : 2\n- ? {a: b}\n  : c\n", "yaml"),
        ("- {kind: user, mail: a@b.test, name: !!bool foo}", "yaml"),
        ("- {kind: user, mail: a@b.test, quota: !!int ''}", "yaml"),
        ("- {kind: user, mail: a@b.test, name: !!timestamp foo}", "yaml"),
        (f"- {{kind: user, mail: a@b.test, quota: 1{':1' * 200_000}}}", "yaml"),
        ('{"kind": "snapshot", "version": true, "domains": "all", "kinds": []}', None),
        ('{"kind": "snapshot", "version": 1, "domains": "all", "kinds": ["users"]}', None),
        ('{"kind": "snapshot", "version": 1, "domains": ["a b"], "kinds": []}', None),
        ('{"kind": "snapshot", "version": 1, "domains": "all", "kinds": []}\n' * 2, None),
    ],
    ids=range(19),
)
def test_what_is_no_state_is_refused_as_a_whole(text: str, format_: str | None) -> None:
    with pytest.raises(InvalidFile):
        lines.read(io.BytesIO(text.encode()), format_)


@pytest.mark.parametrize(
    ("text", "format_", "limit"),
    [
        ("[]" * 60, "yaml", "_MOST_BY_HAND"),
        ("x = 1\n" * 20, "toml", "_MOST_BY_HAND"),
        (f"[{', '.join(['{}'] * 40)}]", None, "_MOST_AT_ONCE"),
        (json.dumps({"kind": "user", "name": "x" * 100}), None, "_MOST_AT_ONCE"),
        ("\n" * 101, None, "_MOST_WITH_BLANKS"),
        ("{}\n" * 101, None, "MOST_LINES"),
    ],
    ids=range(6),
)
def test_a_state_that_is_too_large_is_refused(
    text: str, format_: str | None, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of its limits is one of memory, and is met before the memory is taken."""
    monkeypatch.setattr(lines, limit, 100)
    with pytest.raises(InvalidFile):
        lines.read(io.BytesIO(text.encode()), format_)


ODD: list[tuple[str, dict[str, Any]]] = [
    ("subscribers", {"kind": "ml", "mail": "x@a.test", "subscribers": []}),
    ("subscribers", {"kind": "ml", "mail": "x@a.test", "subscribers": "y@a.test"}),
    ("subscribers", {"kind": "ml", "mail": "x@a.test", "subscribers": {"normal": "y@a.test"}}),
    ("subscribers", {"kind": "ml", "mail": "x@a.test", "subscribers": {"other": []}}),
    ("subscribers", {"kind": "maillist", "mail": "x@a.test", "subscribers": {}}),
    ("name", {"kind": "user", "mail": "x@a.test", "name": {"a": 1}}),
    ("name", {"kind": "user", "mail": "x@a.test", "name": [["a"]]}),
    ("name", {"kind": "user", "mail": "x@a.test", "name": "\ud800"}),
    ("quota", {"kind": "user", "mail": "x@a.test", "quota": 10**30}),
]


@pytest.mark.parametrize(("parameter", "line"), ODD, ids=range(len(ODD)))
def test_a_member_that_is_none_refuses_its_line(parameter: str, line: dict[str, Any]) -> None:
    good = {"kind": "user", "mail": "good@a.test"}
    first, second = read([line, good]).lines
    assert isinstance(first.refusal, Malformed)
    assert first.refusal.parameters == (parameter,)
    assert second.refusal is None


@pytest.mark.parametrize("text", ["2020-01-01: x", f"quota: 0x{'f' * 5000}", "1: x"])
def test_values_of_yaml_that_json_has_not(text: str) -> None:
    written = f"- kind: user\n  mail: x@a.test\n  {text}\n"
    (line,) = lines.read(io.BytesIO(written.encode()), "yaml").lines
    assert isinstance(line.refusal, InvalidFile)


def test_a_stored_state_is_the_same_and_has_nothing_unknown() -> None:
    """Such as a password under a misspelt name, by which its line is refused all the same."""
    written: list[dict[str, Any]] = [
        {"kind": "snapshot", "version": 1, "domains": "all", "kinds": ["user"]},
        {"kind": "user", "mail": "a@a.test", "name": "A", "id": "X-1", "quota": 7},
        {"kind": "user", "mail": "b@a.test", "Passwort": "secret"},
        {"kind": "usr", "mail": "c@a.test", "password": "secret"},
        {"kind": "user", "mail": "A@a.test", "password": "secret"},
        {"kind": "user", "mail": "nobody", "password": "secret"},
    ]
    state = read(written)
    text = b"".join(dumped(state, {"user": ["name", "quota"]}))
    assert b"secret" not in text
    found = loaded(io.BytesIO(text))
    assert (found.addresses, found.has_hashes) == (state.addresses, state.has_hashes)
    assert found.covers == state.covers
    for before, after in zip(state.lines, found.lines, strict=True):
        assert (before.number, before.kind, before.name, before.id) == (
            *(after.number, after.kind, after.name, after.id),
        )
        assert before.params.keys() == after.params.keys()
        assert (before.refusal and before.refusal.codes) == (after.refusal and after.refusal.codes)
    assert found.lines[0].params == {"name": "A", "quota": 7}
    assert found.lines[1].params == {"Passwort": ""}


def test_subscribers_come_and_go_by_the_kind_of_their_membership() -> None:
    held = {"normal": ["a", "b"], "digest": ["c"]}
    assert subscriptions(held, held) == []
    assert subscriptions(held, {"normal": ["a"], "nomail": ["c", "d"]}) == [
        {"remove_subscribers": ["b"]},
        {"add_subscribers": ["c", "d"], "subscription": ["nomail"], "require_confirm": ["no"]},
    ]


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("{SSHA512}x", True),
        ("{ssha}x", True),
        ("{SMD5}x", True),
        ("{CRYPT}$6$salt$x", True),
        ("{BLF-CRYPT}$2y$10$x", True),
        ("{CRYPT}ab1234567890.", False),
        ("{SHA}x", False),
        ("{MD5}x", False),
        ("{SHA512}x", False),
        ("x", False),
    ],
)
def test_what_nobody_can_guess_has_a_salt(text: str, has: bool) -> None:
    assert passwords.has_salt(text) is has


def test_two_lines_with_one_id_are_no_wish() -> None:
    """The one thing would be renamed twice, and a line would create another one."""
    found = read([
        {"kind": "user", "mail": f"{name}@b.test", "id": "11111111-2222-3333-4444-555555555555"}
        for name in "xy"
    ]).lines  # fmt: skip
    assert [line.refusal is None for line in found] == [True, False]


def test_what_is_covered_is_named_in_one_spelling() -> None:
    found = read([{"kind": "snapshot", "version": 1, "domains": ["B.Test"], "kinds": ["user"]}])
    assert found.covers
    assert found.covers["domains"] == ["b.test"]


def test_nothing_is_an_empty_text() -> None:
    """Not the word `None`, which was written into a directory."""
    nothing: tuple[object, ...] = (None, "", [])
    assert [lines.form_values(value) for value in nothing] == [[""]] * 3
