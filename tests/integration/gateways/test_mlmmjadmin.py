"""mlmmjadmin is asked in its own words, and believed only when it says yes."""

import ssl
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from iredldap.config.sections import MlmmjadminSettings
from iredldap.config.settings import Secret
from iredldap.embedded.ports import free_port
from iredldap.errors import MlmmjadminUnavailable
from iredldap.gateways.mlmmjadmin import Mlmmjadmin
from tests.support.mlmmjadmin import TOKEN, MlmmjadminServer

NEWS, ANN, BOB = "news@corp.test", "ann@corp.test", "bob@corp.test"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MlmmjadminServer]:
    with closing(MlmmjadminServer(tmp_path)) as running:
        yield running


def gateway(url: str, token: str = TOKEN, timeout: float = 5) -> Mlmmjadmin:
    return Mlmmjadmin(MlmmjadminSettings(url=url, token=Secret(token), timeout=timeout))


@pytest.fixture
def lists(server: MlmmjadminServer) -> Mlmmjadmin:
    return gateway(server.url)


def test_life_of_a_list(lists: Mlmmjadmin, server: MlmmjadminServer) -> None:
    """Made, changed, read, archived."""
    assert lists.profile(NEWS) is None
    lists.create(NEWS, {"owner": ANN, "custom_headers": "X-Ü: 1\nB: 2", "close_list": "yes"})
    lists.update(NEWS, {"close_list": "no", "subject_prefix": "[x & y] "})

    profile = lists.profile(NEWS)

    assert profile is not None
    assert (profile["owner"], profile["close_list"]) == ([ANN], "no")
    assert profile["subject_prefix"] == "[x & y] "
    assert {"X-Ü: 1", "B: 2"} < {*profile["custom_headers"]}
    lists.delete(NEWS, archive=True)
    lists.delete(NEWS, archive=True)
    assert server.lists() == set()
    assert len(server.archived()) == 1


def test_members(lists: Mlmmjadmin, server: MlmmjadminServer) -> None:
    """Asked to confirm or not, which is always said."""
    lists.create(NEWS, {})
    lists.subscribe(NEWS, [ANN, "a+b=c/d@far.test"], "digest", confirm=False)
    lists.subscribe(NEWS, [BOB], "normal", confirm=True)

    assert lists.subscribers(NEWS) == {"digest": {ANN, "a+b=c/d@far.test"}}
    assert lists.subscribed("a+b=c/d@far.test") == {"digest": {NEWS}}
    assert server.asked(NEWS) == {BOB}
    lists.unsubscribe(NEWS, [ANN])
    assert lists.subscribed(ANN) == {}
    lists.unsubscribe(NEWS, ["ALL"])
    assert lists.subscribers(NEWS) == {}


@pytest.mark.parametrize("mail", ["two@at@corp.test", "noatsign", "/a@corp.test", "a b@corp.test"])
def test_what_it_calls_no_list_is_none(
    lists: Mlmmjadmin, server: MlmmjadminServer, mail: str
) -> None:
    """It is not asked: of such a name it says that there is no such page."""
    assert lists.profile(mail) is None
    assert lists.subscribers(mail) == {}
    lists.delete(mail, archive=True)
    assert server.requests == []


@pytest.mark.parametrize("trouble", ["drop", "crash", "garble", "INVALID_PARAM"])
def test_failures(lists: Mlmmjadmin, server: MlmmjadminServer, trouble: str) -> None:
    """Whatever is no yes is a no, status 200 or not."""
    lists.create(NEWS, {})
    server.trouble = lambda method, path: trouble
    for call in (
        lists.ask,
        lambda: lists.profile(NEWS),
        lambda: lists.create(NEWS, {}),
        lambda: lists.update(NEWS, {}),
        lambda: lists.delete(NEWS, archive=False),
        lambda: lists.subscribers(NEWS),
        lambda: lists.subscribed(ANN),
        lambda: lists.unsubscribe(NEWS, [ANN]),
        lambda: lists.subscribe(NEWS, [ANN], "normal", confirm=False),
    ):
        with pytest.raises(MlmmjadminUnavailable):
            call()


def test_reason_is_for_the_log(server: MlmmjadminServer) -> None:
    """Without the token."""
    cases = (
        (gateway(""), "url is empty"),
        (gateway(server.url, token="mistaken"), "INVALID_MLMMJADMIN_API_AUTH_TOKEN"),
        (gateway(f"http://127.0.0.1:{free_port()}/api"), "refused"),
        (gateway(server.url.removesuffix("/api")), "404"),
        (gateway(server.url.replace("http:", "https:")), "SSL"),
    )
    for lists, reason in cases:
        with pytest.raises(MlmmjadminUnavailable) as no:
            lists.ask()
        assert reason in no.value.detail
        assert "mistaken" not in no.value.detail


def test_missing_list_cannot_be_changed(lists: Mlmmjadmin) -> None:
    with pytest.raises(MlmmjadminUnavailable, match="FileNotFoundError"):
        lists.update(NEWS, {"close_list": "yes"})


def test_certificate_is_checked_unless_it_is_said_otherwise() -> None:
    """The context of the connection is what decides."""

    def context(**settings: object) -> ssl.SSLContext:
        made = Mlmmjadmin(MlmmjadminSettings(url="https://lists.test/api", **settings))  # type: ignore[arg-type]
        found: ssl.SSLContext = made._connection()._context  # type: ignore[attr-defined]
        return found

    assert context().verify_mode is ssl.CERT_REQUIRED
    assert context().check_hostname
    assert context(verify_certificate=False).verify_mode is ssl.CERT_NONE
