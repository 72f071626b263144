"""A new mail user, and changes of one."""

from datetime import date

import pytest

from iredldap.dit import user, user_entry
from iredldap.dit.entry import Entry
from iredldap.dit.fields import FieldChange, Form, Table
from iredldap.dit.form_parser import parse
from iredldap.dit.modlist import modlist
from iredldap.dit.plan import Mod, Op
from iredldap.errors import Refusal

ALL_34 = [
    "internal", "doveadm", "lib-storage", "indexer-worker", "dsync", "quota-status", "mail",
    "smtp", "smtpsecured", "smtptls", "pop3", "pop3secured", "pop3tls",
    "imap", "imapsecured", "imaptls", "managesieve", "managesievesecured", "managesievetls",
    "sieve", "sievesecured", "sievetls", "deliver", "lda", "lmtp", "recipientbcc", "senderbcc",
    "forward", "shadowaddress", "displayedInGlobalAddressBook",
    "sogo", "sogowebmail", "sogocalendar", "sogoactivesync",
]  # fmt: skip


def test_a_new_user_has_iredmails_34_services() -> None:
    """No more, no fewer, each once."""
    assert len(ALL_34) == 34
    assert user_entry.services((), (), ()) == list(user_entry.SERVICES) == ALL_34


SERVICES: list[tuple[list[str], list[str], list[str], set[str], set[str]]] = [
    (["smtp"], [], [], {"smtp"}, set()),
    (["smtpsecured"], [], [], {"smtpsecured", "smtptls"}, set()),
    (["pop3"], [], [], {"pop3"}, set()),
    (["pop3secured"], [], [], {"pop3secured", "pop3tls"}, set()),
    (["imap", "imapsecured"], [], [], {"imap", "imapsecured", "imaptls"}, set()),
    (["managesieve"], [], [], {"managesieve", "sieve"}, set()),
    (
        ["managesievesecured"],
        [],
        [],
        {"managesievesecured", "managesievetls", "sievesecured", "sievetls"},
        set(),
    ),
    (["sogo"], [], [], {"sogo", "sogowebmail", "sogocalendar", "sogoactivesync"}, set()),
    ([], ["vpn", "xmpp"], [], set(), {"vpn", "xmpp"}),
    ([], ["MAIL", "vpn", "VPN"], [], set(), {"vpn"}),
    (
        [],
        [],
        ["FORWARD", "displayedInGlobalAddressBook"],
        {"forward", "displayedInGlobalAddressBook"},
        set(),
    ),
    (["vpn"], ["vpn"], [], set(), set()),
    ([], ["vpn"], ["VPN"], set(), set()),
]


@pytest.mark.parametrize(("withheld", "additional", "disabled", "missing", "extra"), SERVICES)
def test_services_are_withheld_by_domain_and_server(
    withheld: list[str],
    additional: list[str],
    disabled: list[str],
    missing: set[str],
    extra: set[str],
) -> None:
    """A word takes its other spellings along; none is given twice, letter case aside."""
    found = user_entry.services(withheld, additional, disabled)
    assert set(found) == (set(ALL_34) - missing) | extra
    assert len({word.lower() for word in found}) == len(found)


def made(form: Form, **given: tuple[str, ...]) -> dict[str, list[str]]:
    parsed = parse(user.CREATE, {"password": ["x"], **form})
    attributes = user_entry.new("ann.b@a.test", parsed.changes, given)
    return {name: [value.decode() for value in values] for name, values in attributes.items()}


def test_a_new_user_has_what_the_schema_and_mail_flow_need() -> None:
    """What nobody gives is not stored: the directory knows no empty values."""
    assert made({}, userPassword=("{SSHA}x",), mailQuota=(), domainStatus=()) == {
        "objectClass": ["inetOrgPerson", "mailUser", "shadowAccount", "amavisAccount"],
        "mail": ["ann.b@a.test"],
        "cn": ["ann.b"],
        "sn": ["ann.b"],
        "uid": ["ann.b"],
        "accountStatus": ["active"],
        "amavisLocal": ["TRUE"],
        "userPassword": ["{SSHA}x"],
    }


def test_what_was_asked_for_wins() -> None:
    """Over what domain and server give; sizes are stored in bytes, names as they are."""
    form = {
        "name": ["Ännchen"],
        "preferredLanguage": ["FR_fr"],
        "quota": ["3"],
        "mailboxFormat": ["MdBox"],
        "mailboxFolder": ["Mail"],
        "maildir": ["/Mail/Ann"],
    }
    found = made(
        form,
        homeDirectory=("/x/",),
        preferredLanguage=("en_US",),
        mailboxFormat=("maildir",),
        mailQuota=("5",),
    )
    assert {name: values for name, values in found.items() if name in _ASKED} == _ASKED


