"""A state of 2 000 users, made again in an empty directory; `benchmarks states` has 100 000."""

from typing import Any

import pytest

from iredldap.changes.together.additions import add_all
from iredldap.desired import batches
from iredldap.dit import passwords
from iredldap.dit.user_entry import SERVICES
from tests.integration.states.test_states import applied, counts, snapshot
from tests.support.client import Client, done
from tests.support.databases import Urls, rows
from tests.support.world import World

DOMAIN = "home.test"
USERS = 2000
STORED = passwords.hashed("a good password", "SSHA512", b"saltsalt")


def plant(world: World, users: int) -> None:
    """Add users as other tools do, a hundred without waiting for each."""
    connection = world.connect()
    sent: list[int] = []
    for mail, attributes in map(user, range(users)):
        values = [(name, [one.encode() for one in many]) for name, many in attributes.items()]
        sent.append(connection.add(world.tree.user(mail), values))
        if len(sent) == 100:
            connection.result(sent.pop(0))
    for number in sent:
        connection.result(number)
    connection.unbind_s()


def user(number: int) -> tuple[str, dict[str, list[str]]]:
    mail = f"user{number:04}@{DOMAIN}"
    home = f"/var/vmail/vmail1/{DOMAIN}/u/s/e/user{number:04}-2026.01.02.03.04.05/"
    attributes = {
        "objectClass": ["inetOrgPerson", "mailUser", "shadowAccount", "amavisAccount"],
        "mail": [mail],
        "uid": [f"user{number:04}"],
        "cn": [f"Nr. {number} ä"],
        "sn": ["Nr."],
        "userPassword": [STORED],
        "accountStatus": ["disabled" if number % 7 == 0 else "active"],
        "mailQuota": [str(number * 1024**2)] if number else [],
        "enabledService": [*SERVICES],
        "homeDirectory": [home],
        "mailboxFormat": ["maildir"],
        "mailboxFolder": ["Maildir"],
        "preferredLanguage": ["de_DE"],
        "shadowAddress": [f"alias{number}@{DOMAIN}"] if number % 3 == 0 else [],
        "mailForwardingAddress": [mail, f"alias{(number + 3) // 3 * 3 % USERS}@{DOMAIN}"]
        if number % 5 == 0
        else [],
    }
    return mail, {name: values for name, values in attributes.items() if values}


def test_two_thousand_users_are_made_again(
    api: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second snapshot has the same bytes, and nothing is left to do; all by whole batches."""
    done(api.post(f"/api/domain/{DOMAIN}", name="Home"))
    plant(world, USERS)
    before = snapshot(api, hashes="yes", ids="no")
    assert before.count(b'{"kind":"user"') == USERS
    world.wipe()
    added: list[int] = []

    def counted(directory: Any, log: Any, additions: Any) -> None:
        added.append(len(additions))
        add_all(directory, log, additions)

    monkeypatch.setattr(batches, "add_all", counted)
    report = applied(api, before)
    assert counts(report) == {"created": USERS + 1, "unchanged": report["unchanged"]}, report
    assert added == [100] * (USERS // 100)
    assert snapshot(api, hashes="yes", ids="no") == before
    again = applied(api, before)
    assert (again["changes"], again["refused"]) == (0, 0)


def test_deleted_mailboxes_are_taken_again_together(api: Client, world: World, urls: Urls) -> None:
    """Of a whole domain, by few statements; each user's change has the own row, and no other."""
    done(api.post(f"/api/domain/{DOMAIN}"))
    plant(world, 120)
    before = snapshot(api, hashes="yes", ids="no", domains=DOMAIN)
    done(api.delete(f"/api/domain/{DOMAIN}"))
    kept = "SELECT count(*) FROM deleted_mailboxes"
    assert rows(urls.iredadmin, kept) == [(120,)]
    report = applied(api, before)
    assert (report["created"], report["refused"]) == (121, 0), report["refusals"]
    assert snapshot(api, hashes="yes", ids="no", domains=DOMAIN) == before
    assert rows(urls.iredadmin, kept) == [(0,)]
    mail, attributes = user(7)
    (change,) = api.get("/api/changes", account=mail, endpoint="user_create").json()["_data"]
    touched = api.get(f"/api/changes/{change['id']}").json()["_data"]["touched"]
    (removed,) = [one for one in touched if one.get("table") == "deleted_mailboxes"]
    assert [row["maildir"] for row in removed["before"]] == attributes["homeDirectory"]
    assert api.post(f"/api/changes/{change['id']}/undo").status_code == 200
    assert rows(urls.iredadmin, "SELECT maildir FROM deleted_mailboxes") == [
        (attributes["homeDirectory"][0],)
    ]
