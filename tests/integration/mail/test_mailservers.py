"""Postfix and Dovecot read a directory written by hand as an iRedMail server's do."""

import base64
import hashlib
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from iredldap.embedded.ports import free_port
from iredldap.embedded.slapd import Slapd
from tests.support.dovecot_dialects import Mailbox
from tests.support.mailservers import Dovecot, MailServerError, Postfix, Security
from tests.support.patience import started

SUFFIX = "dc=example,dc=com"
DOMAINS = f"o=domains,{SUFFIX}"
# With what the configuration formats of Postfix and Dovecot give a meaning to.
READER_PASSWORD = 'it\'s a #secret, "quoted" = $so, %{user} %u \\n'

LOGIN_SERVICES = "imap imapsecured imaptls sieve sievesecured sievetls smtp smtpsecured smtptls"
USER_SERVICES = (
    f"mail deliver forward {LOGIN_SERVICES} lmtp doveadm internal shadowaddress"
    " senderbcc recipientbcc"
)

# All of the password "secret".
BCRYPT = "$2b$04$nt5vFSkD0igFDf.RPDiRbeW9uF5X66j6VYGIRI6m8o4h2oqZZajr2"
SHA512_CRYPT = (
    "$6$salt$egUxKNxDs8kPfh8iPMNcosMhb2eWah6d3R44JDm5Rj/j/XWR5E33QPd0YmHXoDHOIDR6kL5D3JcQcz0O8FHE00"
)
SALT = b"8 bytes."


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    slapd = Slapd(
        home=tmp_path_factory.mktemp("mail") / "slapd",
        suffix=SUFFIX,
        schema_dir=Path(__file__).resolve().parents[3] / "schema",
        port=free_port(),
    )
    slapd.prepare("\n".join(tree()).encode())
    started(slapd)
    yield slapd
    slapd.stop()


@pytest.fixture(scope="module")
def postfix(slapd: Slapd) -> Postfix:
    return Postfix(slapd.home.parent / "postfix", slapd.uri, SUFFIX, READER_PASSWORD)


@pytest.fixture(scope="module")
def dovecot(slapd: Slapd) -> Iterator[Dovecot]:
    dovecot = Dovecot(slapd.home.parent / "dovecot", slapd.uri, SUFFIX, READER_PASSWORD)
    started(dovecot)
    yield dovecot
    dovecot.stop()


@pytest.mark.parametrize(
    ("name", "mailboxes", "relayed", "transport"),
    [
        ("here.test", "here.test", None, "dovecot"),
        ("HERE.test", "here.test", None, "dovecot"),
        ("alias.test", "here.test", None, "dovecot"),
        ("off.test", None, None, None),
        ("nomail.test", None, None, None),
        ("backup.test", None, "backup.test", "relay:[mx.far.test]:25"),
        ("backup-alias.test", None, "backup.test", "relay:[mx.far.test]:25"),
        # Without the service domainalias only the transport map knows an alias domain.
        ("any.test", "any.test", None, "dovecot"),
        ("any-alias.test", None, None, "dovecot"),
        ("far.test", None, None, None),
        ("*", None, None, None),
    ],
)
def test_domains(
    postfix: Postfix, name: str, mailboxes: str | None, relayed: str | None, transport: str | None
) -> None:
    """An active domain has mailboxes, a backup MX is relayed, a disabled one is unknown."""
    assert postfix.lookup("virtual_mailbox_domains", name) == mailboxes
    assert postfix.lookup("relay_domains", name) == relayed
    assert postfix.lookup("transport_maps_domain", name) == transport
    assert postfix.knows_domain(name) == bool(mailboxes or relayed)


