"""What a server has missed, though its contextCSN says otherwise: both are compared first."""

import shutil

import ldap.modlist

from iredldap.dit.plan import Add, Delete
from iredldap.gateways.cluster.view import Mode
from iredldap.operations.diagnosis.writer_status import WriterStatus, status
from tests.support.agreed import Node, change, creation, domain
from tests.support.pair import Member, Pair
from tests.support.patience import wait_until


def members(pair: Pair, node: Node) -> tuple[Member, Member]:
    """Return the writer and the standby."""
    (name,) = [name for name in pair.members if pair.uri(name) == node.row.uri]
    (other,) = set(pair.members) - {name}
    return pair.members[name], pair.members[other]


def entry_of(member: Member, name: str) -> bytes:
    """Return the entry of a domain as it stands in a dump."""
    start = f"dn: {domain(name)}".encode()
    (found,) = [one for one in member.slapd.dump().split(b"\n\n") if one.startswith(start)]
    return found


def seed(member: Member, ldif: bytes) -> None:
    """Have a server that does not run begin anew, with entries that another one has dumped.

    It takes over nothing of what was before: it has the contextCSN of the other one.
    """
    shutil.rmtree(member.slapd.home / "database")
    member.slapd.prepare(ldif)
    member.start()


def told(node: Node) -> WriterStatus:
    return status(node.settings, node.register)


def test_what_the_writer_has_is_written_again(pair: Pair, node: Node) -> None:
    """Missing entries and older ones; their values stay as they are."""
    writer, beside = members(pair, node)
    node.directory.write(creation("older.test"))
    beside.kill()
    node.directory.write(creation("missed.test"))
    older = entry_of(writer, "older.test")
    node.directory.write(change("older.test", "newer"))
    ldif = writer.slapd.dump()
    for faulty in (
        ldif.replace(entry_of(writer, "missed.test") + b"\n\n", b""),
        ldif.replace(entry_of(writer, "older.test"), older),
    ):
        assert faulty != ldif
    ldif = ldif.replace(entry_of(writer, "missed.test") + b"\n\n", b"")
    seed(beside, ldif.replace(entry_of(writer, "older.test"), older))
    assert beside.vector() == writer.vector()
    assert beside.world.entry(domain("missed.test")) is None

    node.await_mode(Mode.TOGETHER)

    assert pair.differences() == {}
    for name, value in (("missed.test", "new"), ("older.test", "newer")):
        entry = beside.world.entry(domain(name))
        assert entry
        assert entry.text("cn") == value


def test_what_only_the_standby_has_is_for_the_admin(pair: Pair, node: Node) -> None:
    """The writer has deleted it, or a former one that had no right to: the servers do not tell."""
    name = "deleted.test"
    writer, beside = members(pair, node)
    node.directory.write(creation(name))
    deleted = entry_of(writer, name)
    beside.kill()
    node.directory.write(Delete(domain(name)))
    seed(beside, writer.slapd.dump() + deleted + b"\n\n")
    assert beside.vector() == writer.vector()

    def is_found() -> bool:
        found = told(node).comparison
        return found is not None and bool(found.differing)

    wait_until(is_found)

    found = told(node)
    assert not found.is_good
    assert found.as_json()["differing"] == 1
    assert found.as_json()["differences"] == [f"{domain(name)}: only on the standby"]
    assert node.row.mode is Mode.JOINING
    # Changes go on, and are confirmed.
    node.directory.write(creation("meanwhile.test"))
    assert beside.world.entry(domain("meanwhile.test"))

    beside.world.connect().delete_s(domain(name))
    node.await_mode(Mode.TOGETHER)
    assert told(node).comparison is None


def test_what_nobody_has_acknowledged_takes_no_address(pair: Pair, node: Node) -> None:
    """A user that the writer was sent before it fell comes back; others have the address."""
    former, beside = members(pair, node)
    node.directory.write(creation("rivals.test"))
    wait_until(lambda: node.register.epochs()[-1].server_id is not None)
    tree = node.directory.tree
    user = f"mail=a@rivals.test,ou=Users,{tree.domain('rivals.test')}"
    alone = f"mail=b@rivals.test,ou=Users,{tree.domain('rivals.test')}"
    alias = f"mail=a@rivals.test,ou=Aliases,{tree.domain('rivals.test')}"
    for kind in ("Users", "Aliases"):
        dn = f"ou={kind},{tree.domain('rivals.test')}"
        node.directory.write(Add(dn, {"objectClass": (b"organizationalUnit",)}))
    for line in pair.link:
        line.cut()
    connection = former.world.connect()
    for dn, mail in ((user, b"a@rivals.test"), (alone, b"b@rivals.test")):
        values = {"objectClass": [b"inetOrgPerson", b"mailUser"], "mail": [mail]}
        needed = {"cn": [b"x"], "sn": [b"x"], "uid": [b"x"]}
        connection.add_s(dn, ldap.modlist.addModlist({**values, **needed}))
    former.kill()
    for line in pair.link:
        line.heal()
    node.write(Add(alias, {"objectClass": (b"mailAlias",), "mail": (b"a@rivals.test",)}))
    node.write(change("rivals.test", "by the new writer"))
    assert members(pair, node)[0] is beside
    former.start()
    wait_until(lambda: beside.world.entry(alone) is not None)

    node.await_mode(Mode.TOGETHER)

    there = [*beside.entries()]
    assert alias in there
    assert alone in there
    assert user not in there
