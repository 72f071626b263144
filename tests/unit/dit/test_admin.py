"""A new standalone admin, what a request means for one, and what is shown of them."""

import pytest

from iredldap.dit import admin
from iredldap.dit.entry import Entry, encoded
from iredldap.dit.fields import Form, Table
from iredldap.dit.form_parser import parse
from iredldap.dit.modlist import modlist
from iredldap.dit.plan import Mod, Op
from iredldap.errors import MissingParameter, Refusal

PASSWORD = {"password": ["a good password"]}
GIVEN = {"userPassword": ("{SSHA}x",)}


def entry(**attributes: list[str]) -> Entry:
    return Entry("mail=a@b.test,o=domainAdmins", {k: [*encoded(v)] for k, v in attributes.items()})


def made(form: Form) -> dict[str, set[str]]:
    parsed = parse(admin.CREATE, {**PASSWORD, **form})
    is_global = parsed.value("isGlobalAdmin") == "yes"
    attributes = admin.new("a@b.test", admin.changes(parsed, is_global=is_global), GIVEN)
    return {name: {value.decode() for value in values} for name, values in attributes.items()}


def test_a_new_admin_is_active_and_has_no_rights() -> None:
    assert made({}) == {
        "objectClass": {"mailAdmin"},
        "mail": {"a@b.test"},
        "userPassword": {"{SSHA}x"},
        "accountStatus": {"active"},
        "domainGlobalAdmin": {"no"},
    }


def test_a_new_admin_takes_what_was_asked() -> None:
    form = {
        "cn": ["Änne"],
        "accountStatus": ["off"],
        "preferredLanguage": ["de_DE"],
        "maxDomains": ["3"],
        "maxQuota": ["2"],
        "quotaUnit": ["gb"],
        "maxUsers": ["10"],
        "maxAliases": ["0"],
        "maxLists": ["-1"],
        "disableViewingMailLog": ["yes"],
        "disableManagingQuarantinedMails": ["on"],
    }
    assert made(form) == made({}) | {
        "cn": {"Änne"},
        "accountStatus": {"disabled"},
        "preferredLanguage": {"de_DE"},
        "accountSetting": {
            "create_max_domains:3",
            "create_new_domains:yes",
            "create_max_quota:2048",
            "create_max_users:10",
            "create_max_lists:-1",
        },
        "disabledService": {"view_mail_log", "manage_quarantined_mails"},
    }


@pytest.mark.parametrize(
    ("form", "megabytes"),
    [
        ({"maxQuota": ["5"]}, "5"),
        ({"maxQuota": ["5"], "quotaUnit": ["MB"]}, "5"),
        ({"maxQuota": ["5"], "quotaUnit": ["GB"]}, "5120"),
        ({"maxQuota": ["5"], "quotaUnit": ["TB"]}, "5242880"),
        ({"maxQuota": ["5"], "quotaUnit": [""]}, "5"),
    ],
)
def test_space_is_stored_in_megabytes(form: Form, megabytes: str) -> None:
    assert made(form)["accountSetting"] == {f"create_max_quota:{megabytes}"}


@pytest.mark.parametrize("number", ["0", "-1"])
def test_who_may_create_no_domains_has_no_such_settings(number: str) -> None:
    """0 lifts no limit here, unlike in the other ones."""
    assert made({"maxDomains": [number]}) == made({})
    held = entry(accountSetting=["create_max_domains:3", "create_new_domains:yes", "timezone:UTC"])
    assert changed({"maxDomains": [number]}, held) == (
        Mod(Op.DELETE, "accountSetting", (b"create_max_domains:3", b"create_new_domains:yes")),
    )


@pytest.mark.parametrize("table", [admin.CREATE, admin.UPDATE])
def test_a_unit_is_a_unit_of_something(table: Table) -> None:
    with pytest.raises(MissingParameter) as refused:
        parse(table, {**PASSWORD, "quotaUnit": ["GB"]})
    assert refused.value.parameters == ("maxQuota",)


@pytest.mark.parametrize(
    ("form", "codes"),
    [
        ({}, ("PW_EMPTY",)),
        ({"password": [" "]}, ("PW_EMPTY",)),
        ({**PASSWORD, "maxDomains": ["-2"]}, ("INVALID_PARAMETER",)),
        ({**PASSWORD, "maxQuota": ["-1"]}, ("INVALID_PARAMETER",)),
        ({**PASSWORD, "maxQuota": ["1"], "quotaUnit": ["KB"]}, ("INVALID_PARAMETER",)),
        ({**PASSWORD, "maxUsers": ["many"]}, ("INVALID_PARAMETER",)),
        ({**PASSWORD, "isGlobalAdmin": ["perhaps"]}, ("INVALID_PARAMETER",)),
    ],
)
def test_what_is_refused_in_a_creation(form: Form, codes: tuple[str, ...]) -> None:
    with pytest.raises(Refusal) as refused:
        parse(admin.CREATE, form)
    assert refused.value.codes == codes


