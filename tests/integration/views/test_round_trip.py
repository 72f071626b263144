"""A view of parameters sent back, under strict handling: nothing is refused, nothing changes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from iredldap.dit.change_ids import new_id
from iredldap.dit.change_log import LoggedChange
from tests.integration.web.test_sent_back import CORP, PASSWORD, PLANTED, SETTINGS
from tests.support.client import Client, done, refused
from tests.support.databases import Urls, sqlite_databases
from tests.support.everything import everything
from tests.support.mlmmjadmin import MlmmjadminServer
from tests.support.patience import PATIENCE, wait_until
from tests.support.serving import Served
from tests.support.views import round_trip, view
from tests.support.world import World

LEFT_OUT = {
    "domain": ["name"],
    "user": ["gn", "language", "name", "sn", "telephoneNumber"],
    "global admin": [],
    "admin": ["maxDomains", "name"],
    "alias": ["name"],
    "list": ["name"],
}
"""What other tools have stored with several values, or as no request can."""


@pytest.fixture
def beside(mlmmjadmin: MlmmjadminServer) -> dict[str, dict[str, Any]]:
    return {"mlmmjadmin": mlmmjadmin.settings}


@pytest.fixture
def urls(tmp_path: Path) -> Urls:
    return sqlite_databases(tmp_path)


@pytest.fixture
def corp(api: Client) -> str:
    done(api.post(f"/api/domain/{CORP}"))
    done(api.post(f"/api/user/bob@{CORP}", password=PASSWORD))
    return CORP


@pytest.mark.parametrize("kind", PLANTED)
def test_what_other_tools_have_stored_is_sent_back(
    api: Client, world: World, corp: str, kind: str
) -> None:
    """What cannot be said is named; the other parameters are complete."""
    assert round_trip(api, world, PLANTED[kind](world)).get("left_out", []) == LEFT_OUT[kind]


def test_a_domain_is_sent_back(api: Client, world: World, corp: str) -> None:
    """With all that has a place of its own: catch-all, alias domains, services, profiles."""
    path = f"/api/domain/{corp}"
    sent = {
        "name": "Corp Ltd.",
        "quota": "2048",
        "language": "de_DE",
        "senderBcc": "a@far.test",
        "catchall": f"bob@{corp},x@far.test",
        "aliasDomains": "b.test,a.test",
        "admins": f"bob@{corp}",
        "outboundRelay": "[smtp.far.test]:587",
        "disableDomainProfile": "bcc,relay",
        "numberOfUsers": "-1",
    }
    done(api.put(path, **sent))
    shown = round_trip(api, world, path)
    assert shown == {
        "domain": corp,
        "id": shown["id"],
        "name": "Corp Ltd.",
        "accountStatus": "active",
        "quota": 2048,
        "language": "de_DE",
        "transport": "dovecot",
        "minPasswordLength": 0,
        "maxPasswordLength": 0,
        "defaultQuota": 0,
        "maxUserQuota": 0,
        "numberOfUsers": -1,
        "numberOfAliases": 0,
        "numberOfLists": 0,
        "senderBcc": "a@far.test",
        "recipientBcc": "",
        "catchall": [f"bob@{corp}", "x@far.test"],
        "outboundRelay": "[smtp.far.test]:587",
        "aliasDomains": ["a.test", "b.test"],
        "admins": [f"bob@{corp}"],
        "services": ["domainalias", "mail", "senderbcc"],
        "disableDomainProfile": ["bcc", "relay"],
        "enableDomainProfile": [
            "advanced",
            "aliases",
            "backupmx",
            "catchall",
            "greylisting",
            "password_policies",
            "spampolicy",
            "throttle",
            "wblist",
        ],
        "enableUserProfile": shown["enableUserProfile"],
        "enableUserPreference": shown["enableUserPreference"],
    }
    assert api.get("/api/domain/a.test", view="params").json()["_data"] == shown

    done(api.put(path, is_backupmx="yes", primarymx="[192.0.2.1]:25"))
    shown = round_trip(api, world, path)
    assert (shown["is_backupmx"], shown["primarymx"]) == ("yes", "[192.0.2.1]:25")
    assert "transport" not in shown


def test_a_user_is_sent_back(api: Client, world: World, corp: str) -> None:
    """Names in alias domains belong to these, and are no aliases of the user's own."""
    done(api.put(f"/api/domain/{corp}", aliasDomains="a.test"))
    path = f"/api/user/bob@{corp}"
    sent = {
        "name": "Bob",
        "quota": "512",
        "aliases": f"b@{corp},b@a.test",
        "forwarding": f"bob@{corp},x@far.test",
        "gn": "",
        "sn": "Builder",
        "employeeid": "007",
        "senderBcc": "a@far.test",
        "telephoneNumber": "+1 2,+3 4",
        "maildir": f"/var/vmail/vmail1/{corp}/Bobby",
    }
    done(api.put(path, **sent))
    done(api.put(path, removeService="sogo,sogowebmail"))
    shown = round_trip(api, world, path)
    services = shown.pop("services")
    assert {"forward", "senderbcc", "shadowaddress"} <= {*services}
    assert "sogo" not in services
    assert shown == {
        "mail": f"bob@{corp}",
        "id": shown["id"],
        "name": "Bob",
        "quota": 512,
        "accountStatus": "active",
        "language": "en_US",
        "transport": "",
        "forwarding": [f"bob@{corp}", "x@far.test"],
        "aliases": ["b@a.test", f"b@{corp}"],
        "gn": "",
        "sn": "Builder",
        "employeeid": "007",
        "isGlobalAdmin": "no",
        "senderBcc": "a@far.test",
        "recipientBcc": "",
        "mailboxFormat": "maildir",
        "mailboxFolder": "Maildir",
        "maildir": f"/var/vmail/vmail1/{corp}/bobby/",
        "telephoneNumber": ["+1 2", "+3 4"],
        "mobile": [],
    }
    done(api.post(f"/api/user/bob@{corp}/change_email/rob@{corp}"))
    assert view(api, f"/api/user/rob@{corp}")["id"] == shown["id"]