@pytest.mark.parametrize(
    ("address", "mailbox", "forwarded", "group", "member", "login"),
    [
        ("ann@here.test", "ann", None, None, "ann", "ann"),
        ("ANN@Here.Test", "ann", None, None, "ann", "ann"),
        # One of the user's further addresses; the group map answers for it too.
        ("a.nn@here.test", "ann", None, "ann", "ann", "ann"),
        ("ann@alias.test", "ann", None, "ann", "ann", "ann"),
        # Without shadowAddress nobody has an address in an alias domain.
        ("bob@alias.test", None, None, None, None, None),
        ("bob@here.test", None, None, None, None, None),
        ("carl@here.test", "carl", "dora@here.test,x@far.test", None, "carl", "carl"),
        ("emil@here.test", "emil", None, None, "emil", "emil"),
        ("fred@here.test", None, None, None, None, "fred"),
        # Marked with the domain, or created while it was disabled without being marked.
        ("marked@off.test", None, None, None, None, None),
        ("unmarked@off.test", "unmarked", None, None, "unmarked", "unmarked"),
        ("sales@here.test", None, "ann@here.test,gina@here.test,z@far.test", None, None, None),
        ("sales@alias.test", None, "ann@here.test,gina@here.test,z@far.test", None, None, None),
        ("nobody@here.test", None, None, None, None, None),
        ("*@here.test", None, None, None, None, None),
        ("ann)(mail=*@here.test", None, None, None, None, None),
    ],
)
def test_addresses(
    postfix: Postfix,
    address: str,
    mailbox: str | None,
    forwarded: str | None,
    group: str | None,
    member: str | None,
    login: str | None,
) -> None:
    """A living user has a mailbox, forwarding and a sender's login as their services say."""
    domain = "off.test" if address.endswith("off.test") else "here.test"

    def found(name: str, who: str | None, expected: str = "{0}@{1}") -> None:
        wanted = expected.format(who, domain) if who else None
        assert postfix.lookup(name, address) == wanted

    found("virtual_mailbox_maps", mailbox, "/var/vmail/vmail1/{1}/{0}-2026.01.31//Maildir/")
    found("virtual_group_maps", group)
    found("virtual_group_members_maps", member)
    found("sender_login_maps", login)
    targets = postfix.lookup("virtual_alias_maps", address)
    assert values(targets) == values(forwarded)


@pytest.mark.parametrize(
    ("address", "recipients"),
    [
        ("ann@here.test", "ann@here.test"),
        ("Ann@HERE.test", "ann@here.test"),
        ("a.nn@here.test", "ann@here.test"),
        ("ann@alias.test", "ann@here.test"),
        ("nobody@here.test", ""),
        ("someone@far.test", ""),
        # A disabled user, and users of a disabled domain.
        ("bob@here.test", ""),
        ("marked@off.test", ""),
        ("unmarked@off.test", ""),
        # Forwarding leaves a copy only if the own address is among its values.
        ("carl@here.test", "dora@here.test x@far.test"),
        ("dora@here.test", "dora@here.test x@far.test"),
        # Without the service forward mail stays; without mail or deliver it is sent on.
        ("emil@here.test", "emil@here.test"),
        ("fred@here.test", "x@far.test"),
        ("sales@here.test", "ann@here.test gina@here.test z@far.test"),
        ("sales@alias.test", "ann@here.test gina@here.test z@far.test"),
        # An alias without members, and one whose only member is disabled.
        ("empty@here.test", ""),
        ("vain@here.test", ""),
        # A list's members: users, an alias, another list, external ones; no disabled user.
        ("team@here.test", "ann@here.test gina@here.test x@far.test y@far.test z@far.test"),
        # Under its name in an alias domain only the external ones, if the list has that name.
        ("team@alias.test", "x@far.test y@far.test"),
        ("inner@here.test", "gina@here.test"),
        # The map looks at the members alone: at no list that is disabled or not even there.
        ("closed@here.test", "gina@here.test"),
        ("ghost@here.test", "gina@here.test"),
        ("news@here.test", "news@here.test"),
        ("silent@here.test", ""),
        # One address on two accounts.
        ("both@here.test", "ann@here.test emil@here.test"),
        # The catch-all gets what nobody else has; in an alias domain by its further address.
        ("uma@any.test", "uma@any.test"),
        ("whoever@any.test", "caught@far.test uma@any.test"),
        ("off@any.test", "caught@far.test uma@any.test"),
        ("whoever@backup.test", "whoever@backup.test"),
        ("whoever@alias.any.test", "caught@far.test uma@any.test"),
    ],
)
def test_recipients(postfix: Postfix, address: str, recipients: str) -> None:
    """Mail reaches whom forwarding, lists, aliases and the catch-all name, and nobody else."""
    assert postfix.recipients(address) == set(recipients.split())


def test_circle_of_aliases(postfix: Postfix) -> None:
    """Two aliases that lead to each other are reported, as Postfix gives up on them."""
    with pytest.raises(MailServerError, match="no end"):
        postfix.recipients("round@here.test")


