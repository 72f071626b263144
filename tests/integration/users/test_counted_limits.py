"""Limits hold whatever other tools do, though not all accounts are counted each time."""

import shutil
from datetime import timedelta
from typing import Any

import ldap
import pytest

from iredldap.dit.plan import Query
from iredldap.gateways.directory import Directory
from tests.support.client import Client, done, refused
from tests.support.patience import PATIENCE
from tests.support.world import World

PASSWORD = "a good password"
MB = 1024 * 1024


@pytest.fixture
def few(api: Client) -> str:
    """A domain of at most three users, with 100 MB for all of them."""
    done(api.post("/api/domain/few.test", numberOfUsers=3, quota=100, defaultQuota=10))
    return "few.test"


def delete(world: World, dn: str) -> None:
    connection = world.connect()
    connection.delete_s(dn)
    connection.unbind_s()


def create(api: Client, name: str, **more: Any) -> Any:
    return api.post(f"/api/user/{name}@few.test", password=PASSWORD, **more)


def test_a_place_that_another_tool_frees_is_given_again(
    api: Client, world: World, few: str
) -> None:
    for name in ("u1", "u2", "u3"):
        done(create(api, name))
    refused(create(api, "u4"), 409, "EXCEEDED_DOMAIN_ACCOUNT_LIMIT")
    for gone in ("u1", "u2"):
        delete(world, world.tree.user(f"{gone}@few.test"))
    done(create(api, "u4"))
    done(create(api, "u5"))
    refused(create(api, "u6"), 409, "EXCEEDED_DOMAIN_ACCOUNT_LIMIT")


def test_what_another_tool_adds_counts(api: Client, world: World, few: str) -> None:
    done(create(api, "u1"))
    model = world.attributes(world.tree.user("u1@few.test"))
    for name in ("u2", "u3"):
        texts = {key: sorted(values) for key, values in model.items()}
        mail = f"{name}@few.test"
        world.add(world.tree.user(mail), **(texts | {"mail": mail, "homeDirectory": f"/m/{name}/"}))
    refused(create(api, "u4"), 409, "EXCEEDED_DOMAIN_ACCOUNT_LIMIT")


def test_what_another_tool_makes_larger_or_smaller_counts(
    api: Client, world: World, few: str
) -> None:
    done(create(api, "u1", quota=10))
    dn = world.tree.user("u1@few.test")
    world.set(dn, mailQuota=str(95 * MB))
    refused(create(api, "u2", quota=10), 409, "EXCEEDED_DOMAIN_QUOTA_SIZE")
    # The default for new users is cut to what is left.
    done(create(api, "u3"))
    assert world.attributes(world.tree.user("u3@few.test"))["mailQuota"] == {str(5 * MB)}
    world.set(dn, mailQuota=str(20 * MB))
    done(create(api, "u2", quota=75))
    refused(api.put("/api/user/u3@few.test", quota=6), 409, "EXCEEDED_DOMAIN_QUOTA_SIZE")
    world.set(dn, mailQuota=str(19 * MB))
    done(api.put("/api/user/u3@few.test", quota=6))


def test_users_put_back_offline_count(api: Client, world: World, few: str) -> None:
    """Entries of `slapadd` have the states that they had when they were exported."""
    for name in ("u1", "u2", "u3"):
        done(create(api, name))
    exported = world.slapd.dump()
    for gone in ("u1", "u2"):
        delete(world, world.tree.user(f"{gone}@few.test"))
    done(create(api, "u4"))
    world.slapd.stop()
    shutil.rmtree(world.slapd.home / "database")
    world.slapd.prepare(exported)
    world.slapd.start(PATIENCE)
    refused(create(api, "u5"), 409, "EXCEEDED_DOMAIN_ACCOUNT_LIMIT")
    assert len(world.find("(objectClass=mailUser)")) == 3


@pytest.mark.parametrize("kind", ["alias", "maillist"])
def test_lists_and_aliases_are_counted_alike(
    api: Client, world: World, few: str, kind: str
) -> None:
    done(api.put("/api/domain/few.test", numberOfAliases=2, numberOfLists=2))
    names = [f"{kind}{number}@few.test" for number in range(4)]
    for name in names[:2]:
        done(api.post(f"/api/{kind}/{name}"))
    refused(api.post(f"/api/{kind}/{names[2]}"), 409, "EXCEEDED_DOMAIN_ACCOUNT_LIMIT")
    (first,) = world.find(f"(mail={names[0]})")
    delete(world, first.dn)
    done(api.post(f"/api/{kind}/{names[2]}"))
    refused(api.post(f"/api/{kind}/{names[3]}"), 409, "EXCEEDED_DOMAIN_ACCOUNT_LIMIT")


def test_a_creation_reads_no_user_that_has_not_changed(
    api: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cost of a creation does not grow with the users of the domain."""
    done(api.post("/api/domain/few.test", numberOfUsers=1000, quota=100_000, defaultQuota=10))
    connection = world.connect()
    done(create(api, "first"))
    (_, model), *_ = connection.search_s(world.tree.user("first@few.test"), ldap.SCOPE_BASE)
    for number in range(100):
        mail = f"old{number}@few.test"
        own = {"mail": [mail.encode()], "homeDirectory": [f"/m/{number}/".encode()]}
        connection.add_s(world.tree.user(mail), [*(model | own).items()])
    connection.unbind_s()
    done(create(api, "second"))
    read: list[int] = []
    stream = Directory.stream

    def counting(directory: Directory, query: Query, **more: Any) -> Any:
        found = [*stream(directory, query, **more)]
        read.append(len(found))
        return iter(found)

    # Without it, what the loop above has just made is read again.
    monkeypatch.setattr("iredldap.operations.known.account_counts._SETTLING", timedelta(0))
    monkeypatch.setattr(Directory, "stream", counting)
    done(create(api, "third"))
    assert sum(read) < 20
