"""A new mail domain, and a backup MX made of one."""

import pytest

from iredldap.dit import domain, domain_entry
from iredldap.dit.entry import Entry
from iredldap.dit.fields import Form
from iredldap.dit.form_parser import parse
from iredldap.dit.names import Tree
from iredldap.dit.plan import Mod, Op
from iredldap.errors import ParameterConflict, Refusal

TREE = Tree("dc=example,dc=org")


def made(form: Form, *services: str) -> dict[str, list[str]]:
    parsed = parse(domain.CREATE, form)
    attributes = domain_entry.new("a.test", parsed.changes, "dovecot", services)
    return {name: [value.decode() for value in values] for name, values in attributes.items()}


def test_a_new_domain_has_what_mail_flow_needs() -> None:
    """Nothing is stored for what was not asked."""
    assert made({}) == {
        "objectClass": ["mailDomain"],
        "domainName": ["a.test"],
        "mtaTransport": ["dovecot"],
        "accountStatus": ["active"],
        "enabledService": ["mail"],
    }


def test_a_new_domain_takes_what_was_asked() -> None:
    """Settings share one attribute; a copy address switches its service on."""
    form = {
        "cn": ["Größe"],
        "quota": ["2048"],
        "language": ["de_de"],
        "transport": ["lmtp:inet:127.0.0.1:24"],
        "defaultQuota": ["0"],
        "numberOfUsers": ["-1"],
        "senderBcc": ["Copy@B.test"],
        "recipientBcc": [""],
    }
    assert made(form) | {"objectClass": []} == {
        "objectClass": [],
        "domainName": ["a.test"],
        "cn": ["Größe"],
        "mtaTransport": ["lmtp:inet:127.0.0.1:24"],
        "accountStatus": ["active"],
        "accountSetting": ["domainQuota:2048:MB", "defaultLanguage:de_DE", "numberOfUsers:-1"],
        "domainSenderBccAddress": ["copy@b.test"],
        "enabledService": ["mail", "senderbcc"],
    }


def test_services_are_given_once() -> None:
    """The directory refuses a second one that differs in letter case alone."""
    form = {"senderBcc": ["copy@b.test"]}
    services = made(form, "MAIL", "self-service", "SenderBcc")["enabledService"]
    assert services == ["mail", "self-service", "SenderBcc"]


def test_a_domain_has_four_containers() -> None:
    """One that is there already is as good as a new one."""
    containers = domain_entry.new_containers(TREE.domain("a.test"))
    assert [add.dn.partition(",")[0] for add in containers] == [
        "ou=Users",
        "ou=Groups",
        "ou=Aliases",
        "ou=Externals",
    ]
    assert all(add.dn.endswith(f",{TREE.domain('a.test')}") for add in containers)
    assert all(add.present_ok for add in containers)
    assert containers[0].attributes == {
        "objectClass": (b"organizationalUnit", b"top"),
        "ou": (b"Users",),
    }


YES = ("domainBackupMX", "yes")
Lines = list[tuple[str, str | None]]
BACKUPS: list[tuple[Form, dict[str, str], Lines]] = [
    ({}, {}, []),
    ({}, dict([YES]), []),
    (
        {"is_backupmx": ["yes"], "primarymx": ["mx.b.test"]},
        {},
        [YES, ("mtaTransport", "relay:mx.b.test")],
    ),
    (
        {"backupmx": ["ON"], "primarymx": ["[::1]:25"]},
        dict([YES]),
        [("mtaTransport", "relay:[::1]:25")],
    ),
    (
        {"is_backupmx": ["1"], "primarymx": ["mx"]},
        {"domainBackupMX": "yes", "mtaTransport": "relay:mx"},
        [],
    ),
    ({"is_backupmx": ["no"]}, {}, []),
    ({"is_backupmx": ["no"]}, {"mtaTransport": "smtp:[x]"}, []),
    ({"is_backupmx": ["no"]}, {"domainBackupMX": "no"}, [("domainBackupMX", None)]),
    (
        {"is_backupmx": ["no"]},
        {"domainBackupMX": "yes", "mtaTransport": "relay:mx"},
        [("domainBackupMX", None), ("mtaTransport", "dovecot")],
    ),
]


@pytest.mark.parametrize(("form", "held", "lines"), BACKUPS)
def test_a_backup_mx_relays_and_an_ordinary_domain_delivers(
    form: Form, held: dict[str, str], lines: Lines
) -> None:
    """Switching off restores the server's transport, but only where it had been switched on."""
    entry = Entry("o=x", {name: [value.encode()] for name, value in held.items()})
    mods = domain_entry.backup_mx(parse(domain.UPDATE, form), entry, "dovecot")
    assert mods == tuple(
        Mod(Op.REPLACE, name, (value.encode(),) if value else ()) for name, value in lines
    )


def test_no_backup_mx_has_no_primary_one() -> None:
    """One of the two was sent by mistake."""
    parsed = parse(domain.UPDATE, {"is_backupmx": ["no"], "primarymx": ["mx.b.test"]})
    with pytest.raises(ParameterConflict):
        domain_entry.backup_mx(parsed, Entry("o=x", {}), "dovecot")


@pytest.mark.parametrize(
    ("form", "codes"),
    [
        ({"is_backupmx": ["yes"]}, "MISSING_PARAMETER"),
        ({"primarymx": ["mx"]}, "MISSING_PARAMETER"),
        ({"is_backupmx": ["yes"], "primarymx": [""]}, "MISSING_PARAMETER"),
        ({"is_backupmx": ["no"], "transport": ["smtp:"]}, "PARAMETER_CONFLICT"),
        (
            {"is_backupmx": ["yes"], "primarymx": ["mx"], "transport": ["smtp:"]},
            "PARAMETER_CONFLICT",
        ),
        ({"is_backupmx": ["yes"], "primarymx": ["mx"], "transport": [""]}, None),
        ({"is_backupmx": ["maybe"], "primarymx": ["mx"]}, "INVALID_PARAMETER"),
    ],
)
def test_a_backup_mx_comes_with_its_primary_and_without_a_transport(
    form: Form, codes: str | None
) -> None:
    """An empty transport counts as not sent."""
    if codes is None:
        parse(domain.UPDATE, form)
        return
    with pytest.raises(Refusal) as refused:
        parse(domain.UPDATE, form)
    assert ",".join(refused.value.codes) == codes


def test_a_domain_holds_the_addresses_of_its_alias_domains() -> None:
    """Letter case does not count, whoever wrote the entry."""
    entry = Entry("o=x", {"domainName": [b"A.test"], "domainAliasName": [b"c.test", b"B.Test"]})
    assert domain.alias_domains(entry) == ["b.test", "c.test"]
    assert domain.has_address(entry, "u@a.test")
    assert domain.has_address(entry, "u@b.test")
    assert not domain.has_address(entry, "u@x.a.test")
    assert domain.limits(Entry("", {"accountSetting": [b"numberOfUsers:5"]})) == {
        "numberOfUsers": 5
    }


def test_an_admin_is_known_in_any_letter_case() -> None:
    """Others may have written their address."""
    entry = Entry("o=x", {"domainAdmin": [b"Ann@B.test"]})
    assert domain.is_managed_by(entry, "ann@b.test")
    assert not domain.is_managed_by(entry, "nn@b.test")
