"""A new mail user."""

from datetime import date

import pytest

from iredldap.dit import user
from iredldap.dit.entry import Entry
from iredldap.dit.fields import Form, parse
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
    assert user.services((), (), ()) == list(user.SERVICES) == ALL_34


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
    found = user.services(withheld, additional, disabled)
    assert set(found) == (set(ALL_34) - missing) | extra
    assert len({word.lower() for word in found}) == len(found)


def made(form: Form, **given: tuple[str, ...]) -> dict[str, list[str]]:
    parsed = parse(user.CREATE, {"password": ["x"], **form})
    attributes = user.new("ann.b@a.test", parsed.changes, given)
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
        "mailQuota": ["3"],
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
    assert user.days_since_epoch(day) == number


@pytest.mark.parametrize(
    ("values", "expected"), [([], False), ([b"no"], False), ([b"yes"], True), ([b"YES"], True)]
)
def test_a_global_admin_is_marked(values: list[bytes], expected: bool) -> None:
    """With `yes`; its absence and any other word mean no."""
    assert user.is_global_admin(Entry("o=x", {"domainGlobalAdmin": values})) is expected
