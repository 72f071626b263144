"""The words of the command `ldif-export`, as an operator uses them at night."""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import ldap
import pytest
import zstandard

from iredldap.embedded.slapd import Slapd
from ldif_export import manifest
from tests.support.exported import (
    SECRET,
    SUFFIX,
    TREE,
    account,
    connected,
    domain,
    parsed,
    running,
    user,
)
from tests.support.patience import PATIENCE

MEMBER = TREE.user("u1@a.test").encode()


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """Two domains, some accounts of each kind, a standalone admin; one account has moved."""
    tree = [
        *domain("a.test"),
        user("mover@a.test"),
        *(user(f"u{number}@a.test") for number in range(30)),
        account(TREE.alias("al@a.test"), "mailAlias", "mail", "al@a.test"),
        account(TREE.maillist("l@a.test"), "mailList", "mail", "l@a.test", member=[MEMBER]),
        *domain("young.test"),
        account(TREE.admin("root@x.test"), "mailAdmin", "mail", "root@x.test"),
    ]
    with running(tmp_path_factory.mktemp("full"), tree) as server:
        with connected(server) as connection:
            connection.rename_s(
                TREE.user("mover@a.test"),
                "mail=mover@young.test",
                newsuperior=TREE.container("young.test", "Users"),
            )
        yield server


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Slapd]:
    """The base tree of an installation, and nothing else."""
    with running(tmp_path / "empty", []) as server:
        yield server


def ran(*words: str | Path, piped: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-m", "ldif_export", *map(str, words)],
        input=piped,
        env=os.environ | {"LDIF_EXPORT_PASSWORD": SECRET},
        capture_output=True,
        check=False,
        timeout=PATIENCE,
    )


def at(server: Slapd) -> tuple[str, ...]:
    return ("--uri", server.ldapi, "--suffix", SUFFIX)


def exported(server: Slapd, *words: str | Path) -> bytes:
    done = ran("export", *words, *at(server))
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout


def dns(text: bytes) -> list[str]:
    return [dn for dn, _ in parsed(text)]


def test_everything_is_every_domain_and_admin(full: Slapd) -> None:
    """Parents before children, also of an account that moved; not what every server has."""
    found = dns(exported(full, "all"))

    assert len(found) == 2 * 5 + 33 + 1
    assert set(found) >= {TREE.domain("a.test"), TREE.user("mover@young.test")}
    assert found[-1] == TREE.admin("root@x.test")
    assert TREE.base not in found
    seen = {TREE.base, TREE.admin_base}
    for dn in found:
        assert dn.partition(",")[2] in seen
        seen.add(dn)


def test_several_domains_and_kinds(full: Slapd) -> None:
    """Domains as often as named once; accounts of the kinds asked for."""
    both = dns(exported(full, "domain", "a.test", "young.test", "a.test"))
    some = dns(exported(full, "--only", "alias", "--only=maillist", "domain", "a.test"))

    assert len(both) == len(set(both)) == 2 * 5 + 33
    accounts = [dn for dn in some if dn.startswith("mail=")]
    assert sorted(accounts) == [TREE.alias("al@a.test"), TREE.maillist("l@a.test")]
    assert TREE.container("a.test", "Users") in some


def test_operational_attributes_on_request(full: Slapd) -> None:
    """Also by the other reader; the same bytes."""
    text = exported(full, "--operational", "user", "u1@a.test")

    ((_, attributes),) = parsed(text)
    assert {"entryUUID", "entryCSN", "creatorsName"} <= attributes.keys()
    assert text == exported(full, "--operational", "--reader", "python-ldap", "user", "u1@a.test")


@pytest.mark.parametrize("words", [("all", "a.test"), ("domain",), ("user", "a.test")])
def test_a_wrong_command_line_writes_nothing(full: Slapd, words: tuple[str, ...]) -> None:
    done = ran(*words, *at(full))
    assert (done.returncode, done.stdout) == (2, b"")


