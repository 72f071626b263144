"""Sweeps of 3000 users whose writer is killed: at the answer, and under way as a job."""

import time
from collections.abc import Iterator

import ldap
import ldap.modlist

from benchmarks.clients import Call
from benchmarks.figures import Reading
from benchmarks.ground import accounts
from iredldap.gateways.cluster.view import Mode
from tests.faults.clients import Load, Sender
from tests.faults.site import NAMES, Site, sleep_until
from tests.faults.tally import Tally
from tests.support.patience import wait_until

USERS = 3000
_JOB_SECONDS = 30.0


def judged(site: Site, round_: int) -> Iterator[Reading]:
    """Disable all users of a domain, and kill the writer; enable them again."""
    name = f"sweep{round_}.test"
    _fill(site, name)
    load = Load(site.root, site.account, name, Tally())
    sender = Sender(load)
    path = f"/users/{name}"

    began = time.monotonic()
    assert sender.persist("PUT", path, {"accountStatus": "disabled"})[0].is_yes
    spent = time.monotonic() - began
    killed = site.writer()
    site.order("kill", killed)
    (other,) = set(NAMES) - {killed}
    left = USERS - _count(site, other, name, "disabled")
    yield Reading(f"a sweep of {USERS} acknowledged, writer killed: left out", left, "users", 0)
    yield Reading(f"a sweep of {USERS}, confirmed by the other server", spent, "s")

    answer, repeats = sender.persist("PUT", path, {"accountStatus": "active"})
    assert answer.is_yes, answer
    acknowledged = time.monotonic()
    sleep_until(acknowledged + 10)
    undone = USERS - _count(site, other, name, "active")
    what = "the contrary sweep on the new writer"
    yield Reading(f"{what}: undone 10 s later", undone, "users", 0, f"sent {repeats + 1} times")
    site.order("heal", "all")
    site.await_mode(Mode.TOGETHER)
    undone = sum(USERS - _count(site, each, name, "active") for each in NAMES)
    yield Reading(f"{what}: undone after the other one's return", undone, "users", 0)
    for words in load.tally.faults:
        print(f"    {words}", flush=True)
    yield Reading("sweeps: other faults", len(load.tally.faults), "cases", 0)
    yield from _job(site, sender, name)


def _job(site: Site, sender: Sender, name: str) -> Iterator[Reading]:
    """Disable them by a job, and kill the writer in its middle."""
    call = Call("PUT", f"/users/{name}", {"accountStatus": "disabled"})
    started = sender.send(call.method, call.path, call.form, {"Prefer": "respond-async"})
    data = started.body["_data"]
    assert isinstance(data, dict)
    job = str(data["job"])
    wait_until(lambda: _count(site, site.writer(), name, "disabled") > 0)
    killed = site.writer()
    done = _count(site, killed, name, "disabled")
    site.order("kill", killed)
    began = time.monotonic()
    ended: dict[str, object] = {}

    def has_ended() -> bool:
        shown = sender.send("GET", f"/jobs/{job}").body.get("_data")
        ended.update(shown if isinstance(shown, dict) else {})
        return ended.get("finished") is not None

    wait_until(has_ended, 120)
    spent = time.monotonic() - began
    (other,) = set(NAMES) - {killed}
    left = USERS - _count(site, other, name, "disabled")
    what = f"a job of {USERS} users, writer killed under way"
    note = f"after {done} users; the job is {ended.get('status')}"
    yield Reading(f"{what}: left out", left, "users", 0, note)
    yield Reading(f"{what}: until it is done", spent, "s", _JOB_SECONDS)
    site.order("heal", "all")
    site.await_mode(Mode.TOGETHER)


def _fill(site: Site, name: str) -> None:
    """Write a domain with its users to the writer, beside the API."""
    with site.writing(site.writer()) as connection:
        for dn, attributes in accounts(site.tree, name, USERS):
            given = {key: list(values) for key, values in attributes.items()}
            connection.add_s(dn, ldap.modlist.addModlist(given))
    wait_until(lambda: all(_count(site, each, name, "active") == USERS for each in NAMES))


def _count(site: Site, server: str, name: str, status: str) -> int:
    """Return how many users of a domain have a status on a server."""
    with site.reading(server) as connection:
        wanted = f"(&(objectClass=mailUser)(accountStatus={status}))"
        found = connection.search_s(
            site.tree.domain(name), ldap.SCOPE_SUBTREE, wanted, attrlist=["1.1"]
        )
        return len(found)