@pytest.mark.parametrize("service", ["forward", "shadowaddress", "senderbcc"])
def test_values_whose_service_is_off_are_sent_back(
    api: Client, world: World, corp: str, service: str
) -> None:
    """No other request could say both; a view says what is there, and completes nothing."""
    path = f"/api/user/bob@{corp}"
    done(api.put(path, aliases=f"b@{corp}", forwarding="x@far.test", senderBcc="a@far.test"))
    shown = view(api, path)
    off = shown | {"services": [word for word in shown["services"] if word != service]}
    answer = api.session.put(api.url + path, json=off, timeout=PATIENCE)
    if service == "shadowaddress":
        # It stays while there are further addresses.
        refused(answer, 400, "PARAMETER_CONFLICT")
    else:
        done(answer)
        assert round_trip(api, world, path) == off
    world.set(world.tree.user(f"bob@{corp}"), enabledService=[
        word for word in ("mail", "forward", "shadowaddress", "senderbcc") if word != service
    ])  # fmt: skip
    shown = round_trip(api, world, path)
    assert "left_out" not in shown
    assert shown["forwarding"] == ["x@far.test"]
    assert shown["aliases"] == [f"b@{corp}"]
    assert shown["senderBcc"] == "a@far.test"
    assert service not in shown["services"]
    # A new value whose service is off is a contradiction, as ever.
    name = {"forward": "forwarding", "shadowaddress": "aliases", "senderbcc": "senderBcc"}[service]
    changed = shown | {name: "new@corp.test" if name == "aliases" else "new@far.test"}
    answer = api.session.put(api.url + path, json=changed, timeout=PATIENCE)
    refused(answer, 400, "PARAMETER_CONFLICT")
    del shown["id"]
    answer = api.session.put(api.url + path, json=shown, timeout=PATIENCE)
    refused(answer, 400, "PARAMETER_CONFLICT")