def test_compressed_as_the_name_says(full: Slapd, tmp_path: Path) -> None:
    """The same state is the same bytes, compressed too."""
    plain = exported(full, "all")
    for name in ("all.ldif.gz", "again.ldif.gz", "all.ldif.zst"):
        exported(full, "all", "--output", tmp_path / name)

    assert gzip.decompress((tmp_path / "all.ldif.gz").read_bytes()) == plain
    assert (tmp_path / "all.ldif.gz").read_bytes() == (tmp_path / "again.ldif.gz").read_bytes()
    packed = (tmp_path / "all.ldif.zst").read_bytes()
    assert zstandard.ZstdDecompressor().decompressobj().decompress(packed) == plain
    assert gzip.decompress(exported(full, "all", "--compress", "gzip")) == plain


def test_a_manifest_tells_what_was_exported(full: Slapd, tmp_path: Path) -> None:
    """The text is the same with and without; `verify` finds that both fit together."""
    file, beside = tmp_path / "all.ldif.gz", tmp_path / "all.json"
    exported(full, "all", "--output", file, "--manifest", beside)

    told = manifest.load(beside.read_bytes())
    assert gzip.decompress(file.read_bytes()) == exported(full, "all")
    assert (told.mode, told.selections, told.entries, told.passwords) == (
        "fuzzy",
        ("all",),
        44,
        True,
    )
    assert (told.kinds["user"], told.kinds["domain"], told.kinds["admin"]) == (31, 2, 1)
    assert told.first_csn
    assert told.last_csn
    assert told.first_csn <= told.last_csn
    assert len((tmp_path / "all.json.entries").read_text().splitlines()) == 44
    # All of them name accounts: for their owner only, and nothing else is left.
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(["all.ldif.gz", "all.json", "all.json.entries"], 0o600)
    verified = ran("verify", file, "--manifest", beside)
    assert (verified.returncode, verified.stdout.count(b"whole")) == (0, 1)


@pytest.mark.parametrize("lost", [2, 20, 1000])
def test_a_cut_file_is_not_good(full: Slapd, tmp_path: Path, lost: int) -> None:
    """Wherever it was cut, packed or not."""
    text = exported(full, "all")
    for name, data in (("cut.ldif", text), ("cut.ldif.gz", gzip.compress(text))):
        file = tmp_path / name
        file.write_bytes(data[:-lost])

        done = ran("verify", file)

        assert (done.returncode, b"whole" in done.stdout) == (1, False)


def test_another_file_is_not_that_of_the_manifest(full: Slapd, tmp_path: Path) -> None:
    file, beside = tmp_path / "all.ldif", tmp_path / "all.json"
    exported(full, "all", "--output", file, "--manifest", beside)
    file.write_bytes(
        file.read_bytes().replace(b"accountStatus: active", b"accountStatus: disabled")
    )

    done = ran("verify", file, "--manifest", beside, "--json")

    assert done.returncode == 1
    assert not json.loads(done.stdout)["ok"]


def test_out_and_back(full: Slapd, empty: Slapd, tmp_path: Path) -> None:
    """Into an empty server, then once more, which changes nothing: identical bytes."""
    file = tmp_path / "all.ldif.gz"
    exported(full, "all", "--output", file)

    first, second = (ran("restore", file, *at(empty)) for _ in range(2))

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert first.stdout == b"44 added, 0 changed, 44 equal, 0 differ, 0 missing\n"
    assert second.stdout == b"0 added, 0 changed, 44 equal, 0 differ, 0 missing\n"
    assert exported(empty, "all") == exported(full, "all")
    assert not (tmp_path / "all.ldif.gz.restoring").exists()


