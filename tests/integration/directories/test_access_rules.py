"""Whoever binds may read and write what an iRedMail server's access rules let them, no more."""

import base64
import hashlib
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

import ldap
import pytest

from iredldap.embedded.ports import free_port
from iredldap.embedded.slapd import Slapd
from tests.support.patience import started, wait_until

SUFFIX = "dc=example,dc=com"
DOMAINS = f"o=domains,{SUFFIX}"
ADMINS = f"o=domainAdmins,{SUFFIX}"
HERE = f"domainName=here.test,{DOMAINS}"
THERE = f"domainName=there.test,{DOMAINS}"
MANY = f"domainName=many.test,{DOMAINS}"

VMAIL = f"cn=vmail,{SUFFIX}"
VMAILADMIN = f"cn=vmailadmin,{SUFFIX}"
BACKUP = f"cn=backup,{SUFFIX}"
ANN = f"mail=ann@here.test,ou=Users,{HERE}"
BOB = f"mail=bob@here.test,ou=Users,{HERE}"
CAROL = f"mail=carol@there.test,ou=Users,{THERE}"
ADMIN_HERE = f"mail=postmaster@here.test,{ADMINS}"
ADMIN_ELSEWHERE = f"mail=root@elsewhere.test,{ADMINS}"

# In this order the columns of RULES below; Ann owns the entry where a user's is asked for.
CALLERS = (VMAIL, VMAILADMIN, ANN, BOB, CAROL, ADMIN_HERE)

# Rule, entry, attribute, its value, and what each caller may do: w(rite), r(ead), - neither.
# Rules 2, 3 and 5 let every bound user read, but Carol, of another domain, does not get to see
# the entry itself (rule 7), nor does cn=vmail that of cn=vmailadmin (rule 6).
RULES = [
    (1, ANN, "mailForwardingAddress", "ann@here.test", "rww---"),
    (1, ANN, "employeeNumber", "17", "rww---"),
    (1, ANN, "userPassword", "", "rww---"),
    (1, VMAILADMIN, "userPassword", "", "-w----"),
    (2, ANN, "cn", "ann", "rwwr-r"),
    (2, ANN, "telephoneNumber", "17", "rwwr-r"),
    (3, ANN, "enabledService", "mail", "rwrr-r"),
    (3, HERE, "mtaTransport", "dovecot", "rwrr-r"),
    (4, HERE, "domainAdmin", "bob@here.test", "rw----"),
    (4, ANN, "domainGlobalAdmin", "yes", "rwr---"),
    (5, ANN, "mailQuota", "1048576", "rwrr-r"),
    (5, ANN, "accountStatus", "active", "rwrr-r"),
    (5, ANN, "shadowAddress", "a@here.test", "rwrr-r"),
    (5, HERE, "accountStatus", "active", "rwrr-r"),
    (6, VMAIL, "description", "here", "w-----"),
    (6, VMAILADMIN, "description", "here", "-w----"),
    (7, ANN, "preferredLanguage", "en_US", "rwwr-w"),
    (7, ANN, "accountSetting", "timezone:UTC", "rwwr-w"),
    (7, HERE, "description", "here", "rwrr-w"),
    (7, f"ou=Users,{HERE}", "description", "here", "rwrr-w"),
    (7, THERE, "description", "here", "rw--r-"),
    (7, CAROL, "preferredLanguage", "en_US", "rw--w-"),
    (8, DOMAINS, "description", "here", "rwrrrr"),
    (9, ADMINS, "description", "here", "rw----"),
    (9, ADMIN_HERE, "preferredLanguage", "en_US", "rw---w"),
    (9, ADMIN_ELSEWHERE, "preferredLanguage", "en_US", "rw----"),
    (10, BACKUP, "description", "here", "------"),
    (11, SUFFIX, "description", "here", "rrrrrr"),
]


@pytest.fixture(scope="module", params=[False, True], ids=["as-iredmail", "fast-reads"])
def slapd(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Slapd]:
    slapd = Slapd(
        home=tmp_path_factory.mktemp("rules") / "slapd",
        suffix=SUFFIX,
        schema_dir=Path(__file__).resolve().parents[3] / "schema",
        port=free_port(),
        fast_reads=request.param,
    )
    slapd.prepare("\n".join(chain(tree(), many_users())).encode())
    started(slapd)
    try:
        yield slapd
    finally:
        slapd.stop()


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize(
    "row", [pytest.param(row, id=f"{row[0]}-{row[1].partition(',')[0]}-{row[2]}") for row in RULES]
)
def test_rule(slapd: Slapd, row: tuple[int, str, str, str, str], caller: str) -> None:
    """Each rule gives each caller their right; the switch lifts the two service accounts only."""
    _, dn, attribute, value, rights = row
    expected = rights[CALLERS.index(caller)]
    if slapd_is_fast(slapd):
        expected = {VMAIL: "r", VMAILADMIN: "w"}.get(caller, expected)

    connection = bound(slapd, caller)

    assert right(connection, dn, attribute, value) == expected