@pytest.mark.parametrize(
    ("name", "key", "result"),
    [
        ("transport_maps_user", "ann@here.test", "lmtp:inet:127.0.0.1:24"),
        ("transport_maps_user", "a.nn@here.test", "lmtp:inet:127.0.0.1:24"),
        ("transport_maps_user", "ann@alias.test", None),
        ("transport_maps_user", "emil@here.test", None),
        ("transport_maps_user", "bob@here.test", None),
        ("transport_maps_user", "news@here.test", "mlmmj:here.test/news"),
        ("transport_maps_user", "silent@here.test", None),
        ("sender_bcc_maps_user", "ann@here.test", "sent-by-ann@far.test"),
        ("sender_bcc_maps_user", "a.nn@here.test", "sent-by-ann@far.test"),
        ("sender_bcc_maps_user", "ann@alias.test", None),
        ("sender_bcc_maps_user", "bob@here.test", None),
        ("sender_bcc_maps_user", "fred@here.test", None),
        ("sender_bcc_maps_domain", "ann@here.test", "sent@far.test"),
        ("sender_bcc_maps_domain", "nobody@alias.test", "sent@far.test"),
        # Without the service, or disabled.
        ("sender_bcc_maps_domain", "uma@any.test", None),
        ("sender_bcc_maps_domain", "marked@off.test", None),
        ("recipient_bcc_maps_user", "ann@here.test", "got-by-ann@far.test"),
        ("recipient_bcc_maps_user", "ann@alias.test", None),
        ("recipient_bcc_maps_user", "fred@here.test", None),
        ("recipient_bcc_maps_domain", "ann@here.test", "got@far.test"),
        ("recipient_bcc_maps_domain", "ann@alias.test", "got@far.test"),
        ("recipient_bcc_maps_domain", "uma@any.test", None),
        ("recipient_bcc_maps_domain", "marked@off.test", None),
        ("sender_dependent_relayhost_maps_user", "ann@here.test", "[out.ann.test]:587"),
        ("sender_dependent_relayhost_maps_user", "a.nn@here.test", None),
        ("sender_dependent_relayhost_maps_domain", "ann@here.test", "[out.test]:25"),
        ("sender_dependent_relayhost_maps_domain", "@alias.test", "[out.test]:25"),
        ("sender_dependent_relayhost_maps_domain", "marked@off.test", None),
        ("catchall_maps", "@any.test", "caught@far.test,uma@any.test"),
        ("catchall_maps", "@alias.any.test", "caught@far.test,uma@any.test"),
        ("catchall_maps", "@here.test", None),
    ],
)
def test_routes_and_copies(postfix: Postfix, name: str, key: str, result: str | None) -> None:
    """Transports, copies and relay hosts: a user's by their own domain, a domain's by any name."""
    assert values(postfix.lookup(name, key)) == values(result)


def test_silence_is_not_absence(slapd: Slapd, tmp_path: Path) -> None:
    """A look-up that fails raises; it does not pass for one that finds nothing."""
    rejected = Postfix(tmp_path / "rejected", slapd.uri, SUFFIX, "guess")
    unanswered = Postfix(tmp_path / "silent", f"ldap://127.0.0.1:{free_port()}", SUFFIX, "x")

    for postfix in (rejected, unanswered):
        with pytest.raises(MailServerError, match="query error"):
            postfix.lookup("virtual_mailbox_maps", "ann@here.test")
    with pytest.raises(MailServerError):
        rejected.lookup("no_such_map", "ann@here.test")


def test_secrets_are_private(postfix: Postfix, dovecot: Dovecot, slapd: Slapd) -> None:
    """Nobody else can read the directory's password from the configurations."""
    for folder in ("postfix", "dovecot"):
        assert stat.S_IMODE((slapd.home.parent / folder).stat().st_mode) == 0o700


@pytest.mark.parametrize("secured", ["", "secured", "tls"])
@pytest.mark.parametrize("service", ["imap", "smtp", "sieve"])
def test_login(dovecot: Dovecot, service: str, secured: Security) -> None:
    """A login needs the service, in the way that the client is connected."""
    assert dovecot.accepts("ann@here.test", "secret", service, secured)
    # Of all these Gina has only imap over TLS.
    expected = (service, secured) == ("imap", "tls")
    assert dovecot.accepts("gina@here.test", "secret", service, secured) == expected