def test_a_dry_run_prints_what_ldapmodify_does(full: Slapd, empty: Slapd, tmp_path: Path) -> None:
    """And changes nothing itself."""
    file, plan = tmp_path / "all.ldif", tmp_path / "plan.ldif"
    exported(full, "all", "--output", file)

    done = ran("restore", file, "--dry-run", *at(empty))

    assert done.returncode == 0
    assert dns(exported(empty, "all")) == []
    plan.write_bytes(done.stdout)
    bind = ("-x", "-H", empty.ldapi, "-D", f"cn=vmailadmin,{SUFFIX}", "-w", SECRET)
    subprocess.run(["ldapmodify", *bind, "-f", str(plan)], check=True, capture_output=True)
    assert exported(empty, "all") == exported(full, "all")


def test_a_rehearsal_says_what_the_restore_says(full: Slapd, empty: Slapd, tmp_path: Path) -> None:
    """What differs, and what is odd; standard output stays for ldapmodify."""
    file, cut = tmp_path / "all.ldif", tmp_path / "cut.ldif"
    exported(full, "all", "--output", file)
    assert ran("restore", file, *at(empty)).returncode == 0
    records = file.read_bytes().split(b"\n\n")
    (one,) = (record for record in records if record.startswith(b"dn: mail=u1@a.test,"))
    cut.write_bytes(one.replace(b"\nsn: u1\n", b"\nsn: other\n") + b"\n")

    rehearsed, done = (ran("restore", cut, *more, *at(empty)) for more in (["--dry-run"], []))

    assert (rehearsed.returncode, rehearsed.stdout) == (0, b"version: 1\n")
    assert b"line 1: differs: mail=u1@a.test," in done.stderr
    assert b"it may be cut off" in done.stderr
    assert rehearsed.stderr == done.stderr


@pytest.mark.parametrize("words", [["all"], ["all", "--reader", "python-ldap"], ["restore", "-"]])
def test_a_refused_bind_names_the_options(full: Slapd, tmp_path: Path, words: list[str]) -> None:
    secret = tmp_path / "secret"
    secret.write_text("another one")
    done = ran(*words, *at(full), "--password-file", secret, piped=b"version: 1\n")
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (1, b"", 1), done.stderr
    assert done.stderr.endswith(b": Invalid credentials (--bind-dn, --password-file)\n")


