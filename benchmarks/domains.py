"""Taking a large domain away, against python-ldap deleting its entries one after another."""

from collections.abc import Iterator
from functools import partial

import ldap

from benchmarks.figures import Row
from benchmarks.ground import (
    ADMIN,
    PASSWORD,
    SUFFIX,
    configuration,
    directory,
    peak_megabytes,
    seconds,
    settings,
)
from iredldap.changes.apply import apply
from iredldap.dit.fields import Parsed
from iredldap.dit.names import Tree, depth
from iredldap.gateways.directory import Directory
from iredldap.operations.context import Context
from iredldap.operations.domains import domains
from iredldap.operations.login import Caller
from iredldap.operations.outside_systems import OutsideSystems

USERS = 10_000
ROUNDS = 3


def run() -> Iterator[Row]:
    """Delete a domain of 10 000 users, ours and the peer's in turn, on one slapd."""
    names = [f"{who}{number}.test" for number in range(ROUNDS) for who in ("ours", "peer")]
    caller = Caller(ADMIN, Tree(SUFFIX).admin(ADMIN), is_global=True, stored=())
    with directory(dict.fromkeys((*names, "stays.test"), USERS)) as slapd:
        gateway, config = Directory(settings(slapd)), configuration(slapd)
        outside = OutsideSystems.open(config)
        context = Context(gateway, config, caller, outside)
        _delete_one_by_one(slapd.ldapi, "peer0.test", limit=10)
        before = peak_megabytes()
        for number in range(ROUNDS):
            ours, theirs = f"ours{number}.test", f"peer{number}.test"
            mine = seconds(partial(_delete_by_plan, context, ours))
            grown = peak_megabytes() - before
            other = seconds(partial(_delete_one_by_one, slapd.ldapi, theirs))
            yield Row(
                f"delete a domain of {USERS} users",
                "search_s, then delete_s each",
                mine,
                other,
                f"memory grew by {grown:.1f} MB",
            )
        gateway.close()
        outside.close()


def _delete_by_plan(context: Context, name: str) -> None:
    apply(context.directory, domains.delete(context, {"domain": name, "number": "30"}, Parsed()))


def _delete_one_by_one(uri: str, name: str, limit: int | None = None) -> None:
    connection = ldap.initialize(uri)
    connection.simple_bind_s(f"cn=vmailadmin,{SUFFIX}", PASSWORD)
    found = connection.search_s(
        Tree(SUFFIX).domain(name), ldap.SCOPE_SUBTREE, "(objectClass=*)", ["1.1"]
    )
    for dn in sorted((dn for dn, _ in found), key=depth, reverse=True)[:limit]:
        connection.delete_s(dn)
    connection.unbind_s()
