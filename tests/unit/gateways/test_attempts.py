"""Under which network a client is counted, and up to how much a worker counts alone."""

import ipaddress
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iredldap.config.sections import LoginSettings
from iredldap.errors import InvalidCredentials, ServerDown, TooManyRequests
from iredldap.gateways.attempts import Attempts, network_of

WRONG = InvalidCredentials("wrong")


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.0/24"),
        ("192.0.3.7", "192.0.3.0/24"),
        ("::ffff:192.0.2.9", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::1", "::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
        ("", ""),
    ],
)
def test_network(address: str, network: str) -> None:
    """A mapped IPv4 address is one; what is no address stands for itself."""
    assert network_of(address) == network


@given(st.ip_addresses())
def test_an_address_lies_in_its_network(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    network = ipaddress.ip_network(network_of(str(address)))
    plain = getattr(address, "ipv4_mapped", None) or address
    assert plain in network
    assert network.prefixlen == (24 if network.version == 4 else 64)


def is_asked(attempts: Attempts, outcome: Exception | None, account: str = "a@b.test") -> bool:
    """Try to log in, with this outcome; whether the directory was asked at all."""
    asked = False

    def ask() -> None:
        nonlocal asked
        asked = True
        if outcome:
            raise outcome

    with suppress(InvalidCredentials, TooManyRequests), attempts.watching(account, "192.0.2.1"):
        ask()
    return asked


@pytest.mark.parametrize(
    ("failures", "workers", "share"), [(10, 1, 10), (10, 4, 2), (10, 10, 1), (10, 64, 1), (1, 1, 1)]
)
def test_workers_share_the_limit(failures: int, workers: int, share: int) -> None:
    """Together they take no more failures than configured, as long as each takes one."""
    attempts = Attempts(LoginSettings(failures=failures), workers)
    asked = [is_asked(attempts, WRONG) for _ in range(share + 2)]
    assert asked == [True] * share + [False] * 2
    assert not is_asked(attempts, None)
    assert is_asked(attempts, WRONG, account="other@b.test")


def test_what_goes_wrong_otherwise_is_no_failed_login() -> None:
    """A directory that is down locks nobody out."""
    attempts = Attempts(LoginSettings(failures=1), 1)
    for _ in range(3):
        with pytest.raises(ServerDown):
            is_asked(attempts, ServerDown("away"))
    assert is_asked(attempts, None)


@pytest.mark.parametrize("outcome", [WRONG, None])
def test_attempts_at_once_learn_no_more_than_one_after_another(outcome: Exception | None) -> None:
    """One that began in time and ended too late gets the same answer, be it right or wrong."""
    attempts = Attempts(LoginSettings(failures=1), 1)

    def overtaken() -> None:
        with attempts.watching("a@b.test", "192.0.2.1"):
            is_asked(attempts, WRONG)
            if outcome:
                raise outcome

    with pytest.raises(TooManyRequests) as refused:
        overtaken()
    assert 890 < refused.value.retry_after <= 900