_ASKED = {
    "cn": ["Ännchen"],
    "sn": ["ann.b"],
    "preferredLanguage": ["fr_FR"],
    "mailQuota": ["3145728"],
    "mailboxFormat": ["mdbox"],
    "mailboxFolder": ["Mail"],
    "homeDirectory": ["/mail/ann/"],
}


@pytest.mark.parametrize("language", ["", "tlh_QO"])
def test_without_a_known_language_the_given_one_stays(language: str) -> None:
    """As if none had been asked for."""
    assert made({"language": [language]}, preferredLanguage=("it_IT",))["preferredLanguage"] == [
        "it_IT"
    ]


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({}, "PW_EMPTY"),
        ({"password": ["   "]}, "PW_EMPTY"),
        ({"password": [""], "password_hash": [""]}, "PW_EMPTY"),
        ({"password": ["x"], "password_hash": ["{SSHA}x"]}, "PARAMETER_CONFLICT"),
        ({"password": ["x"], "password_hash": [""]}, None),
        ({"password": [""], "password_hash": ["{SSHA}x"]}, None),
    ],
)
def test_a_user_has_one_password(form: Form, code: str | None) -> None:
    """In clear text or as a hash; empty counts as not sent."""
    if code is None:
        assert parse(user.CREATE, form).changes
        return
    with pytest.raises(Refusal) as refused:
        parse(user.CREATE, form)
    assert refused.value.codes == (code,)


@pytest.mark.parametrize(
    ("day", "number"),
    [(date(1970, 1, 1), "0"), (date(1970, 1, 2), "1"), (date(2026, 1, 31), "20484")],
)
def test_days_are_counted_from_1970(day: date, number: str) -> None:
    """As the shadow file has it."""
    assert user_entry.days_since_epoch(day) == number


@pytest.mark.parametrize(
    ("values", "expected"), [([], False), ([b"no"], False), ([b"yes"], True), ([b"YES"], True)]
)
def test_a_global_admin_is_marked(values: list[bytes], expected: bool) -> None:
    """With `yes`; its absence and any other word mean no."""
    assert user.is_global_admin(Entry("o=x", {"domainGlobalAdmin": values})) is expected


# --- changes ----------------------------------------------------------------------------------


def entry(**attributes: list[str]) -> Entry:
    """A user."""
    stored = {name: [value.encode() for value in values] for name, values in attributes.items()}
    return Entry("mail=ann@a.test,o=x", stored)


def changes(**form: str) -> tuple[FieldChange, ...]:
    return parse(user.UPDATE, {name: [value] for name, value in form.items()}).changes


def test_an_admin_may_send_these_for_their_own_account() -> None:
    """Of a change of a user; nothing of a creation or of a change of many."""
    own = {field.name for field in user.UPDATE if field.by_self}
    assert own == {
        "name", "gn", "sn", "password", "language", "telephoneNumber", "mobile", "forwarding",
        "addForwarding", "removeForwarding",
    }  # fmt: skip
    assert not [field for field in (*user.CREATE, *user.BULK) if field.by_self]


@pytest.mark.parametrize("table", [user.UPDATE, user.BULK])
@pytest.mark.parametrize("password", ["", "  "])
def test_an_empty_password_counts_as_sent(table: Table, password: str) -> None:
    """So that the rules for passwords refuse it; elsewhere empty is nothing."""
    parsed = parse(table, {"password": [password], "accountStatus": [""]})
    assert parsed.unknown == ("accountStatus",)
    assert [(change.field.name, change.values) for change in parsed.changes] == [
        ("password", ("",))
    ]


def test_values_come_with_the_services_they_need() -> None:
    """After single ones are taken away; clearing takes none."""
    held = entry(enabledService=["mail", "vpn"])
    mods = modlist(changes(removeService="vpn", senderBcc="x@b.test", addAlias="y@a.test"), held)
    assert set(mods) == {
        Mod(Op.REPLACE, "userSenderBccAddress", (b"x@b.test",)),
        Mod(Op.ADD, "shadowAddress", (b"y@a.test",)),
        Mod(Op.DELETE, "enabledService", (b"vpn",)),
        Mod(Op.ADD, "enabledService", (b"senderbcc", b"shadowaddress")),
    }
    mods = modlist(changes(removeService="mail,vpn", recipientBcc="x@b.test"), held)
    assert Mod(Op.ADD, "enabledService", (b"recipientbcc",)) in mods
    held = entry(enabledService=["mail", "senderbcc"], userSenderBccAddress=["x@b.test"])
    assert modlist(changes(senderBcc=""), held) == (Mod(Op.REPLACE, "userSenderBccAddress"),)
    assert modlist(changes(removeAlias="y@a.test"), entry(enabledService=["mail"])) == ()


