"""Changing every account of a large domain, against the same changes one after another.

The peer is python-ldap on one connection, which sends a modify when the one before is answered:
on this machine, and over a link of 1 ms there and back, made with a delaying proxy.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from statistics import median

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
from iredldap.config import Config
from iredldap.dit import domain, user
from iredldap.dit.fields import parse
from iredldap.dit.names import Tree
from iredldap.dit.plan import Mod, Modify, Op
from iredldap.dit.request import Request
from iredldap.embedded.slapd import Slapd
from iredldap.gateways.directory import Directory
from iredldap.operations import domains
from iredldap.operations.index import World, plan
from iredldap.operations.login import Caller
from iredldap.operations.records import Records
from tests.proxy import Proxy

NAME = "large.test"
USERS = 10_000
ROUNDS = 5
CALLER = Caller(ADMIN, Tree(SUFFIX).admin(ADMIN), is_global=True, stored=())


def run() -> Iterator[Row]:
    """Disable and enable a domain of 10 000 users, ours and the peer's in turn."""
    with directory({NAME: USERS, "small.test": 10}) as slapd:
        config = configuration(slapd)
        yield from _rounds(slapd, config, slapd.uri, _Link("loopback", ROUNDS, wanted=1.1))
        server = ("127.0.0.1", slapd.port)
        with Proxy(server, to_server=0.0005, to_client=0.0005) as proxy:
            link = _Link("1 ms there and back", 1, wanted=2)
            yield from _rounds(slapd, config, proxy.uri, link)
        yield from _others(slapd, config)


@dataclass(frozen=True)
class _Link:
    name: str
    rounds: int
    wanted: float


def _rounds(slapd: Slapd, config: Config, uri: str, link: _Link) -> Iterator[Row]:
    gateway = Directory(settings(slapd, uri))
    before = peak_megabytes()
    for _ in range(link.rounds):
        for status in ("disabled", "active"):
            ours = seconds(partial(_switch, gateway, config, status))
            _switch(gateway, config, "disabled" if status == "active" else "active")
            mark = [b"disabled"] if status == "disabled" else None
            theirs = seconds(partial(_one_by_one, uri, "domainStatus", mark))
            _switch(gateway, config, status)
            yield Row(
                f"{status}: a domain of {USERS} users, {link.name}",
                "modify_s each",
                ours,
                theirs,
                f"memory grew by {peak_megabytes() - before:.1f} MB",
                link.wanted,
            )
    for number in range(link.rounds):
        language, other = ("de_DE", "fr_FR") if number % 2 else ("it_IT", "ja_JP")
        yield Row(
            f"PUT /api/users: the language of {USERS} users, {link.name}",
            "modify_s each",
            seconds(partial(_speak, gateway, config, language)),
            seconds(partial(_one_by_one, uri, "preferredLanguage", [other.encode()])),
            f"memory grew by {peak_megabytes() - before:.1f} MB",
            link.wanted,
        )
    gateway.close()


def _speak(gateway: Directory, config: Config, language: str) -> None:
    wanted = Request("users_update", {"domain": NAME}, parse(user.BULK, {"language": [language]}))
    apply(gateway, plan(World(gateway, config, CALLER, Records.open(config)), wanted))


def _others(slapd: Slapd, config: Config) -> Iterator[Row]:
    """What another client waits while a sweep of all accounts runs."""
    sweeper, other = Directory(settings(slapd)), Directory(settings(slapd))
    dn = Tree(SUFFIX).user("user000001@small.test")

    def reading() -> None:
        other.read(dn)

    def writing(number: int = 0) -> None:
        text = f"{time.perf_counter()}".encode()
        other.write(Modify(dn, (Mod(Op.REPLACE, "description", (text,)),)))

    for what, work, wanted in (("a read", reading, 1 / 2), ("a write", writing, 1 / 20)):
        usual = _times(work, lambda: True)
        sweep = threading.Thread(target=_switch, args=(sweeper, config, "disabled"))
        sweep.start()
        meanwhile = _times(work, sweep.is_alive)
        sweep.join()
        _switch(sweeper, config, "active")
        yield Row(
            f"{what} while {USERS} accounts are swept",
            "the same on an idle directory",
            median(meanwhile),
            median(usual),
            f"medians of {len(meanwhile)} and {len(usual)}",
            wanted,
        )


def _times(work: Callable[[], None], going_on: Callable[[], bool]) -> list[float]:
    until, times = time.monotonic() + 3, []
    while going_on() and time.monotonic() < until:
        times.append(seconds(work))
    return times


def _switch(gateway: Directory, config: Config, status: str) -> None:
    parsed = parse(domain.UPDATE, {"accountStatus": [status]})
    apply(gateway, domains.update(gateway, Records.open(config), config, CALLER, NAME, parsed))


def _one_by_one(uri: str, attribute: str, values: list[bytes] | None) -> None:
    connection = ldap.initialize(uri)
    connection.simple_bind_s(f"cn=vmailadmin,{SUFFIX}", PASSWORD)
    base = Tree(SUFFIX).domain(NAME)
    found = connection.search_s(base, ldap.SCOPE_SUBTREE, "(objectClass=mailUser)", ["1.1"])
    for dn, _ in found:
        connection.modify_s(dn, [(ldap.MOD_REPLACE, attribute, values)])
    connection.unbind_s()
