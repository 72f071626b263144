"""What is concluded of a write that got no response."""

import threading
import time
from typing import Any
from unittest.mock import Mock

import pytest

from iredldap.changes.job_run import JobRun
from iredldap.changes.read_back import happened, settled
from iredldap.dit.entry import Entry
from iredldap.dit.plan import Delete
from iredldap.errors import ServerDown
from iredldap.gateways.cluster.agreement import WriterChanged
from iredldap.gateways.ldap.errors import Unanswered, begins_again
from iredldap.gateways.state import Job

GONE = Delete("cn=gone")


def directory(*answers: Any) -> Any:
    """A directory whose reads have these answers, the last one again and again."""
    found = iter(answers)
    last = answers[-1]

    def read(_: str) -> Entry | None:
        answer = next(found, last)
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    return Mock(read=Mock(side_effect=read))


THERE = Entry(GONE.dn, {})


def test_many_writes_are_given_one_second() -> None:
    still = directory(THERE)
    until = settled()

    assert [happened(still, GONE, until) for _ in range(5)] == [False] * 5

    assert time.monotonic() - until < 0.9


def test_of_another_writer_nothing_is_read() -> None:
    """Neither again and again, nor by the job, for which a new attempt is made at once."""
    away = directory(WriterChanged("the writer is another one"))

    with pytest.raises(Unanswered) as found:
        happened(away, GONE)

    assert away.read.call_count == 1
    assert begins_again(found.value)
    assert not begins_again(Unanswered("no response"))
    run = JobRun(
        *(Job(id="1", owner="a", request="", state="", created=0), "w", Mock(), away),
        *(threading.Event(), 600.0),
    )
    assert not run.waits(found.value, unknown=True)


def test_a_server_that_is_away_is_asked_until_the_second_is_over() -> None:
    back = directory(ServerDown("restarts"), None)

    assert happened(back, GONE)