def test_every_password_is_hashed_and_verified(slapd: Slapd) -> None:
    """An {SSHA512} password is good for a bind; the stored text and a wrong one are not."""
    stored = bound(slapd, VMAIL).search_s(ANN, ldap.SCOPE_BASE, attrlist=["userPassword"])
    hashed = stored[0][1]["userPassword"][0].decode()

    assert hashed.startswith("{SSHA512}")
    for wrong in (hashed, "guess"):
        with pytest.raises(ldap.INVALID_CREDENTIALS):
            ldap.initialize(slapd.uri).simple_bind_s(ANN, wrong)


def test_own_password(slapd: Slapd) -> None:
    """A user changes their own password, and no other one."""
    ann = bound(slapd, ANN)

    ann.modify_s(ANN, replacing("userPassword", ssha512("new")))
    ldap.initialize(slapd.uri).simple_bind_s(ANN, "new")
    ann.modify_s(ANN, replacing("userPassword", ssha512(ANN)))

    with pytest.raises(ldap.INSUFFICIENT_ACCESS):
        ann.modify_s(BOB, replacing("userPassword", ssha512("new")))


@pytest.mark.parametrize("caller", [VMAIL, VMAILADMIN, BACKUP])
def test_own_entry_of_a_service_account(slapd: Slapd, caller: str) -> None:
    """A service account writes its own entry (rules 6 and 10; with the switch cn=vmail reads)."""
    expected = "r" if slapd_is_fast(slapd) and caller == VMAIL else "w"

    connection = bound(slapd, caller)

    assert right(connection, caller, "description", "here") == expected


def test_neighbours_are_seen_and_strangers_are_not(slapd: Slapd) -> None:
    """A user's search finds the entries of their own domain, and of another domain none."""
    found = bound(slapd, ANN).search_s(
        DOMAINS, ldap.SCOPE_SUBTREE, "(objectClass=*)", attrlist=["mail", "userPassword"]
    )

    assert {dn for dn, _ in found} == {DOMAINS, HERE, f"ou=Users,{HERE}", ANN, BOB}
    assert [dn for dn, entry in found if "userPassword" in entry] == [ANN]


def test_vmailadmin_makes_domains_and_admins(slapd: Slapd) -> None:
    """cn=vmailadmin adds and deletes below the two branches."""
    connection = bound(slapd, VMAILADMIN)
    new = [
        (f"domainName=new.test,{DOMAINS}", [("objectClass", [b"mailDomain"])]),
        (f"ou=Users,domainName=new.test,{DOMAINS}", [("objectClass", [b"organizationalUnit"])]),
        (f"mail=new@new.test,{ADMINS}", [("objectClass", [b"mailAdmin"])]),
    ]

    for dn, entry in new:
        connection.add_s(dn, entry)
    for dn, _ in reversed(new):
        connection.delete_s(dn)


@pytest.mark.parametrize("caller", [VMAIL, ANN, ADMIN_HERE])
def test_nobody_else_makes_domains(slapd: Slapd, caller: str) -> None:
    """cn=vmail, a user and a domain's administrator add no domain."""
    connection = bound(slapd, caller)

    with pytest.raises(ldap.INSUFFICIENT_ACCESS):
        connection.add_s(f"domainName=new.test,{DOMAINS}", [("objectClass", [b"mailDomain"])])


@pytest.mark.parametrize("caller", CALLERS)
def test_nothing_is_made_under_the_suffix(slapd: Slapd, caller: str) -> None:
    """Directly under the suffix not even cn=vmailadmin adds, unless the switch is on."""
    connection = bound(slapd, caller)
    new = f"o=new,{SUFFIX}"
    entry = [("objectClass", [b"organization"])]

    if slapd_is_fast(slapd) and caller == VMAILADMIN:
        connection.add_s(new, entry)
        connection.delete_s(new)
    else:
        with pytest.raises(ldap.INSUFFICIENT_ACCESS):
            connection.add_s(new, entry)


@pytest.mark.parametrize("base", [SUFFIX, DOMAINS, ANN, "cn=Monitor"])
def test_anonymous_finds_nothing(slapd: Slapd, base: str) -> None:
    """Without a bind nothing is found, and an anonymous bind is refused."""
    connection = ldap.initialize(slapd.uri)

    with pytest.raises((ldap.NO_SUCH_OBJECT, ldap.INSUFFICIENT_ACCESS)):
        connection.search_s(base, ldap.SCOPE_SUBTREE)
    with pytest.raises(ldap.INAPPROPRIATE_AUTH):
        connection.simple_bind_s("", "")


def test_ldap_2_is_refused(slapd: Slapd) -> None:
    """Only version 3 of the protocol is spoken."""
    connection = ldap.initialize(slapd.uri)
    connection.protocol_version = ldap.VERSION2

    with pytest.raises(ldap.PROTOCOL_ERROR):
        connection.simple_bind_s(VMAIL, VMAIL)


