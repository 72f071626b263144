"""Both readers, against a real directory that holds the worst of what may be stored."""

import base64
import hashlib
import io
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import ldap
import ldif
import pytest

from iredldap.config.ldap import LdapSettings
from iredldap.config.settings import Secret
from iredldap.directory_errors import DirectoryDenies
from iredldap.dit.names import Tree
from iredldap.dit.plan import Scope
from iredldap.embedded.ports import free_port
from iredldap.embedded.slapd import Slapd
from iredldap.errors import InternalError, InvalidParameter, NoSuchAccount, Refusal, ServerDown
from iredldap.gateways.ldap import servers
from iredldap.ldif.writer import record
from iredldap.shipped import shipped
from ldif_export.backup import full
from ldif_export.readers.base import IDENTITY, OBJECT_CLASS, LdifRecord, Projection, Reader
from ldif_export.readers.choice import ReaderName, connect
from ldif_export.selection import Search, Selection
from tests.support import tls
from tests.support.exported import located
from tests.support.patience import PATIENCE, started

SUFFIX = "dc=example,dc=org"
TREE = Tree(SUFFIX)
PASSWORD = "reads only"
CHOICES: tuple[ReaderName, ...] = ("wire", "python-ldap")
LIMIT = 300

Entry = tuple[str, dict[str, list[bytes]]]

HOME = TREE.container("a.test", "Users")
NOISE = hashlib.shake_256(b"noise").digest(1_000_000)
ODD: dict[str, list[bytes]] = {
    "title": [b" leading", b"trailing ", b":colon", b"<less", b"\ttab", b"line\nfeed", b"a\rb"],
    "street": ["Größe 東京".encode(), b"x" * 68, b"x" * 69, b"y" * 200, b"#hash", b"nul\0nul"],
    "description": [b"d" * 1_000_000],
    "jpegPhoto": [NOISE, b"\0", b"\xff\xd8"],
    "cn": [b"odd"],
    "cn;lang-de": [b"seltsam", "Wörter ".encode()],
    "cn;lang-be;lang-nl": [b"raar"],
    "userPassword": [b"{SSHA}x", b"p" * 300],
}
# slapadd takes none, slapd does.
EMPTY = ("audio", "userPKCS12")
DNS = [
    f"cn=Größe,{HOME}",
    f"cn=comma\\, quote\\22 plus\\2B back\\5C slash,{HOME}",
    f"cn=\\20blanks\\20,{HOME}",
    f"cn=\\23hash,{HOME}",
    f"cn=one+sn=two,{HOME}",
    f"cn={'long' * 60},{HOME}",
]


def hashed(password: str) -> bytes:
    digest = hashlib.sha1(password.encode() + b"pepper").digest()
    return b"{SSHA}" + base64.b64encode(digest + b"pepper")


def service(name: str) -> Entry:
    return f"cn={name},{SUFFIX}", {
        "objectClass": [b"person", b"top"],
        **{attribute: [name.encode()] for attribute in ("cn", "sn")},
        "userPassword": [hashed(PASSWORD)],
    }


def person(dn: str, **more: list[bytes]) -> Entry:
    return dn, {"objectClass": [b"inetOrgPerson"], "sn": [b"two"], **more}


def user(number: int) -> Entry:
    mail = f"u{number}@a.test".encode()
    return TREE.user(mail.decode()), {
        "objectClass": [b"inetOrgPerson", b"mailUser", b"shadowAccount", b"amavisAccount"],
        "mail": [mail],
        **{name: [b"u%d" % number] for name in ("cn", "uid", "employeeNumber")},
        "sn": ["Müller".encode() if number % 2 else b"Smith"],
        "userPassword": [hashed(str(number))],
        "enabledService": [b"service%d" % service for service in range(34)],
        "homeDirectory": [b"/var/vmail/vmail1/a.test/u/%d-2026.01.02.03.04.05/%s" % (number, mail)],
        "accountStatus": [b"active"],
    }


