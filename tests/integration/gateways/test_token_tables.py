"""Tokens and kept answers in each kind of database, as several workers use them."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from iredldap.config.settings import Secret
from iredldap.dit import api_tokens
from iredldap.dit.api_tokens import ApiToken
from iredldap.gateways.access.api_tokens import KEPT, ApiTokens
from iredldap.gateways.idempotent_answers import IdempotentAnswers, KeptAnswer
from iredldap.gateways.state import StateDatabase
from tests.support.databases import Urls
from tests.support.patience import at_once

DIGEST = api_tokens.digest("secret")
TOKEN = ApiToken(
    id=api_tokens.id_of(DIGEST),
    digest=DIGEST,
    admin="ann@a.test",
    account="uuid",
    is_global=True,
    name="Billing, ünd more",
    scopes=("users:create", "users:read"),
    domains=("a.test", "b.test"),
    networks=("10.0.0.0/8",),
    created=1_800_000_000,
    expires=1_900_000_000,
)


@pytest.fixture
def state(databases: Urls) -> Iterator[StateDatabase]:
    with closing(StateDatabase(Secret(databases.iredadmin))) as opened:
        yield opened


def numbered(number: int, parent: str = "", **changes: object) -> ApiToken:
    digest = api_tokens.digest(str(number))
    made = replace(TOKEN, id=api_tokens.id_of(digest), digest=digest, parent=parent)
    return replace(made, **changes)  # type: ignore[arg-type]


def test_tokens(state: StateDatabase) -> None:
    """What is stored is found, listed, and deleted with what it created."""
    stored = ApiTokens(state.database)
    assert stored.find(TOKEN.id) is None
    child = numbered(1, TOKEN.id, created=TOKEN.created + 1)
    grandchild = numbered(2, child.id, admin="bob@a.test", created=TOKEN.created + 2, expires=None)
    orphan = numbered(3, "0" * 16)
    for token in (TOKEN, child, grandchild, orphan):
        assert stored.add(token, most=10)
    assert [stored.find(t.id) for t in (TOKEN, child, grandchild)] == [TOKEN, child, grandchild]
    assert stored.find(orphan.id) is None
    assert stored.tokens("bob@a.test") == [grandchild]
    assert not stored.add(numbered(4), most=3)
    assert stored.delete([TOKEN.id]) == {TOKEN.id, child.id, grandchild.id}
    assert stored.tokens() == [orphan]
    later = numbered(5, created=(TOKEN.expires or 0) + KEPT + 1, expires=None)
    assert stored.add(later, most=10)
    assert stored.tokens() == [later]


def test_several_at_once_do_not_exceed_the_limit(state: StateDatabase) -> None:
    stored = ApiTokens(state.database)
    for turn in range(5):
        admin = f"admin{turn}@a.test"
        tokens = [numbered(20 * turn + number, admin=admin) for number in range(9)]
        assert stored.add(tokens[0], most=3)
        added = at_once(*(lambda t=t: stored.add(t, most=3) for t in tokens[1:]))
        assert (sum(added), len(stored.tokens(admin))) == (2, 3)


def test_a_key_is_claimed_once(state: StateDatabase) -> None:
    """By whoever is first; taken over once; forgotten after a time."""
    kept = IdempotentAnswers(state.database)
    wanted = [KeptAnswer("digest", f"claim {n}", None, 1000) for n in range(4)]

    found = at_once(*[lambda w=w: (w, kept.claim("id", w, 0)) for w in wanted])

    (first,) = [claim for claim, other in found if other is None]
    assert {other for _, other in found if other} <= {first}
    next_one = replace(first, claim="another", began=2000)
    taken = at_once(*[lambda: kept.take_over("id", first, next_one)] * 3)
    assert sorted(taken) == [False, False, True]
    kept.keep("id", first.claim, b"late")
    kept.keep("id", "another", bytes(range(256)))
    answered = replace(next_one, answer=bytes(range(256)))
    assert kept.claim("id", wanted[0], 0) == answered
    assert not kept.take_over("id", next_one, first)
    assert kept.claim("id", wanted[0], 2001) is None
    kept.release("id", wanted[0].claim)
    assert kept.claim("id", wanted[1], 0) is None