@pytest.mark.parametrize(
    ("login", "password"),
    [
        ("ann@here.test", "Secret"),
        ("ann@here.test", "secret "),
        ("ann@here.test", ""),
        ("bob@here.test", "secret"),
        ("nobody@here.test", "secret"),
        ("sales@here.test", "secret"),
        ("@any.test", "secret"),
        ("@any.test", ""),
    ],
)
def test_refused_login(dovecot: Dovecot, login: str, password: str) -> None:
    """Nobody gets in with a wrong password, a disabled user not even with their own."""
    assert not dovecot.accepts(login, password)


@pytest.mark.parametrize(
    ("login", "accepted"),
    [
        ("Ann@HERE.test", True),
        ("a.nn@here.test", True),
        ("ann@alias.test", True),
        # Gina has a further address, but not the service shadowaddress.
        ("g@here.test", False),
        ("marked@off.test", False),
        ("unmarked@off.test", True),
        ("ann", False),
        ("*@here.test", False),
    ],
)
def test_login_names(dovecot: Dovecot, login: str, accepted: bool) -> None:
    """A login name is any address of a living user, if they may use the further ones."""
    assert dovecot.accepts(login, "secret", "imap", "tls") == accepted


def test_allowed_networks(dovecot: Dovecot) -> None:
    """A user with allowNets logs in from there only."""
    assert dovecot.accepts("netty@here.test", "secret", client="192.0.2.7")
    assert not dovecot.accepts("netty@here.test", "secret", client="198.51.100.1")


@pytest.mark.parametrize(
    ("scheme", "slapd_knows_it"),
    [
        ("ssha", True),
        ("ssha512", True),
        ("crypt-bcrypt", True),
        ("crypt-sha512", True),
        ("blf-crypt", False),
        ("sha512-crypt", False),
        ("plain", False),
    ],
)
def test_password_schemes(dovecot: Dovecot, scheme: str, slapd_knows_it: bool) -> None:
    """Where the directory verifies by a bind its own schemes alone let a user in, else all do."""
    accepted = slapd_knows_it or not dovecot.verifies_by_bind

    assert dovecot.accepts(f"{scheme}@here.test", "secret") == accepted
    assert not dovecot.accepts(f"{scheme}@here.test", "guess")


def test_mailbox(dovecot: Dovecot) -> None:
    """A user's home is in lower case, folder and format are their own, the quota is in bytes."""
    home = "/var/vmail/vmail1/here.test/ann-2026.01.31"

    assert dovecot.mailbox("A.NN@here.test") == Mailbox(
        "ann@here.test", f"{home}/", "maildir", f"{home}/Maildir", 104857600
    )


def test_mailbox_of_other_format(dovecot: Dovecot) -> None:
    """The folder keeps its letter case, the format does not, and no quota is no limit."""
    home = "/var/vmail/vmail1/here.test/emil-2026.01.31"

    assert dovecot.mailbox("emil@here.test") == Mailbox(
        "emil@here.test", f"{home}/", "mdbox", f"{home}/Mails", 0
    )


@pytest.mark.parametrize(
    ("user", "service"),
    [
        ("bob@here.test", "doveadm"),
        ("marked@off.test", "doveadm"),
        ("nobody@here.test", "doveadm"),
        ("sales@here.test", "doveadm"),
        ("ann@here.test", "quota-status"),
    ],
)
def test_no_mailbox(dovecot: Dovecot, user: str, service: str) -> None:
    """Who is disabled, is no user or lacks the service asked for has no mailbox."""
    assert dovecot.mailbox(user, service) is None


def test_all_users(dovecot: Dovecot) -> None:
    """All living users are listed, the catch-all not among them."""
    names = "ann carl dora emil fred gina netty"
    schemes = "ssha ssha512 crypt-bcrypt crypt-sha512 blf-crypt sha512-crypt plain"
    expected = {f"{name}@here.test" for name in f"{names} {schemes}".split()}

    assert dovecot.users() == expected | {"unmarked@off.test", "uma@any.test"}


def test_dovecot_in_a_deep_folder(slapd: Slapd, tmp_path: Path) -> None:
    """Where socket paths would be too long it runs all the same; it stops and starts again."""
    dovecot = Dovecot(tmp_path / ("deep" * 20), slapd.uri, SUFFIX, READER_PASSWORD)
    try:
        for _ in range(2):
            started(dovecot)
            assert dovecot.accepts("ann@here.test", "secret")
            dovecot.stop()
    finally:
        dovecot.stop()

    with pytest.raises(MailServerError):
        dovecot.accepts("ann@here.test", "secret")


