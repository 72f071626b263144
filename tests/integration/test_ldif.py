"""LDIF over HTTP."""

import io
import json
from typing import Any

import ldap
import ldif
import pytest

from tests.conftest import Client, Served, World, done, refused

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
    """Whatever he asks for."""
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
