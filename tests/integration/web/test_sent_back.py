"""What was read and is sent back as it is: nothing changes, whoever made the entry."""

from typing import Any

import pytest

from tests.support.client import Client, done, refused
from tests.support.mlmmjadmin import MlmmjadminServer
from tests.support.patience import PATIENCE
from tests.support.world import SUFFIX, World, salted

PASSWORD = "a good password"
CORP = "corp.test"
DOMAIN = f"domainName={CORP},o=domains,{SUFFIX}"
USERS = f"ou=Users,{DOMAIN}"


@pytest.fixture
def beside(mlmmjadmin: MlmmjadminServer) -> dict[str, dict[str, Any]]:
    return {"mlmmjadmin": mlmmjadmin.settings}


@pytest.fixture
def corp(api: Client) -> str:
    done(api.post(f"/api/domain/{CORP}"))
    done(api.post(f"/api/user/bob@{CORP}", password=PASSWORD))
    return CORP


def send_back(api: Client, path: str, *, strict: bool = False) -> Any:
    """Read, and send the very data as JSON."""
    data = api.get(path).json()["_data"]
    headers = {"Prefer": "handling=strict"} if strict else {}
    return api.session.put(f"{api.url}{path}", json=data, headers=headers, timeout=PATIENCE)


def planted_domain(world: World) -> str:
    world.set(
        DOMAIN,
        cn=["Corp", "corp  Ltd"],
        preferredLanguage="de_DE",
        accountStatus="Active",
        accountSetting=["domainQuota:10:GB", "defaultQuota:5", "create_x:y", "maxUserQuota:-1"],
        mtaTransport="Dovecot",
        domainRecipientBccAddress="x@far.test",
        enabledService=["mail", "recipientbcc"],
        disclaimer="be good",
    )
    return f"/api/domain/{CORP}"


def planted_user(world: World) -> str:
    world.set(
        world.tree.user(f"bob@{CORP}"),
        cn=["Bob", "Robert, the first"],
        sn=["B", "BB"],
        givenName=["Bob", "Bobby"],
        accountStatus="ACTIVE",
        mailQuota="0",
        preferredLanguage="xx-YY",
        telephoneNumber=["+1 555", "1,2 3"],
        mobile=["+1 - 5"],
        mailboxFormat="Maildir",
        employeeNumber="7",
        shadowAddress=[f"o'neil@{CORP}"],
        mailForwardingAddress=["a..b@far.test", f"nobody@{CORP}"],
        accountSetting=["create_max_users:5", "timezone:UTC"],
        jpegPhoto="no picture",
    )
    world.set(DOMAIN, accountSetting=["domainQuota:10:MB"])
    return f"/api/user/bob@{CORP}"


def planted_global_admin(world: World) -> str:
    world.set(
        world.tree.user(f"bob@{CORP}"),
        domainGlobalAdmin="Yes",
        enabledService=["mail", "domainadmin"],
        mailQuota="-1",
    )
    return f"/api/user/bob@{CORP}"


def planted_admin(world: World) -> str:
    world.add(
        f"mail=eve@far.test,{world.tree.admin_base}",
        objectClass="mailAdmin",
        mail="eve@far.test",
        cn=["Eve", "Eva"],
        userPassword=salted(PASSWORD),
        accountStatus="Active",
        domainGlobalAdmin="NO",
        preferredLanguage="de_DE",
        disabledService="view_mail_log",
        accountSetting=["create_max_quota:5", "create_quota_unit:GB", "create_new_domains:yes"],
    )
    return "/api/admin/eve@far.test"


def planted_alias(world: World) -> str:
    world.add(
        f"cn=Team,ou=Aliases,{DOMAIN}",
        objectClass="mailAlias",
        mail=f"team@{CORP}",
        cn=["Team", "the Team"],
        accountStatus="Active",
        accessPolicy="Public",
        enabledService=["mail", "deliver"],
        mailForwardingAddress=["Bob@corp.test", "o'neil@far.test", f"nobody@{CORP}"],
        shadowAddress=[f"a..b@{CORP}"],
    )
    return f"/api/alias/team@{CORP}"


def planted_list(world: World) -> str:
    world.add(
        f"mail=crew@{CORP},ou=Groups,{DOMAIN}",
        objectClass="mailList",
        mail=f"crew@{CORP}",
        cn=["Crew", "the Crew"],
        accountStatus="Active",
        accessPolicy="MembersOnly",
        enabledService=["mail", "deliver"],
    )
    world.add(
        f"memberOfGroup=crew@{CORP},ou=Externals,{DOMAIN}",
        objectClass="mailExternalUser",
        memberOfGroup=f"crew@{CORP}",
        mail=["o'neil@far.test", "X@far.test"],
        accountStatus="active",
        enabledService=["mail", "deliver"],
    )
    world.set(world.tree.user(f"bob@{CORP}"), memberOfGroup=f"crew@{CORP}")
    world.set(f"mail=crew@{CORP},ou=Groups,{DOMAIN}", member=[world.tree.user(f"bob@{CORP}")])
    return f"/api/maillist/crew@{CORP}"


PLANTED = {
    "domain": planted_domain,
    "user": planted_user,
    "global admin": planted_global_admin,
    "admin": planted_admin,
    "alias": planted_alias,
    "list": planted_list,
}


@pytest.mark.parametrize("kind", PLANTED)
def test_an_answer_sent_back_changes_nothing(
    api: Client, world: World, corp: str, kind: str
) -> None:
    """What no parameter is called may be anything there, and is named as ignored.

    The address of the path names what it is, and is not.
    """
    path = PLANTED[kind](world)
    data = api.get(path).json()["_data"]
    before = world.snapshot()
    answer = done(send_back(api, path))
    assert world.snapshot() == before
    objects = {name for name, value in data.items() if isinstance(value, dict)}
    ignored = set(answer.headers["X-Ignored-Parameters"].split(", "))
    assert {"objectClass", *objects} <= ignored
    assert "mail" not in ignored
    strict = send_back(api, path, strict=True)
    refused(strict, 400, "INVALID_PARAMETER")
    assert set(strict.headers["X-Invalid-Parameters"].split(", ")) == ignored
    assert world.snapshot() == before


SETTINGS = {
    "moderated": {
        "name": "News",
        "accessPolicy": "moderatorsonly",
        "moderated": "yes",
        "subscription_moderators": f"bob@{CORP}",
        "subject_prefix": " [News] ",
        "max_message_size": "12345",
    },
    "dressed": {
        "extra_addresses": f"extra@{CORP}",
        "footer_text": "first line\nsecond line",
        "footer_html": "<b>bold</b>",
        "custom_headers": "X-One: 1\nX-Two: 2",
        "remove_headers": "Received",
        "is_newsletter": "yes",
        "newsletter_description": "two\nlines",
    },
}


@pytest.mark.parametrize("which", SETTINGS)
def test_a_subscribable_list_sent_back_stays(
    api: Client, world: World, corp: str, which: str
) -> None:
    """In the directory and, as mlmmjadmin tells it, in its own files."""
    path = f"/api/ml/news@{corp}"
    done(api.post(path, owner=f"bob@{corp}", subscribers="x@far.test", require_confirm="no"))
    done(api.put(path, **SETTINGS[which]))
    data = api.get(path, with_subscribers="yes").json()["_data"]
    before = world.snapshot()
    answer = api.session.put(api.url + path, json=data, timeout=PATIENCE)
    assert "listOwner" in done(answer).headers["X-Ignored-Parameters"].split(", ")
    assert world.snapshot() == before
    assert api.get(path, with_subscribers="yes").json()["_data"] == data
