"""What turns cost: single requests, against the release before, which knows no turns.

Two gunicorns as they are shipped, with two workers each, serve one slapd: this tree, and the commit
before changes took turns. The same clients send both the same requests, in slices that alternate,
over connections that they keep. All of them share the cores. Times are those of one request: of a
slice, divided by its requests. In one domain, writes of eight clients wait for each other; before,
they met only in slapd, which has one writer. Each client changes entries of its own. Each version
has SQLite files of its own, in the mode in which it uses them.

What came with turns is in the figures, too: the targets of references are looked at again after the
write (decision 23), and a new user's mailbox is looked for among accounts and deleted mailboxes
before and after it (decision 24). TURNS_ROUNDS=2 holds fewer rounds.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count, islice

from benchmarks.before import release_before
from benchmarks.clients import Call, Clients
from benchmarks.figures import Row
from benchmarks.ground import SUFFIX, accounts, global_admin, planted, running
from benchmarks.served import Api, served, sqlite
from iredldap.dit import alias
from iredldap.dit.base import Made
from iredldap.dit.names import Tree
from tests.support.databases import PostgreSQL

ROUNDS = int(os.environ.get("TURNS_ROUNDS", "9"))
TOLD = ROUNDS // 2 + 1
"""Rounds with PostgreSQL, for which there is no target."""

SLICES = 4
"""Of each version in a round."""

REQUESTS = 40
"""Of a slice."""

CLIENTS = 8
WANTED = 0.95
"""Of the rate before, for one client."""

ONE = ("one.test",)
MANY = tuple(f"d{number:02d}.test" for number in range(REQUESTS))
"""Each request of a slice goes to another domain."""

USERS, USERS_OF_MANY = 1000, 20
MEMBERS = REQUESTS // CLIENTS
"""Added to one alias, in one domain; then the next alias has its turn."""


Make = Callable[[int, Sequence[str]], Call]
"""Makes a request of a number that no other of its kind has, and of the domains it may go to."""


@dataclass(frozen=True)
class Case:
    """What is measured: requests of one kind, from some clients, to some domains.

    Args:
        what: They do.
        make: Makes one.
        clients: How many.
        domains: Where.
        numbers: For `make`; cases with the same kind of request and domains share them.
    """

    what: str
    make: Make
    clients: int
    domains: Sequence[str]
    numbers: Iterator[int]

    def calls(self) -> list[Call]:
        """Make the requests of a slice."""
        return [self.make(number, self.domains) for number in islice(self.numbers, REQUESTS)]

    def __str__(self) -> str:
        clients = "1 client" if self.clients == 1 else f"{self.clients} clients"
        domains = "one domain" if len(self.domains) == 1 else f"{len(self.domains)} domains"
        return f"{self.what}, {clients}, {domains}"


def run() -> Iterator[Row]:
    """Measure every case with the state in SQLite, and then in PostgreSQL."""
    with (
        release_before() as tree,
        planted(_entries()) as home,
        running(home) as slapd,
        sqlite() as urls,
        sqlite() as former,
    ):
        everything = cases()
        with served(slapd, urls) as now, served(slapd, former, tree) as before:
            yield from _measure(everything, ROUNDS, now, before)
        with (
            _postgresql() as (ours, theirs),
            served(slapd, urls, state=ours) as now,
            served(slapd, former, tree, state=theirs) as before,
        ):
            yield from _measure(everything, TOLD, now, before, "state in PostgreSQL: ")


def _measure(
    measured: Sequence[Case], rounds: int, now: Api, before: Api, prefix: str = ""
) -> Iterator[Row]:
    for number in range(rounds):
        for case in measured:
            yield _round(case, number, now, before, prefix)


def _round(case: Case, number: int, now: Api, before: Api, prefix: str) -> Row:
    # New connections in each round: which worker answers a client is decided when it connects.
    with Clients(now, case.clients) as ours, Clients(before, case.clients) as theirs:
        spent = {ours: 0.0, theirs: 0.0}
        for piece in range(SLICES):
            for clients in (ours, theirs) if (number + piece) % 2 else (theirs, ours):
                spent[clients] += clients.seconds(case.calls())
    refused = [
        f"{clients.refused} calls {when} answered 503 and sent again"
        for clients, when in ((ours, "of ours"), (theirs, "of the peer's"))
        if clients.refused
    ]
    return Row(
        f"{prefix}{case}",
        "the release before",
        spent[ours] / (SLICES * REQUESTS),
        spent[theirs] / (SLICES * REQUESTS),
        "; ".join(refused),
        WANTED if case.clients == 1 and not prefix else 0,
    )


def cases() -> list[Case]:
    """Give all that is measured with one kind of state database, its numbers from the beginning."""
    return [
        Case(what, make, clients, domains, numbers)
        for what, make in _KINDS.items()
        for domains in (ONE, MANY)
        for numbers in [count()]
        for clients in (1, CLIENTS)
    ]


def _reading(number: int, domains: Sequence[str]) -> Call:
    return Call("GET", f"/user/{_user(number, domains)}", {})


def _changing(number: int, domains: Sequence[str]) -> Call:
    return Call("PUT", f"/user/{_user(number, domains)}", {"name": f"Somebody {number}"})


def _creating(number: int, domains: Sequence[str]) -> Call:
    mail = f"new{number}@{domains[number % len(domains)]}"
    return Call("POST", f"/user/{mail}", {"password": "a good password", "name": "Somebody New"})


def _adding(number: int, domains: Sequence[str]) -> Call:
    domain = domains[number % len(domains)]
    which, member = divmod(number // len(domains), MEMBERS)
    form = {"addMember": f"user{member:06d}@{domain}"}
    return Call("PUT", f"/alias/{_alias(which, domain)}", form)


_KINDS: dict[str, Make] = {
    "GET of a user": _reading,
    "PUT of a user's name": _changing,
    "POST of a user": _creating,
    "PUT of an alias, addMember": _adding,
}


def _user(number: int, domains: Sequence[str]) -> str:
    users = USERS if len(domains) == 1 else USERS_OF_MANY
    return f"user{number // len(domains) % users:06d}@{domains[number % len(domains)]}"


def _alias(number: int, domain: str) -> str:
    return f"all{number}@{domain}"


def _entries() -> Iterator[Made]:
    yield global_admin()
    # Both versions, both numbers of clients, both kinds of state database.
    additions = ROUNDS * SLICES * REQUESTS * 2 * 2 * 2
    for domains, users in ((ONE, USERS), (MANY, USERS_OF_MANY)):
        for domain in domains:
            yield from accounts(Tree(SUFFIX), domain, users)
            for number in range(1 + additions // len(domains) // MEMBERS):
                mail = _alias(number, domain)
                yield Tree(SUFFIX).alias(mail), alias.new(mail, (), (), is_marked=False)


@contextmanager
def _postgresql() -> Iterator[tuple[str, str]]:
    """URLs of a new state database for each version."""
    with closing(PostgreSQL()) as server:
        server.start()
        yield server.create_empty("ours"), server.create_empty("theirs")
