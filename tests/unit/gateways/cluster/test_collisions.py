"""What is taken back of a former writer's last moment, and what is never."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from iredldap.dit.csn import CsnVector
from iredldap.dit.entry import Entry
from iredldap.dit.names import Tree
from iredldap.dit.plan import Query
from iredldap.gateways.cluster.collisions import Collision, collisions
from iredldap.gateways.cluster.register import Epoch

TREE = Tree("dc=x")
BEGAN = 1795791600_000  # 2026-11-27T15:00:00Z
FIRST = "20261127145900.000000Z#000000#001#000000"
KNOWN = "20261127145958.500000Z#000000#001#000000"
"""The last state of the former writer that the new one had when it began."""
LATE = "20261127145959.100000Z#000000#001#000000"
SAME_SECOND = "20261127145958.700000Z#000000#001#000000"
SINCE = "20261127150005.000000Z#000000#002#000000"

HISTORY = (
    Epoch(1, "ldap://a", BEGAN - 3_600_000, CsnVector.of([FIRST]), 1, False, "n1"),
    Epoch(2, "ldap://b", BEGAN, CsnVector.of([KNOWN]), 2, False, "n1"),
)


class Server:
    """A server that finds each account by its addresses."""

    tree = TREE

    def __init__(self, *entries: Entry) -> None:
        self._entries = entries

    def find(self, query: Query) -> list[Entry]:
        if "entryCSN" in query.filter:
            return [*self._entries]
        return [
            one
            for one in self._entries
            if any(f"={mail})" in query.filter for mail in _addresses(one))
        ]

    def read(self, dn: str, attributes: tuple[str, ...]) -> Entry | None:
        raise NotImplementedError

    def stream(self, query: Query, *, must_exist: bool) -> Iterator[Entry]:
        raise NotImplementedError


def _addresses(entry: Entry) -> set[str]:
    return entry.lowered("mail") | entry.lowered("shadowAddress")


def account(mail: str, state: str, created: str, *further: str) -> Entry:
    return Entry(
        TREE.user(mail),
        {
            "mail": [mail.encode()],
            "shadowAddress": [one.encode() for one in further],
            "entryCSN": [state.encode()],
            "createTimestamp": [created.encode()],
        },
    )


OLD, NEW = "20200101000000Z", "20261127145959Z"
OTHER = account("other@x.test", SINCE, "20261127150005Z", "taken@x.test")


def found(*entries: Entry, history: tuple[Epoch, ...] = HISTORY) -> list[Collision]:
    return [*collisions(Server(*entries), history)]


def test_a_new_account_whose_name_others_have_goes() -> None:
    late = account("taken@x.test", LATE, NEW)
    assert found(late, OTHER) == [Collision(late, (), has_name=True, is_new=True)]


@pytest.mark.parametrize("created", [OLD, NEW])
def test_of_further_addresses_those_go_that_others_have(created: str) -> None:
    """An account that was there before stays, as one does whose own name nobody has."""
    late = account("ann@x.test", LATE, created, "Taken@x.test", "free@x.test")
    (collision,) = found(late, OTHER)
    assert (collision.taken, collision.has_name) == (("Taken@x.test",), False)


@pytest.mark.parametrize(
    ("state", "created", "is_new"),
    [
        (LATE, OLD, False),
        # A second has many changes: one that was made in it, and changed later, may be known.
        (LATE, "20261127145958Z", False),
        (SAME_SECOND, "20261127145958Z", True),
        (SAME_SECOND, OLD, False),
    ],
)
def test_an_account_is_new_if_nobody_else_can_have_seen_it(
    state: str, created: str, is_new: bool
) -> None:
    """One that was renamed to the name of another one was there before, and is not deleted."""
    (collision,) = found(account("taken@x.test", state, created), OTHER)
    assert collision.is_new is is_new


@pytest.mark.parametrize(("created", "is_new"), [(OLD, False), ("20261127145900Z", True)])
def test_a_server_that_others_had_nothing_of(created: str, is_new: bool) -> None:
    """What was there before has another server's first state."""
    history = (HISTORY[0], replace(HISTORY[1], vector=CsnVector()))
    (collision,) = found(account("taken@x.test", FIRST, created), OTHER, history=history)
    assert collision.is_new is is_new


@pytest.mark.parametrize("mail", ["free@x.test", "ann@x.test"])
def test_what_nobody_else_has_is_left(mail: str) -> None:
    assert found(account(mail, LATE, NEW), OTHER) == []


def test_two_of_the_last_moment_are_left() -> None:
    """None of them is older than the other as far as anybody knows."""
    both = account("taken@x.test", LATE, NEW), account("ann@x.test", LATE, NEW, "taken@x.test")
    assert found(*both) == []


def test_what_comes_much_later_is_not_of_that_moment() -> None:
    """Another program has written it to that server, which may have acknowledged it."""
    late = "20261127150200.000000Z#000000#001#000000"
    assert found(account("taken@x.test", late, "20261127150200Z"), OTHER) == []


FORCED = (HISTORY[0], replace(HISTORY[1], forced=True))
RENAMED = Epoch(3, "ldap://c", BEGAN + 60_000, CsnVector.of([KNOWN, SINCE]), 2, False, "n1")


@pytest.mark.parametrize("history", [FORCED, (*FORCED, RENAMED)])
def test_after_a_promotion_by_force_everything_stays(history: tuple[Epoch, ...]) -> None:
    """What the former writer brings was acknowledged; also once the writer has a new address."""
    assert found(account("taken@x.test", LATE, NEW), OTHER, history=history) == []


def test_a_new_address_of_the_writer_changes_nothing() -> None:
    """The moment is that in which the server became the writer."""
    late = account("taken@x.test", LATE, NEW)
    assert len(found(late, OTHER, history=(*HISTORY, RENAMED))) == 1
    much_later = "20261127150130.000000Z#000000#001#000000"
    late = account("taken@x.test", much_later, "20261127150130Z")
    assert found(late, OTHER, history=(*HISTORY, RENAMED)) == []
