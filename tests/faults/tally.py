"""What was acknowledged under load, and how each request was answered; for several threads."""

import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

import requests

from tests.support.patience import PATIENCE

_NONE = 0
_UNAVAILABLE = (502, 503, 504)


@dataclass
class Counted:
    """A number that is counted up under `If-Match`.

    Attributes:
        acknowledged: Values whose write was answered 200; each one only once.
        unknown: Writes that failed, and may have been carried out.
    """

    acknowledged: set[int] = field(default_factory=set)
    unknown: int = 0


@dataclass(frozen=True)
class Answer:
    """What came of one request.

    Args:
        status: Of HTTP; 0: there was no answer.
        code: Of the refusal, or what was wrong.
        body: The envelope.
        etag: Its entity tag.
        is_told: Whether the answer warns that it may be stale.
        fault: What is wrong with an answer of this kind whatever was asked, or "".
    """

    status: int
    code: str = ""
    body: dict[str, object] = field(default_factory=dict)
    etag: str = ""
    is_told: bool = False
    fault: str = ""

    @property
    def is_yes(self) -> bool:
        return self.status == 200

    @property
    def may_pass(self) -> bool:
        """Whether the same request may be sent again, and may have been carried out."""
        return self.status in _UNAVAILABLE or self.status == _NONE

    @property
    def is_in_use(self) -> bool:
        """Whether an earlier request of the same key is still being carried out."""
        return (self.status, self.code) == (409, "IDEMPOTENCY_KEY_IN_USE")


class Tally:
    """What clients were told, by account; the least that each account must hold from then on.

    Attributes:
        users: The version of its name that was acknowledged last, by user.
        sent: The version that was sent last.
        counters: By user.
        members: Those that were acknowledged, by alias.
        faults: What must not be, as it was seen.
    """

    def __init__(self) -> None:
        self.users: dict[str, int] = {}
        self.sent: dict[str, int] = {}
        self.counters: dict[str, Counted] = {}
        self.members: dict[str, set[str]] = {}
        self.lock = threading.Lock()
        self.faults: list[str] = []
        self.stale: list[str] = []
        self.duplicates: list[str] = []
        self.told = 0
        self.reads = 0
        self.failures: Counter[str] = Counter()
        self.successes: list[float] = []
        self.slowest = 0.0
        self._failed = 0

    def send(
        self,
        session: requests.Session,
        method: str,
        url: str,
        form: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send a request once, and note how it was answered."""
        began = time.monotonic()
        try:
            response = session.request(
                method, url, data=form, headers=headers, timeout=PATIENCE + 10
            )
        except requests.RequestException as error:
            answer = Answer(_NONE, fault=f"no answer: {error}")
        else:
            answer = _judged(response)
        spent = time.monotonic() - began
        what = f"{method} {url.partition('/api')[2]}"
        with self.lock:
            self.slowest = max(self.slowest, spent)
            if answer.fault:
                moment = time.strftime("%H:%M:%S")
                self.faults.append(f"{moment} {what} after {spent:.1f} s: {answer.fault}")
            elif answer.is_yes and method != "GET" and not url.endswith("/login"):
                self.successes.append(time.monotonic())
            if answer.is_yes and method == "GET":
                self.reads += 1
                self.told += answer.is_told
            if not answer.is_yes:
                kind = "read" if method == "GET" else "write"
                self.failures[f"{kind} {answer.status} {answer.code}".strip()] += 1
        return answer

    def gap(self, began: float, ended: float) -> float:
        """Return the longest time without a successful write between two moments."""
        within = [moment for moment in self.successes if began < moment < ended]
        return max(later - former for former, later in pairwise([began, *within, ended]))

    def successes_between(self, began: float, ended: float) -> int:
        """Return how many writes were acknowledged between two moments."""
        return sum(began < moment < ended for moment in self.successes)


def _judged(response: requests.Response) -> Answer:
    """Return an answer, and what is wrong with it whatever was asked."""
    status = response.status_code
    try:
        body = response.json()
        code = str(body.get("_msg", ""))
    except (json.JSONDecodeError, ValueError, AttributeError):
        return Answer(status, fault=f"{status}, not JSON: {response.text[:200]!r}")
    fault = ""
    if status in _UNAVAILABLE and "Retry-After" not in response.headers:
        fault = f"{status} {code} without Retry-After"
    elif status >= 500 and status not in _UNAVAILABLE:
        fault = f"{status} {response.text[:300]}"
    return Answer(
        status,
        code,
        body,
        response.headers.get("ETag", ""),
        "Warning" in response.headers,
        fault,
    )
