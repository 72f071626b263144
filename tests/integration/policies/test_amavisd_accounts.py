"""What Amavisd's database knows of an account goes and moves with it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from iredldap.config.settings import Secret
from iredldap.dit.wblist import Colour, Direction
from iredldap.gateways.amavisd import Amavisd
from tests.support.amavisd import CONFIGURED, Readers
from tests.support.databases import Urls, execute, rows
from tests.support.patience import PATIENCE

ANN, BOB = "ann@corp.test", "bob@corp.test"
SENDER = "eve@example.org"


@pytest.fixture
def amavisd(urls: Urls) -> Iterator[Amavisd]:
    database = Amavisd(Secret(urls.amavisd))
    yield database
    database.close()


@pytest.fixture
def readers(urls: Urls) -> Iterator[Readers]:
    with Readers.of(urls.amavisd) as both:
        yield both


def settle(amavisd: Amavisd, account: str, colour: Colour, score: float | None = 5) -> None:
    """Give an account both lists and, unless there is no score, a policy."""
    for direction in Direction:
        amavisd.enlist(account, direction, colour, [SENDER])
    if score is not None:
        amavisd.change_policy(account, lambda _: {"spam_tag2_level": score})


def table(urls: Urls, name: str) -> list[tuple[Any, ...]]:
    return sorted(rows(urls.amavisd, f"SELECT * FROM {name}"))


def contents(urls: Urls) -> dict[str, list[tuple[Any, ...]]]:
    """All of it, but for addresses, which stay for the lists of others."""
    return {
        name: [tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in found]
        for name in ("users", "wblist", "outbound_wblist", "policy")
        if (found := rows(urls.amavisd, f"SELECT * FROM {name} ORDER BY 1, 2"))
    }


def test_an_account_is_forgotten(amavisd: Amavisd, readers: Readers, urls: Urls) -> None:
    """A later one of its address begins without lists and policy; others keep theirs."""
    settle(amavisd, BOB, Colour.WHITELIST)
    before = contents(urls)
    settle(amavisd, ANN, Colour.BLACKLIST)

    for _ in range(2):
        amavisd.forget(ANN)
        assert contents(urls) == before
    assert readers.inbound(SENDER, ANN) is None
    assert readers.inbound(SENDER, BOB) == "W"


def test_a_policy_that_no_row_names_is_forgotten(amavisd: Amavisd, urls: Urls) -> None:
    before = contents(urls)
    execute(urls.amavisd, "INSERT INTO policy (policy_name) VALUES (:name)", name=ANN)

    amavisd.forget(ANN)

    assert contents(urls) == before


def test_the_policy_of_all_is_not_forgotten(amavisd: Amavisd, readers: Readers, urls: Urls) -> None:
    """Although the row of the account names it, as one does that nothing was said about."""
    execute(urls.amavisd, "INSERT INTO users (email) VALUES (:mail)", mail=ANN.encode())
    before = readers.policy("x@other.test")

    amavisd.forget(ANN)

    assert readers.policy("x@other.test") == before


def test_a_domain_is_forgotten(amavisd: Amavisd, urls: Urls) -> None:
    """With its accounts and the rows about its sub-domains; names that end alike stay."""
    for mail in ("ann@sub.corp.test", "ann@mycorp.test", "ann@corp.test.org"):
        settle(amavisd, mail, Colour.WHITELIST)
    settle(amavisd, "@my.corp.test", Colour.WHITELIST)
    before = contents(urls)
    for mail in (ANN, "100_percent@corp.test"):
        settle(amavisd, mail, Colour.BLACKLIST)
    settle(amavisd, "@corp.test", Colour.BLACKLIST)
    execute(
        urls.amavisd,
        "INSERT INTO users (email, policy_id, priority) VALUES (:key, 0, 3)",
        key=b"@.corp.test",
    )
    execute(urls.amavisd, "INSERT INTO policy (policy_name) VALUES ('@.corp.test')")

    for _ in range(2):
        amavisd.forget_domain("corp.test")
        assert contents(urls) == before


def test_a_large_domain_is_forgotten(amavisd: Amavisd, urls: Urls) -> None:
    before = contents(urls)
    found = ", ".join(f"(10, 0, :mail{number})" for number in range(1200))
    mails = {f"mail{number}": f"u{number}@corp.test".encode() for number in range(1200)}
    execute(urls.amavisd, f"INSERT INTO users (priority, policy_id, email) VALUES {found}", **mails)

    amavisd.forget_domain("corp.test")

    assert contents(urls) == before


@pytest.mark.parametrize("score", [5, None], ids=["with a policy", "without"])
def test_an_account_moves(
    amavisd: Amavisd, readers: Readers, urls: Urls, score: float | None
) -> None:
    """With lists and policy, which keep their numbers; what stood under the new address goes."""
    settle(amavisd, ANN, Colour.WHITELIST, score)
    numbers = [row[0] for row in rows(urls.amavisd, "SELECT id FROM users ORDER BY id")]
    settle(amavisd, BOB, Colour.BLACKLIST, 8)

    amavisd.move(ANN, BOB)

    assert [row[0] for row in rows(urls.amavisd, "SELECT id FROM users ORDER BY id")] == numbers
    assert readers.inbound(SENDER, BOB) == "W"
    assert readers.outbound(BOB, SENDER) == "W"
    assert readers.inbound(SENDER, ANN) is None
    expected = score or CONFIGURED["spam_tag2_level"]
    assert readers.policy(BOB)["spam_tag2_level"] == expected
    names = {row[0] for row in rows(urls.amavisd, "SELECT policy_name FROM policy")}
    assert names == {"@."} | ({BOB} if score else set())


def test_a_repeated_move_takes_nothing_away(amavisd: Amavisd, urls: Urls) -> None:
    """Nothing is left to move, so nothing is in the way."""
    settle(amavisd, ANN, Colour.WHITELIST)
    amavisd.move(ANN, BOB)
    amavisd.enlist(BOB, Direction.INBOUND, Colour.BLACKLIST, ["@."])
    before = contents(urls)

    amavisd.move(ANN, BOB)

    assert contents(urls) == before


def test_an_account_of_which_nothing_is_known_moves(amavisd: Amavisd, urls: Urls) -> None:
    """It inherits nothing that is not its own to lose: a list of the address stays."""
    settle(amavisd, BOB, Colour.WHITELIST)
    before = contents(urls)

    amavisd.move(ANN, BOB)

    assert contents(urls) == before


def test_an_account_moves_while_the_new_address_gets_a_list(amavisd: Amavisd, urls: Urls) -> None:
    """Whoever was quicker, nobody fails, and the address has one row."""
    with ThreadPoolExecutor(2) as threads:
        for _ in range(10):
            settle(amavisd, ANN, Colour.WHITELIST)
            moving = threads.submit(amavisd.move, ANN, BOB)
            adding = threads.submit(
                amavisd.enlist, BOB, Direction.INBOUND, Colour.WHITELIST, [SENDER]
            )
            moving.result(PATIENCE)
            adding.result(PATIENCE)

            assert len(contents(urls)["wblist"]) == 1
            amavisd.forget(BOB)


def test_the_lists_of_others_name_an_address_that_is_gone(
    amavisd: Amavisd, readers: Readers
) -> None:
    """It may have been a sender to them; neither going nor moving takes it off."""
    amavisd.enlist(BOB, Direction.INBOUND, Colour.BLACKLIST, [ANN])

    amavisd.move(ANN, "anne@corp.test")
    amavisd.forget(ANN)

    assert readers.inbound(ANN, BOB) == "B"
