"""A worker that dies in the middle of a change, and how soon others go on."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import ldap
import requests

from iredldap.dit.consistency import checks
from tests.races.hands import Answer, Hands
from tests.races.pair import CODES, ROOT, Call, Domain, Names, User, delete, new_user, put
from tests.races.servers import settings
from tests.races.stage import Stage
from tests.support.gunicorn import Running, started
from tests.support.mlmmjadmin import MlmmjadminServer
from tests.support.patience import PATIENCE, wait_until
from tests.support.proxy import Proxy
from tests.support.world import World

ACCOUNTS = 200
LIMIT = 2.0
"""Seconds after which the next change of the domain has to be done."""

_DELAY, _LONGER_DELAY = 0.02, 0.15
"""Seconds that a message of the worker that dies takes to the directory: until its change is under
way, and from then on, so that it is not over before a busy machine comes to kill it."""
_STEP = 12
"""Accounts by which a sweep goes on while the next change still waits."""


@dataclass(frozen=True)
class Broken:
    """A change that is broken off.

    Args:
        name: What it is.
        call: The request.
        left: Filter of the accounts that it has not come by yet.
        next: The next change of the same domain.
        result: What must hold when the call was repeated, beside a healthy tree.
    """

    name: str
    call: Call
    left: str
    next: Call
    result: Callable[[World, str], bool]


BROKEN = (
    Broken(
        "a change of all users",
        put("/users/{d}", language="de_DE"),
        "(&(objectClass=mailUser)(!(preferredLanguage=de_DE)))",
        put("/user/u0000@{d}", name="next"),
        lambda world, name: (
            not world.find(
                "(&(objectClass=mailUser)(!(preferredLanguage=de_DE)))", world.tree.domain(name)
            )
        ),
    ),
    Broken(
        "DELETE of a domain",
        delete("/domain/{d}"),
        "(objectClass=mailUser)",
        new_user("late@{d}"),
        lambda world, name: world.entry(world.tree.domain(name)) is None,
    ),
)


@dataclass(frozen=True)
class Recovery:
    """How a broken change ended.

    Args:
        seconds: From the death of the worker to the answer to the next change.
        left: How many accounts the broken change had not come by.
        answer: To the next change.
        faults: What is wrong after the broken change was repeated.
    """

    seconds: float
    left: int
    answer: Answer
    faults: tuple[str, ...]


@contextmanager
def site(world: World, folder: Path, state: str) -> Iterator["Site"]:
    """Two servers with one state: the first, of one worker, far from the directory.

    So the worker is found in the middle of a change; the other server is near.

    Args:
        world: An empty directory.
        folder: For everything else; empty.
        state: URL of the state database, which both servers use.
    """
    shared = settings(folder, state)
    for name in ("far", "near"):
        (folder / name).mkdir()
    with (
        Proxy(("127.0.0.1", world.slapd.port)) as proxy,
        closing(MlmmjadminServer(folder)) as lists,
        started(world, folder / "far", proxy.uri, **shared, SERVER_WORKERS="1") as far,
        started(world, folder / "near", **shared) as near,
        closing(Stage(world, lists, folder)) as stage,
        closing(Hands([near.url], stage)) as hands,
    ):
        hands.log_in(ROOT)
        yield Site(proxy, far, stage, hands)


@dataclass
class Site:
    """Where workers are killed.

    Args:
        proxy: What the far server reaches the directory by.
        far: The server whose worker dies.
        stage: The directory.
        hands: What calls are sent by, to the near server unless said otherwise.
    """

    proxy: Proxy
    far: Running
    stage: Stage
    hands: Hands

    def recover(self, broken: Broken) -> Recovery:
        """Kill the worker in the middle of a change, and time the next change by the other server.

        Raises:
            AssertionError: If the next change does not wait for the one that is under way, or if
                that one was over too soon.
        """
        wait_until(self._is_ready)
        self.proxy.to_server = _DELAY
        try:
            return _Scene(self, broken).play()
        finally:
            self.proxy.to_server = 0
            self.stage.wipe()

    def _is_ready(self) -> bool:
        """Return whether a worker took the place of the one that was killed before."""
        try:
            return requests.get(f"{self.far.url}/readyz", timeout=PATIENCE).ok
        except requests.ConnectionError:
            return False


class _Scene:
    def __init__(self, site: Site, broken: Broken) -> None:
        self._proxy, self._far, self._broken = site.proxy, site.far, broken
        self._stage, self._hands = site.stage, site.hands
        self._names = Names("r000000")
        self._domain = self._names["d"]
        self._plant()

    def play(self) -> Recovery:
        """Send, kill, wait, repeat, judge."""
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(self._is_broken_off)
            wait_until(lambda: self._left() < ACCOUNTS - _STEP)
            self._proxy.to_server = _LONGER_DELAY
            second = pool.submit(self._hands.one, self._broken.next, self._names)
            seen = self._left()
            wait_until(lambda: self._left() < seen - _STEP or second.done())
            left = self._left()
            assert not second.done(), f"the next change did not wait: {second.result()}"
            began = time.monotonic()
            for worker in self._far.workers():
                os.kill(worker, signal.SIGKILL)
            answer = second.result()
            seconds = time.monotonic() - began
            assert first.result(), "the change was over too soon"
            self._proxy.to_server = 0
        return Recovery(seconds, left, answer, tuple(self._faults(answer)))

    def _plant(self) -> None:
        self._stage.make(Domain("{d}"), self._names)
        for number in range(ACCOUNTS):
            self._stage.make(User(f"u{number:04d}@{{d}}"), self._names)

    def _is_broken_off(self) -> bool:
        try:
            self._hands.send(self._broken.call, self._names, self._far.url)
        except requests.ConnectionError:
            return True
        return False

    def _left(self) -> int:
        """Return how many accounts the change has not come by."""
        connection = self._stage.world.connect()
        base = self._stage.tree.domain(self._domain)
        try:
            return len(connection.search_s(base, ldap.SCOPE_SUBTREE, self._broken.left, ["1.1"]))
        except ldap.NO_SUCH_OBJECT:
            return 0
        finally:
            connection.unbind_s()

    def _faults(self, answer: Answer) -> list[str]:
        found = [] if _is_honest(answer) else [f"the next change: {answer}"]
        repeated = self._hands.one(self._broken.call, self._names)
        if not repeated.is_yes:
            found.append(f"repeated: {repeated}")
        if not self._broken.result(self._stage.world, self._domain):
            found.append("repeated, and not done")
        return found + [
            f"{violation.rule} {violation.dn}: {violation.reason}"
            for violation in checks.examine(self._stage.tree, self._stage.entries())
        ]


def _is_honest(answer: Answer) -> bool:
    """Return whether a change of a domain that is half gone may be answered so."""
    return answer.is_yes or answer.code in CODES
