"""Clients of a cluster under load: writers, rivals for one address, and readers that check.

A writer sends each request again until it is carried out, as a careful client does.
"""

import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import requests

from tests.faults.tally import Answer, Counted, Tally
from tests.support.client import direct_session

WRITERS = 6
READERS = 3
COUNTERS = 3

AGAIN = 0.2
"""Seconds after which a request is sent again. We say 2 or 5 in `Retry-After`: sooner, so that the
gap that is measured is that of the service."""

_STUCK = 90.0
"""Seconds after which a request that is sent again and again is given up."""

_PASSWORD = "a good password"

Operation = Callable[[], None]


class Load:
    """What all clients of a scene share.

    Args:
        root: URL of the balancer, without a path.
        account: The global admin, and the password.
        token: Word in the names of this scene.
        tally: Where everything is noted.
        pause: Seconds between two requests of a client: servers on the same machine need time, too.
    """

    def __init__(
        self,
        root: str,
        account: tuple[str, str],
        token: str,
        tally: Tally,
        pause: float = 0.05,
    ) -> None:
        self.url = f"{root}/api"
        self.token = token
        self.tally = tally
        self.shared = f"shared-{token}.test"
        self.counters = [f"counter{number}@{self.shared}" for number in range(COUNTERS)]
        self.alias = f"all@{self.shared}"
        self._pause = pause
        self._account = account
        self._cookies = self._logged_in()
        self._ending = threading.Event()

    def session(self) -> requests.Session:
        """Return a new connection of the admin."""
        session = direct_session()
        session.cookies.update(self._cookies)
        return session

    @property
    def is_over(self) -> bool:
        """Whether clients are to end, each after what it has begun."""
        return self._ending.is_set()

    def pause(self, count: int = 1) -> None:
        """Wait between requests, some times as long; not longer than the load lasts."""
        self._ending.wait(count * self._pause)

    def prepare(self) -> None:
        """Make the domains and the accounts that clients share."""
        client = Sender(self)
        for name in [self.shared, *(self.domain(number) for number in range(WRITERS))]:
            client.create(f"/domain/{name}", {"name": "Load"})
        for mail in self.counters:
            client.create(f"/user/{mail}", {"password": _PASSWORD})
            client.persist("PUT", f"/user/{mail}", {"employeeid": "0"})
            self.tally.counters[mail] = Counted()
        client.create(f"/alias/{self.alias}", {"name": "All"})
        self.tally.members[self.alias] = set()

    def domain(self, number: int) -> str:
        """Return the domain of a writer."""
        return f"d{number}-{self.token}.test"

    @contextmanager
    def running(self) -> Iterator[None]:
        """Have all clients work during the block; each ends after what it has begun."""
        clients: list[Operation] = [
            *(Writer(self, number).run for number in range(WRITERS)),
            Rivals(self).run,
            *(Reader(self, number).run for number in range(READERS)),
        ]
        with ThreadPoolExecutor(len(clients)) as pool:
            works = [pool.submit(run) for run in clients]
            try:
                yield
            finally:
                self._ending.set()
            for work in works:
                work.result()

    def _logged_in(self) -> requests.cookies.RequestsCookieJar:
        session = direct_session()
        user, password = self._account
        form = {"username": user, "password": password}
        answer = self.tally.send(session, "POST", f"{self.url}/login", form)
        assert answer.is_yes, answer
        return session.cookies