def test_dovecot_without_directory(tmp_path: Path) -> None:
    """A directory that does not answer is not taken for a wrong password."""
    dovecot = Dovecot(tmp_path, f"ldap://127.0.0.1:{free_port()}", SUFFIX, READER_PASSWORD)
    try:
        started(dovecot)
        with pytest.raises(MailServerError):
            dovecot.accepts("ann@here.test", "secret")
    finally:
        dovecot.stop()


def values(result: str | None) -> set[str]:
    return set(result.split(",")) if result else set()


def tree() -> Iterator[str]:
    yield record(SUFFIX, "dcObject organization", dc="example", o="example")
    yield record(
        f"cn=vmail,{SUFFIX}", "person shadowAccount", cn="vmail", sn="vmail", uid="vmail",
        userPassword=ssha(READER_PASSWORD),
    )  # fmt: skip
    yield record(DOMAINS, "organization", o="domains")
    yield from domains()
    yield from users()
    yield from groups()
    yield from aliases()


def domains() -> Iterator[str]:
    yield from domain(
        "here.test",
        enabledService="mail domainalias senderbcc recipientbcc",
        domainAliasName="alias.test",
        domainSenderBccAddress="sent@far.test",
        domainRecipientBccAddress="got@far.test",
        senderRelayHost="[out.test]:25",
    )
    yield from domain(
        "off.test",
        accountStatus="disabled",
        enabledService="mail senderbcc recipientbcc",
        domainSenderBccAddress="sent@far.test",
        domainRecipientBccAddress="got@far.test",
        senderRelayHost="[out.test]:25",
    )
    yield from domain("nomail.test", enabledService="domainalias")
    yield from domain(
        "backup.test",
        enabledService="mail domainalias",
        domainAliasName="backup-alias.test",
        domainBackupMX="yes",
        mtaTransport="relay:[mx.far.test]:25",
    )
    yield from domain(
        "any.test",
        domainAliasName="any-alias.test",
        domainSenderBccAddress="sent@far.test",
        domainRecipientBccAddress="got@far.test",
    )
    # A domain of its own that shares the catch-all of another.
    yield from domain("alias.any.test")


def users() -> Iterator[str]:
    yield user(
        "ann@here.test",
        shadowAddress="a.nn@here.test ann@alias.test both@here.test",
        homeDirectory="/var/vmail/vmail1/here.test/ann-2026.01.31/",
        mailQuota="104857600",
        mtaTransport="lmtp:inet:127.0.0.1:24",
        memberOfGroup="team@here.test",
        userSenderBccAddress="sent-by-ann@far.test",
        userRecipientBccAddress="got-by-ann@far.test",
        senderRelayHost="[out.ann.test]:587",
    )
    yield user(
        "bob@here.test",
        accountStatus="disabled",
        mtaTransport="smtp:[bob.test]",
        memberOfGroup="team@here.test",
        userSenderBccAddress="sent-by-bob@far.test",
    )
    yield user("carl@here.test", mailForwardingAddress="dora@here.test x@far.test")
    yield user("dora@here.test", mailForwardingAddress="dora@here.test x@far.test")
    yield user(
        "emil@here.test",
        enabledService="mail deliver smtp doveadm",
        mailForwardingAddress="x@far.test",
        shadowAddress="both@here.test",
        mailboxFormat="MDBOX",
        mailboxFolder="Mails",
    )
    yield user(
        "fred@here.test",
        enabledService="mail smtp forward",
        mailForwardingAddress="x@far.test",
        userSenderBccAddress="sent-by-fred@far.test",
        userRecipientBccAddress="got-by-fred@far.test",
    )
    yield user(
        "gina@here.test",
        enabledService="mail deliver imaptls",
        shadowAddress="g@here.test",
        memberOfGroup="inner@here.test closed@here.test ghost@here.test",
    )
    yield user("netty@here.test", allowNets="127.0.0.1,192.0.2.0/24")
    for scheme, stored in (
        ("ssha", ssha("secret")),
        ("ssha512", ssha512("secret")),
        ("crypt-bcrypt", "{CRYPT}" + BCRYPT),
        ("crypt-sha512", "{CRYPT}" + SHA512_CRYPT),
        ("blf-crypt", "{BLF-CRYPT}" + BCRYPT),
        ("sha512-crypt", "{SHA512-CRYPT}" + SHA512_CRYPT),
        ("plain", "{PLAIN}secret"),
    ):
        yield user(f"{scheme}@here.test", userPassword=stored)
    yield user("marked@off.test", domainStatus="disabled")
    yield user("unmarked@off.test")
    yield user("uma@any.test")
    yield user("off@any.test", accountStatus="disabled")
    yield record(
        f"mail=@any.test,ou=Users,domainName=any.test,{DOMAINS}",
        "inetOrgPerson mailUser",
        mail="@any.test",
        cn="catch-all",
        sn="catch-all",
        uid="catch-all",
        accountStatus="active",
        mailForwardingAddress="caught@far.test uma@any.test",
        shadowAddress="@alias.any.test",
    )