def test_what_is_changed_in_a_view_is_changed_alone(api: Client, world: World, corp: str) -> None:
    """Also as a job, and where what stands beside it is incomplete."""
    path, dn = f"/api/user/bob@{corp}", world.tree.user(f"bob@{corp}")
    done(api.put(path, senderBcc="a@far.test"))
    world.set(dn, enabledService=["mail", "smtp"])
    before = world.attributes(dn)
    sent = view(api, path) | {"name": "Robert"}
    headers = {"Prefer": "handling=strict"}
    done(api.session.put(api.url + path, json=sent, headers=headers, timeout=PATIENCE))
    assert world.attributes(dn) == before | {"cn": {"Robert"}}
    headers = {"Prefer": "respond-async"}
    answer = api.session.put(
        api.url + path, json=sent | {"name": "Rob"}, headers=headers, timeout=PATIENCE
    )
    assert answer.status_code == 202
    wait_until(lambda: world.attributes(dn) == before | {"cn": {"Rob"}})


@pytest.fixture
def crew(api: Client, world: World, corp: str) -> str:
    """A list of which another tool has stored the members without their DNs."""
    path = f"/api/maillist/crew@{corp}"
    done(api.post(path, members=f"bob@{corp},x@far.test"))
    world.set(world.tree.maillist(f"crew@{corp}"), member=None)
    return path


def test_a_view_completes_nothing(api: Client, world: World, crew: str) -> None:
    """An update with the same members, or the same alias domains, does."""
    members = round_trip(api, world, crew)["members"]
    before = world.snapshot()
    done(api.put(crew, members=",".join(members)))
    assert world.snapshot() != before

    path = f"/api/domain/{CORP}"
    done(api.put(path, aliasDomains="a.test"))
    complete = world.snapshot()
    world.set(world.tree.user(f"bob@{CORP}"), shadowAddress=None)
    round_trip(api, world, path)
    done(api.put(path, aliasDomains="a.test"))
    assert world.snapshot() == complete


def test_a_view_finishes_a_change_that_broke_off(
    api: Client, served: Served, world: World, crew: str
) -> None:
    """Sent again it is carried out, and then the same view changes nothing again."""
    began = LoggedChange(
        id=new_id(), began=0, admin="a@b.test", endpoint="maillist_update", account=f"crew@{CORP}",
        domain=CORP, result="broken off",
    )  # fmt: skip
    served.gateways.change_log.store.begin(began, b"", 0)
    sent, before = view(api, crew), world.snapshot()
    done(api.session.put(api.url + crew, json=sent, timeout=PATIENCE))
    assert world.snapshot() != before
    world.set(world.tree.maillist(f"crew@{CORP}"), member=None)
    round_trip(api, world, crew)

    # What is off stays off all the same.
    path = f"/api/user/bob@{CORP}"
    done(api.put(path, senderBcc="a@far.test"))
    done(api.put(path, removeService="senderbcc"))
    log = served.gateways.change_log.store
    again = replace(began, id=new_id(), endpoint="user_update", account=f"bob@{CORP}")
    log.begin(again, b"", 0)
    round_trip(api, world, path)
    assert log.last_result("user_update", f"bob@{CORP}", CORP) == "broken off"


def test_an_admin_is_sent_back(api: Client, world: World) -> None:
    """With limits, and a global one without."""
    path = "/api/admin/eve@far.test"
    sent = {"maxDomains": "3", "maxQuota": "2", "quotaUnit": "GB", "maxUsers": "-1"}
    done(api.post(path, password=PASSWORD, disableViewingMailLog="yes", **sent))
    shown = round_trip(api, world, path)
    assert {name: shown[name] for name in ("maxDomains", "maxQuota", "maxUsers", "maxLists")} == {
        "maxDomains": 3, "maxQuota": 2048, "maxUsers": -1, "maxLists": 0
    }  # fmt: skip
    assert shown["disableViewingMailLog"] == "yes"
    # The number is the same, and means another size.
    done(api.put(path, **shown | {"quotaUnit": "GB"}))
    assert view(api, path)["maxQuota"] == 2048 * 1024
    done(api.put(path, isGlobalAdmin="yes"))
    shown = round_trip(api, world, path)
    assert shown["isGlobalAdmin"] == "yes"
    assert not [name for name in shown if name.startswith("max")]


