"""Increments: applied to what was restored from an earlier export, they give the present state."""

import hashlib
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import ldap
import pytest

from iredldap.dit.change_records import change_record
from iredldap.dit.plan import Add, Delete, Modify, Operation, Rename
from iredldap.embedded.slapd import Slapd
from iredldap.errors import NoSuchAccount, PreconditionFailed
from iredldap.ldif.writer import VERSION, comment
from ldif_export.backup import full, incremental, manifest_writer, snapshot
from ldif_export.chain import joined
from ldif_export.ldif import change_parser
from ldif_export.manifest import ExportMode, Manifest, dump, load
from ldif_export.readers import choice
from ldif_export.readers.base import Projection
from ldif_export.restore.verify import verify
from ldif_export.selection import Selection
from tests.support.exported import (
    SECRET,
    SUFFIX,
    TREE,
    Entry,
    account,
    connected,
    domain,
    first_format,
    hashed,
    located,
    parsed,
    plain,
    running,
    settings,
    user,
)

ALL = (Selection("all"),)


def tree() -> list[Entry]:
    several = ("changed", "bare", "mover", "renamed", "gone", "other", "swapped", "respelled")
    return [
        *domain("a.test", cn=[b"A"]),
        *(user(f"{name}@a.test", givenName=[b"G"], title=[b"T"]) for name in several),
        user("still@a.test"),
        account(TREE.maillist("list@a.test"), "mailList", "mail", "list@a.test"),
        account(TREE.externals("list@a.test"), "mailExternalUser", "memberOfGroup", "list@a.test"),
        account(TREE.admin("root@else.test"), "mailAdmin", "mail", "root@else.test"),
        *domain("b.test"),
        *domain("old.test"),
        user("u@old.test"),
        user("refugee@old.test"),
        *domain("again.test", cn=[b"before"]),
        user("u@again.test", title=[b"before"]),
        user("v@again.test"),
        *domain("label.test"),
        user("u@label.test"),
    ]


def put(connection: Any, entries: Sequence[Entry]) -> None:
    for dn, attributes in entries:
        connection.add_s(dn, [*attributes.items()])


def remove(connection: Any, base: str) -> None:
    found = [dn for dn, _ in connection.search_s(base, ldap.SCOPE_SUBTREE, attrlist=["1.1"])]
    for dn in sorted(found, key=lambda dn: -dn.count(",")):
        connection.delete_s(dn)


def change(connection: Any, mail: str, **values: list[bytes]) -> None:
    changes = [(ldap.MOD_REPLACE, name, value or None) for name, value in values.items()]
    connection.modify_s(TREE.user(mail), changes)


def move(connection: Any, mail: str, new: str) -> None:
    rdn, _, parent = TREE.user(new).partition(",")
    connection.rename_s(TREE.user(mail), rdn, parent)


def first_day(connection: Any) -> None:
    """Every kind of change."""
    odd = [b" leading", b":colon", "Größe".encode(), b"line\nfeed", b"y" * 300]
    change(connection, "changed@a.test", title=odd, cn=[b"new"], userPassword=[b"{SSHA}bmV3"])
    change(connection, "bare@a.test", title=[], givenName=[])
    lost = [(ldap.MOD_DELETE, "objectClass", [b"amavisAccount"])]
    connection.modify_s(TREE.user("bare@a.test"), lost)
    move(connection, "renamed@a.test", "named@a.test")
    put(connection, domain("new.test", cn=[b"new"]))
    put(connection, [user("u@new.test"), user("@new.test")])
    move(connection, "mover@a.test", "mover@new.test")
    change(connection, "mover@new.test", title=[b"moved"])
    connection.delete_s(TREE.user("gone@a.test"))
    move(connection, "refugee@old.test", "refugee@b.test")
    remove(connection, TREE.domain("old.test"))
    remove(connection, TREE.domain("again.test"))
    put(connection, [*domain("again.test"), user("u@again.test", sn=[b"after"])])
    move(connection, "other@a.test", "aside@a.test")
    move(connection, "swapped@a.test", "other@a.test")
    move(connection, "aside@a.test", "swapped@a.test")
    connection.rename_s(TREE.user("respelled@a.test"), "mail=Respelled@a.test")
    connection.modify_s(TREE.domain("a.test"), [(ldap.MOD_REPLACE, "cn", None)])
    connection.modify_s(
        TREE.container("a.test", "Users"), [(ldap.MOD_ADD, "description", [b"here"])]
    )
    connection.rename_s(TREE.domain("label.test"), "domainName=renamed.test")
    connection.delete_s(TREE.externals("list@a.test"))
    connection.delete_s(TREE.admin("root@else.test"))
    put(connection, [account(TREE.admin("new@else.test"), "mailAdmin", "mail", "new@else.test")])


