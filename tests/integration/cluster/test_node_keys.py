"""Nodes that share a state database are told of keys that they do not share."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import sqlalchemy as sql

from iredldap.config.reader import read
from iredldap.config.sections import Config
from iredldap.config.settings import Secret
from iredldap.gateways.state import StateDatabase
from iredldap.operations.diagnosis import node_keys
from iredldap.operations.diagnosis.node_keys import differing_keys

ONE, OTHER = "a-key-of-more-than-32-characters-for-n1", "another-key-of-more-than-32-characters"
DAY = 24 * 3600.0


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Digests that take no 50 ms each."""
    monkeypatch.setattr(node_keys, "_COST", 2)


@pytest.fixture(params=["mariadb", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param).fresh().iredadmin)


@pytest.fixture
def state(url: str) -> Iterator[StateDatabase]:
    with closing(StateDatabase(Secret(url))) as database:
        yield database


def config(url: str, node: str, session: str = ONE, changes: str = "", servers: str = "") -> Config:
    found: dict[str, dict[str, Any]] = {
        "ldap": {
            "uri": [f"ldap://{name}" for name in servers or ("127.0.0.1",)],
            "writer": "agreed" if servers else "first",
            "suffix": "dc=x",
            "bind_dn": "cn=vmailadmin,dc=x",
        },
        "server": {"node": node},
    }
    secrets = {
        "IREDLDAP_LDAP_BIND_PASSWORD": "secret",
        "IREDLDAP_SESSION_KEYS": session,
        "IREDLDAP_CHANGES_KEYS": changes,
        "IREDLDAP_STATE_URL": url,
    }
    return read(found, {name: text for name, text in secrets.items() if text})


def found(state: StateDatabase, config: Config, now: float = 1e9) -> list[str]:
    return [finding.words for finding in differing_keys(config, state, lambda: now)]


def test_nodes_with_the_same_keys_are_told_nothing(url: str, state: StateDatabase) -> None:
    assert found(state, config(url, "n1", changes=OTHER)) == []
    assert found(state, config(url, "n2", changes=OTHER)) == []
    assert found(state, config(url, "n1", changes=OTHER)) == []


def test_keys_that_differ_are_named_with_node_and_time(url: str, state: StateDatabase) -> None:
    """Also keys that only one of them has. The node that is mended is told nothing any more."""
    found(state, config(url, "n1"))

    session, changes = found(state, config(url, "n2", f"{ONE} {OTHER}", OTHER), 1e9 + DAY)[::-1]

    at = "node n1 had at 2001-09-09 01:46 UTC"
    assert session.startswith(f"session.keys of this node (n2) are not those that {at}: ")
    assert changes.startswith(f"changes.keys of this node (n2) are not those that {at}: ")
    assert found(state, config(url, "n2")) == []


def test_a_node_that_is_gone_is_forgotten(url: str, state: StateDatabase) -> None:
    found(state, config(url, "old", OTHER))

    assert len(found(state, config(url, "new"), 1e9 + 29 * DAY)) == 1
    assert found(state, config(url, "new"), 1e9 + 31 * DAY) == []


def test_no_key_is_stored(url: str, state: StateDatabase) -> None:
    """Nor what is the same for another setting with the same key."""
    found(state, config(url, "n1", ONE, ONE))

    with state.database.transaction() as connection:
        rows = connection.execute(sql.text("SELECT name, digest FROM node_keys")).all()
    digests = dict(tuple(row) for row in rows)
    # One server is no agreement.
    assert digests.pop("ldap.uri") == ""
    assert digests.keys() == {"session.keys", "changes.keys"}
    assert len({*digests.values()}) == 2
    assert not any(ONE in digest or len(digest) != 64 for digest in digests.values())


def test_nodes_of_one_agreement_name_the_same_servers(url: str, state: StateDatabase) -> None:
    """In whatever order."""
    first, second, third = (
        config(url, node, servers=servers)
        for node, servers in (("n1", "ab"), ("n2", "ba"), ("n3", "ac"))
    )
    assert found(state, first) == found(state, second) == []

    told = found(state, third)

    assert [words.partition(" that ")[0] for words in told] == [
        "ldap.uri of this node (n3) are not those"
    ] * 2


def test_a_database_of_one_node_gets_nothing(tmp_path: Any) -> None:
    url = f"sqlite:///{tmp_path}/state.sqlite3"
    with closing(StateDatabase(Secret(url))) as database:
        assert found(database, config(url, "n1")) == []
    assert not (tmp_path / "state.sqlite3").exists()
