"""Which entries may be written, as more and more are."""

from contextlib import closing

import pytest

from ldif_export.readers.base import LdifRecord
from ldif_export.readers.parents_first import DeferredEntries, WrittenEntries, parent_dn

BASE = b"o=domains,dc=x"
DOMAIN = b"domainName=a.test," + BASE


def begun() -> WrittenEntries:
    written = WrittenEntries()
    written.add_roots([DOMAIN.decode(), f"ou=Users,{DOMAIN.decode()}"])
    assert written.accept(DOMAIN, container=True)
    assert written.accept(b"ou=Users," + DOMAIN, container=True)
    return written


def test_the_parent_stands_behind_the_first_comma_that_is_none_of_the_name() -> None:
    assert parent_dn(b"cn=a\\,b\\\\,o=x,dc=y") == b"o=x,dc=y"
    assert parent_dn(b"dc=y") == parent_dn(b"") == b""


def test_entries_of_a_container_are_taken_together() -> None:
    written = begun()
    users = [b"mail=%d,ou=Users,%s" % (n, DOMAIN) for n in range(100)]
    assert written.accept_all(users)
    assert not written.accept_all([*users[:3], b"cn=x,mail=y,ou=Users," + DOMAIN])


def test_a_child_is_taken_when_its_parent_was() -> None:
    """However many others were written before and since."""
    users = [b"mail=%d,ou=Users,%s" % (n, DOMAIN) for n in range(50_000)]
    with closing(begun()) as written:
        assert all(written.accept_all(users[n : n + 100]) for n in range(0, 40_000, 100))
        assert all(written.accept(b"cn=x," + dn) for dn in users[:40_000:7])
        assert not any(written.accept(b"cn=x," + dn) for dn in users[40_000:])
        assert written.accept_all(users[40_000:])
        assert all(written.accept(b"cn=x," + dn) for dn in users[40_000:])
        assert written.accept(b"cn=y,cn=x," + users[7])


def test_without_room_on_the_disk_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/nowhere")
    test_a_child_is_taken_when_its_parent_was()


def test_what_waits_comes_parents_first() -> None:
    """What has no parent even then comes all the same, unless it may lie below what is left out."""
    dns = ["cn=c,cn=b,cn=a,o=x", "cn=b,cn=a,o=x", "cn=z,cn=y,o=x", "cn=a,o=x"]
    for whole in (True, False):
        written, waiting = WrittenEntries(), DeferredEntries()
        written.add_roots(["cn=a,o=x"])
        for dn in dns:
            waiting.put(LdifRecord(dn, dn.encode(), {"cn": [b"\xff"]}))
        found = [*waiting.release(written, whole=whole)]
        middle = [dns[1], dns[2]] if whole else [dns[1]]
        assert [record.dn for record in found] == [dns[3], *middle, dns[0]]
        assert all(record.text == record.dn.encode() for record in found)
        assert found[0].watched == {"cn": [b"\xff"]}
        assert [*waiting.release(written, whole=True)] == []
