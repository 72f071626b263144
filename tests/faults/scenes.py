"""Scenes: what is broken while clients write and read, and for how long."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from iredldap.gateways.cluster.view import Mode
from tests.faults.clients import Load
from tests.faults.judge import Verdict, held_by, judge
from tests.faults.site import NAMES, Site, sleep_until
from tests.faults.tally import Tally


@dataclass(frozen=True)
class Tempo:
    """How fast a scene is played.

    Args:
        scale: Of the times that faults last.
        pause: Seconds between two requests of a client.
        before: Seconds of load before the first fault.
        after: Seconds of load after everything is healed.
        judged: Seconds after healing when both directories are read; None: as soon as the cluster
            itself says that they are together.
    """

    scale: float = 1.0
    pause: float = 0.1
    before: float = 3.0
    after: float = 5.0
    judged: float | None = 10.0


BACK = "from the return of the other server to the first write"
LOGIN = "slowest login at a node after its first"

LIMITS = {BACK: 5.0, LOGIN: 1.5}
"""Seconds."""


@dataclass
class Stage:
    """Where a scene is played.

    Args:
        site: The cluster.
        tally: Of this scene.
        scale: Of the times that a fault lasts.
    """

    site: Site
    tally: Tally
    scale: float
    measured: dict[str, float] = field(default_factory=dict)

    def last(self, seconds: float) -> None:
        """Let a fault last."""
        time.sleep(seconds * self.scale)

    def order(self, fault: str, target: str) -> None:
        self.site.order(fault, target)

    def await_together(self) -> None:
        """Wait until either server may fail."""
        try:
            self.site.await_mode(Mode.TOGETHER)
        except AssertionError:
            self.fault(f"not together in time: {self.site.row()}")

    def fault(self, words: str) -> None:
        self.tally.faults.append(words)


@dataclass(frozen=True)
class Scene:
    """What is broken.

    Args:
        name: For the reader.
        play: Breaks it; all that is left broken is healed afterwards.
        gap: Seconds without a successful write that are allowed; None: there is no limit.
    """

    name: str
    play: Callable[[Stage], None]
    gap: float | None


def _kill_writer(stage: Stage) -> None:
    stage.order("kill", stage.site.writer())
    stage.last(12)


def _hang_writer(stage: Stage) -> None:
    stage.order("hang", stage.site.writer())
    stage.last(40)


def _cut_node(stage: Stage) -> None:
    stage.order("cut", f"node-{stage.site.writer()}")
    stage.last(40)


def _cut_link(stage: Stage) -> None:
    stage.order("cut", "link")
    stage.last(30)


def _kill_standby(stage: Stage) -> None:
    stage.order("kill", stage.site.standby())
    stage.last(12)


def _kill_in_turn(stage: Stage) -> None:
    for _ in range(2):
        name = stage.site.writer()
        stage.order("kill", name)
        stage.last(12)
        stage.order("heal", name)
        stage.await_together()


def _kill_api(stage: Stage) -> None:
    stage.order("kill", "api-A")
    stage.last(12)


def _hang_api(stage: Stage) -> None:
    stage.order("hang", "api-B")
    stage.last(12)


def _kill_arbiter(stage: Stage) -> None:
    stage.order("kill", "postgresql")
    stage.last(11)


def _cut_from_the_arbiter(stage: Stage) -> None:
    """Leave a node all of its lines but that to the state database."""
    stage.order("cut", "state-A")
    stage.last(15)


def _only_the_stale_one(stage: Stage) -> None:
    """Leave up only the server that lacks what was acknowledged after it had fallen."""
    first = stage.site.writer()
    stage.order("kill", first)
    stage.last(12)
    last = stage.site.writer()
    if first == last:
        stage.fault("the other server has not become the writer in 12 s")
    stage.order("kill", last)
    # What is under way is answered now or never.
    silent_since = time.monotonic() + 0.5
    stage.order("heal", first)
    stage.last(60)
    silent_until = time.monotonic()
    if count := stage.tally.successes_between(silent_since, silent_until):
        stage.fault(f"{count} writes acknowledged while only the stale server was up")
    stage.order("heal", last)
    healed = time.monotonic()
    sleep_until(healed + 20)
    later = [moment for moment in stage.tally.successes if moment > healed]
    stage.measured[BACK] = min(later) - healed if later else 20.0


def _start_beside_a_hung_one(stage: Stage) -> None:
    """Start a node while one of its two servers does not answer."""
    stage.order("cut", stage.site.standby())
    stage.order("kill", "api-A")
    stage.last(1)
    stage.order("heal", "api-A")
    stage.last(15)


def _reverse_the_order(stage: Stage) -> None:
    """Have the nodes name the servers in different orders, and kill the writer."""
    stage.site.reverse_uris("B")
    stage.order("kill", "api-B")
    stage.order("heal", "api-B")
    stage.last(5)
    _kill_writer(stage)


def _log_in_while_the_writer_hangs(stage: Stage) -> None:
    """Measure logins at both nodes; who waits first finds out that the server hangs."""
    stage.order("cut", stage.site.writer())
    until = time.monotonic() + 12 * stage.scale
    slowest = 0.0
    first = set(NAMES)
    while time.monotonic() < until:
        for name in NAMES:
            began = time.monotonic()
            answer = stage.site.log_in(stage.tally, name)
            if not answer.is_yes and not answer.may_pass:
                stage.fault(f"login: {answer}")
            if name not in first:
                slowest = max(slowest, time.monotonic() - began)
            first.discard(name)
        time.sleep(0.2)
    stage.measured[LOGIN] = slowest


SCENES = (
    Scene("kill -9 of the writer, back after 12 s", _kill_writer, 10),
    Scene("the writer hangs (SIGSTOP), with its guard, 40 s", _hang_writer, 12),
    Scene("the writer's node cut off (directory and API), 40 s", _cut_node, 12),
    Scene("the link between the servers cut, 30 s", _cut_link, 5),
    Scene("kill -9 of the standby, back after 12 s", _kill_standby, 5),
    Scene("kill -9 of both in turn, each back after 12 s", _kill_in_turn, 10),
    Scene("kill -9 of an API node, back after 12 s", _kill_api, 1),
    Scene("an API node hangs (SIGSTOP), 12 s", _hang_api, None),
    Scene("PostgreSQL down, 11 s", _kill_arbiter, None),
    Scene("a node cut off from PostgreSQL alone, 15 s", _cut_from_the_arbiter, 10),
    Scene("a node starts while the standby hangs", _start_beside_a_hung_one, 5),
    Scene("other order of the URIs on one node, kill -9 of the writer", _reverse_the_order, 10),
    Scene("logins while the writer hangs, 12 s", _log_in_while_the_writer_hangs, 12),
    Scene("only the stale server up, 60 s", _only_the_stale_one, None),
)


@dataclass(frozen=True)
class Outcome:
    """How a scene ended.

    Args:
        scene: Which.
        verdict: What must not be.
        gap: Longest time without a successful write, in seconds.
        tally: What was noted.
        together: Seconds after healing until the standby might take over again.
        measured: What the scene has measured beside it, by its words.
    """

    scene: Scene
    verdict: Verdict
    gap: float
    tally: Tally
    together: float
    measured: dict[str, float]

    def __str__(self) -> str:
        tally = self.tally
        failures = ", ".join(f"{count} x {what}" for what, count in tally.failures.most_common())
        return (
            f"{len(tally.successes)} writes acknowledged, {tally.reads} reads"
            f" ({tally.told} with a warning), slowest request {tally.slowest:.1f} s,"
            f" together {self.together:.1f} s after healing; not 200: {failures or 'none'}"
        )


def play(site: Site, scene: Scene, token: str, tempo: Tempo = Tempo()) -> Outcome:
    """Play a scene under load, heal everything, and judge.

    Args:
        site: Whole, and whole again afterwards.
        scene: What is broken.
        token: Word in the names that are created; no other scene has it.
        tempo: How fast.
    """
    tally = Tally()
    load = Load(site.root, site.account, token, tally, tempo.pause)
    load.prepare()
    stage = Stage(site, tally, tempo.scale)
    with load.running():
        time.sleep(tempo.before)
        # One fault at a time: a busy standby may have left the writer alone.
        stage.await_together()
        began = time.monotonic()
        try:
            scene.play(stage)
        finally:
            site.order("heal", "all")
        healed = time.monotonic()
        time.sleep(tempo.after)
        ended = time.monotonic()
    if tempo.judged is None:
        stage.await_together()
    sleep_until(healed + (tempo.judged or 0.0))
    equal = held_by(site)
    stage.await_together()
    together = max(0.0, time.monotonic() - site.row().mode_age - healed)
    verdict = judge(site, tally, equal)
    return Outcome(scene, verdict, tally.gap(began, ended), tally, together, stage.measured)
