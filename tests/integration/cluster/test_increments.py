"""Exports and increments of one of two servers that were apart: nothing of the other is missed."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from io import BytesIO
from itertools import count
from pathlib import Path

import ldap
import pytest

from iredldap.config.ldap import LdapSettings
from iredldap.config.settings import Secret
from iredldap.dit.csn import CsnVector
from iredldap.dit.names import Tree
from ldif_export.backup import full, incremental, manifest_writer, snapshot
from ldif_export.backup.incremental import Increment
from ldif_export.ldif import change_parser
from ldif_export.manifest import FORMAT, ExportMode, Manifest, load
from ldif_export.readers import choice
from ldif_export.readers.base import Projection, Reader
from ldif_export.selection import Selection, searches
from tests.support.exported import first_format
from tests.support.pair import Member, Pair
from tests.support.patience import PATIENCE
from tests.support.world import READER_PASSWORD, SUFFIX, WRITER_PASSWORD

TREE = Tree(SUFFIX)
ALL = Selection("all")
SEARCHES = searches(ALL, TREE, TREE.base)
NOW = manifest_writer.now()
_numbers = count(1)


@pytest.fixture
def pair(bare: Pair) -> Pair:
    return bare


@pytest.fixture
def name(pair: Pair) -> Iterator[Callable[[str], str]]:
    """Names of domains of this test, which both servers have, and which B was the last to write."""
    number = next(_numbers)

    def named(of: str) -> str:
        return f"{of}{number}.test"

    for of in ("there", "here"):
        write(pair.a, named(of), add=True)
    pair.wait_until_equal()
    write(pair.b, named("there"))
    pair.wait_until_equal()
    yield named
    for line in pair.link:
        line.heal()
    pair.wait_until_equal()


def write(member: Member, name: str, *, add: bool = False) -> None:
    connection = member.world.connect(f"cn=vmailadmin,{SUFFIX}", WRITER_PASSWORD)
    try:
        if add:
            kinds = [("objectClass", [b"mailDomain"]), ("domainName", [name.encode()])]
            connection.add_s(TREE.domain(name), kinds)
        else:
            cn = f"{member.name} {next(_numbers)}".encode()
            connection.modify_s(TREE.domain(name), [(ldap.MOD_REPLACE, "cn", [cn])])
    finally:
        connection.unbind_s()


def settings(member: Member) -> LdapSettings:
    return LdapSettings(
        uri=(member.slapd.uri,),
        suffix=SUFFIX,
        bind_dn=f"cn=vmail,{SUFFIX}",
        bind_password=Secret(READER_PASSWORD),
        network_timeout=PATIENCE,
        operation_timeout=PATIENCE,
    )


def exported(member: Member, path: Path, mode: ExportMode) -> Manifest:
    """Export everything as `ldif-export all --manifest PATH` does."""
    used, wanted = settings(member), Projection(ALL, manifest_writer.WATCHED)
    with manifest_writer.gathered(path, used, (ALL,), mode) as builder:
        if mode == "exact":
            exact = snapshot.read(used, SEARCHES, wanted)
            builder.state(exact.state)
            reader: Reader = exact
        else:
            reader = choice.connect(used, wanted)
        with closing(reader):
            observe = manifest_writer.observer(builder)
            text = full.export(reader, SEARCHES, passwords=True, observe=observe)
            for _ in manifest_writer.digested(text, builder):
                pass
    return load(path.read_text())


def gathered(member: Member, earlier: Manifest, entries: Path) -> Increment:
    """Gather an increment without an allowance for clocks."""
    return incremental.gather(
        settings(member), (ALL,), earlier, entries, began=NOW, overlap=timedelta(0)
    )


def changed_names(increment: Increment) -> set[str]:
    records = change_parser.read(BytesIO(b"".join(increment.text())))
    return {one.operation.dn for one in records if isinstance(one, change_parser.ChangeRecord)}


def changed(member: Member, earlier: Manifest, entries: Path) -> set[str]:
    with closing(gathered(member, earlier, entries)) as increment:
        return changed_names(increment)


def heal(pair: Pair) -> None:
    for line in pair.link:
        line.heal()
    pair.wait_until_equal()


@pytest.mark.parametrize("mode", ["exact", "fuzzy"])
@pytest.mark.parametrize("format_", [1, FORMAT])
def test_what_another_server_did_while_apart_is_in_the_increment(
    pair: Pair, name: Callable[[str], str], tmp_path: Path, mode: ExportMode, format_: int
) -> None:
    """Though the export has a later change of its own server."""
    for line in pair.link:
        line.cut()
    write(pair.b, name("there"))
    write(pair.a, name("here"))
    path = tmp_path / "manifest"
    earlier = exported(pair.a, path, mode)
    entries = manifest_writer.entry_list_path(path)
    if format_ == 1:
        earlier, entries = first_format(earlier, entries)
    heal(pair)

    found = changed(pair.a, earlier, entries)

    assert TREE.domain(name("there")) in found
    if format_ == FORMAT:
        assert found == {TREE.domain(name("there"))}


def test_an_increment_leads_on_while_the_servers_are_apart(
    pair: Pair, name: Callable[[str], str], tmp_path: Path
) -> None:
    """The second increment has what the first could not see; the third is empty."""
    path = tmp_path / "manifest"
    earlier, entries = exported(pair.a, path, "fuzzy"), manifest_writer.entry_list_path(path)
    for line in pair.link:
        line.cut()
    write(pair.b, name("there"))
    write(pair.a, name("here"))
    found = []
    for number in range(3):
        with closing(gathered(pair.a, earlier, entries)) as increment:
            found.append(changed_names(increment))
            earlier, entries = increment.manifest(manifest_writer.now()), tmp_path / str(number)
            with entries.open("w", encoding="utf-8") as out:
                increment.write_entry_list(out)
        heal(pair)

    assert found == [{TREE.domain(name("here"))}, {TREE.domain(name("there"))}, set()]
    assert CsnVector(earlier.csns).server_ids() == (1, 2)
