"""Files of an installation."""

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iredldap.installation import (
    Value,
    changed,
    configuration,
    kept_secret,
    new_secret,
    secrets_folder,
    write_new,
    write_secret,
)


def test_settings_are_written_as_toml() -> None:
    """Texts, switches and lists, section by section."""
    sections: dict[str, dict[str, Value]] = {
        "api": {"enable_restful_api": True, "restful_api_clients": ["127.0.0.1", "::1"]},
        "ldap": {"suffix": 'dc="x",\\y', "uri": []},
    }
    text = configuration(sections)
    assert text.startswith("#")
    assert tomllib.loads(text) == sections


@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{1,8}", fullmatch=True),
        st.one_of(st.booleans(), st.text("a\"\\'#[]={} é", max_size=8), st.lists(st.text("a,\\"))),
    )
)
def test_what_is_written_is_read_again(settings: dict[str, Value]) -> None:
    """Quotes and backslashes included; a change has the same notation."""
    assert tomllib.loads(configuration({"api": settings})) == {"api": settings}
    assert tomllib.loads(changed("[api]\n", "api", settings)) == {"api": settings}


BEFORE = """\
# Ours.
[passwords]
# Chosen by the probe:
password_scheme = "SSHA512" \t
#min_length = 8
password_scheme_x = "y"

[ldap] # the directory
uri = ["ldap://a.test"]
"""


def test_a_change_keeps_comments_and_order() -> None:
    """Only the line of the setting is another."""
    text = changed(BEFORE, "passwords", {"password_scheme": "SSHA"})
    assert text == BEFORE.replace('"SSHA512"', '"SSHA"')


def test_a_new_setting_stands_in_its_section() -> None:
    """One that is commented out is not taken for it."""
    text = changed(BEFORE, "passwords", {"min_length": "9"})
    assert tomllib.loads(text)["passwords"]["min_length"] == "9"
    assert [line for line in text.splitlines() if line not in BEFORE.splitlines()] == [
        'min_length = "9"'
    ]
    assert "#min_length = 8" in text


def test_other_sections_are_not_touched() -> None:
    """Though they have a setting of that name."""
    text = changed("[a]\nx = 1\n[b]\nx = 2\n[c]\nx = 3\n", "b", {"x": "two"})
    assert text == '[a]\nx = 1\n[b]\nx = "two"\n[c]\nx = 3\n'


@pytest.mark.parametrize("before", ["", "# nothing\n", "[a]\nx = 1", "[a]\nx = 1\n\n\n"])
def test_a_section_is_added_at_the_end(before: str) -> None:
    """With an empty line before it."""
    text = changed(before, "b", {"x": ["y"]})
    assert tomllib.loads(text) == {**tomllib.loads(before), "b": {"x": ["y"]}}
    assert text.endswith('[b]\nx = ["y"]\n')
    assert not before or text.endswith('\n\n[b]\nx = ["y"]\n')


def test_a_change_made_twice_is_made_once() -> None:
    """The file does not grow."""
    settings: dict[str, Value] = {"verified_schemes": ["SSHA"], "password_scheme": "SSHA"}
    once = changed(BEFORE, "passwords", settings)
    assert changed(once, "passwords", settings) == once


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('[b]\nx = "y"', '[b]\nx = "z"'),
        ("[b]", '[b]\nx = "z"\n'),
        ('[b]\nx = [\n  "1",\n  "2",\n]\n', '[b]\nx = "z"\n'),
        ('[b]\nx = "y"  # ours\n', '[b]\nx = "z"  # ours\n'),
        ('[b]\n  x = "y"\n', '[b]\n  x = "z"\n'),
    ],
    ids=["no line end", "no line end of head", "list on lines", "comment behind", "indented"],
)
def test_a_setting_is_found_however_it_is_written(before: str, after: str) -> None:
    """An administrator may have formatted the file."""
    assert changed(before, "b", {"x": "z"}) == after


def test_a_secret_is_its_owners_alone(tmp_path: Path) -> None:
    """Made up where none is given, and kept."""
    path = tmp_path / "secrets" / "key"
    secret = kept_secret(path)
    assert len(secret) >= 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert kept_secret(path) == secret
    assert path.read_text() == f"{secret}\n"


def test_a_new_secret_is_never_taken_for_an_option() -> None:
    """`ldapsearch -w` and others take what begins with a dash for one."""
    made = {new_secret() for _ in range(1000)}

    assert len(made) == 1000
    assert [secret for secret in made if not re.fullmatch(r"\w{32}", secret, re.ASCII)] == []


def test_no_secret_is_overwritten(tmp_path: Path) -> None:
    """A session key that is gone ends every session, and a password the service."""
    path = tmp_path / "key"
    write_secret(path, "first")
    for _ in range(2):
        with pytest.raises(FileExistsError):
            write_secret(path, "second")
    assert kept_secret(path) == "first"


def test_files_are_written_all_or_none(tmp_path: Path) -> None:
    """What was made before the one that fails is taken away, what was there is not."""
    there = tmp_path / "there"
    there.write_text("kept")
    private = tmp_path / "new" / "folder" / "private"
    files = {private: ("secret", 0o600), tmp_path / "a": ("a", 0o666)}
    with pytest.raises(FileExistsError):
        write_new({**files, there: ("lost", 0o666)})
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"there": "kept"}
    write_new(files)
    assert private.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "a").read_text() == "a"


@pytest.mark.parametrize(
    ("file", "folder"),
    [
        ("iredldap.toml", "iredldap.d"),
        ("other.toml", "other.d"),
        ("a.b.toml", "a.b.d"),
        ("plain", "plain.d"),
        ("x.d", "x.d.d"),
        ("x.conf", "x.conf.d"),
        (".toml", ".toml.d"),
    ],
)
def test_secrets_lie_beside_their_configuration(tmp_path: Path, file: str, folder: str) -> None:
    """Under its name, and never under the name of the file itself."""
    assert secrets_folder(tmp_path / file) == tmp_path / folder


def test_two_secrets_differ(tmp_path: Path) -> None:
    """They come from the system's source of randomness."""
    assert write_secret(tmp_path / "a") != write_secret(tmp_path / "b")