def second_day(connection: Any) -> None:
    """What the first day did, once more, and in part undone."""
    change(connection, "changed@a.test", title=[], mobile=[b"1"])
    move(connection, "mover@new.test", "mover@a.test")
    remove(connection, TREE.domain("new.test"))
    put(connection, [*domain("old.test"), user("u@old.test"), user("gone@a.test")])
    connection.rename_s(TREE.domain("b.test"), "domainName=c.test")


@dataclass
class Export:
    """An export on the disk."""

    text: bytes
    manifest: Manifest
    entry_list: Path


def exported(
    server: Slapd, selections: Sequence[Selection], home: Path, mode: ExportMode = "exact"
) -> Export:
    """Export the whole; of an exact export the moment is known to the microsecond."""
    every = [search for chosen in selections for search in located(chosen)]
    path = home / "whole.manifest"
    wanted = Projection(selections[0], manifest_writer.WATCHED)
    with manifest_writer.gathered(path, settings(server), selections, mode) as builder:
        opened = (
            snapshot.read(settings(server), every, wanted)
            if mode == "exact"
            else choice.connect(settings(server), wanted)
        )
        with closing(opened) as reader:
            passwords, observe = selections[0].has_passwords, manifest_writer.observer(builder)
            chunks = full.export(reader, every, passwords=passwords, observe=observe)
            text = b"".join(manifest_writer.digested(chunks, builder))
    return Export(text, load(path.read_text()), manifest_writer.entry_list_path(path))


def folder(home: Path, name: str) -> Path:
    path = home / name
    path.mkdir()
    return path


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def gathered(
    server: Slapd, selections: Sequence[Selection], earlier: Export, home: Path, **more: Any
) -> Export:
    found = incremental.gather(
        settings(server), selections, earlier.manifest, earlier.entry_list, began=now(), **more
    )
    with closing(found) as increment:
        text = b"".join(increment.text())
        path = home / f"{earlier.entry_list.name}.later"
        with path.open("w", encoding="utf-8") as out:
            increment.write_entry_list(out)
        return Export(text, increment.manifest(now()), path)


def ldapmodify(server: Slapd, text: bytes, *words: str) -> None:
    binding = ["-x", "-H", server.ldapi, "-D", f"cn=vmailadmin,{SUFFIX}", "-w", SECRET]
    ran = subprocess.run(
        ["ldapmodify", *binding, *words], input=text, capture_output=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, b""), ran.stderr.decode()


def whole(server: Slapd, selections: Sequence[Selection] = ALL) -> bytes:
    every = [search for chosen in selections for search in located(chosen)]
    return plain(server, selections[0], every)


def by_dn(text: bytes) -> dict[str, dict[str, list[bytes]]]:
    """The entries of an export; slapd moves the attribute of a name to the end with a rename."""
    return dict(parsed(text))


def in_first_format(export: Export, **more: Any) -> Export:
    manifest, entries = first_format(replace(export.manifest, **more), export.entry_list)
    return Export(export.text, manifest, entries)


def operations(text: bytes) -> list[Operation]:
    """What an increment does."""
    items = change_parser.read(BytesIO(text))
    return [item.operation for item in items if isinstance(item, change_parser.ChangeRecord)]


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Slapd]:
    with running(tmp_path / "here", tree(), syncprov=True) as server:
        yield server


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Slapd]:
    with running(tmp_path / "there", ()) as server:
        yield server