class Sender:
    """One connection, on which requests are sent until they are carried out."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.tally = load.tally
        self._session = load.session()

    def send(
        self,
        method: str,
        path: str,
        form: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send a request once."""
        return self.tally.send(self._session, method, self.load.url + path, form, headers)

    def persist(
        self,
        method: str,
        path: str,
        form: dict[str, str],
        headers: dict[str, str] | None = None,
    ) -> tuple[Answer, int]:
        """Send a request until it neither may pass nor is being carried out.

        Returns:
            The last answer, and how many requests before it may have been carried out.
        """
        since, uncertain = time.monotonic(), 0
        while True:
            answer = self.send(method, path, form, headers)
            if not (answer.may_pass or answer.is_in_use):
                return answer, uncertain
            uncertain += not answer.is_in_use
            if time.monotonic() - since > _STUCK:
                self.fault(f"{method} {path} sent again for {_STUCK:g} s, at last: {answer}")
                return answer, uncertain
            time.sleep(AGAIN)

    def create(self, path: str, form: dict[str, str]) -> Answer:
        """Create something with an `Idempotency-Key`: in the end the answer is 200."""
        answer, uncertain = self.persist("POST", path, form, {"Idempotency-Key": uuid.uuid4().hex})
        if not answer.is_yes:
            self.fault(f"POST {path} after {uncertain} repeats: {answer}")
        return answer

    def fault(self, words: str) -> None:
        """Note what must not be."""
        with self.tally.lock:
            self.tally.faults.append(f"{time.strftime('%H:%M:%S')} {words}")


class Writer(Sender):
    """Creates users, changes them, counts up and adds members."""

    def __init__(self, load: Load, number: int) -> None:
        super().__init__(load)
        self._number = number
        self._domain = load.domain(number)
        self._luck = random.Random(number)
        self._own: list[str] = []
        self._made = 0

    def run(self) -> None:
        operations = (self._create, self._change, self._count, self._add)
        turn = self._number
        while not self.load.is_over:
            operations[turn % len(operations)]()
            turn += 1
            self.load.pause()

    def _create(self) -> None:
        self._made += 1
        mail = f"u{self._made}@{self._domain}"
        self.tally.sent[mail] = 0
        form = {"name": "version 0", "password": _PASSWORD}
        if self.create(f"/user/{mail}", form).is_yes:
            self.tally.users[mail] = 0
            self._own.append(mail)

    def _change(self) -> None:
        if not self._own:
            return
        mail = self._luck.choice(self._own)
        version = self.tally.sent[mail] + 1
        self.tally.sent[mail] = version
        answer, _ = self.persist("PUT", f"/user/{mail}", {"name": f"version {version}"})
        if answer.is_yes:
            self.tally.users[mail] = version
        else:
            self.fault(f"PUT of the name of {mail}: {answer}")

    def _count(self) -> None:
        mail = self._luck.choice(self.load.counters)
        shown = self.send("GET", f"/user/{mail}")
        if not shown.is_yes:
            self._judge_refused_read(mail, shown)
            return
        counted = self.tally.counters[mail]
        value = int(_attribute(shown, "employeeNumber")[0]) + 1
        answer, uncertain = self.persist(
            "PUT", f"/user/{mail}", {"employeeid": str(value)}, {"If-Match": shown.etag}
        )
        with self.tally.lock:
            # Of several that may have been carried out one was, at most: the state was another.
            counted.unknown += uncertain > 0 and not answer.is_yes
            if answer.is_yes and value in counted.acknowledged:
                self.tally.faults.append(f"{mail}: counted up to {value} twice")
            if answer.is_yes:
                counted.acknowledged.add(value)
        if not answer.is_yes and answer.status != 412 and not answer.may_pass:
            self.fault(f"PUT of the count of {mail}: {answer}")

    def _judge_refused_read(self, mail: str, shown: Answer) -> None:
        if shown.status == 404:
            with self.tally.lock:
                self.tally.stale.append(f"GET {mail}: 404")
        elif not shown.may_pass:
            self.fault(f"GET {mail}: {shown}")

    def _add(self) -> None:
        self._made += 1
        member = f"m{self._made}.{self._number}@elsewhere.example"
        answer, _ = self.persist("PUT", f"/alias/{self.load.alias}", {"addMember": member})
        if answer.is_yes:
            with self.tally.lock:
                self.tally.members[self.load.alias].add(member)
        else:
            self.fault(f"PUT of {self.load.alias}: {answer}")


