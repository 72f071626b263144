"""Failed logins at two nodes, counted by a Redis whose sentinel names its successor."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from typing import Any

import redis
import requests

from benchmarks.cluster_cost import served
from benchmarks.figures import Reading
from tests.faults.site import Site
from tests.support.patience import started, wait_until
from tests.support.redis_servers import Redis, Replica, Sentinel

FAILURES = 10
_WORKERS = 4
"""Two of each node."""

_PAUSE = 0.1
_SECONDS = 25.0
"""After the master has fallen: longer than a worker leaves a storage alone that has failed."""

_REFUSED = 429


def judged(site: Site, round_: int) -> Iterator[Reading]:
    """Fail to log in at two nodes, then kill the Redis in the middle of it."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="iredldap-redis-")))
        master = started(Redis(home))
        stack.callback(master.stop)
        replica = started(Replica(home, master))
        stack.callback(replica.stop)
        sentinel = started(Sentinel(home, master))
        stack.callback(sentinel.stop)
        counts = stack.enter_context(redis.Redis(port=replica.port))
        watching = stack.enter_context(redis.Redis(port=sentinel.port))
        wait_until(lambda: bool(watching.execute_command("SENTINEL", "REPLICAS", "logins")))
        settings = {"LOGIN_STORAGE_URL": sentinel.url, "LOGIN_FAILURES": str(FAILURES)}
        nodes = [stack.enter_context(served(site, settings)).url for _ in "12"]

        passed = [_guess(node, f"first{round_}") for node, _ in zip(cycle(nodes), range(FAILURES))]
        yield Reading("guesses at two nodes: refused too early", passed.count(_REFUSED), "times", 0)
        late = [_guess(node, f"first{round_}") for node in nodes * _WORKERS]
        beyond = len(late) - late.count(_REFUSED)
        yield Reading(f"guesses beyond {FAILURES}: not refused", beyond, "times", 0)

        name = f"second{round_}"
        before = [_guess(node, name) for node, _ in zip(cycle(nodes), range(FAILURES // 2))]
        wait_until(lambda: _sum(counts) >= FAILURES + FAILURES // 2)
        reached = _sum(counts)
        master.kill()
        began, again = time.monotonic(), None
        after: list[int] = []
        for node in cycle(nodes):
            if time.monotonic() - began > _SECONDS:
                break
            after.append(_guess(node, name))
            if again is None and _sum(counts) > reached:
                again = time.monotonic() - began
            time.sleep(_PAUSE)
        others = {*before, *after} - {401, _REFUSED}
        yield Reading("guesses while Redis fails over: other answers", len(others), "kinds", 0)
        # Each worker counts up to its share meanwhile, and knows nothing of what was before.
        most = FAILURES + _WORKERS * (FAILURES // (_WORKERS // 2))
        total = sum(status == 401 for status in [*before, *after])
        yield Reading("guesses while Redis fails over: not refused", total, "times", most)
        yield Reading(
            "Redis killed: until its successor counts", again or _SECONDS, "s", _SECONDS - 1
        )
        last = [_guess(node, name) for node in nodes * _WORKERS]
        beyond = len(last) - last.count(_REFUSED)
        yield Reading("guesses after that: not refused", beyond, "times", 0)


def _guess(url: str, name: str) -> int:
    """Log in with a wrong password on a new connection; return the status."""
    form = {"username": f"{name}@guess.test", "password": "wrong"}
    with requests.Session() as session:
        session.trust_env = False
        return session.post(f"{url}/login", data=form, timeout=30).status_code


def _sum(counts: Any) -> int:
    return sum(int(counts.get(key) or 0) for key in counts.keys("*"))