@pytest.mark.parametrize("words", ["> /dev/full", "--output {}/all.ldif"])
def test_a_full_disk_is_told_with_the_file(full: Slapd, tmp_path: Path, words: str) -> None:
    """A limit for the size of files takes the place of the disk; nothing is left behind."""
    command = f"ulimit -f 1; {sys.executable} -m ldif_export all {' '.join(at(full))}"
    done = subprocess.run(
        ["/bin/sh", "-c", f"{command} {words.format(tmp_path)}"],
        env=os.environ | {"LDIF_EXPORT_PASSWORD": SECRET},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    said = {
        "ldif-export: standard output: No space left on device\n",
        f"ldif-export: {tmp_path}/all.ldif: File too large\n",
    }
    assert (done.returncode, done.stderr in said) == (1, True), done.stderr
    assert [*tmp_path.iterdir()] == []


def test_a_restore_that_cannot_keep_its_progress_writes_nothing(
    full: Slapd, empty: Slapd, tmp_path: Path
) -> None:
    file, beside = tmp_path / "all.ldif", tmp_path / "none" / "mark"
    exported(full, "all", "--output", file)
    done = ran("restore", file, "--checkpoint", beside, *at(empty))
    said = f"ldif-export: {beside}: the folder {beside.parent} does not exist\n"
    assert (done.returncode, done.stderr.decode()) == (1, said)
    assert dns(exported(empty, "all")) == []


def test_what_is_left_out_is_said(full: Slapd, empty: Slapd, tmp_path: Path) -> None:
    """Before anything is written, beside the change records; and when it is."""
    file = tmp_path / "old.ldif"
    text = exported(full, "all")
    stamped = text.replace(b"\nmail: u1@a.test\n", b"\nmail: u1@a.test\nlastLoginIP: 192.0.2.1\n")
    assert stamped != text
    file.write_bytes(stamped)
    assert b"--leave-out lastLoginIP" in ran("restore", file, *at(empty)).stderr
    options = ("--leave-out", "lastLoginIP", "--leave-out", "lastLoginDate")
    said = b"left out: lastLoginIP of 1 entries\nleft out: lastLoginDate of 0 entries\n"

    rehearsed = ran("restore", file, "--dry-run", *options, *at(empty))
    assert (rehearsed.returncode, said in rehearsed.stderr) == (0, True)
    assert b"lastLogin" not in rehearsed.stdout
    done = ran("restore", file, *options, *at(empty))

    assert (done.returncode, said in done.stderr) == (0, True)
    assert exported(empty, "all") == text


def test_a_chain_is_verified_and_restored(empty: Slapd, tmp_path: Path) -> None:
    """It gives the state of its last increment, and only in the right order."""
    ann = TREE.user("ann@a.test")
    with connected(empty) as connection:
        for dn, attributes in [*domain("a.test"), user("ann@a.test"), user("bob@a.test")]:
            connection.add_s(dn, [*attributes.items()])
    whole, later = tmp_path / "0.ldif.gz", tmp_path / "1.changes.ldif"
    manifests = tmp_path / "0.json", tmp_path / "1.json"
    exported(empty, "all", "--output", whole, "--manifest", manifests[0])
    with connected(empty) as connection:
        connection.modify_s(ann, [(ldap.MOD_REPLACE, "title", [b"new"])])
        connection.delete_s(TREE.user("bob@a.test"))
    since = ("--since", manifests[0], "--manifest", manifests[1])
    exported(empty, "all", *since, "--output", later)
    night = exported(empty, "all")
    with connected(empty) as connection:
        connection.delete_s(ann)

    good, wrong = ran("verify", whole, later), ran("verify", later, whole)
    assert (good.returncode, b": whole: " in good.stdout) == (0, True)
    assert (wrong.returncode, wrong.stdout) == (1, b"")
    told = json.loads(ran("verify", "--json", whole, whole).stdout)
    assert (told["ok"], told["fault_count"]) == (False, 1)
    assert ran("verify", whole, later, "--manifest", manifests[1]).returncode == 2
    assert b"--chain" in ran("restore", whole, later, *at(empty)).stderr
    refused = ran("restore", "--chain", later, whole, *at(empty))
    assert (refused.returncode, dns(exported(empty, "all"))[-1] == ann) == (1, False)
    done = ran("restore", "--chain", whole, later, *at(empty))
    assert (done.returncode, done.stdout) == (
        0,
        b"1 added, 0 changed, 6 equal, 0 differ, 0 missing\n",
    )
    assert exported(empty, "all") == night


def test_a_wrong_file_is_refused_by_line(full: Slapd, empty: Slapd, tmp_path: Path) -> None:
    """Nothing of it is written."""
    file = tmp_path / "wrong.ldif"
    lines = exported(full, "domain", "a.test").splitlines(keepends=True)
    number = next(n for n, line in enumerate(lines, 1) if line.startswith(b"accountStatus"))
    lines[number - 1] = b"noSuchAttribute: 1\n"
    file.write_bytes(b"".join(lines))

    done = ran("restore", file, *at(empty))

    assert done.returncode == 1
    assert b"noSuchAttribute" in done.stderr
    assert b"nothing was written" in done.stderr
    assert dns(exported(empty, "all")) == []


def test_progress_is_shown_where_asked_for(full: Slapd) -> None:
    """On standard error; the text is none the worse."""
    done = ran("export", "all", "--progress", *at(full))

    assert done.returncode == 0
    assert done.stdout == exported(full, "all")


def test_the_state_of_one_moment(tmp_path: Path) -> None:
    """The same bytes as any export while nobody writes, and a manifest that says so."""
    beside = tmp_path / "all.json"
    with running(
        tmp_path / "synced", [*domain("a.test"), user("u@a.test")], syncprov=True
    ) as server:
        text = exported(server, "all", "--exact", "--manifest", beside)

        assert text == exported(server, "all")
    assert manifest.load(beside.read_bytes()).mode == "exact"


def test_one_moment_is_not_promised_in_vain(full: Slapd, tmp_path: Path) -> None:
    """A server without syncprov cannot; then there is no file either."""
    output = tmp_path / "all.ldif"

    done = ran("export", "all", "--exact", "--output", output, *at(full))

    assert done.returncode == 1
    assert b"PRECONDITION_FAILED" in done.stderr
    assert not output.exists()


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_standard_input_is_a_file_as_others(
    full: Slapd, empty: Slapd, tmp_path: Path, name: str
) -> None:
    """Checked, planned and restored as it is; it is read more than once, and nothing is left."""
    beside = tmp_path / "all.json"
    text = gzip.compress(exported(full, "all", "--manifest", beside))
    checked = ran("verify", name, "--manifest", beside, piped=text)
    assert (checked.returncode, b": whole: 44 entries" in checked.stdout) == (0, True)
    rehearsed = ran("restore", name, "--dry-run", *at(empty), piped=text)
    assert (rehearsed.returncode, rehearsed.stdout.count(b"changetype: add")) == (0, 44)
    cut = ran("restore", name, *at(empty), piped=text[:-100])
    assert (cut.returncode, b"refused, and nothing was written" in cut.stderr) == (1, True)
    done = ran("restore", name, *at(empty), piped=text)
    assert (done.returncode, done.stderr) == (0, b"")
    assert exported(empty, "all") == exported(full, "all")
    assert [*tmp_path.glob("*.restoring")] == []


def _assert_told_as_an_increment(changes: Path, beside: Path, server: Slapd) -> None:
    """Ask both judges; a cut one is told apart, and nothing is written."""
    said = ran("verify", changes, "--manifest", beside)
    assert (said.returncode, said.stdout.count(b"\n")) == (1, 2)
    assert b"line 3: an increment" in said.stdout
    assert b"ldapmodify" in said.stdout
    before = exported(server, "all")
    refused = ran("restore", changes, *at(server))
    assert (refused.returncode, b"line 3: refused: an increment" in refused.stderr) == (1, True)
    assert b"change record" not in refused.stderr
    assert exported(server, "all") == before
    lines = changes.read_bytes().splitlines(keepends=True)
    cut = ran("verify", "-", piped=b"".join(lines[:-1]))
    assert b"no comment with the number of changes" in cut.stdout


def test_what_changed_since(full: Slapd, tmp_path: Path) -> None:
    """Applied to a copy of the first export it gives the second; so does the next one."""
    first, second, third = (tmp_path / f"{number}.json" for number in range(3))
    tree = [*domain("a.test"), *(user(f"u{number}@a.test") for number in range(5))]
    with running(tmp_path / "one", tree) as here, running(tmp_path / "two", []) as there:
        copy = tmp_path / "copy.ldif"
        exported(here, "all", "--output", copy, "--manifest", first)
        assert ran("restore", copy, *at(there)).returncode == 0
        for earlier, later, mail in ((first, second, "u1@a.test"), (second, third, "u2@a.test")):
            with connected(here) as connection:
                connection.delete_s(TREE.user(mail))
                connection.modify_s(TREE.user("u3@a.test"), [(2, "cn", [mail.encode()])])

            changes = tmp_path / "changes.ldif"
            exported(here, "all", "--since", earlier, "--manifest", later, "--output", changes)

            _assert_told_as_an_increment(changes, later, there)
            bind = ("-x", "-H", there.ldapi, "-D", f"cn=vmailadmin,{SUFFIX}", "-w", SECRET)
            subprocess.run(["ldapmodify", *bind, "-f", changes], check=True, capture_output=True)
            assert sorted(parsed(exported(there, "all"))) == sorted(parsed(exported(here, "all")))
        refused = ran("export", "domain", "a.test", "--since", third, *at(here))
    assert (refused.returncode, b"PRECONDITION_FAILED" in refused.stderr) == (1, True)