def changed(form: Form, held: Entry, *, is_global: bool = False) -> tuple[Mod, ...]:
    return modlist(admin.changes(parse(admin.UPDATE, form), is_global=is_global), held)


def test_settings_of_others_are_kept() -> None:
    held = entry(accountSetting=["create_max_users:5", "timezone:Asia/Tokyo", "Odd:1"])
    assert changed({"maxUsers": ["7"]}, held) == (
        Mod(Op.DELETE, "accountSetting", (b"create_max_users:5",)),
        Mod(Op.ADD, "accountSetting", (b"create_max_users:7",)),
    )


def test_withheld_parts_change_word_by_word() -> None:
    """Others' words stay, and a word that is as wanted is not touched."""
    held = entry(disabledService=["view_mail_log", "vpn"])
    form = {"disableViewingMailLog": ["yes"], "disableManagingQuarantinedMails": ["yes"]}
    assert changed(form, held) == (Mod(Op.ADD, "disabledService", (b"manage_quarantined_mails",)),)
    assert changed({"disableViewingMailLog": ["no"]}, held) == (
        Mod(Op.DELETE, "disabledService", (b"view_mail_log",)),
    )


LIMITED = entry(
    domainGlobalAdmin=["no"],
    accountSetting=[
        "create_new_domains:yes", "create_max_domains:3", "create_max_quota:5",
        "create_max_users:5", "create_max_aliases:5", "create_max_lists:5", "timezone:UTC",
    ],
)  # fmt: skip


def test_a_new_global_admin_loses_their_limits() -> None:
    """Those that are sent along are ignored, and named."""
    form = {"isGlobalAdmin": ["yes"], "maxUsers": ["9"], "maxQuota": ["1"], "quotaUnit": ["TB"]}
    limits = tuple(v for v in LIMITED.values("accountSetting") if v != b"timezone:UTC")
    assert changed(form, LIMITED, is_global=True) == (
        Mod(Op.REPLACE, "domainGlobalAdmin", (b"yes",)),
        Mod(Op.DELETE, "accountSetting", limits),
    )
    ignored = admin.ignored_limits(parse(admin.UPDATE, form), is_global=True)
    assert ignored == ("maxQuota=1", "quotaUnit=TB", "maxUsers=9")
    assert admin.ignored_limits(parse(admin.UPDATE, form), is_global=False) == ()


def test_a_global_admin_keeps_what_was_not_sent() -> None:
    """Limits that somebody else wrote are not taken away by a change of something else."""
    assert changed({"name": ["x"]}, LIMITED, is_global=True) == (Mod(Op.REPLACE, "cn", (b"x",)),)


def test_what_is_shown_of_an_admin() -> None:
    """Their settings twice, under the names of both editions of iRedAdmin."""
    held = entry(cn=["A"], domainGlobalAdmin=["YES"], accountSetting=["create_max_users:5"])
    assert admin.profile(held, ["b.test"], ()) == {
        "cn": ["A"],
        "domainGlobalAdmin": ["YES"],
        "accountSetting": {"create_max_users": 5},
        "settings": {"create_max_users": 5},
        "managed_domains": ["b.test"],
        "isglobaladmin": 1,
    }
    assert admin.profile(entry(), [], ()) == {
        "settings": {},
        "managed_domains": [],
        "isglobaladmin": 0,
    }


@pytest.mark.parametrize(
    ("hidden", "left"),
    [
        ("ACCOUNTSETTING", {"cn", "domainGlobalAdmin", "managed_domains", "isglobaladmin"}),
        ("domainGlobalAdmin", {"cn", "accountSetting", "managed_domains", "settings"}),
        ("domainAdmin", {"cn", "domainGlobalAdmin", "accountSetting", "settings", "isglobaladmin"}),
        ("settings", {"cn", "domainGlobalAdmin", "accountSetting", "managed_domains",
                      "isglobaladmin"}),
    ],
)  # fmt: skip
def test_what_is_hidden_is_not_told_under_another_name(hidden: str, left: set[str]) -> None:
    held = entry(cn=["A"], domainGlobalAdmin=["yes"], accountSetting=["create_max_users:5"])
    assert admin.profile(held, ["b.test"], (hidden,)).keys() == left