@pytest.mark.parametrize("reader", ["wire", "python-ldap"])
def test_increments_bring_a_copy_up_to_date(
    here: Slapd, there: Slapd, tmp_path: Path, reader: str
) -> None:
    """Two in a row, each after changes of every kind: each entry has the same values in both.

    So it has in the files put together, without a server.
    """
    earlier = exported(here, ALL, tmp_path)
    ldapmodify(there, earlier.text, "-a")
    kept = [tmp_path / "whole.ldif"]
    kept[0].write_bytes(earlier.text)

    for day in (first_day, second_day):
        with connected(here) as connection:
            day(connection)
        earlier = gathered(here, ALL, earlier, tmp_path, reader=reader)
        ldapmodify(there, earlier.text)
        kept.append(tmp_path / f"{day.__name__}.ldif")
        kept[-1].write_bytes(earlier.text)

        assert by_dn(whole(there)) == by_dn(whole(here))
        with joined(kept) as file, file.open("rb") as opened:
            assert verify(opened).ok
            assert by_dn(file.open("rb").read()) == by_dn(whole(here))


def test_an_increment_holds_what_changed_and_no_more(here: Slapd, tmp_path: Path) -> None:
    """After an exact export. It is read as the operations that it was written of."""
    earlier = exported(here, ALL, tmp_path)
    with connected(here) as connection:
        change(connection, "changed@a.test", title=[b"new"])
        connection.delete_s(TREE.user("gone@a.test"))
        move(connection, "renamed@a.test", "named@a.test")
        put(connection, [user("new@a.test")])

    found = gathered(here, ALL, earlier, tmp_path)

    done = operations(found.text)
    assert [type(operation) for operation in done] == [Rename, Add, *[Modify] * 2, Delete]
    assert {operation.dn for operation in done if isinstance(operation, Modify)} == {
        TREE.user("changed@a.test"),
        TREE.user("named@a.test"),
    }
    assert [operation.dn for operation in done if not isinstance(operation, Modify)] == [
        TREE.user("renamed@a.test"),
        TREE.user("new@a.test"),
        TREE.user("gone@a.test"),
    ]
    assert found.text == b"".join(
        [
            VERSION,
            comment("Password hashes: included"),
            comment(f"changes since: {earlier.manifest.sha256}"),
            b"\n",
            *map(change_record, done),
            comment("changes: 5"),
        ]
    )


def test_the_manifest_leads_on(here: Slapd, tmp_path: Path) -> None:
    """It tells of the text, and is as good a beginning as the one before."""
    earlier = exported(here, ALL, tmp_path)
    with connected(here) as connection:
        first_day(connection)

    found = gathered(here, ALL, earlier, tmp_path)

    manifest = found.manifest
    assert (manifest.since, manifest.mode) == (earlier.manifest.sha256, "fuzzy")
    assert (manifest.size, manifest.sha256) == (
        len(found.text),
        hashlib.sha256(found.text).hexdigest(),
    )
    assert load(dump(manifest)) == manifest
    assert "amavisAccount" in manifest.classes
    assert earlier.manifest.last_csn
    assert manifest.last_csn
    assert manifest.last_csn > earlier.manifest.last_csn
    later = exported(here, ALL, tmp_path)
    assert later.entry_list.read_bytes() == found.entry_list.read_bytes()


def test_since_an_empty_directory_everything_is_new(there: Slapd, tmp_path: Path) -> None:
    earlier = exported(there, ALL, tmp_path, mode="fuzzy")
    with connected(there) as connection:
        put(connection, tree())

    found = gathered(there, ALL, earlier, tmp_path)

    assert [type(operation) for operation in operations(found.text)] == [Add] * len(tree())


def test_changes_go_by_the_state_of_each_entry(here: Slapd, tmp_path: Path) -> None:
    """What a fuzzy export saw last is no proof that it saw all before."""
    earlier = exported(here, ALL, tmp_path, mode="fuzzy")
    with connected(here) as connection:
        change(connection, "changed@a.test", title=[b"missed"])
        change(connection, "still@a.test", title=[b"seen"])
    seen = exported(here, ALL, folder(tmp_path, "seen"), mode="fuzzy").manifest
    earlier.manifest = replace(earlier.manifest, last_csn=seen.last_csn, csns=seen.csns)

    found = gathered(here, ALL, earlier, tmp_path, overlap=timedelta(0))

    changed = {TREE.user(mail) for mail in ("changed@a.test", "still@a.test")}
    assert {operation.dn for operation in operations(found.text)} == changed