def test_answers_of_any_size(slapd: Slapd) -> None:
    """More than the usual 500 entries come in one answer."""
    found = bound(slapd, VMAIL).search_s(
        MANY, ldap.SCOPE_SUBTREE, "(objectClass=mailUser)", ["1.1"]
    )

    assert len(found) == 600


@pytest.mark.parametrize("base", ["", "cn=Subschema"])
def test_server_description(slapd: Slapd, base: str) -> None:
    """Bound users read what the server says about itself."""
    for caller in CALLERS:
        assert bound(slapd, caller).search_s(base, ldap.SCOPE_BASE, attrlist=["+"])[0][1]


def test_operations_are_counted_for_vmailadmin_only(slapd: Slapd) -> None:
    """cn=vmailadmin reads the server's counters, which count; cn=vmail does not."""
    connection = bound(slapd, VMAILADMIN)

    before = operations(connection)
    for _ in range(10):
        connection.search_s(SUFFIX, ldap.SCOPE_BASE)

    # An operation is counted after its response, so a busy slapd may be late with some.
    wait_until(lambda: operations(connection) - before >= 10)
    with pytest.raises((ldap.NO_SUCH_OBJECT, ldap.INSUFFICIENT_ACCESS)):
        operations(bound(slapd, VMAIL))


def slapd_is_fast(slapd: Slapd) -> bool:
    return "\naccess to * by dn.exact=" in (slapd.home / "slapd.conf").read_text("utf-8")


def bound(slapd: Slapd, dn: str) -> Any:
    connection = ldap.initialize(slapd.uri)
    connection.simple_bind_s(dn, dn)
    return connection


def right(connection: Any, dn: str, attribute: str, value: str) -> str:
    """What the caller can do with the attribute: w(rite and read), r(ead), neither (-)."""
    readable = False
    with suppress(ldap.NO_SUCH_OBJECT, ldap.INSUFFICIENT_ACCESS):
        found = connection.search_s(dn, ldap.SCOPE_BASE, attrlist=[attribute])
        readable = any(attribute in entry for _, entry in found)
    if attribute == "userPassword":
        value = ssha512(dn)
    try:
        connection.modify_s(dn, replacing(attribute, value))
    except (ldap.NO_SUCH_OBJECT, ldap.INSUFFICIENT_ACCESS):
        return "r" if readable else "-"
    assert readable
    return "w"


def replacing(attribute: str, value: str) -> list[tuple[int, str, list[bytes]]]:
    return [(ldap.MOD_REPLACE, attribute, [value.encode()])]


def operations(connection: Any) -> int:
    found = connection.search_s(
        "cn=Search,cn=Operations,cn=Monitor", ldap.SCOPE_BASE, attrlist=["monitorOpCompleted"]
    )
    return int(found[0][1]["monitorOpCompleted"][0])


def ssha512(password: str) -> str:
    salt = b"8 bytes."
    digest = hashlib.sha512(password.encode() + salt).digest()
    return "{SSHA512}" + base64.b64encode(digest + salt).decode()


def tree() -> Iterator[str]:
    """Make the entries of the rules; everybody's password is their DN."""
    yield record(SUFFIX, "dcObject organization", dc="example", o="example")
    for dn in (VMAIL, VMAILADMIN, BACKUP):
        yield record(dn, "person shadowAccount", sn="x", uid="x", userPassword=ssha512(dn))
    yield record(DOMAINS, "organization")
    yield record(ADMINS, "organization")
    for dn in (ADMIN_HERE, ADMIN_ELSEWHERE):
        yield record(dn, "mailAdmin", preferredLanguage="en_US", userPassword=ssha512(dn))
    for dn in (HERE, THERE, MANY):
        yield record(
            dn,
            "mailDomain",
            mtaTransport="dovecot",
            accountStatus="active",
            domainAdmin="bob@here.test",
        )
        yield record(f"ou=Users,{dn}", "organizationalUnit")
    for dn in (ANN, BOB, CAROL):
        yield record(
            dn,
            "inetOrgPerson mailUser",
            uid="ann",
            cn="ann",
            sn="ann",
            userPassword=ssha512(dn),
            mailForwardingAddress="ann@here.test",
            employeeNumber="17",
            telephoneNumber="17",
            enabledService="mail",
            domainGlobalAdmin="yes",
            mailQuota="1048576",
            accountStatus="active",
            shadowAddress="a@here.test",
            preferredLanguage="en_US",
            accountSetting="timezone:UTC",
        )


def many_users() -> Iterator[str]:
    for number in range(600):
        dn = f"mail=user{number}@many.test,ou=Users,{MANY}"
        yield record(dn, "inetOrgPerson mailUser", cn="x", sn="x", uid="x")


def record(dn: str, classes: str, **attributes: str) -> str:
    name, _, value = dn.partition(",")[0].partition("=")
    if "mailUser" not in classes and "mailAdmin" not in classes:
        attributes["description"] = "here"
    values = {**attributes, name: value}
    lines = [f"dn: {dn}", *(f"objectClass: {word}" for word in classes.split())]
    return "\n".join([*lines, *(f"{name}: {value}" for name, value in values.items()), ""])
