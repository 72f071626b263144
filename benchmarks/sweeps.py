"""Changing every account of a large domain, against the same changes one after another.

The peer is python-ldap on one connection, which sends a modify when the one before is answered:
on this machine, and over a link of 1 ms there and back, made with a delaying proxy.

What others wait meanwhile is measured over HTTP, with gunicorn as it is shipped: those who read, or
write in other domains, and those who write in the domain itself, whose turn is the sweep's. They
wait for five seconds at most, and are then refused with 503 and `Retry-After`.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import ldap

from benchmarks.figures import Reading, Result, Row
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
from benchmarks.meanwhile import Other, waiting
from benchmarks.served import Api, served, sqlite
from iredldap.changes.apply import apply
from iredldap.config.sections import Config
from iredldap.dit import domain, user
from iredldap.dit.form_parser import parse
from iredldap.dit.names import Tree
from iredldap.dit.request import Request
from iredldap.embedded.slapd import Slapd
from iredldap.gateways.directory import Directory
from iredldap.operations.context import Context
from iredldap.operations.dispatch import plan
from iredldap.operations.domains import domains
from iredldap.operations.login import Caller
from iredldap.operations.outside_systems import OutsideSystems
from iredldap.operations.users import bulk_update
from tests.support.proxy import Proxy

NAME = "large.test"
USERS = 10_000
ROUNDS = 5
CALLER = Caller(ADMIN, Tree(SUFFIX).admin(ADMIN), is_global=True, stored=())


def run() -> Iterator[Result]:
    """Disable and enable a domain of 10 000 users, ours and the peer's in turn."""
    with directory({NAME: USERS, "small.test": 10}) as slapd:
        config = configuration(slapd)
        yield from _rounds(slapd, config, slapd.uri, _Link("loopback", ROUNDS, wanted=1.1))
        server = ("127.0.0.1", slapd.port)
        with Proxy(server, to_server=0.0005, to_client=0.0005) as proxy:
            link = _Link("1 ms there and back", 1, wanted=2)
            yield from _rounds(slapd, config, proxy.uri, link)
        yield from _others(slapd)


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
    context = Context(gateway, config, CALLER, OutsideSystems.open(config))
    apply(gateway, plan(context, bulk_update.update, wanted))


def _others(slapd: Slapd) -> Iterator[Result]:
    """What other clients of the API wait while it sweeps all accounts of a domain."""
    with sqlite() as urls, served(slapd, urls) as api, ThreadPoolExecutor(1) as sweeper:
        for number in range(ROUNDS):
            speak = _Sweep(f"/users/{NAME}", {"language": "de_DE" if number % 2 else "it_IT"})
            disable = _Sweep(f"/domain/{NAME}", {"accountStatus": "disabled"})
            enable = _Sweep(f"/domain/{NAME}", {"accountStatus": "active"})
            yield from _beside(api, sweeper, speak, f"PUT /api/users changes {USERS} users")
            yield from _beside(api, sweeper, disable, f"a domain of {USERS} users is disabled")
            yield _in_the_same(api, enable.start(api, sweeper))


class _Sweep(NamedTuple):
    path: str
    form: dict[str, str]

    def start(self, api: Api, sweeper: Executor) -> Callable[[], bool]:
        """Send the request, and give a function that says whether it goes on."""
        answer = sweeper.submit(api.alike().request, "PUT", self.path, data=self.form)

        def goes_on() -> bool:
            if answer.done():
                answer.result()
            return not answer.done()

        return goes_on


def _beside(api: Api, sweeper: Executor, sweep: _Sweep, what: str) -> Iterator[Row]:
    # On a connection of its own, one of the workers answers: the one that sweeps, or the other.
    client = api.alike()
    others = (
        Other(
            f"GET of a user while {what}",
            partial(client.request, "GET", f"/user/user000001@{NAME}"),
            share=1 / 2,
        ),
        Other(
            f"PUT of a user of another domain while {what}",
            lambda: client.request("PUT", "/user/user000001@small.test", data=_name()),
            share=1 / 20,
        ),
    )
    yield from waiting(others, partial(sweep.start, api, sweeper))


def _in_the_same(api: Api, goes_on: Callable[[], bool]) -> Reading:
    """Change an account of the domain that is swept over and over: the sweep has its turn."""
    client = api.alike()
    url, waits, refused = f"{client.url}/user/user000001@{NAME}", [0.0], 0
    while goes_on():
        began = time.perf_counter()
        answer = client.session.put(url, data=_name(), timeout=600)
        waits.append(time.perf_counter() - began)
        if answer.status_code == 503 and answer.headers["Retry-After"]:
            refused += 1
        else:
            answer.raise_for_status()
    what = f"PUT of a user of a domain of {USERS} that is enabled meanwhile: longest wait"
    note = f"{refused} of {len(waits) - 1} answered 503 with Retry-After"
    return Reading(what, max(waits), "s", None, note)


def _name() -> dict[str, str]:
    return {"name": f"Somebody {time.perf_counter()}"}


def _switch(gateway: Directory, config: Config, status: str) -> None:
    parsed = parse(domain.UPDATE, {"accountStatus": [status]})
    context = Context(gateway, config, CALLER, OutsideSystems.open(config))
    apply(gateway, domains.update(context, {"domain": NAME}, parsed))


def _one_by_one(uri: str, attribute: str, values: list[bytes] | None) -> None:
    connection = ldap.initialize(uri)
    connection.simple_bind_s(f"cn=vmailadmin,{SUFFIX}", PASSWORD)
    base = Tree(SUFFIX).domain(NAME)
    found = connection.search_s(base, ldap.SCOPE_SUBTREE, "(objectClass=mailUser)", ["1.1"])
    for dn, _ in found:
        connection.modify_s(dn, [(ldap.MOD_REPLACE, attribute, values)])
    connection.unbind_s()