def test_lists_and_aliases_are_sent_back(api: Client, world: World, corp: str) -> None:
    """With members of every kind, also none."""
    done(api.post(f"/api/alias/team@{corp}"))
    members = f"bob@{corp},x@far.test"
    done(api.post(f"/api/alias/all@{corp}", members=members, name="All", accessPolicy="domain"))
    done(api.post(f"/api/maillist/crew@{corp}", members=f"{members},all@{corp}"))
    done(api.post(f"/api/maillist/none@{corp}", name="None"))
    assert round_trip(api, world, f"/api/alias/team@{corp}")["members"] == []
    assert round_trip(api, world, f"/api/alias/all@{corp}")["members"] == sorted(members.split(","))
    shown = round_trip(api, world, f"/api/maillist/crew@{corp}")
    assert shown["members"] == sorted([*members.split(","), f"all@{corp}"])
    assert round_trip(api, world, f"/api/maillist/none@{corp}")["members"] == []


@pytest.mark.parametrize("which", ["new", *SETTINGS])
def test_a_subscribable_list_is_sent_back(
    api: Client, world: World, urls: Urls, mlmmjadmin: MlmmjadminServer, corp: str, which: str
) -> None:
    """In the directory and in mlmmj's files; members are beside the parameters."""
    done(api.put(f"/api/domain/{corp}", aliasDomains="a.test"))
    path = f"/api/ml/news@{corp}"
    done(api.post(path, owner=f"bob@{corp}", subscribers="x@far.test", require_confirm="no"))
    done(api.put(path, **SETTINGS.get(which, {})))
    before = everything(world, urls, mlmmjadmin)
    shown = round_trip(api, world, path)
    assert everything(world, urls, mlmmjadmin) == before
    assert "left_out" not in shown
    sent = SETTINGS.get(which, {}) | ({"remove_headers": "Received:"} if which == "dressed" else {})
    assert {name: _text(shown[name]) for name in sent} == {k: v.strip() for k, v in sent.items()}
    answer = api.get(path, view="params", with_subscribers="yes").json()["_data"]
    assert answer.pop("subscribers")["normal"] == ["x@far.test"]
    assert answer == shown


def _text(value: object) -> str:
    return ("\n".join(value) if isinstance(value, list) else str(value)).strip()


POLICIES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "throttle": ("/api/throttle/{}/inbound", {"period": 0}, {"period": 60, "max_msgs": 5}),
    "greylisting": ("/api/greylisting/{}", {}, {"status": "disable"}),
    "senders": ("/api/greylisting/{}/whitelists", {"senders": []}, {"senders": ["192.0.2.1"]}),
    "wblist": (
        "/api/wblist/inbound/whitelist/{}",
        {"addresses": []},
        {"addresses": ["@a.test", "b@a.test"]},
    ),
}
"""Path, the view of none, and what is set."""


@pytest.mark.parametrize("which", POLICIES)
@pytest.mark.parametrize("target", ["global", CORP, f"bob@{CORP}"], ids=["all", "domain", "user"])
def test_policies_are_sent_back(
    api: Client, world: World, urls: Urls, corp: str, which: str, target: str
) -> None:
    """With the method that sets them, which is POST."""
    place, none, sent = POLICIES[which]
    path = place.format(target)
    if which == "greylisting":
        api.delete(path)
    assert view(api, path) == none
    done(api.session.post(api.url + path, json=sent, timeout=PATIENCE))
    before, shown = everything(world, urls), view(api, path)
    assert {name: shown[name] for name in sent} == sent
    headers = {"Prefer": "handling=strict"}
    done(api.session.post(api.url + path, json=shown, headers=headers, timeout=PATIENCE))
    assert everything(world, urls) == before


@pytest.mark.parametrize(
    "path",
    [
        "/api/spampolicy/global",
        f"/api/spampolicy/domain/{CORP}",
        f"/api/spampolicy/user/bob@{CORP}",
    ],
    ids=["all", "domain", "user"],
)
def test_a_spam_policy_is_sent_back(
    api: Client, world: World, urls: Urls, corp: str, path: str
) -> None:
    api.delete(path)
    assert round_trip(api, world, path, tagged=False) == {
        "spam_score": None,
        "banned_rulenames": [],
    }
    sent = {"bypass_spam_checks": "no", "quarantine_virus": "yes", "spam_score": "4.5"}
    done(api.put(path, **sent, banned_rulenames="A,B", always_insert_x_spam_headers="yes"))
    before = everything(world, urls)
    assert round_trip(api, world, path, tagged=False) == {
        "bypass_spam_checks": "no", "quarantine_virus": "yes", "spam_score": 4.5,
        "banned_rulenames": ["A", "B"], "always_insert_x_spam_headers": "yes",
    }  # fmt: skip
    assert everything(world, urls) == before