def test_promotion() -> None:
    """The mark, the role, and no limits; whoever has it all is not changed."""
    held = entry(accountSetting=["create_max_users:5", "timezone:UTC", "create_new_domains:yes"])
    assert user_entry.promotion(held) == (
        Mod(Op.REPLACE, "domainGlobalAdmin", (b"yes",)),
        Mod(Op.ADD, "enabledService", (b"domainadmin",)),
        Mod(Op.DELETE, "accountSetting", (b"create_max_users:5", b"create_new_domains:yes")),
    )
    assert (
        user_entry.promotion(entry(domainGlobalAdmin=["YES"], enabledService=["DomainAdmin"])) == ()
    )


@pytest.mark.parametrize("manages", [True, False])
def test_demotion(manages: bool) -> None:
    """The role goes with the mark, unless a domain needs it."""
    held = entry(domainGlobalAdmin=["yes"], enabledService=["mail", "DomainAdmin"])
    role = () if manages else (Mod(Op.DELETE, "enabledService", (b"DomainAdmin",)),)
    assert user_entry.demotion(held, manages=manages) == (
        Mod(Op.REPLACE, "domainGlobalAdmin"),
        *role,
    )
    assert user_entry.demotion(entry(enabledService=["domainadmin"]), manages=manages) == ()


@pytest.mark.parametrize("classes", [["mailUser", "ShadowAccount"], ["mailUser"]])
def test_a_new_password_has_its_day(classes: list[str]) -> None:
    """For which an account may lack the class."""
    mods = user_entry.new_password(entry(objectClass=classes), "{SSHA}x", date(2026, 1, 31))
    password = Mod(Op.REPLACE, "userPassword", (b"{SSHA}x",))
    day = Mod(Op.REPLACE, "shadowLastChange", (b"20484",))
    lacking = Mod(Op.ADD, "objectClass", (b"shadowAccount",))
    assert mods == ((password, day) if len(classes) == 2 else (lacking, password, day))


@pytest.mark.parametrize(
    ("parameter", "held", "role"),
    [
        ("services", [], {"DomainAdmin"}),
        ("addService", [], {"DomainAdmin"}),
        ("removeService", [], set()),
        ("services", ["domainadmin"], set()),
        ("addService", ["domainadmin"], set()),
        ("removeService", ["domainadmin"], {"DomainAdmin"}),
    ],
)
def test_words_that_would_change_the_role(parameter: str, held: list[str], role: set[str]) -> None:
    """Naming a role that one has, or lacks, changes nothing and is no matter."""
    (change,) = changes(**{parameter: "mail,DomainAdmin"})
    assert user.role_words(change, entry(enabledService=held)) == role


@pytest.mark.parametrize(
    ("services", "addresses", "lasting"),
    [
        ([], [], set()),
        (["mail", "vpn"], ["a@a.test"], set()),
        (["DomainAdmin", "ShadowAddress"], [], {"domainadmin"}),
        (["mail", "ShadowAddress"], ["a@a.test"], {"shadowaddress"}),
    ],
)
def test_lasting_services(services: list[str], addresses: list[str], lasting: set[str]) -> None:
    """What is bound to something else is neither lost nor gained by a new set."""
    held = entry(enabledService=services, shadowAddress=addresses)
    assert user_entry.lasting_services(held) == lasting


def test_names_in_alias_domains() -> None:
    assert user_entry.names_in(["b.test", "c.test"], "ann@a.test") == {"ann@b.test", "ann@c.test"}
    assert user_entry.names_in([], "ann@a.test") == set()


@pytest.mark.parametrize("blank", ["", "  "])
def test_a_password_that_is_left_blank_is_none_beside_a_hash(blank: str) -> None:
    """A form that sends every field says the hash; alone, an empty password is refused later."""
    both = parse(user.UPDATE, {"password": [blank], "password_hash": ["{SSHA}x"]})
    alone = parse(user.UPDATE, {"password": [blank]})

    assert [change.field.name for change in both.changes] == ["password_hash"]
    assert [change.field.name for change in alone.changes] == ["password"]
