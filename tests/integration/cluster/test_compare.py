"""Two replicating servers are equal to a comparison, however busy, unless they stay different."""

import threading
from contextlib import ExitStack, closing, suppress
from dataclasses import replace

import ldap
import pytest

from iredldap.config.ldap import LdapSettings
from iredldap.config.settings import Secret
from iredldap.dit.names import Tree
from iredldap.gateways.cluster.comparison import ServerComparer, ServerComparison
from iredldap.gateways.directory import Directory
from tests.support.pair import Member, Pair
from tests.support.patience import PATIENCE
from tests.support.world import SUFFIX, WRITER_PASSWORD

TREE = Tree(SUFFIX)


@pytest.fixture(scope="module")
def pair(bare: Pair) -> Pair:
    # A second time, if other tests of this process come between those of this file.
    with suppress(ldap.ALREADY_EXISTS):
        write(bare.a, "a.test", add=True)
    bare.wait_until_equal()
    return bare


def write(member: Member, name: str, *, add: bool = False, value: str = "") -> None:
    connection = member.world.connect(f"cn=vmailadmin,{SUFFIX}", WRITER_PASSWORD)
    try:
        if add:
            kinds = [("objectClass", [b"mailDomain"]), ("domainName", [name.encode()])]
            connection.add_s(TREE.domain(name), kinds)
        else:
            connection.modify_s(TREE.domain(name), [(ldap.MOD_REPLACE, "cn", [value.encode()])])
    finally:
        connection.unbind_s()


def compared(pair: Pair) -> ServerComparison:
    settings = LdapSettings(
        uri=("ldap://127.0.0.1",),
        suffix=SUFFIX,
        bind_dn=f"cn=vmailadmin,{SUFFIX}",
        bind_password=Secret(WRITER_PASSWORD),
        network_timeout=PATIENCE,
        operation_timeout=PATIENCE,
    )
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(
                closing(Directory(replace(settings, uri=(member.slapd.uri,))))
            )
            for name, member in pair.members.items()
        }
        return ServerComparer(servers, contents=True).compare()


def test_what_is_being_replicated_is_no_difference(pair: Pair) -> None:
    """While one of them is written to all the time."""
    ended = threading.Event()

    def keep_writing() -> None:
        number = 0
        while not ended.is_set():
            write(pair.a, f"busy{number}.test", add=True)
            write(pair.a, "a.test", value=str(number))
            number += 1

    writing = threading.Thread(target=keep_writing)
    writing.start()
    try:
        found = [compared(pair) for _ in range(3)]
    finally:
        ended.set()
        writing.join(PATIENCE)

    assert [one.differences for one in found] == [[], [], []]
    assert found[-1].entries["A"] > 6


def test_what_cannot_be_replicated_is_a_difference_until_it_can(pair: Pair) -> None:
    pair.wait_until_equal()
    for line in pair.link:
        line.cut()
    write(pair.b, "a.test", value="written on B")
    write(pair.b, "b.test", add=True)

    apart = compared(pair)

    assert [one.dn for one in apart.differences] == [TREE.domain("a.test"), TREE.domain("b.test")]
    changed, added = apart.differences
    assert changed.attributes() == ("cn",)
    newest = changed.on["B"]
    assert newest
    assert newest.csn == changed.newest
    assert (added.on["A"], added.attributes()) == (None, ())
    assert not apart.vectors["A"].covers(apart.vectors["B"])
    assert apart.vectors["B"].covers(apart.vectors["A"])

    for line in pair.link:
        line.heal()
    pair.wait_until_equal()

    assert compared(pair).differences == []
