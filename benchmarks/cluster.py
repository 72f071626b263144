"""A cluster under load while parts of it are broken: what is lost, stale or unequal.

`iredldap dev --cluster` on one machine: two directory servers in mirror mode with their guards, two
nodes of the API with two workers each, PostgreSQL and HAProxy, with relays between all of them.
Six clients write through the balancer: they create users with an Idempotency-Key, change them,
count numbers up under If-Match and add members; two more want one address at the same moment; three
read what was acknowledged. What fails is sent again after 0.2 s. Ten seconds after a fault is
healed both directories are read. Counted is what was acknowledged and is missing, addresses of two
accounts, reads that showed less than was acknowledged before, entries that differ, and other
faults: answers that are neither 502 to 504 with Retry-After nor a success when they are repeated,
and errors of `iredldap doctor`. Times are the longest without a successful write of any client.

Then a sweep whose writer is killed at its answer, what one node does as the other one sees it,
failed logins that a Redis with a successor counts, and the cost: the same requests to two servers
that differ only in what is named, in slices that alternate. CLUSTER_ROUNDS=1 holds each part once,
CLUSTER_ONLY=hang only what has that word in its name.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import cluster_cost, cluster_logins, cluster_nodes, cluster_sweeps
from benchmarks.figures import Reading, Result
from tests.faults.scenes import LIMITS, SCENES, Outcome, play
from tests.faults.site import Site, cluster

ROUNDS = 3
WORKERS = 2

_COUNTED = {
    "lost": "acknowledged writes lost",
    "duplicates": "duplicate addresses",
    "stale": "stale reads",
    "differing": "entries that differ 10 s after healing",
    "faults": "other faults",
}
_SHOWN = 20

_PARTS: dict[str, Callable[[Site, int], Iterator[Reading]]] = {
    "sweep": cluster_sweeps.judged,
    "nodes": cluster_nodes.judged,
    "guesses": cluster_logins.judged,
}


def run() -> Iterator[Result]:
    """Hold each part some times."""
    with site() as place:
        for round_ in range(int(os.environ.get("CLUSTER_ROUNDS", ROUNDS))):
            for number, scene in enumerate(SCENES):
                if _is_wanted(scene.name):
                    yield from _readings(play(place, scene, f"r{round_}s{number}"))
            for name, part in _PARTS.items():
                if _is_wanted(name):
                    yield from part(place, round_)
            if _is_wanted("cost"):
                yield from cluster_cost.measured(place, round_)


def _is_wanted(name: str) -> bool:
    return os.environ.get("CLUSTER_ONLY", "") in name


@contextmanager
def site() -> Iterator[Site]:
    """Run a cluster in a folder of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="iredldap-bench-") as folder,
        cluster(Path(folder) / "cluster", WORKERS) as running,
    ):
        yield running


def _readings(outcome: Outcome) -> Iterator[Reading]:
    name, verdict = outcome.scene.name, outcome.verdict
    for words in verdict.all()[:_SHOWN]:
        print(f"    {words}", flush=True)
    counts = {what: len(getattr(verdict, kind)) for kind, what in _COUNTED.items()}
    found = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    yield Reading(
        f"{name}: what must not be", sum(counts.values()), "cases", 0, found or str(outcome)
    )
    yield Reading(f"{name}: longest time without a write", outcome.gap, "s", outcome.scene.gap)
    for what, value in outcome.measured.items():
        yield Reading(f"{name}: {what}", value, "s", LIMITS[what])
