"""LDIF over HTTP."""

import io
import json
from typing import Any

import ldap
import ldif
import pytest

from ldif_export.backup import full
from ldif_export.readers import libldap
from ldif_export.selection import Selection, SelectionKind
from tests.support.client import Client, done, refused
from tests.support.serving import Served
from tests.support.world import ADMIN, World

PASSWORD = "a good password"


@pytest.fixture
def corp(api: Client, world: World) -> None:
    """A domain with a few accounts."""
    done(api.post("/api/domain/corp.test", name="Größe"))
    for name in ("ann", "bob"):
        done(api.post(f"/api/user/{name}@corp.test", name=f"{name} ☃", password=PASSWORD))


def records(text: bytes) -> list[tuple[str, dict[str, list[bytes]]]]:
    parser = ldif.LDIFRecordList(io.BytesIO(text))
    parser.parse()
    found: list[tuple[str, dict[str, list[bytes]]]] = parser.all_records
    return found


def test_envelope_and_file_are_the_same_text(api: Client, corp: None) -> None:
    """Two ways to ask for the file, and the documented envelope around the same bytes."""
    for path in ("/api/ldif/domain/corp.test", "/api/ldif/user/ann@corp.test"):
        enveloped = api.get(path).json()
        assert set(enveloped) == {"_success", "_data"}
        for answer in (
            api.get(path, format="ldif"),
            api.call("GET", path, headers={"Accept": "text/ldif"}),
        ):
            assert answer.headers["Content-Type"] == "text/ldif; charset=utf-8"
            assert answer.content.decode() == enveloped["_data"]
        assert answer.headers["Content-Disposition"] in {
            'attachment; filename="corp.test.ldif"',
            'attachment; filename="ann@corp.test.ldif"',
        }


def test_two_exports_of_one_state_are_the_same_bytes(api: Client, corp: None) -> None:
    """No time stamp, no chance."""
    path = "/api/ldif/domain/corp.test"
    assert api.get(path, format="ldif").content == api.get(path, format="ldif").content


def test_domain_export_restores_the_domain(api: Client, world: World, corp: None) -> None:
    """Entry, containers and accounts, in an order in which they can be added, hashes included."""
    text = api.get("/api/ldif/domain/corp.test", format="ldif").content
    before = world.snapshot()
    done(api.delete("/api/domain/corp.test"))

    connection = world.connect()
    for dn, attributes in records(text):
        connection.add_s(dn, list(attributes.items()))
    connection.unbind_s()

    assert world.snapshot() == before
    assert text.endswith(b"\n# entries: 7\n")
    assert b"# Password hashes: included\n" in text


def test_domain_entry_alone(api: Client, corp: None) -> None:
    """subtree=no."""
    text = api.get("/api/ldif/domain/corp.test", subtree="no", format="ldif").content
    assert [dn for dn, _ in records(text)] == ["domainName=corp.test,o=domains,dc=example,dc=com"]


def test_user_export_is_one_entry(api: Client, world: World, corp: None) -> None:
    """With everything that the directory has, and nothing operational."""
    ((dn, attributes),) = records(api.get("/api/ldif/user/ann@corp.test", format="ldif").content)
    assert dn == world.tree.user("ann@corp.test")
    stored = world.attributes(dn)
    assert {name: {v.decode() for v in values} for name, values in attributes.items()} == stored


@pytest.mark.parametrize("path", ["/api/ldif/domain/corp.test", "/api/ldif/user/ann@corp.test"])
def test_hashes_can_be_left_out(api: Client, serve: Any, corp: None, path: str) -> None:
    """By the client, or by the configuration for everybody; the head says so."""
    without = api.get(path, passwords="no", format="ldif").content
    assert b"userPassword" not in without
    assert b"# Password hashes: left out\n" in without
    forbidding = serve(api={"ldif_passwords": False}).client().log_in()
    assert forbidding.get(path, passwords="yes", format="ldif").content == without


