"""Creating a user in a large directory, against the same in a small one, and against bare adds."""

import time
from collections.abc import Iterator

import ldap

from benchmarks.figures import Row
from benchmarks.ground import ADMIN, PASSWORD, SUFFIX, configuration, directory, settings
from iredldap.changes.apply import apply
from iredldap.dit import user
from iredldap.dit.form_parser import parse
from iredldap.dit.names import Tree
from iredldap.embedded.slapd import Slapd
from iredldap.gateways.directory import Directory
from iredldap.operations.context import Context
from iredldap.operations.login import Caller
from iredldap.operations.outside_systems import OutsideSystems
from iredldap.operations.users import users

CREATED = 300
LARGE, SMALL = 100_000, 1_000


def run() -> Iterator[Row]:
    """Create 300 users one after another in each."""
    with directory({"home.test": SMALL}) as small:
        few = _create(small)
        bare = _add(small)
    with directory({"home.test": LARGE // 2, "other.test": LARGE // 2}) as large:
        many = _create(large)
    yield Row(
        f"create {CREATED} users among {LARGE}",
        f"the same among {SMALL}",
        many,
        few,
        "what a creation costs does not grow with the directory",
        wanted=1 / 1.5,
    )
    yield Row(f"create {CREATED} users", "add_s of the same entries", few, bare)


def _create(slapd: Slapd) -> float:
    gateway, config = Directory(settings(slapd)), configuration(slapd)
    outside = OutsideSystems.open(config)
    caller = Caller(ADMIN, Tree(SUFFIX).admin(ADMIN), is_global=True, stored=())
    parsed = parse(user.CREATE, {"password": ["a good password"], "name": ["Somebody New"]})
    context = Context(gateway, config, caller, outside)
    began = time.perf_counter()
    for number in range(CREATED):
        mail = f"new{number}@home.test"
        apply(gateway, users.create(context, {"mail": mail}, parsed))
    spent = time.perf_counter() - began
    gateway.close()
    outside.close()
    return spent


def _add(slapd: Slapd) -> float:
    connection = ldap.initialize(slapd.ldapi)
    connection.simple_bind_s(f"cn=vmailadmin,{SUFFIX}", PASSWORD)
    tree = Tree(SUFFIX)
    _, model = connection.search_s(tree.user("new0@home.test"), ldap.SCOPE_BASE)[0]
    began = time.perf_counter()
    for number in range(CREATED):
        mail = f"bare{number}@home.test"
        entry = model | {"mail": [mail.encode()], "uid": [mail.encode()], "sn": [mail.encode()]}
        connection.add_s(tree.user(mail), list(entry.items()))
    spent = time.perf_counter() - began
    connection.unbind_s()
    return spent
