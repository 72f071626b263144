"""Commands are made from the rows of the API: all of it can be called, and it is quick."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from iredldap.cli import main
from iredldap.commands.api.building import RowCommand
from iredldap.commands.api.connect import TOKEN_VARIABLE, URL_VARIABLE
from iredldap.commands.api.options import spelled
from iredldap.commands.api.rows import calls
from iredldap.commands.lazy import LazyGroup
from iredldap.config.reader import CONFIG_VARIABLE
from iredldap.shipped import shipped
from iredldap.web.endpoints.index import ENDPOINTS

WITHOUT_COMMAND = {
    "login", "logout", "openapi", "reference", "reference_file", "livez", "readyz",
    # `iredldap token`, on the server, and `ldif-export` do these.
    "token_create", "tokens_list", "token_get", "token_delete", "ldif_all", "ldif_domain",
    "ldif_user", "ldif_catchall", "ldif_admin", "ldif_maillist", "ldif_alias", "ldif_restore",
    # Each change is printed by `iredldap changes`.
    "change_get",
}  # fmt: skip
"""Calls that people do not make, or make by another program."""

HEAVY = ("falcon", "ldap", "rich", "sqlalchemy", "ssl", "structlog")


def below(command: click.Command, *words: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield words, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found
            yield from below(found, *words, name)


COMMANDS = dict(below(main))
"""All commands, by their words."""


def test_each_call_has_a_command() -> None:
    """Of a policy, which has a call for each target and direction, the command names one."""
    others = {"changes_find", "change_undo", "resolve", "references_get", "references_domain"}
    others |= {"import_create", "state_get", "state_apply"}
    named = {
        call.id
        for command in COMMANDS.values()
        if isinstance(command, RowCommand)
        for call in command.row.calls
    }
    reached = {row.id for row in ENDPOINTS if any(alike(row.id, one) for one in named)}
    assert {row.id for row in ENDPOINTS} - reached - others == WITHOUT_COMMAND


def alike(one: str, other: str) -> bool:
    """Whether two calls differ in what a policy is about, or in its direction."""
    words = {"global": "*", "domain": "*", "user": "*", "inbound": "<>", "outbound": "<>"}
    return [words.get(w, w) for w in one.split("_")] == [words.get(w, w) for w in other.split("_")]


@pytest.mark.parametrize("words", [*COMMANDS], ids=" ".join)
def test_no_secret_is_the_value_of_an_option(words: tuple[str, ...]) -> None:
    """A file is named for it: others see the command lines of all processes."""
    secrets = {
        spelled(row.name) for call in calls().values() for row in call.parameters if row.secret
    }
    options = {name for option in COMMANDS[words].params for name in option.opts}
    assert options & {*secrets, "--token"} <= ({"--token"} if words == ("changes",) else set())


@pytest.mark.parametrize("words", [*COMMANDS], ids=" ".join)
def test_help_is_offered_under_both_names(words: tuple[str, ...]) -> None:
    for option in ("-h", "--help"):
        result = CliRunner().invoke(main, [*words, option])
        assert result.exit_code == 0, result.output
        assert "Usage: " in result.output


def test_the_short_help_of_what_is_imported_later_is_its_own() -> None:
    """So that the list of commands needs no import."""
    groups = [command for command in COMMANDS.values() if isinstance(command, LazyGroup)]
    context = click.Context(main)
    for group in groups:
        for name in group.imported:
            found = group.get_command(context, name)
            assert found
            assert group.summary_of(context, name) == found.get_short_help_str(200)


@pytest.mark.parametrize("arguments", [["-h"], ["user", "create", "-h"], ["changes", "-h"]])
def test_help_and_completion_import_little(arguments: list[str]) -> None:
    """A shell that completes a word waits for it."""
    code = (
        "import sys\nfrom iredldap.cli import main\n"
        f"try: main({arguments!r})\n"
        f"except SystemExit: print([n for n in {HEAVY!r} if n in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("iredldap us", ["user"]),
        ("iredldap user pass", ["passwd"]),
        ("iredldap user create --qu", ["--quota"]),
        ("iredldap user create --mailbox-format m", ["maildir", "mdbox"]),
        ("iredldap throttle show x@y.test out", ["outbound"]),
        ("iredldap admin re", ["reset"]),
    ],
)
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_words_are_completed(
    typed: str, offered: list[str], shell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the rows too: commands, options and the words that a parameter takes."""
    words = typed.split()
    monkeypatch.setenv("COMP_WORDS", typed if shell != "fish" else " ".join(words[:-1]))
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1) if shell != "fish" else words[-1])
    monkeypatch.setenv("_IREDLDAP_COMPLETE", f"{shell}_complete")
    result = CliRunner().invoke(main, prog_name="iredldap")
    lines = result.output.splitlines()
    found = {
        "bash": lambda: [line.partition(",")[2] for line in lines],
        "zsh": lambda: lines[1::3],
        "fish": lambda: [line.partition(",")[2].partition("\t")[0] for line in lines],
    }[shell]()
    assert [word for word in found if word in offered] == offered, result.output


