"""Parents come before their children in every export, whoever made them and in whatever order."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import ldap
import pytest

from iredldap.dit import names
from iredldap.embedded.slapd import Slapd
from ldif_export.backup import full
from ldif_export.cli import export
from ldif_export.cli.export import ExportJob
from ldif_export.readers import choice, libldap
from ldif_export.readers.base import Projection
from ldif_export.readers.choice import ReaderName
from ldif_export.selection import Selection
from tests.support.exported import (
    SUFFIX,
    TREE,
    Entry,
    account,
    connected,
    domain,
    located,
    parsed,
    running,
    settings,
    user,
)

ANN, BOB, OLD = (f"{name}@a.test" for name in ("ann", "bob", "old"))
BOSS = "boss@a.test"
NEW = "mail=old@young.test,ou=Users,domainName=young.test"
SELECTIONS = (
    Selection("all"),
    Selection("domain", "a.test"),
    Selection("domain", "young.test"),
    Selection("domain", "a.test", only=frozenset({"user"})),
    Selection("domain", "a.test", global_admins=False),
)
READERS: tuple[ReaderName, ...] = ("wire", "python-ldap")


def thing(dn: str, kind: str = "device") -> Entry:
    return account(dn, kind, *names.rdn(dn).split("=", 1))


def entries() -> Iterator[Entry]:
    """Two domains; in one of them what iRedMail does not make."""
    yield from domain("a.test")
    yield user(ANN)
    yield user(OLD)
    yield thing(f"ou=Contacts,{TREE.user(OLD)}", "organizationalUnit")
    yield thing(f"cn=before,ou=Contacts,{TREE.user(OLD)}")
    yield thing(f"ou=Contacts,{TREE.user(ANN)}", "organizationalUnit")
    yield thing(f"ou=Deeper,ou=Contacts,{TREE.user(ANN)}", "organizationalUnit")
    yield thing(f"cn=friend,ou=Deeper,ou=Contacts,{TREE.user(ANN)}")
    yield thing(f"cn=beside,ou=Contacts,{TREE.user(ANN)}")
    yield user(BOB)
    yield thing(f"cn=first,{TREE.user(ANN)}")
    yield thing(f"cn=second,cn=first,{TREE.user(ANN)}")
    yield user(BOSS, domainGlobalAdmin=[b"yes"])
    yield thing(f"ou=Contacts,{TREE.user(BOSS)}", "organizationalUnit")
    yield thing(f"cn=secret,ou=Contacts,{TREE.user(BOSS)}")
    sub = f"ou=Sales,{TREE.domain('a.test')}"
    yield thing(sub, "organizationalUnit")
    yield thing(f"ou=North,{sub}", "organizationalUnit")
    yield f"mail=cid@a.test,ou=North,{sub}", user("cid@a.test")[1]
    yield thing(f"cn=printers,{TREE.domain('a.test')}")
    yield account(f"cn=a\\2Cb,cn=printers,{TREE.domain('a.test')}", "device", "cn", "a,b")
    yield account(TREE.maillist("l@a.test"), "mailList", "mail", "l@a.test")
    yield thing(f"cn=archive,{TREE.maillist('l@a.test')}")
    yield account(TREE.admin("root@x.test"), "mailAdmin", "mail", "root@x.test")
    yield thing(f"ou=Contacts,{TREE.admin('root@x.test')}", "organizationalUnit")
    yield thing(f"ou=Staff,{TREE.admin_base}", "organizationalUnit")
    yield account(f"mail=jo@x.test,ou=Staff,{TREE.admin_base}", "mailAdmin", "mail", "jo@x.test")
    yield account(TREE.admin("late@x.test"), "mailAdmin", "mail", "late@x.test")
    yield from domain("young.test")
    yield user("young@young.test")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """An account has moved, with what lies below it, to a domain that is younger than itself."""
    with running(tmp_path_factory.mktemp("order"), entries(), syncprov=True) as slapd:
        with connected(slapd) as connection:
            above = TREE.container("young.test", "Users")
            connection.rename_s(TREE.user(OLD), "mail=old@young.test", above)
        yield slapd


def exported(server: Slapd, selection: Selection, reader: ReaderName) -> bytes:
    with closing(choice.connect(settings(server), Projection(selection), reader)) as reading:
        return b"".join(full.export(reading, located(selection), passwords=True))


def noted(server: Slapd, selection: Selection, folder: Path, *, exact: bool = False) -> bytes:
    """Export with a manifest, for which each entry is looked at."""
    output = folder / "out.ldif"
    job = ExportJob(selections=(selection,), output=output, manifest=folder / "m.json", exact=exact)
    assert export.export(settings(server), job) == 0
    return output.read_bytes()


def late(text: bytes) -> list[str]:
    """Entries that stand before their parents, or without."""
    dns = [dn for dn, _ in parsed(text)]
    tops = {names.parent(dns[0]), *((TREE.admin_base,) if dns[0].endswith(SUFFIX) else ())}
    place = {dn: number for number, dn in enumerate(dns)}
    return [
        dn
        for number, dn in enumerate(dns)
        if names.parent(dn) not in tops and place.get(names.parent(dn), number) >= number
    ]


@pytest.mark.parametrize("selection", SELECTIONS, ids=lambda selection: selection.description)
def test_every_entry_comes_behind_its_parent(
    server: Slapd, tmp_path: Path, selection: Selection
) -> None:
    """Whichever way is read, and the same bytes."""
    text = exported(server, selection, "wire")
    assert late(text) == []
    assert text == exported(server, selection, "python-ldap") == noted(server, selection, tmp_path)
    with connected(server, "vmail") as connection:
        found = libldap.entries(connection, TREE, selection)
        assert text == b"".join(full.text(found, passwords=True))


def test_an_exact_export_has_the_same_order(server: Slapd, tmp_path: Path) -> None:
    text = noted(server, Selection("all"), tmp_path, exact=True)
    assert text == exported(server, Selection("all"), "wire")


def test_all_that_lies_below_a_domain_is_exported_with_it(server: Slapd) -> None:
    """Children of accounts, other classes, sub-units; and what lies below standalone admins."""
    found = {dn for dn, _ in parsed(exported(server, Selection("all"), "wire"))}
    with connected(server) as connection:
        there = {
            dn
            for base in (TREE.base, TREE.admin_base)
            for dn, _ in connection.search_s(base, ldap.SCOPE_SUBTREE, attrlist=["1.1"])
        }
    assert found == there - {TREE.base, TREE.admin_base}


def test_what_lies_below_what_is_left_out_is_left_out(server: Slapd) -> None:
    """It could not be added, and it belongs to whom it is kept from."""
    assert b"secret" in exported(server, Selection("domain", "a.test"), "wire")
    for selection in SELECTIONS[4:]:
        text = exported(server, selection, "wire")
        assert b"ou=Contacts,mail=ann" in text
        assert b"boss@a.test" not in text
        assert b"secret" not in text


def test_an_export_is_added_again_in_its_order(server: Slapd) -> None:
    """And exported as the same bytes: it must not matter who came first."""
    text = exported(server, Selection("all"), "wire")
    made = parsed(text)
    with connected(server) as connection:
        for dn, _ in sorted(made, key=lambda entry: -names.depth(entry[0])):
            connection.delete_s(dn)
        for dn, attributes in made:
            connection.add_s(dn, list(attributes.items()))
    assert exported(server, Selection("all"), "wire") == text
