"""What one node of a cluster does, as the other one sees it."""

import time
import uuid
from collections.abc import Callable, Iterator

from benchmarks.figures import Reading
from tests.faults.site import NAMES, Site
from tests.support.client import Client
from tests.support.patience import wait_until

SOON = 2.0
"""Seconds after which what has ended on one node has ended on each worker of the other."""

_REFUSED = {401, 429}
"""A secret that is not valid any more counts as a guess, and many guesses are refused at once."""

_LOOKS = 8
"""Requests on new connections, which any worker takes."""


def judged(site: Site, round_: int) -> Iterator[Reading]:
    """Log in and out, make tokens and jobs on one node; look from the other one."""
    first, second = (Client(site.node(name)) for name in NAMES)
    first.log_in(*site.account)
    name = f"nodes{round_}.test"
    key = {"Idempotency-Key": uuid.uuid4().hex}
    path = f"/api/domain/{name}"
    for client in (first, second):
        second.session.cookies.update(first.session.cookies)
        answer = client.call("POST", path, headers=key)
        assert answer.status_code == 200, answer.text
    replayed = answer.headers.get("Idempotency-Replayed") == "true"
    yield Reading(
        "a repeated creation on the other node: carried out again", not replayed, "times", 0
    )

    made = first.post("/api/tokens", name=name, scopes="domains:read").json()["_data"]
    bearer = {"Authorization": f"Bearer {made['secret']}"}
    wait_until(lambda: _statuses(second, path, bearer) == {200})
    assert first.delete(f"/api/tokens/{made['id']}").status_code == 200
    yield _soon("a token that was revoked", lambda: _statuses(second, path, bearer) <= _REFUSED)

    answer = first.call("PUT", path, headers={"Prefer": "respond-async"}, name="By a job")
    job = answer.headers["Location"]
    wait_until(lambda: second.get(job).json()["_data"]["finished"] is not None)
    status = second.get(job).json()["_data"]["status"]
    yield Reading("a job of the other node: not done", status != "done", "times", 0, status)

    cookies = {"Cookie": "; ".join(f"{k}={v}" for k, v in first.session.cookies.items())}
    assert first.post("/api/logout").status_code == 200
    yield _soon(
        "a session that was logged out", lambda: _statuses(second, path, cookies) <= _REFUSED
    )


def _soon(what: str, is_so: Callable[[], bool]) -> Reading:
    began = time.monotonic()
    wait_until(is_so)
    return Reading(
        f"{what}: refused by every worker of the other node", time.monotonic() - began, "s", SOON
    )


def _statuses(client: Client, path: str, headers: dict[str, str]) -> set[int]:
    """Return the statuses of requests on new connections."""
    fresh = (Client(client.url) for _ in range(_LOOKS))
    return {each.call("GET", path, headers=headers).status_code for each in fresh}
