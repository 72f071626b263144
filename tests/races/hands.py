"""Hands that send calls: sessions of callers on several servers, and what came of each call."""

import itertools
import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import requests

from tests.races.pair import ROOT, Call, Names
from tests.races.stage import PASSWORD, Stage
from tests.support.patience import PATIENCE
from tests.support.world import ADMIN, ADMIN_PASSWORD

TOGETHER = 0.35
"""Share of rounds whose calls are sent at the same moment."""
CLOSE = 0.015
"""Seconds between calls in half of the other rounds: about what one call takes."""
APART = 0.060
"""Most seconds between calls."""

SEED = 12
_HEAD_START = 0.004
_JOB_DEADLINE = 120.0
_REPEATS = 5


@dataclass(frozen=True)
class Answer:
    """What came of a call in the end.

    Args:
        status: Of HTTP; of a job what its direct answer would have had, 500 unless it is known.
        code: Of the refusal, or "".
        busy: How often it was refused with 503 and `Retry-After`, and sent again.
        fault: What is wrong with an answer whatever was asked, or "".
    """

    status: int
    code: str = ""
    busy: int = 0
    fault: str = ""

    @property
    def is_yes(self) -> bool:
        return 200 <= self.status < 300

    def __str__(self) -> str:
        return f"{self.status} {self.code}".strip()


@dataclass
class Hands:
    """Sends calls to servers that share directory and databases.

    Args:
        urls: Of the servers.
        stage: What an LDIF file is made by.
        luck: Source of offsets and of the choice of servers.
    """

    urls: Sequence[str]
    stage: Stage
    luck: random.Random = field(default_factory=lambda: random.Random(SEED))
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(8))
    _cookies: dict[str, Any] = field(default_factory=dict)
    _spare: list[requests.Session] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def close(self) -> None:
        self._pool.shutdown()
        for session in self._spare:
            session.close()

    def forget_callers(self) -> None:
        """Forget the sessions of all callers but the global admin."""
        self._cookies = {who: jar for who, jar in self._cookies.items() if who == ROOT}

    def log_in(self, who: str) -> None:
        """Open a session of a caller, unless there is one."""
        if who in self._cookies:
            return
        password = ADMIN_PASSWORD if who == ROOT else PASSWORD
        credentials = {"username": who or ADMIN, "password": password}
        with requests.Session() as session:
            answer = session.post(f"{self.urls[0]}/api/login", data=credentials, timeout=PATIENCE)
            answer.raise_for_status()
            self._cookies[who] = dict(session.cookies)

    def one(self, call: Call, names: Names) -> Answer:
        """Send a call and wait for its end."""
        return self._settled(call, names, self.urls[0])

    def together(self, calls: Sequence[Call], names: Names) -> list[Answer]:
        """Send calls at the same time or shortly after one another, each to any server.

        One that is refused with 503 and `Retry-After` is sent again when all have ended.
        """
        offsets = self._offsets(len(calls))
        servers = [self.luck.choice(self.urls) for _ in calls]
        for call in calls:
            self.log_in(names.fill(call.who))
        start = time.perf_counter() + _HEAD_START
        works = [
            self._pool.submit(self._at, start + offset, call, names, url)
            for call, offset, url in zip(calls, offsets, servers, strict=True)
        ]
        answers = [work.result() for work in works]
        again = partial(self._settled, names=names, url=self.urls[0])
        return [self._patient(c, a, again) for c, a in zip(calls, answers, strict=True)]

    def _offsets(self, count: int) -> list[float]:
        if self.luck.random() < TOGETHER:
            return [0.0] * count
        longest = self.luck.choice((CLOSE, APART))
        return [self.luck.uniform(0, longest) for _ in range(count)]

    def _at(self, moment: float, call: Call, names: Names, url: str) -> Answer:
        time.sleep(max(0.0, moment - time.perf_counter()))
        return self._settled(call, names, url)

    def _patient(self, call: Call, first: Answer, again: Any) -> Answer:
        answer = first
        for number in itertools.count(1):
            if answer.status != 503 or answer.fault or number > _REPEATS:
                break
            answer = Answer(*_parts(again(call)), busy=number)
        return answer

    def _settled(self, call: Call, names: Names, url: str) -> Answer:
        response = self.send(call, names, url)
        answer = _answer(response)
        if not call.is_async or response.status_code != 202:
            return answer
        return self._ended(call, names, f"{url}{response.headers['Location']}")

    def _ended(self, call: Call, names: Names, url: str) -> Answer:
        until = time.monotonic() + _JOB_DEADLINE
        while True:
            job = self._request("GET", url, names.fill(call.who)).json()["_data"]
            if job["status"] == "done":
                return Answer(200)
            if job["status"] == "failed":
                code = str(job["code"])
                fault = "a job failed" if code in {"INTERNAL_ERROR", "None"} else ""
                return Answer(503 if code == "SERVER_DOWN" else 409, code, fault=fault)
            if time.monotonic() > until:
                return Answer(500, fault="a job did not end")
            time.sleep(0.02)

    def send(self, call: Call, names: Names, url: str) -> requests.Response:
        """Send a call to one of the servers once, and give what it answers."""
        who = names.fill(call.who)
        path = f"{url}/api{names.fill(call.path)}"
        if call.file:
            return self._request(call.method, path, who, data=self.stage.ldif(call.file, names))
        form = {name: names.fill(value) for name, value in call.form.items()}
        headers = {"Prefer": "respond-async"} if call.is_async else None
        key = "params" if call.method in {"GET", "DELETE"} else "data"
        return self._request(call.method, path, who, headers=headers, **{key: form})

    def _request(self, method: str, url: str, who: str, **more: Any) -> requests.Response:
        with self._lock:
            session = self._spare.pop() if self._spare else requests.Session()
        try:
            session.cookies.clear()
            cookies = self._cookies[who]
            return session.request(method, url, cookies=cookies, timeout=PATIENCE, **more)
        finally:
            with self._lock:
                self._spare.insert(0, session)


def _answer(response: requests.Response) -> Answer:
    status = response.status_code
    try:
        code = str(response.json().get("_msg", ""))
    except requests.JSONDecodeError:
        return Answer(status, fault=f"{status} without an envelope")
    if status == 503 and "Retry-After" not in response.headers:
        return Answer(status, code, fault="503 without Retry-After")
    if status >= 500 and status != 503:
        return Answer(status, code, fault=str(status))
    return Answer(status, code)


def _parts(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.code