def tree() -> Iterator[Entry]:
    yield SUFFIX, {"objectClass": [b"dcObject", b"organization"], "dc": [b"example"], "o": [b"x"]}
    yield service("vmail")
    yield service("vmailadmin")
    yield TREE.base, {"objectClass": [b"organization"], "o": [b"domains"]}
    yield TREE.admin_base, {"objectClass": [b"organization"], "o": [b"domainAdmins"]}
    for name in ("a.test", "split.test"):
        yield TREE.domain(name), {"objectClass": [b"mailDomain"], "domainName": [name.encode()]}
        for unit in ("Users", "Groups", "Aliases", "Externals"):
            contained = {"objectClass": [b"organizationalUnit"], "ou": [unit.encode()]}
            yield TREE.container(name, unit), contained
    yield person(f"cn=odd,{HOME}", **ODD)
    for dn in DNS:
        yield person(dn, cn=[b"alias"])
    for number in range(2000):
        yield user(number)
    elsewhere = {"objectClass": [b"referral", b"extensibleObject"], "ref": [b"ldap://b.test/o=x"]}
    yield f"ou=Else,{TREE.domain('split.test')}", elsewhere


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tls.certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def slapd(certificates: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """A directory with odd entries, TLS, a limit for one account, and us as its owner."""
    us = f"gidNumber={os.getegid()}+uidNumber={os.geteuid()},cn=peercred,cn=external,cn=auth"
    server = Slapd(
        home=tmp_path_factory.mktemp("slapd"),
        suffix=SUFFIX,
        schema_dir=shipped("schema"),
        port=free_port(),
        extra=f'rootdn "{us}"\nlimits dn.exact="cn=vmailadmin,{SUFFIX}" size={LIMIT}\n',
        tls=(certificates / "ca.pem", certificates / "here.pem", certificates / "here.key"),
    )
    server.prepare(b"".join(record(*one) for one in tree()))
    started(server)
    connection = servers.connect(settings(server.ldapi, "vmailadmin"))
    connection.modify_s(f"cn=odd,{HOME}", [(ldap.MOD_ADD, name, [b""]) for name in EMPTY])
    connection.unbind_s()
    yield server
    server.stop()


def settings(uri: str, name: str = "vmail") -> LdapSettings:
    return LdapSettings(
        uri=(uri,),
        suffix=SUFFIX,
        bind_dn=f"cn={name},{SUFFIX}",
        bind_password=Secret(PASSWORD),
        starttls=False,
        network_timeout=PATIENCE,
        operation_timeout=PATIENCE,
    )


def opened(where: LdapSettings, choice: ReaderName, wanted: Projection) -> Reader:
    return connect(where, wanted, choice)


def exported(where: LdapSettings, choice: ReaderName, selection: Selection) -> bytes:
    with (
        closing(opened(where, choice, Projection(selection))) as reader,
        closing(
            full.export(reader, located(selection), passwords=selection.has_passwords)
        ) as chunks,
    ):
        return b"".join(chunks)


def parsed(text: bytes) -> dict[str, dict[str, list[bytes]]]:
    reader = ldif.LDIFRecordList(io.BytesIO(text))
    reader.parse()
    return dict(reader.all_records)


SELECTIONS = [
    Selection("domain", "a.test"),
    Selection("domain", "a.test", subtree=False),
    Selection("domain", "a.test", passwords=False),
    Selection("domain", "a.test", omit=frozenset({"description", "cn", "objectclass"})),
    Selection("domain", "a.test", operational=True),
    Selection("user", "u1@a.test"),
    Selection("domain", "split.test"),
]


@pytest.mark.parametrize("selection", SELECTIONS, ids=lambda chosen: chosen.description)
def test_both_readers_give_the_same_bytes(slapd: Slapd, selection: Selection) -> None:
    """Of the worst tree, and they are those that the directory holds."""
    fast, library = (exported(settings(slapd.ldapi), one, selection) for one in CHOICES)
    assert fast == library
    assert fast == exported(settings(slapd.ldapi), "auto", selection)


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("selection", SELECTIONS[:5], ids=lambda chosen: chosen.description)
def test_a_limit_of_the_server_leaves_nothing_out(
    slapd: Slapd, selection: Selection, choice: ReaderName
) -> None:
    """Whoever gets few entries at once reads the same records, parents first, all of them once."""
    limited = exported(settings(slapd.ldapi, "vmailadmin"), choice, selection).split(b"\n\n")
    assert sorted(limited) == sorted(
        exported(settings(slapd.ldapi), "wire", selection).split(b"\n\n")
    )
    assert limited[0].startswith(b"version: 1")
    assert limited[1].startswith(b"dn: domainName=a.test,")


def test_a_referral_object_is_an_entry(slapd: Slapd) -> None:
    """No reader follows it, or stops at it: it is exported with its domain."""
    exports = [
        exported(settings(slapd.ldapi), choice, Selection("domain", "split.test"))
        for choice in CHOICES
    ]
    assert exports[0] == exports[1]
    assert b"ref: ldap://b.test/o=x\n" in exports[0]


def test_what_is_stored_is_what_is_written(slapd: Slapd) -> None:
    """Every odd value and name, read back by another parser."""
    found = parsed(exported(settings(slapd.ldapi), "wire", Selection("domain", "a.test")))
    assert len(found) == 5 + 1 + len(DNS) + 2000
    odd = found[f"cn=odd,{HOME}"]
    assert [odd[name] for name in EMPTY] == [[b""]] * 2
    assert {name: sorted(odd[name]) for name in ODD} == {n: sorted(v) for n, v in ODD.items()}
    assert sum(dn.startswith("cn=") for dn in found) == 1 + len(DNS)
    assert sum("Größe" in dn or "comma" in dn or "long" in dn for dn in found) == 3


BINDS = ["ldapi", "ldap", "starttls", "ldaps", "external", "unchecked"]


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("bind", BINDS)
def test_every_way_to_connect_gives_the_same_bytes(
    slapd: Slapd, certificates: Path, bind: str, choice: ReaderName
) -> None:
    """Unix socket, TCP and TLS of both kinds; by password and as the owner of the process."""
    selection = Selection("domain", "a.test")
    expected = exported(settings(slapd.ldapi), "python-ldap", selection)
    ca = str(certificates / "ca.pem")
    with ExitStack() as stack:
        match bind:
            case "external":
                where = replace(settings(slapd.ldapi), bind_dn="", bind_password=Secret(""))
            case "starttls":
                where = replace(settings(slapd.uri), starttls=True, ca_file=ca)
            case "unchecked":
                where = replace(settings(slapd.uri), starttls=True, verify_certificate=False)
            case "ldaps":
                uri = stack.enter_context(tls.in_front_of(slapd.port, certificates))
                where = replace(settings(uri), ca_file=ca)
            case _:
                where = settings(slapd.ldapi if bind == "ldapi" else slapd.uri)
        assert exported(where, choice, selection) == expected


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("ca", ["other-ca.pem", ""])
def test_a_certificate_of_a_stranger_is_refused(
    slapd: Slapd, certificates: Path, choice: ReaderName, ca: str
) -> None:
    """By another CA, or by none that this machine trusts."""
    where = replace(
        settings(slapd.uri), starttls=True, ca_file=str(certificates / ca) if ca else ""
    )
    with pytest.raises((ServerDown, InternalError)):
        opened(where, choice, Projection(SELECTIONS[0]))


@pytest.mark.parametrize("choice", CHOICES)
def test_a_certificate_of_another_host_is_refused(
    slapd: Slapd, certificates: Path, choice: ReaderName
) -> None:
    """It is for 127.0.0.1 alone."""
    uri = slapd.uri.replace("127.0.0.1", "localhost")
    where = replace(settings(uri), starttls=True, ca_file=str(certificates / "ca.pem"))
    with pytest.raises(ServerDown):
        opened(where, choice, Projection(SELECTIONS[0]))


def test_certificates_that_can_not_be_read_are_our_fault(slapd: Slapd, certificates: Path) -> None:
    """A key is no certificate, and a file may not be there."""
    for name in ("here.key", "none.pem"):
        ca_file = str(certificates / name)
        where = replace(settings(slapd.uri), starttls=True, ca_file=ca_file)
        with pytest.raises(InternalError, match=name):
            opened(where, "wire", Projection(SELECTIONS[0]))


ANYTHING = Search(SUFFIX, Scope.SUBTREE, "(objectClass=*)")
FAILURES = [
    ("vmail", replace(ANYTHING, base=f"o=none,{SUFFIX}"), NoSuchAccount, "No such object"),
    ("vmail", replace(ANYTHING, base="no dn"), InvalidParameter, "Invalid DN syntax"),
]


@pytest.mark.parametrize("reading", ["batches", "records"])
@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize(("name", "search", "refusal", "words"), FAILURES)
def test_both_readers_refuse_alike(
    slapd: Slapd,
    choice: ReaderName,
    reading: str,
    name: str,
    search: Search,
    refusal: type[Refusal],
    words: str,
) -> None:
    """What the directory says no to, and what is not whole."""
    with (
        closing(opened(settings(slapd.ldapi, name), choice, Projection(SELECTIONS[0]))) as reader,
        pytest.raises(Refusal, match=words) as told,
    ):
        list(getattr(reader, reading)(search))
    assert type(told.value) is refusal


@pytest.mark.parametrize("choice", CHOICES)
def test_a_wrong_password_is_refused_alike(slapd: Slapd, choice: ReaderName) -> None:
    """In the same words, which do not hold it."""
    wrong = replace(settings(slapd.ldapi), bind_password=Secret("secret words"))
    with pytest.raises(DirectoryDenies) as told:
        opened(wrong, choice, Projection(SELECTIONS[0]))
    words = f"bind as cn=vmail,{SUFFIX}: Invalid credentials (ldap.bind_dn, ldap.bind_password)"
    assert told.value.detail == words


@pytest.mark.parametrize("choice", CHOICES)
def test_a_silent_directory_is_waited_for_only_so_long(slapd: Slapd, choice: ReaderName) -> None:
    """The wait between two answers has an end."""
    assert slapd.pid is not None
    where = replace(settings(slapd.ldapi), operation_timeout=0.5)
    with closing(opened(where, choice, Projection(SELECTIONS[0]))) as reader:
        os.kill(slapd.pid, signal.SIGSTOP)
        try:
            with pytest.raises(ServerDown):
                list(reader.batches(ANYTHING))
        finally:
            os.kill(slapd.pid, signal.SIGCONT)


def test_an_observer_sees_every_entry_with_its_state(slapd: Slapd) -> None:
    """In the order of the text, the same by both readers, and the text is what it is without."""
    selection = Selection("domain", "a.test", omit=frozenset({"objectclass"}))
    watched = frozenset({*IDENTITY, OBJECT_CLASS})
    plain = exported(settings(slapd.ldapi), "wire", selection)
    seen: dict[ReaderName, list[LdifRecord]] = {}
    for choice in CHOICES:
        seen[choice] = []
        with closing(
            opened(settings(slapd.ldapi), choice, Projection(selection, watched))
        ) as reader:
            text = full.export(
                reader,
                located(selection),
                passwords=True,
                observe=seen[choice].append,
            )
            assert b"".join(text) == plain
    assert seen["wire"] == seen["python-ldap"]
    body = b"".join(one.text for one in seen["wire"])
    assert plain.endswith(body + b"# entries: %d\n" % len(seen["wire"]))
    for one in seen["wire"]:
        assert set(one.watched) == {"entrycsn", "entryuuid", "objectclass"}
    by_dn = {one.dn: one.watched for one in seen["wire"]}
    assert by_dn[TREE.domain("a.test")]["objectclass"] == [b"mailDomain"]
    assert len({one["entryuuid"][0] for one in by_dn.values()}) == len(by_dn)


@pytest.mark.parametrize("choice", CHOICES)
def test_a_reader_serves_one_search_after_another(slapd: Slapd, choice: ReaderName) -> None:
    """Whatever the first one found, the second finds its own."""
    with closing(opened(settings(slapd.ldapi), choice, Projection(SELECTIONS[0]))) as reader:
        base = Search(TREE.user("u1@a.test"), Scope.BASE, "(objectClass=*)")
        assert sum(len(batch.dns) for batch in reader.batches(base)) == 1
        below = Search(HOME, Scope.ONE, "(&(mail=*)(!(mail=u1@a.test)))")
        assert sum(len(batch.dns) for batch in reader.batches(below)) == 1999
        assert [record.dn for record in reader.records(base)] == [TREE.user("u1@a.test")]


FILTERS = [
    *("(cn=odd)", "(!(objectClass=mailUser))", "(|(uid=u1)(uid=u22))", "(&(uid=u1*)(mail=*9@*))"),
    *("(cn=comma, quote\\22 plus+ back\\5c slash)", "(cn=Gr\\c3\\b6ße)", "(cn=*ong*lon*g)"),
    *("(uidNumber>=1)", "(createTimestamp<=20990101000000Z)", "(sn~=smith)", "(cn;lang-de=*)"),
]


@pytest.mark.parametrize("text", FILTERS)
def test_filters_find_the_same(slapd: Slapd, text: str) -> None:
    """As they are written here and by libldap."""
    found = []
    for choice in CHOICES:
        with closing(opened(settings(slapd.ldapi), choice, Projection(SELECTIONS[0]))) as reader:
            search = Search(HOME, Scope.SUBTREE, text)
            found.append([record.dn for record in reader.records(search)])
    assert found[0] == found[1]