def groups() -> Iterator[str]:
    yield group("team@here.test")
    yield group("inner@here.test", memberOfGroup="team@here.test")
    yield group("closed@here.test", accountStatus="disabled")
    yield group(
        "news@here.test",
        enabledService="mail deliver mlmmj",
        mtaTransport="mlmmj:here.test/news",
    )
    yield group("silent@here.test", enabledService="mail deliver mlmmj")
    yield record(
        f"memberOfGroup=team@here.test,ou=Externals,domainName=here.test,{DOMAINS}",
        "mailExternalUser",
        memberOfGroup="team@here.test",
        mail="x@far.test y@far.test",
        shadowAddress="team@alias.test",
        accountStatus="active",
        enabledService="mail deliver",
    )


def aliases() -> Iterator[str]:
    yield alias(
        "sales@here.test",
        shadowAddress="sales@alias.test",
        mailForwardingAddress="ann@here.test gina@here.test z@far.test",
        memberOfGroup="team@here.test",
    )
    yield alias("vain@here.test", mailForwardingAddress="bob@here.test")
    yield alias("empty@here.test")
    yield alias("round@here.test", mailForwardingAddress="trip@here.test")
    yield alias("trip@here.test", mailForwardingAddress="round@here.test")


def domain(name: str, **attributes: str) -> Iterator[str]:
    dn = f"domainName={name},{DOMAINS}"
    usual = {"accountStatus": "active", "enabledService": "mail", "mtaTransport": "dovecot"}
    yield record(dn, "mailDomain", domainName=name, **(usual | attributes))
    for unit in ("Users", "Groups", "Aliases", "Externals"):
        yield record(f"ou={unit},{dn}", "organizationalUnit", ou=unit)


def user(mail: str, **attributes: str) -> str:
    local, _, domain = mail.partition("@")
    usual = {
        "enabledService": USER_SERVICES,
        "homeDirectory": f"/var/vmail/vmail1/{domain}/{local}-2026.01.31/",
        "userPassword": ssha("secret"),
    }
    names = dict.fromkeys(("cn", "sn", "uid"), local)
    return account(mail, "Users", "inetOrgPerson mailUser", **names, **(usual | attributes))


def group(mail: str, **attributes: str) -> str:
    return account(mail, "Groups", "mailList", **attributes)


def alias(mail: str, **attributes: str) -> str:
    return account(mail, "Aliases", "mailAlias", **attributes)


def account(mail: str, unit: str, classes: str, **attributes: str) -> str:
    domain = mail.partition("@")[2]
    usual = {"accountStatus": "active", "enabledService": "mail deliver"}
    dn = f"mail={mail},ou={unit},domainName={domain},{DOMAINS}"
    return record(dn, classes, mail=mail, **(usual | attributes))


def record(dn: str, classes: str, **attributes: str) -> str:
    """Write an entry; several values of an attribute are separated by spaces."""
    lines = [f"dn: {dn}", *(f"objectClass: {word}" for word in classes.split())]
    for name, text in attributes.items():
        lines += [f"{name}: {value}" for value in text.split()]
    return "\n".join([*lines, ""])


def ssha(password: str) -> str:
    digest = hashlib.sha1(password.encode() + SALT).digest()
    return "{SSHA}" + base64.b64encode(digest + SALT).decode()


def ssha512(password: str) -> str:
    digest = hashlib.sha512(password.encode() + SALT).digest()
    return "{SSHA512}" + base64.b64encode(digest + SALT).decode()
