"""Places for downloads: so many of all, so many of each, and none that is lost."""

import os
import threading

import pytest

from iredldap.errors import TooManyRequests
from iredldap.web.slots import Slots
from tests.support.patience import at_once


def test_each_has_so_many() -> None:
    """Others have theirs; one that is given back is free again."""
    slots = Slots(8, 2)
    first, _ = slots.take("ann"), slots.take("ann")
    with pytest.raises(TooManyRequests) as refused:
        slots.take("ann")
    assert refused.value.retry_after > 0
    slots.take("bob")

    first()

    slots.take("ann")


def test_all_have_so_many() -> None:
    slots = Slots(3, 2)
    release, *_ = [slots.take(who) for who in ("ann", "ann", "bob")]
    with pytest.raises(TooManyRequests):
        slots.take("eve")
    release()
    slots.take("eve")


def test_who_had_a_place_before_does_not_count() -> None:
    """What stands in the file of a place says nothing when it is free."""
    slots = Slots(4, 2)
    for release in [slots.take("ann"), slots.take("ann")]:
        release()
    slots.take("ann"), slots.take("ann")


def test_a_refusal_takes_no_place() -> None:
    slots = Slots(3, 1)
    slots.take("ann")
    for _ in range(5):
        with pytest.raises(TooManyRequests):
            slots.take("ann")
    slots.take("bob"), slots.take("eve")


def test_at_the_same_time_no_more_are_taken() -> None:
    slots = Slots(8, 3)
    lock = threading.Lock()
    refused = []

    def take() -> None:
        try:
            slots.take("ann")
        except TooManyRequests as ex:
            with lock:
                refused.append(ex)

    at_once(*[take] * 12)
    assert len(refused) == 9


def test_places_are_shared_with_processes_and_end_with_them() -> None:
    """However they end: the child here runs no line more."""
    slots = Slots(2, 1)
    told, tells = os.pipe()
    child = os.fork()
    if not child:
        # Whatever it raises, the child must not return into pytest.
        try:
            os.close(told)
            slots.take("ann")
            os.write(tells, b"x")
            os.read(os.pipe()[0], 1)
        finally:
            os._exit(1)
    os.close(tells)
    assert os.read(told, 1) == b"x"
    with pytest.raises(TooManyRequests):
        slots.take("ann")
    os.kill(child, 9)
    os.waitpid(child, 0)
    slots.take("ann")
    os.close(told)
