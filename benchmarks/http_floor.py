"""What the API does beside a call of python-ldap: reads and creations of a user over HTTP.

The peer of a read is a bare Falcon handler (`benchmarks/bare.py`): one `search_s` and `json.dumps`,
or a constant; it knows no callers, rights or rules. Both are served by gunicorn with as many
workers and threads, from one slapd under iRedMail's access rules. The same 16 clients send both
their requests, in slices that alternate, over connections that they keep. The peer of a creation is
`add_s` of the same attributes, on a connection of this process. Clients, servers and slapd share
the cores. Times are those of one request: of a slice, divided by its requests. HTTP_FLOOR_ROUNDS=3
holds fewer rounds.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count, islice
from pathlib import Path

import requests
from ldap.ldapobject import SimpleLDAPObject

from benchmarks.clients import Call, Clients
from benchmarks.figures import Row
from benchmarks.ground import PASSWORD, SUFFIX, directory, seconds, settings, stored_password
from benchmarks.served import WORKERS, Api, served, sqlite
from iredldap.config.server import ServerSettings
from iredldap.dit import user_entry
from iredldap.dit.names import Tree
from iredldap.embedded.child import ended_with_parent
from iredldap.embedded.ports import free_port
from iredldap.embedded.slapd import Slapd
from iredldap.gateways.ldap.servers import close, connect

ROUNDS = int(os.environ.get("HTTP_FLOOR_ROUNDS", "9"))
SLICES, REQUESTS, CLIENTS = 4, 160, 16
CREATIONS = 40
"""Of a slice."""

USERS, DOMAIN = 1000, "home.test"


@dataclass(frozen=True)
class Reads:
    """A kind of request of the peer, beside reads of a user.

    Args:
        peer: What the peer does.
        make: Makes its request of a number.
        wanted: The share of its rate that is wanted.
    """

    peer: str
    make: Callable[[int], Call]
    wanted: float


def _reading(number: int) -> Call:
    return Call("GET", f"/user/user{number % USERS:06d}@{DOMAIN}", {})


def _constant(_: int) -> Call:
    return Call("GET", "/constant", {})


_READS = (
    Reads("a handler with `search_s` and `json.dumps`", _reading, 0.6),
    Reads("a handler with a constant", _constant, 0.3),
)
_CREATION = 0.8
"""The share of the rate of `add_s` that is wanted."""


def run() -> Iterator[Row]:
    """Measure reads and creations in turn."""
    with (
        directory({DOMAIN: USERS}) as slapd,
        sqlite() as urls,
        served(slapd, urls) as api,
        _bare(slapd) as bare,
        ExitStack() as stack,
    ):
        connection = connect(settings(slapd))
        stack.callback(close, connection)
        new = count()
        for number in range(ROUNDS):
            for beside in _READS:
                yield _read(beside, number, api, bare)
            yield _create(new, number, api, connection)


def _read(beside: Reads, number: int, api: Api, bare: Api) -> Row:
    with Clients(api, CLIENTS) as ours, Clients(bare, CLIENTS) as theirs:
        sent = {ours: [*map(_reading, range(REQUESTS))]}
        sent[theirs] = [*map(beside.make, range(REQUESTS))]
        spent = dict.fromkeys(sent, 0.0)
        for piece in range(SLICES):
            for clients in (ours, theirs) if (number + piece) % 2 else (theirs, ours):
                spent[clients] += clients.seconds(sent[clients])
    times = spent[ours] / (SLICES * REQUESTS), spent[theirs] / (SLICES * REQUESTS)
    return Row(f"GET of a user, {CLIENTS} clients", beside.peer, *times, wanted=beside.wanted)


def _create(numbers: Iterator[int], number: int, api: Api, connection: SimpleLDAPObject) -> Row:
    spent = [0.0, 0.0]
    with Clients(api, 1) as client:
        for piece in range(SLICES):
            for position in (0, 1) if (number + piece) % 2 else (1, 0):
                mails = [f"new{one}@{DOMAIN}" for one in islice(numbers, CREATIONS)]
                spent[position] += (
                    seconds(partial(_add_all, connection, mails))
                    if position
                    else client.seconds([*map(_creating, mails)])
                )
    times = spent[0] / (SLICES * CREATIONS), spent[1] / (SLICES * CREATIONS)
    return Row("POST of a user, 1 client", "`add_s`", *times, wanted=_CREATION)


def _creating(mail: str) -> Call:
    return Call("POST", f"/user/{mail}", {"password": "a good password", "name": "Somebody New"})


def _add_all(connection: SimpleLDAPObject, mails: list[str]) -> None:
    given = {
        "userPassword": (stored_password(),),
        "enabledService": user_entry.SERVICES,
        "mailQuota": ("1073741824",),
        "preferredLanguage": ("en_US",),
        "mailboxFormat": ("maildir",),
        "mailboxFolder": ("Maildir",),
        "shadowLastChange": ("20000",),
    }
    for mail in mails:
        home = f"/var/vmail/vmail1/{DOMAIN}/n/e/w/{mail.partition('@')[0]}-2026.01.01.00.00.00/"
        attributes = user_entry.new(mail, (), {**given, "homeDirectory": (home,)})
        values = [(name, [*each]) for name, each in attributes.items()]
        connection.add_s(Tree(SUFFIX).user(mail), values)


@contextmanager
def _bare(slapd: Slapd) -> Iterator[Api]:
    """Serve the peer."""
    address = f"127.0.0.1:{free_port()}"
    threads = str(ServerSettings().threads)
    command = [
        *(sys.executable, "-m", "gunicorn", "--bind", address, "--worker-class", "gthread"),
        *("--workers", str(WORKERS), "--threads", threads, "--keep-alive", "15"),
        "benchmarks.bare:application",
    ]
    variables = {
        "BARE_URI": slapd.ldapi,
        "BARE_BIND_DN": f"cn=vmailadmin,{SUFFIX}",
        "BARE_PASSWORD": PASSWORD,
        "BARE_BASE": Tree(SUFFIX).base,
        "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
    }
    gunicorn = subprocess.Popen(
        command,
        stderr=subprocess.DEVNULL,
        # Not where gunicorn would find our own settings.
        cwd=slapd.home,
        env=os.environ | variables,
        preexec_fn=ended_with_parent(),  # noqa: PLW1509
    )
    try:
        url = f"http://{address}/api"
        # Without a cookie: it knows no callers.
        yield Api(url, gunicorn.pid, _responding(f"{url}/constant"))
    finally:
        gunicorn.terminate()
        gunicorn.wait(60)


def _responding(url: str) -> requests.Session:
    """Wait until a server responds; return a session."""
    session = requests.Session()
    until = time.monotonic() + 60
    while True:
        try:
            session.get(url, timeout=10).raise_for_status()
        except requests.RequestException:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return session
