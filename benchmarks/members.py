"""A member more for an alias that has many: linear work, and little beside the directory's own."""

import time
from collections.abc import Iterator
from functools import partial
from statistics import median

import ldap

from benchmarks.figures import Row
from benchmarks.ground import ADMIN, PASSWORD, SUFFIX, configuration, directory, settings
from iredldap.changes.apply import execute
from iredldap.dit import alias
from iredldap.dit.entry import encoded
from iredldap.dit.form_parser import parse
from iredldap.dit.names import Tree
from iredldap.dit.request import Request
from iredldap.embedded.slapd import Slapd
from iredldap.gateways.directory import Directory
from iredldap.operations import aliases, dispatch
from iredldap.operations.context import Context
from iredldap.operations.login import Caller
from iredldap.operations.outside_systems import OutsideSystems

MANY, FEW = 20_000, 2_000
ADDED = 20
PERMITTED = 2.0
"""How much more than in proportion the larger alias may take."""


def run() -> Iterator[Row]:
    """Add members one after another to two aliases, and to the larger one without us."""
    with directory({"home.test": 100}) as slapd:
        gateway, config = Directory(settings(slapd)), configuration(slapd)
        outside = OutsideSystems.open(config)
        caller = Caller(ADMIN, Tree(SUFFIX).admin(ADMIN), is_global=True, stored=())
        context = Context(gateway, config, caller, outside)
        few, many = (_add(slapd, context, number) for number in (FEW, MANY))
        bare = _bare(slapd)
        gateway.close()
        outside.close()
    yield Row(
        f"a member more for an alias of {MANY}",
        f"{MANY // FEW} times that for one of {FEW}",
        many,
        few * MANY / FEW,
        "the work is linear",
        wanted=1 / PERMITTED,
    )
    yield Row(f"a member more for an alias of {MANY}", "modify_s of the same value", many, bare)


def _plant(slapd: Slapd, number: int) -> str:
    mail = f"all{number}@home.test"
    made = alias.new(mail, (), (), is_marked=False)
    made[alias.MEMBERS] = encoded(f"member{n:06d}@far.test" for n in range(number))
    connection = ldap.initialize(slapd.ldapi)
    connection.simple_bind_s(f"cn=vmailadmin,{SUFFIX}", PASSWORD)
    connection.add_s(Tree(SUFFIX).alias(mail), [(name, [*v]) for name, v in made.items()])
    connection.unbind_s()
    return mail


def _add(slapd: Slapd, context: Context, number: int) -> float:
    mail, spent = _plant(slapd, number), list[float]()
    for each in range(ADDED):
        parsed = parse(alias.UPDATE, {"addMember": [f"new{each}@far.test"]})
        wanted = Request("alias_update", {"mail": mail}, parsed)
        began = time.perf_counter()
        plan = partial(dispatch.plan, context, aliases.update, wanted)
        execute(context.directory, plan)
        spent.append(time.perf_counter() - began)
    return median(spent)


def _bare(slapd: Slapd) -> float:
    dn, spent = Tree(SUFFIX).alias(f"all{MANY}@home.test"), list[float]()
    connection = ldap.initialize(slapd.ldapi)
    connection.simple_bind_s(f"cn=vmailadmin,{SUFFIX}", PASSWORD)
    for each in range(ADDED):
        began = time.perf_counter()
        connection.modify_s(dn, [(ldap.MOD_ADD, alias.MEMBERS, [b"bare%d@far.test" % each])])
        spent.append(time.perf_counter() - began)
    connection.unbind_s()
    return median(spent)