def test_in_the_first_format_the_time_of_the_export_is_looked_at_again(
    here: Slapd, tmp_path: Path
) -> None:
    """Which changes it missed while it ran is not known."""
    earlier = exported(here, ALL, tmp_path, mode="fuzzy")
    with connected(here) as connection:
        change(connection, "changed@a.test", title=[b"missed"])
        change(connection, "still@a.test", title=[b"seen"])
    seen = exported(here, ALL, folder(tmp_path, "seen"), mode="fuzzy").manifest
    earlier = in_first_format(earlier, last_csn=seen.last_csn)

    found = gathered(here, ALL, earlier, tmp_path, overlap=timedelta(0))

    assert TREE.user("changed@a.test") in {operation.dn for operation in operations(found.text)}


def test_of_the_first_format_an_exact_export_has_what_its_server_did(
    here: Slapd, tmp_path: Path
) -> None:
    """And the manifest of the increment is of today's format, so that the next one is precise."""
    earlier = in_first_format(exported(here, ALL, tmp_path))
    with connected(here) as connection:
        change(connection, "changed@a.test", title=[b"new"])

    found = gathered(here, ALL, earlier, tmp_path)

    changed = {TREE.user("changed@a.test")}
    assert {operation.dn for operation in operations(found.text)} == changed
    assert operations(gathered(here, ALL, found, tmp_path).text) == []


def test_of_the_first_format_what_another_server_did_is_exported_again(
    here: Slapd, tmp_path: Path
) -> None:
    """Whether the export had it is not known: nothing may be missed."""
    earlier = exported(here, ALL, tmp_path)
    assert earlier.manifest.last_csn
    other = earlier.manifest.last_csn.replace("#000#", "#001#")
    earlier = in_first_format(earlier, last_csn=other)

    found = gathered(here, ALL, earlier, tmp_path)

    assert len(operations(found.text)) == len(tree())


def test_without_passwords_those_in_the_copy_stay(
    here: Slapd, there: Slapd, tmp_path: Path
) -> None:
    """But not with another account of the same name."""
    selections = (Selection("all", passwords=False),)
    ldapmodify(there, whole(here), "-a")
    earlier = exported(here, selections, tmp_path)
    with connected(here) as connection:
        first_day(connection)

    ldapmodify(there, gathered(here, selections, earlier, tmp_path).text)

    assert by_dn(whole(there, selections)) == by_dn(whole(here, selections))
    for mail, expected in (
        ("changed@a.test", hashed("changed@a.test")),
        ("named@a.test", hashed("renamed@a.test")),
        ("u@again.test", None),
    ):
        with connected(there) as connection:
            (_, found), *_ = connection.search_s(TREE.user(mail), ldap.SCOPE_BASE)
        assert found.get("userPassword") == (expected and [expected])


@pytest.mark.parametrize(
    ("selections", "reason"),
    [
        ((Selection("domain", "a.test"),), "something else"),
        ((Selection("all", passwords=False),), "with passwords"),
        ((Selection("all", operational=True),), "operational"),
    ],
)
def test_another_selection_is_refused(
    here: Slapd, tmp_path: Path, selections: Sequence[Selection], reason: str
) -> None:
    earlier = exported(here, ALL, tmp_path)

    with pytest.raises(PreconditionFailed, match=reason):
        gathered(here, selections, earlier, tmp_path)


@pytest.mark.parametrize(
    "damage", [lambda text: text[:-5], lambda text: text[text.index(b"\n") + 1 :]]
)
def test_a_damaged_companion_is_refused(
    here: Slapd, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    """What is missing in it would pass for new."""
    earlier = exported(here, ALL, tmp_path)
    earlier.entry_list.write_bytes(damage(earlier.entry_list.read_bytes()))

    with pytest.raises(PreconditionFailed):
        gathered(here, ALL, earlier, tmp_path)


def test_a_domain_that_is_gone_is_refused(here: Slapd, tmp_path: Path) -> None:
    """As in a plain export of it; among all domains it is deleted."""
    selections = (Selection("domain", "old.test"),)
    earlier = exported(here, selections, tmp_path)
    with connected(here) as connection:
        remove(connection, TREE.domain("old.test"))

    with pytest.raises(NoSuchAccount):
        gathered(here, selections, earlier, tmp_path)