def test_normal_admin_gets_neither_hashes_nor_hidden_attributes(
    api: Client, serve: Any, world: World, corp: None
) -> None:
    """Whatever they ask for."""
    server: Served = serve(api={"api_hidden_user_profiles": ["mobile"]})
    world.modify(
        world.tree.user("bob@corp.test"), (ldap.MOD_ADD, "enabledService", [b"domainadmin"])
    )
    world.set(world.tree.domain("corp.test"), domainAdmin=["bob@corp.test"])
    world.set(world.tree.user("ann@corp.test"), mobile=["123"], telephoneNumber=["456"])
    bob = server.client().log_in("bob@corp.test", PASSWORD)
    for path in ("/api/ldif/domain/corp.test", "/api/ldif/user/ann@corp.test"):
        text = bob.get(path, passwords="yes", format="ldif").text
        assert "userPassword" not in text
        assert "mobile" not in text
        assert "telephoneNumber: 456" in text
    done(api.post("/api/domain/other.test"))
    refused(bob.get("/api/ldif/domain/other.test"), 403, "PERMISSION_DENIED")


def test_large_export_in_the_envelope_is_valid_json(api: Client, world: World) -> None:
    """The envelope is streamed in pieces; together they are one JSON text."""
    done(api.post("/api/domain/corp.test"))
    connection = world.connect()
    for number in range(60):
        mail = f"u{number}@corp.test".encode()
        connection.add_s(
            world.tree.user(mail.decode()),
            [
                ("objectClass", [b"inetOrgPerson", b"mailUser"]),
                ("mail", [mail]),
                *((name, [b'quote " back \\ tab']) for name in ("cn", "sn", "uid")),
                ("description", [b"\xf0\x9f\x90\xa7" * 1500]),
            ],
        )
    connection.unbind_s()
    answer = api.get("/api/ldif/domain/corp.test")
    text = json.loads(answer.content)["_data"]
    assert len(records(text.encode())) == 65
    assert len(text) > 3 * 65536


def test_exports_are_logged(api: Client, corp: None, capsys: pytest.CaptureFixture[str]) -> None:
    """Who, what, and whether hashes left the house."""
    api.get("/api/ldif/domain/corp.test")
    line = next(line for line in capsys.readouterr().out.splitlines() if " export " in line)
    assert "kind=domain name=corp.test passwords=True" in line
    assert "who=root@admins.test" in line


@pytest.fixture
def further(api: Client, world: World, corp: None) -> None:
    """Accounts of the other kinds."""
    done(api.post("/api/maillist/crew@corp.test", name="Größe", members="ann@corp.test,x@far.test"))
    done(api.post("/api/alias/info@corp.test", members="ann@corp.test,y@far.test"))
    world.add(
        world.tree.catchall("corp.test"),
        objectClass=["inetOrgPerson", "mailUser"],
        mail="@corp.test",
        cn="catch-all",
        sn="catch-all",
        uid="catch-all",
        accountStatus="active",
        mailForwardingAddress=["z@far.test"],
    )


def test_further_exports_are_what_the_directory_has(
    api: Client, world: World, further: None
) -> None:
    """One entry each, and of a list its members elsewhere too; with nothing operational."""
    tree = world.tree
    for path, dns in (
        ("catchall/corp.test", [tree.catchall("corp.test")]),
        ("maillist/crew@corp.test",
         [tree.maillist("crew@corp.test"), tree.externals("crew@corp.test")]),
        ("alias/info@corp.test", [tree.alias("info@corp.test")]),
        (f"admin/{ADMIN}", [tree.admin(ADMIN)]),
    ):  # fmt: skip
        text = api.get(f"/api/ldif/{path}", format="ldif").content
        found = records(text)
        assert [dn for dn, _ in found] == dns
        for dn, attributes in found:
            exported = {name: {v.decode() for v in values} for name, values in attributes.items()}
            assert exported == world.attributes(dn)
        assert text.endswith(f"\n# entries: {len(dns)}\n".encode())


