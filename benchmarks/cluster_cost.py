"""What the agreed writer costs: confirmed changes, and a server that is alone.

The gunicorns have two workers each and share directories, state database and relays.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import count

import requests

from benchmarks.clients import Call, Clients
from benchmarks.figures import Row
from benchmarks.served import Api
from iredldap.embedded.gunicorn import Gunicorn
from iredldap.embedded.ports import free_port
from iredldap.embedded.process import await_http
from iredldap.gateways.cluster.view import Mode
from tests.faults.clients import Load, Sender
from tests.faults.site import NAMES, Site
from tests.faults.tally import Tally
from tests.support.client import Client

SLICES = 12
REQUESTS = {"PUT": 40, "GET": 240}
"""In a slice; of reads more, which take less time."""

USERS = 40
CONFIRMED = 1 / 1.7
"""Of the rate without confirmation: a change takes at most 1.7 times as long."""
ALONE = 0.98
"""Of the rate of a server without an agreed writer."""


def measured(site: Site, round_: int) -> Iterator[Row]:
    """Compare the time of a PUT with and without each of both, in slices that alternate."""
    name = f"cost{round_}.test"
    _fill(site, name)
    with served(site, {}) as ours, served(site, {"LDAP_CONFIRM": "false"}) as theirs:
        for clients in (1, 8):
            yield _row("PUT, confirmed", "not confirmed", CONFIRMED, name, clients, ours, theirs)
    writer = site.writer()
    (standby,) = set(NAMES) - {writer}
    site.order("kill", standby)
    # The first change that is not confirmed says that the writer is alone.
    Sender(Load(site.root, site.account, name, Tally())).create(f"/domain/alone-{name}", {})
    site.await_mode(Mode.ALONE)
    first = {"LDAP_WRITER": "first", "LDAP_URI": site.row().uri}
    with served(site, {}) as ours, served(site, first) as theirs:
        for clients in (1, 8):
            yield _row("PUT, agreed and alone", "one server", ALONE, name, clients, ours, theirs)
            yield _row("GET, agreed and alone", "one server", ALONE, name, clients, ours, theirs)
    site.order("heal", "all")
    site.await_mode(Mode.TOGETHER)


def _row(
    what: str, peer: str, wanted: float, domain: str, clients: int, ours: Api, theirs: Api
) -> Row:
    numbers = count()
    method = what.partition(",")[0]
    with Clients(ours, clients) as one, Clients(theirs, clients) as other:
        spent = {one: 0.0, other: 0.0}
        for piece in range(-1, SLICES):
            for each in (one, other) if piece % 2 else (other, one):
                calls = [_call(method, next(numbers), domain) for _ in range(REQUESTS[method])]
                seconds = each.seconds(calls)
                # The first slice warms up.
                spent[each] += seconds if piece >= 0 else 0.0
    requests_ = SLICES * REQUESTS[method]
    words = "1 client" if clients == 1 else f"{clients} clients"
    return Row(
        f"{what}, {words}", peer, spent[one] / requests_, spent[other] / requests_, wanted=wanted
    )


def _call(method: str, number: int, domain: str) -> Call:
    form = {"name": f"Somebody {number}"} if method == "PUT" else {}
    return Call(method, f"/user/u{number % USERS}@{domain}", form)


def _fill(site: Site, name: str) -> None:
    sender = Sender(Load(site.root, site.account, name, Tally()))
    sender.create(f"/domain/{name}", {"name": "Cost"})
    for number in range(USERS):
        sender.create(f"/user/u{number}@{name}", {"password": "a good password"})
    assert not sender.tally.faults, sender.tally.faults


@contextmanager
def served(site: Site, settings: Mapping[str, str]) -> Iterator[Api]:
    """Run a gunicorn with the settings of the first node and some others, and log in."""
    variables = {f"IREDLDAP_{name}": value for name, value in settings.items()}
    variables |= {"IREDLDAP_SERVER_WORKERS": "2"}
    log = site.home / "cost.log"
    gunicorn = Gunicorn(site.configuration(NAMES[0]), free_port(), log, variables)
    with ExitStack() as stack:
        stack.callback(gunicorn.stop)
        gunicorn.start()
        root = f"http://127.0.0.1:{gunicorn.port}"
        await_http(gunicorn, "gunicorn", f"{root}/readyz")
        session: requests.Session = Client(root).log_in(*site.account).session
        yield Api(f"{root}/api", os.getpid(), session)
