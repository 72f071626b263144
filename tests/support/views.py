"""Views of parameters, read and sent back."""

from collections.abc import Mapping
from typing import Any

from tests.support.client import Client, done
from tests.support.patience import PATIENCE
from tests.support.world import World

CORP = "corp.test"

STRANGE: Mapping[str, Mapping[str, list[str | list[str]]]] = {
    "user": {
        "cn": ["Bob ", ["Bob", "Rob"], "b, c"],
        "mailQuota": ["0", "-1", "1000000", "1073741824"],
        "accountStatus": ["Active", "DISABLED", "gone"],
        "preferredLanguage": ["de_de", "tlh"],
        "mtaTransport": [" dovecot", "no transport at all"],
        "mailForwardingAddress": [["X@far.test", "not an address"], ["a..b@far.test"]],
        "shadowAddress": [[f"o'neil@{CORP}"], ["elsewhere@far.test"], [f"B@{CORP}"]],
        "enabledService": [["mail"], ["Mail", "DomainAdmin"], ["mail", "two words"]],
        "domainGlobalAdmin": ["yes", "NO"],
        "userSenderBccAddress": ["X@far.test", "nobody"],
        "homeDirectory": [f"/var/vmail/{CORP}/Bob", "relative", "/a//b/"],
        "mailboxFormat": ["MailDir", "mbox"],
        "telephoneNumber": [["1,2"], ["+1"]],
        "employeeNumber": ["1 ,2"],
        "accountSetting": [["create_max_users:5"]],
    },
    "domain": {
        "cn": [["A", "B"], "A"],
        "accountStatus": ["Active"],
        "mtaTransport": ["relay:[192.0.2.1]", "Dovecot", "relay:"],
        "domainBackupMX": ["YES", "no"],
        "accountSetting": [
            ["domainQuota:10:GB", "defaultQuota:0"],
            ["domainQuota:5", "defaultQuota:x", "maxUserQuota:-1"],
            ["disabledDomainProfile:BCC", "disabledDomainProfile:none", "defaultLanguage:DE_de"],
            ["minPasswordLength:08", "numberOfUsers:-1", "numberOfLists:-5"],
        ],
        "enabledService": [["mail", "senderbcc", "Own"], ["domainalias"], ["mail", "a b"]],
        "domainAliasName": [[CORP]],
        "domainRecipientBccAddress": ["X@far.test", "nobody"],
        "senderRelayHost": ["smtp.far.test:25", "a b"],
    },
    "alias": {
        "cn": [["A", "B"]],
        "accountStatus": ["Active", "?"],
        "accessPolicy": ["Public", "allowedonly", "nobody"],
        "mailForwardingAddress": [["Bob@corp.test", "o'neil@far.test"], ["word", "A@b"]],
        "shadowAddress": [[f"a..b@{CORP}"]],
    },
    "admin": {
        "domainGlobalAdmin": ["YES", "No"],
        "disabledService": [["View_Mail_Log"], ["other"]],
        "accountSetting": [
            ["create_max_domains:5"],
            ["create_new_domains:yes"],
            ["create_new_domains:yes", "create_max_domains:-1", "create_max_quota:7"],
        ],
        "preferredLanguage": ["tlh"],
    },
}  # fmt: skip
"""What other tools store, by kind and attribute."""


def view(api: Client, path: str) -> dict[str, Any]:
    """Give the view of what a path names."""
    answer = api.get(path, view="params")
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["_data"]
    return data


def round_trip(api: Client, world: World, path: str, *, tagged: bool = True) -> dict[str, Any]:
    """Send a view back under strict handling: nothing is ignored, and nothing changes; give it."""
    before, data = world.snapshot(), view(api, path)
    tag = api.get(path, view="params").headers.get("ETag")
    headers = {"Prefer": "handling=strict"}
    back = done(api.session.put(api.url + path, json=data, headers=headers, timeout=PATIENCE))
    assert not {"X-Ignored-Parameters", "X-Ignored-Values"} & back.headers.keys()
    if tagged:
        assert back.headers["ETag"] == tag
        assert "X-Change-Id" not in back.headers
    assert api.get(path, view="params").headers.get("ETag") == tag
    assert world.snapshot() == before
    return data