def test_further_exports_are_those_of_the_command(
    api: Client, world: World, served: Served, further: None
) -> None:
    """Byte for byte what `ldif-export` writes."""
    connection = world.connect()
    names_: dict[SelectionKind, str] = {
        "catchall": "corp.test",
        "maillist": "crew@corp.test",
        "alias": "info@corp.test",
        "admin": ADMIN,
    }
    for kind, name in names_.items():
        found = libldap.entries(connection, world.tree, Selection(kind, name))
        written = b"".join(full.text(found, passwords=True))
        assert api.get(f"/api/ldif/{kind}/{name}", format="ldif").content == written
    connection.unbind_s()


def test_list_export_restores_its_entries(api: Client, world: World, further: None) -> None:
    """Those that it holds; an account that is a member says so in its own entry."""
    text = api.get("/api/ldif/maillist/crew@corp.test", format="ldif").content
    before = world.snapshot()
    connection = world.connect()
    for dn, _ in records(text):
        connection.delete_s(dn)
    for dn, attributes in records(text):
        connection.add_s(dn, list(attributes.items()))
    connection.unbind_s()
    assert world.snapshot() == before


def test_nothing_to_export(api: Client, corp: None) -> None:
    """An account of another kind is none of this one."""
    for path in (
        "catchall/corp.test",
        "catchall/none.test",
        "maillist/ann@corp.test",
        "alias/ann@corp.test",
        "admin/ann@corp.test",
    ):
        refused(api.get(f"/api/ldif/{path}"), 404, "NO_SUCH_ACCOUNT")


def test_catchall_by_the_name_of_an_alias_domain(api: Client, world: World, further: None) -> None:
    """As for every read of a domain."""
    world.set(world.tree.domain("corp.test"), domainAliasName=["corp.example"])
    by_alias = api.get("/api/ldif/catchall/corp.example").json()
    assert by_alias == api.get("/api/ldif/catchall/corp.test").json()


def test_normal_admin_and_further_exports(
    api: Client, serve: Any, world: World, further: None
) -> None:
    """Accounts of their domains less what is hidden; never an admin, not even themselves."""
    server: Served = serve(api={"api_hidden_user_profiles": ["mailForwardingAddress", "member"]})
    bob = world.tree.user("bob@corp.test")
    world.modify(bob, (ldap.MOD_ADD, "enabledService", [b"domainadmin"]))
    world.set(world.tree.domain("corp.test"), domainAdmin=["bob@corp.test"])
    world.add(
        world.tree.admin("dan@admins.test"),
        objectClass="mailAdmin",
        mail="dan@admins.test",
        accountStatus="active",
    )
    done(api.post("/api/domain/other.test"))
    done(api.post("/api/maillist/crew@other.test"))
    done(api.post("/api/alias/info@other.test"))
    client = server.client().log_in("bob@corp.test", PASSWORD)

    for path in ("catchall/corp.test", "maillist/crew@corp.test", "alias/info@corp.test"):
        text = client.get(f"/api/ldif/{path}", format="ldif").text
        assert "\ndn: " in text
        assert "mailForwardingAddress" not in text
        assert "\nmember:" not in text
    for path in (
        "catchall/other.test",
        "maillist/crew@other.test",
        "alias/info@other.test",
        "alias/none@none.test",
        f"admin/{ADMIN}",
        "admin/dan@admins.test",
        "admin/bob@corp.test",
    ):
        refused(client.get(f"/api/ldif/{path}"), 403, "PERMISSION_DENIED")


def test_admin_export_without_hashes(api: Client, serve: Any) -> None:
    """By the client, or by the configuration for everybody."""
    path = f"/api/ldif/admin/{ADMIN}"
    assert b"\nuserPassword:" in api.get(path, format="ldif").content
    without = api.get(path, passwords="no", format="ldif").content
    assert b"userPassword" not in without
    forbidding = serve(api={"ldif_passwords": False}).client().log_in()
    assert forbidding.get(path, format="ldif").content == without