class Rivals:
    """Two clients that want one address at the same moment, for a user and for an alias."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._tally = load.tally

    def run(self) -> None:
        number = 0
        senders = [Sender(self._load), Sender(self._load)]
        with ThreadPoolExecutor(2) as pool:
            while not self._load.is_over:
                number += 1
                mail = f"rival{number}@{self._load.shared}"
                wanted = [
                    (f"/user/{mail}", {"password": _PASSWORD}),
                    (f"/alias/{mail}", {"name": "Rival"}),
                ]
                works = [
                    pool.submit(sender.persist, "POST", path, form)
                    for sender, (path, form) in zip(senders, wanted, strict=True)
                ]
                self._judge(mail, [work.result()[0] for work in works], wanted)
                self._load.pause(6)

    def _judge(
        self, mail: str, answers: list[Answer], wanted: Sequence[tuple[str, dict[str, str]]]
    ) -> None:
        with self._tally.lock:
            if all(answer.is_yes for answer in answers):
                self._tally.duplicates.append(f"{mail}: both acknowledged")
            for answer, (path, _) in zip(answers, wanted, strict=True):
                # Sent again without a key it may meet what it has made itself.
                if not answer.is_yes and answer.code != "ALREADY_EXISTS":
                    self._tally.faults.append(f"POST {path}: {answer}")
            if answers[0].is_yes:
                self._tally.users[mail] = self._tally.sent[mail] = -1
            elif answers[1].is_yes:
                self._tally.members[mail] = set()


class Reader(Sender):
    """Reads what was acknowledged, and finds it or newer."""

    def __init__(self, load: Load, number: int) -> None:
        super().__init__(load)
        self._luck = random.Random(100 + number)

    def run(self) -> None:
        kinds = (self._user, self._counter, self._alias)
        turn = 0
        while not self.load.is_over:
            kinds[turn % len(kinds)]()
            turn += 1
            self.load.pause()

    def _user(self) -> None:
        known = list(self.tally.users)
        if not known:
            return
        # Mostly the newest: those are in danger.
        mail = self._luck.choice(known[-20:] if self._luck.random() < 0.7 else known)
        least = self.tally.users[mail]
        answer = self._read(f"/user/{mail}")
        if answer and least >= 0 and version(_attribute(answer, "cn")) < least:
            self._stale(answer, f"{mail}: {_attribute(answer, 'cn')}, not version {least}")

    def _counter(self) -> None:
        mail = self._luck.choice(self.load.counters)
        with self.tally.lock:
            least = max(self.tally.counters[mail].acknowledged, default=0)
        answer = self._read(f"/user/{mail}")
        if answer and int(_attribute(answer, "employeeNumber")[0]) < least:
            self._stale(answer, f"{mail}: {_attribute(answer, 'employeeNumber')}, not {least}")

    def _alias(self) -> None:
        with self.tally.lock:
            mail = self._luck.choice([self.load.alias, *self.tally.members])
            least = {*self.tally.members[mail]}
        answer = self._read(f"/alias/{mail}")
        missing = least - {*_attribute(answer, "members")} if answer else set()
        if answer and missing:
            self._stale(answer, f"{mail} without {len(missing)} members, {min(missing)}")

    def _read(self, path: str) -> Answer | None:
        answer = self.send("GET", path)
        if answer.is_yes:
            return answer
        if answer.status == 404:
            self._stale(answer, f"GET {path}: 404")
        elif not answer.may_pass:
            self.fault(f"GET {path}: {answer}")
        return None

    def _stale(self, answer: Answer, words: str) -> None:
        if answer.is_told:
            return
        with self.tally.lock:
            self.tally.stale.append(f"{time.strftime('%H:%M:%S')} {words}")


def version(names: Sequence[str]) -> int:
    """Return the version that a name shows; -1: none."""
    words = names[0].split() if names else []
    return int(words[1]) if len(words) == 2 and words[0] == "version" else -1


def _attribute(answer: Answer, name: str) -> list[str]:
    data = answer.body["_data"]
    assert isinstance(data, dict)
    found = data.get(name, [])
    assert isinstance(found, list)
    return found