def test_a_normal_admin_sees_what_they_may_send(
    api: Client, served: Served, world: World, corp: str
) -> None:
    """Of a domain, an account, a list with members elsewhere, and of their own account."""
    done(api.post("/api/domain/other.test"))
    done(api.post("/api/user/cid@other.test", password=PASSWORD))
    done(api.post(f"/api/maillist/crew@{corp}", members=f"bob@{corp},cid@other.test,x@far.test"))
    done(api.put(f"/api/domain/admins/{corp}", addAdmin="cid@other.test"))
    done(
        api.put(f"/api/domain/{corp}", disableUserProfile="forwarding", disableDomainProfile="bcc")
    )
    normal = served.client().log_in("cid@other.test", PASSWORD)
    shown = round_trip(normal, world, f"/api/domain/{corp}")
    assert not {"quota", "services", "accountStatus", "senderBcc", "admins"} & {*shown}
    assert {"defaultQuota", "catchall", "aliasDomains"} <= {*shown}
    shown = round_trip(normal, world, f"/api/user/bob@{corp}")
    assert not {"isGlobalAdmin", "forwarding"} & {*shown}
    assert "aliases" in shown
    shown = round_trip(normal, world, f"/api/maillist/crew@{corp}")
    assert shown["members"] == [f"bob@{corp}", "cid@other.test", "x@far.test"]
    shown = round_trip(normal, world, "/api/user/cid@other.test")
    assert {*shown} == {
        "mail", "id", "name", "language", "forwarding", "gn", "sn", "telephoneNumber", "mobile"
    }  # fmt: skip
    refused(normal.get("/api/user/root@other.test", view="params"), 403, "PERMISSION_DENIED")


def test_what_identifies_is_no_parameter(api: Client, world: World, corp: str) -> None:
    """Another name than that of the path is not taken for a rename, and refused if asked to be."""
    path = f"/api/user/bob@{corp}"
    shown = view(api, path) | {"mail": f"rob@{corp}"}
    strict = {"Prefer": "handling=strict"}
    answer = api.session.put(api.url + path, json=shown, headers=strict, timeout=PATIENCE)
    assert refused(answer, 400, "INVALID_PARAMETER").headers["X-Invalid-Parameters"] == "mail"
    answer = done(api.session.put(api.url + path, json=shown, timeout=PATIENCE))
    assert answer.headers["X-Ignored-Parameters"] == "mail"


def test_hidden_attributes_and_hashes_are_not_shown(serve: Any, world: World, corp: str) -> None:
    served = serve(api={"enable_restful_api": True, "api_hidden_user_profiles": ["employeeNumber"]})
    api = served.client().log_in()
    done(api.put(f"/api/user/bob@{corp}", employeeid="7", isGlobalAdmin="yes"))
    shown = round_trip(api, world, f"/api/user/bob@{corp}")
    assert not {"employeeid", "password", "password_hash", "userPassword"} & {*shown}
    assert shown["isGlobalAdmin"] == "yes"


def test_a_token_sees_what_it_may_send(
    api: Client, served: Served, world: World, corp: str
) -> None:
    def made(scopes: str) -> Client:
        secret = api.post("/api/tokens", name="t", scopes=scopes).json()["_data"]["secret"]
        client = served.client()
        client.session.headers["Authorization"] = f"Bearer {secret}"
        return client

    path = f"/api/user/bob@{corp}"
    assert "isGlobalAdmin" not in round_trip(made("users:read,users:update"), world, path)
    assert "isGlobalAdmin" in round_trip(made("users:read,users:update,admins:update"), world, path)
    assert "isGlobalAdmin" in view(made("users:read,admins:read"), path)
    assert made("domains:read").get(path, view="params").status_code == 403
