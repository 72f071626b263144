"""Send what a command asks for: once, as a job that is waited for, or as a dry run."""

import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from iredldap.commands.api.answers import Answer, Api
from iredldap.commands.api.asked import Asked
from iredldap.commands.api.failures import Failed
from iredldap.commands.api.meter import Meter
from iredldap.commands.api.refusals import failed_job, refusal

_LATER = "respond-async"
_STRICTLY = "handling=strict"
_PAGE = "1000"
_POLLS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.0)
"""Seconds between questions about a job; the last one from then on."""


def send(api: Api, asked: Asked, meter: Meter | None = None) -> Answer:
    """Send a request; of a change that takes long wait for the end of its job.

    Raises:
        Failed: If it is refused, or the job failed.
        Unavailable: If there is no answer.
    """
    answer = _accepted(api, asked)
    if answer.status == 202 and asked.waits:
        _await(api, asked, answer.data["job"], meter)
    return answer


def report(api: Api, asked: Asked, meter: Meter | None = None) -> Mapping[str, Any]:
    """Send a file, and return the report of what became of it; to another machine as a job.

    Raises:
        Failed: If it is refused as a whole, or the job failed.
        Unavailable: If there is no answer.
    """
    answer = _accepted(api, asked)
    job = _await(api, asked, answer.data["job"], meter) if answer.status == 202 else None
    found: Mapping[str, Any] = job["report"] if job else answer.data
    return found


def _accepted(api: Api, asked: Asked) -> Answer:
    """Return the answer to a request that is not refused.

    Raises:
        Failed: If it is.
    """
    form = dict(asked.form)
    if asked.dry_run:
        form["dry_run"] = ["yes"]
    # What would be ignored is a mistake on a command line.
    preferences = [_STRICTLY]
    takes_long = asked.call.heavy and asked.call.waits and not asked.dry_run
    if not api.is_local and takes_long and asked.may_be_job:
        preferences.append(_LATER)
    headers = {"Prefer": ", ".join(preferences)}
    answer = api.send(asked.call.method, asked.path, form, headers, asked.file)
    if not answer.is_done:
        raise refusal(api, asked, answer)
    return answer


def read(api: Api, asked: Asked) -> Any:
    """Return the data of a read.

    Raises:
        Failed: If it is refused.
        Unavailable: If there is no answer.
    """
    return send(api, asked).data


def pages(api: Api, asked: Asked, most: int | None) -> Iterator[Any]:
    """Yield the pages of a listing, sorted.

    Args:
        api: The API.
        asked: The listing.
        most: Most entries of all pages together; None: all there are.
    """
    left, cursor = most, ""
    while left is None or left > 0:
        size = _PAGE if left is None else str(min(left, int(_PAGE)))
        form = {**asked.form, "limit": [size]} | ({"cursor": [cursor]} if cursor else {})
        answer = api.send("GET", asked.path, form, {"Prefer": _STRICTLY})
        if not answer.is_done:
            raise refusal(api, asked, answer)
        yield answer.data
        cursor = answer.headers.get("x-next-cursor", "")
        if not cursor:
            return
        left = None if left is None else left - len(answer.data)


def _await(api: Api, asked: Asked, job: str, meter: Meter | None) -> Mapping[str, Any]:
    """Wait for the end of a job, and return what it has become.

    Raises:
        Failed: If it failed.
    """
    for pause in _pauses():
        time.sleep(pause)
        answer = api.send("GET", f"/api/jobs/{quote(job)}")
        if not answer.is_done:
            failure = refusal(api, asked, answer)
            words = f"It goes on as the job {job}; a token needs jobs:read to see it."
            raise Failed(f"{failure.message}\n{words}", failure.status, failure.codes)
        found: Mapping[str, Any] = answer.data
        if meter:
            meter.show(found["done"], found["total"])
        if found["status"] == "failed":
            raise failed_job(asked, found)
        if found["status"] == "done":
            return found
    raise AssertionError("pauses have no end")


def _pauses() -> Iterator[float]:
    yield from _POLLS
    while True:
        yield _POLLS[-1]
