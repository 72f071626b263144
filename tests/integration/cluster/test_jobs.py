"""A job whose directory server dies goes on as soon as another one is the writer."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from iredldap.changes.change_log import ChangeLog
from iredldap.changes.jobs import Jobs
from iredldap.changes.outages import HERE
from iredldap.config.settings import Secret
from iredldap.config.state import ChangeSettings, JobSettings
from iredldap.dit.entry import Entry
from iredldap.dit.plan import Operation, Plan, Query, Scope, Sweep
from iredldap.dit.request import Request
from iredldap.gateways.cluster.view import Mode
from iredldap.gateways.state import StateDatabase
from iredldap.gateways.turns import Turns
from tests.support.agreed import Node, change, creation, domain
from tests.support.pair import Member, Pair
from tests.support.patience import wait_until

ENTRIES = 300


def test_it_does_not_wait_for_the_one_that_is_dead(pair: Pair, node: Node, tmp_path: Path) -> None:
    names = [f"job{number}.test" for number in range(ENTRIES)]
    assert [no for _, no in node.directory.pipeline(map(creation, names)) if no] == []
    (former,) = [one for one in pair.members.values() if pair.uri(one.name) == node.row.uri]
    (beside,) = [one for one in pair.members.values() if one is not former]
    killed: list[float] = []

    def changed(entry: Entry) -> Iterator[Operation]:
        name = entry.text("domainName") or ""
        # Not while it is only judged what will be done.
        if name == names[ENTRIES * 2 // 3] and not killed and is_changed(former, names[0]):
            killed.append(time.monotonic())
            # What is sent from here on gets no answer.
            former.stop()
            threading.Timer(0.5, former.kill).start()
        yield change(name, "by the job")

    wanted = Query(node.directory.tree.base, Scope.ONE, "(domainName=job*)", ("domainName",))
    plan = Plan(node.directory.tree.base, (Sweep("change all", wanted, changed),))
    secret = Secret(f"sqlite:///{tmp_path}/state.sqlite3")
    patient: Any = JobSettings(patience=600)
    with (
        closing(StateDatabase(secret)) as state,
        closing(ChangeLog(secret, ChangeSettings(), 0.5, node.directory)) as log,
        closing(
            Jobs(
                *(patient, state, node.directory, lambda *_: plan, {"anything": ()}),
                *(lambda *_: None, Turns(Secret("sqlite://")), log, "here"),
            )
        ) as jobs,
    ):
        # On a slow machine the writer may be alone for a moment, and is not replaced then.
        node.await_mode(Mode.TOGETHER)
        job = jobs.accept("root@admins.test", Request("anything", {}))

        def has_ended() -> bool:
            found = state.job(job)
            return found is not None and found.finished is not None

        wait_until(has_ended)
        took = time.monotonic() - killed[0]
        found = state.job(job)

    assert found
    assert (found.status, found.code) == ("done", None)
    # A worker keeps a job for that long where nobody takes the place of what is silent.
    assert took < HERE
    assert node.row.uri == pair.uri(beside.name)
    assert [name for name in names if not is_changed(beside, name)] == []


def is_changed(member: Member, name: str) -> bool:
    entry = member.world.entry(domain(name))
    return entry is not None and entry.text("cn") == "by the job"