def test_bash_completes_by_the_script_that_is_installed(tmp_path: Path) -> None:
    """As bash calls it for `iredldap user pass<TAB>`."""
    program = tmp_path / "iredldap"
    program.write_text(f"#!{sys.executable}\nfrom iredldap.cli import main\nmain()\n")
    program.chmod(0o755)
    typed = "COMP_WORDS=(iredldap user pass); COMP_CWORD=2; COMPREPLY=()"
    script = shipped("deploy/completion/bash/iredldap")
    line = f'source {script}; {typed}; _iredldap_completion {program}; echo "${{COMPREPLY[@]}}"'
    path = {"PYTHONPATH": str(script.parents[3]), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, check=True, env=path
    )
    assert done.stdout == "passwd\n", done.stderr


def test_a_reader_who_goes_away_is_no_error() -> None:
    """`iredldap ... | head -1` ends quietly."""
    code = "from iredldap.cli import main; main(['user', 'create', '-h'])"
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdout=closed, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.stderr == ""


NOBODY = "http://127.0.0.1:1"
"""Nobody answers there."""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["user", "show", "b\udce4r@x.test"], r"'b\xe4r@x.test' is no UTF-8"),
        (["user", "update", "b@x.test", "--name", "\udcff"], r"'\xff' is no UTF-8"),
        (["snapshot", "\udcff.test"], r"is no UTF-8"),
        (["whoami", "--url", "http://[::1"], "'http://[::1': Invalid IPv6 URL"),
        (["whoami", "--url", "http://x:99999"], "Port out of range"),
        (["whoami", "--url", "ftp://x"], "does not begin with https:// or http://"),
    ],
    ids=str,
)
def test_a_word_that_is_none_is_a_wrong_command_line(
    words: list[str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(CONFIG_VARIABLE, raising=False)
    monkeypatch.setenv(URL_VARIABLE, NOBODY)
    monkeypatch.setenv(TOKEN_VARIABLE, "irt_x")
    result = CliRunner().invoke(main, words)
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert told in result.stderr


def test_a_password_that_is_no_text_is_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CONFIG_VARIABLE, raising=False)
    monkeypatch.setenv(TOKEN_VARIABLE, "irt_x")
    words = ["user", "passwd", "x@y.test", "--url", NOBODY]
    result = CliRunner().invoke(main, words, input=b"s\xe4cret\n")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.endswith("Error: standard input is no UTF-8\n")


def test_what_would_be_ignored_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CONFIG_VARIABLE, raising=False)
    result = CliRunner().invoke(main, ["import", "-", "--passwords", "--url", NOBODY], input=b"x")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--passwords is for accounts that --update changes" in result.stderr


@pytest.mark.parametrize("token", ["irt_\udcff", "irt_a\nb", "irt_a b"], ids=ascii)
def test_a_token_that_is_none_is_not_sent(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CONFIG_VARIABLE, raising=False)
    monkeypatch.setenv(TOKEN_VARIABLE, token)
    result = CliRunner().invoke(main, ["whoami", "--url", NOBODY])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "the token is none" in result.stderr


@pytest.mark.parametrize(
    ("line", "status", "told"),
    [
        ("user create -h >/dev/full", 1, "No space left on device"),
        ("apply - <&-", 4, "does not answer"),
    ],
)
def test_standard_streams_may_fail(line: str, status: int, told: str) -> None:
    """A full disk, or a closed input: a message, and no traceback."""
    code = f"{sys.executable} -c 'from iredldap.cli import main; main()'"
    variables = {"PATH": os.environ["PATH"], URL_VARIABLE: NOBODY, TOKEN_VARIABLE: "irt_x"}
    done = subprocess.run(
        ["bash", "-c", f"{code} {line}"],
        env=variables | {"PYTHONPATH": str(shipped("README.md").parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.count("\n")) == (status, 1), done.stderr
    assert told in done.stderr


def test_short_helps_are_whole() -> None:
    """No description in the list of a group's commands is cut off."""
    for words, command in below(main):
        if isinstance(command, click.Group):
            listed = CliRunner().invoke(main, [*words, "--help"]).stdout.partition("Commands:")[2]
            assert listed
            assert not any(end in listed for end in ("...", "\N{HORIZONTAL ELLIPSIS}")), words


@pytest.mark.parametrize("words", ["serve", "check-config", "token list", "user create"])
def test_the_help_of_config_names_the_variable(words: str) -> None:
    said = " ".join(CliRunner().invoke(main, [*words.split(), "--help"]).stdout.split())
    assert "[default: the variable IREDLDAP_CONFIG, else /etc/iredldap.toml]" in said
