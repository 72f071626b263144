"""What the API writes makes Postfix take mail in and Dovecot let its owner read it."""

from collections.abc import Iterator

import bcrypt
import pytest

from iredldap.dit import passwords
from iredldap.embedded.slapd import Slapd
from tests.support.client import Client, done
from tests.support.dovecot_dialects import Mailbox
from tests.support.mailservers import Dovecot, Postfix, Security
from tests.support.patience import started
from tests.support.world import READER_PASSWORD, SUFFIX, World

DOMAIN = "corp.test"
ANN = f"ann@{DOMAIN}"
PASSWORD = "a good Passw0rd"


@pytest.fixture(scope="module")
def postfix(slapd: Slapd, tmp_path_factory: pytest.TempPathFactory) -> Postfix:
    return Postfix(tmp_path_factory.mktemp("postfix"), slapd.uri, SUFFIX, READER_PASSWORD)


@pytest.fixture(scope="module")
def dovecot(slapd: Slapd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dovecot]:
    dovecot = Dovecot(tmp_path_factory.mktemp("dovecot"), slapd.uri, SUFFIX, READER_PASSWORD)
    started(dovecot)
    yield dovecot
    dovecot.stop()


@pytest.fixture
def ann(api: Client) -> str:
    """A mail user with 100 MB in a domain of her own."""
    done(api.post(f"/api/domain/{DOMAIN}"))
    done(api.post(f"/api/user/{ANN}", password=PASSWORD, quota=100))
    return ANN


def assert_alive(postfix: Postfix, dovecot: Dovecot, mail: str) -> None:
    """Insist that mail for a user arrives, and that they log in and send."""
    assert postfix.recipients(mail) == {mail}
    assert postfix.lookup("virtual_mailbox_maps", mail)
    assert postfix.lookup("sender_login_maps", mail) == mail
    assert dovecot.accepts(mail, PASSWORD)
    assert dovecot.mailbox(mail)
    assert mail in dovecot.users()


def assert_dead(postfix: Postfix, dovecot: Dovecot, mail: str) -> None:
    """Insist that no look-up finds a user."""
    assert postfix.recipients(mail) == set()
    for name in (
        "virtual_mailbox_maps",
        "virtual_alias_maps",
        "virtual_group_maps",
        "virtual_group_members_maps",
        "sender_login_maps",
        "transport_maps_user",
    ):
        assert postfix.lookup(name, mail) is None, name
    assert not dovecot.accepts(mail, PASSWORD)
    assert dovecot.mailbox(mail) is None
    assert mail not in dovecot.users()


def assert_unknown(postfix: Postfix, domain: str) -> None:
    """Insist that Postfix takes no mail for a domain."""
    assert not postfix.knows_domain(domain)
    assert postfix.lookup("transport_maps_domain", domain) is None


def test_new_domain(api: Client, postfix: Postfix) -> None:
    """A new domain has mailboxes and the server's transport; before, it is unknown."""
    assert_unknown(postfix, DOMAIN)

    done(api.post("/api/domain/Corp.TEST"))

    assert postfix.lookup("virtual_mailbox_domains", DOMAIN) == DOMAIN
    assert postfix.lookup("relay_domains", DOMAIN) is None
    assert postfix.lookup("transport_maps_domain", DOMAIN) == "dovecot"
    assert postfix.recipients(f"nobody@{DOMAIN}") == set()


def test_transport_of_a_domain(api: Client, postfix: Postfix) -> None:
    """The transport asked for is the one that Postfix takes."""
    done(api.post(f"/api/domain/{DOMAIN}", transport="lmtp:inet:127.0.0.1:24"))
    assert postfix.lookup("transport_maps_domain", DOMAIN) == "lmtp:inet:127.0.0.1:24"

    done(api.put(f"/api/domain/{DOMAIN}", transport="dovecot"))
    assert postfix.lookup("transport_maps_domain", DOMAIN) == "dovecot"


def test_new_user_gets_mail(world: World, ann: str, postfix: Postfix) -> None:
    """Postfix finds the mailbox of a new user, delivers to it, and lets the user send."""
    (home,) = world.attributes(world.tree.user(ann))["homeDirectory"]

    assert postfix.lookup("virtual_mailbox_maps", ann) == f"{home}/Maildir/"
    assert postfix.lookup("virtual_group_members_maps", ann) == ann
    assert postfix.lookup("virtual_alias_maps", ann) is None
    assert postfix.lookup("virtual_group_maps", ann) is None
    assert postfix.lookup("sender_login_maps", ann) == ann
    assert postfix.recipients(ann.upper()) == {ann}


def test_a_deleted_user_who_comes_back_gets_mail_again(
    api: Client, world: World, ann: str, postfix: Postfix, dovecot: Dovecot
) -> None:
    """Also through those who forward to them, in the same mailbox, with the same password."""
    done(api.post(f"/api/alias/team@{DOMAIN}", members=ann))
    (home,) = world.attributes(world.tree.user(ann))["homeDirectory"]
    deleted = done(api.delete(f"/api/user/{ann}/keep_mailbox_days/7"))
    assert_dead(postfix, dovecot, ann)

    answer = api.post(f"/api/changes/{deleted.headers['X-Change-Id']}/undo")

    assert answer.json() == {"_success": True, "_data": {"left_alone": []}}
    assert_alive(postfix, dovecot, ann)
    assert postfix.lookup("virtual_mailbox_maps", ann) == f"{home}/Maildir/"
    assert postfix.recipients(f"team@{DOMAIN}") == {ann}


@pytest.mark.parametrize("secured", ["", "secured", "tls"])
def test_new_user_logs_in(ann: str, dovecot: Dovecot, secured: Security) -> None:
    """With the password given, by every protocol, secured or not; with no other one."""
    for service in ("imap", "pop3", "smtp", "sieve"):
        assert dovecot.accepts(ann, PASSWORD, service, secured), service
    assert not dovecot.accepts(ann, PASSWORD.lower(), "imap", secured)


@pytest.mark.parametrize("service", ["lmtp", "lda", "doveadm", "quota-status", "indexer-worker"])
def test_new_users_mailbox(world: World, ann: str, dovecot: Dovecot, service: str) -> None:
    """Dovecot's own services find the home as it is stored, the Maildir and the quota."""
    (home,) = world.attributes(world.tree.user(ann))["homeDirectory"]

    assert dovecot.mailbox(ann, service) == Mailbox(
        ann, home, "maildir", f"{home}Maildir", 100 * 1024 * 1024
    )


def test_mailbox_as_asked_for(api: Client, ann: str, dovecot: Dovecot) -> None:
    """Path, format and folder reach Dovecot; without a quota there is no limit."""
    bob = f"bob@{DOMAIN}"
    done(
        api.post(
            f"/api/user/{bob}",
            password=PASSWORD,
            maildir="/srv/mail/Bob/",
            mailboxFormat="mdbox",
            mailboxFolder="Mails",
        )
    )

    assert dovecot.mailbox(bob) == Mailbox(bob, "/srv/mail/bob/", "mdbox", "/srv/mail/bob/Mails", 0)


@pytest.mark.parametrize("scheme", ["SSHA", "SSHA512"])
def test_salted_password_hash(api: Client, ann: str, dovecot: Dovecot, scheme: str) -> None:
    """A user with a ready-made salted hash logs in with its password and no other."""
    bob = f"bob@{DOMAIN}"
    stored = passwords.hashed(PASSWORD, scheme, b"8 bytes.")

    done(api.post(f"/api/user/{bob}", password_hash=stored))

    assert dovecot.accepts(bob, PASSWORD)
    assert not dovecot.accepts(bob, stored)


@pytest.mark.parametrize("prefix", ["{CRYPT}", "{crypt}", "{BLF-CRYPT}"])
def test_bcrypt_password_hash(api: Client, ann: str, dovecot: Dovecot, prefix: str) -> None:
    """So does one with a bcrypt hash, also under the name that Dovecot knows and slapd does not."""
    bob = f"bob@{DOMAIN}"
    stored = prefix + bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()

    done(api.post(f"/api/user/{bob}", password_hash=stored))

    assert dovecot.accepts(bob, PASSWORD)
    assert not dovecot.accepts(bob, stored)


def test_password_in_clear_is_stored_salted(world: World, ann: str) -> None:
    """So Ann's logins in the other tests are by {SSHA512}."""
    (stored,) = world.attributes(world.tree.user(ann))["userPassword"]

    assert stored.startswith("{SSHA512}")


def test_disabled_domain(api: Client, ann: str, postfix: Postfix, dovecot: Dovecot) -> None:
    """A domain that is disabled is gone with all its users; enabled again all are back."""
    assert_alive(postfix, dovecot, ann)

    done(api.put(f"/api/domain/{DOMAIN}", accountStatus="disabled"))
    assert_unknown(postfix, DOMAIN)
    assert_dead(postfix, dovecot, ann)

    done(api.put(f"/api/domain/{DOMAIN}", accountStatus="active"))
    assert postfix.lookup("virtual_mailbox_domains", DOMAIN) == DOMAIN
    assert postfix.lookup("transport_maps_domain", DOMAIN) == "dovecot"
    assert_alive(postfix, dovecot, ann)


def test_user_born_in_a_disabled_domain(
    api: Client, ann: str, postfix: Postfix, dovecot: Dovecot
) -> None:
    """A user who is created while the domain is disabled awakes with the others."""
    late = f"late@{DOMAIN}"
    done(api.put(f"/api/domain/{DOMAIN}", accountStatus="disabled"))

    done(api.post(f"/api/user/{late}", password=PASSWORD))
    assert_dead(postfix, dovecot, late)

    done(api.put(f"/api/domain/{DOMAIN}", accountStatus="active"))
    assert_alive(postfix, dovecot, late)


def test_disabled_user(world: World, ann: str, postfix: Postfix, dovecot: Dovecot) -> None:
    """A user whom somebody disabled in the directory is gone, and the domain stays."""
    world.set(world.tree.user(ann), accountStatus="disabled")

    assert_dead(postfix, dovecot, ann)
    assert postfix.knows_domain(DOMAIN)

    world.set(world.tree.user(ann), accountStatus="active")
    assert_alive(postfix, dovecot, ann)


def test_disabled_user_in_an_enabled_domain(
    api: Client, world: World, ann: str, postfix: Postfix, dovecot: Dovecot
) -> None:
    """Enabling a domain does not enable a user who was disabled on their own."""
    world.set(world.tree.user(ann), accountStatus="disabled")

    for status in ("disabled", "active"):
        done(api.put(f"/api/domain/{DOMAIN}", accountStatus=status))

    assert_dead(postfix, dovecot, ann)


def test_copies_of_a_domain(api: Client, postfix: Postfix) -> None:
    """Copies go to the addresses given, until they are taken away or the domain is disabled."""
    sender, recipient = "sender_bcc_maps_domain", "recipient_bcc_maps_domain"
    done(api.post(f"/api/domain/{DOMAIN}", senderBcc="sent@far.test", recipientBcc="got@far.test"))
    assert postfix.lookup(sender, ANN) == "sent@far.test"
    assert postfix.lookup(recipient, ANN) == "got@far.test"

    done(api.put(f"/api/domain/{DOMAIN}", accountStatus="disabled"))
    assert postfix.lookup(sender, ANN) is None
    assert postfix.lookup(recipient, ANN) is None

    done(api.put(f"/api/domain/{DOMAIN}", accountStatus="active", senderBcc=""))
    assert postfix.lookup(sender, ANN) is None
    assert postfix.lookup(recipient, ANN) == "got@far.test"

    done(api.put(f"/api/domain/{DOMAIN}", senderBcc="other@far.test", recipientBcc=""))
    assert postfix.lookup(sender, ANN) == "other@far.test"
    assert postfix.lookup(recipient, ANN) is None


def test_no_copies_unless_asked_for(ann: str, postfix: Postfix) -> None:
    """A new domain and a new user have no copies and no relay host."""
    for name in ("sender_bcc_maps", "recipient_bcc_maps", "sender_dependent_relayhost_maps"):
        assert postfix.lookup(f"{name}_user", ann) is None
        assert postfix.lookup(f"{name}_domain", ann) is None


@pytest.mark.parametrize("primary", ["mx.far.test", "[mx.far.test]:25", "[192.0.2.1]"])
def test_backup_mx(api: Client, postfix: Postfix, primary: str) -> None:
    """A backup MX relays to the primary one and has no mailboxes, until it is none any more."""
    done(api.post(f"/api/domain/{DOMAIN}"))

    done(api.put(f"/api/domain/{DOMAIN}", is_backupmx="yes", primarymx=primary))
    assert postfix.lookup("virtual_mailbox_domains", DOMAIN) is None
    assert postfix.lookup("relay_domains", DOMAIN) == DOMAIN
    assert postfix.lookup("transport_maps_domain", DOMAIN) == f"relay:{primary}"
    assert postfix.recipients(f"whoever@{DOMAIN}") == {f"whoever@{DOMAIN}"}

    done(api.put(f"/api/domain/{DOMAIN}", is_backupmx="no"))
    assert postfix.lookup("virtual_mailbox_domains", DOMAIN) == DOMAIN
    assert postfix.lookup("relay_domains", DOMAIN) is None
    assert postfix.lookup("transport_maps_domain", DOMAIN) == "dovecot"


def test_disabled_backup_mx(api: Client, postfix: Postfix) -> None:
    """Nothing is relayed for a backup MX that is disabled."""
    done(api.post(f"/api/domain/{DOMAIN}"))
    done(api.put(f"/api/domain/{DOMAIN}", is_backupmx="yes", primarymx="mx.far.test"))

    done(api.put(f"/api/domain/{DOMAIN}", accountStatus="disabled"))

    assert_unknown(postfix, DOMAIN)


def test_deleted_user(api: Client, ann: str, postfix: Postfix, dovecot: Dovecot) -> None:
    """A deleted user is gone, and so is every forwarding to them; others stay."""
    bob = f"bob@{DOMAIN}"
    done(api.post(f"/api/user/{bob}", password=PASSWORD))

    done(api.delete(f"/api/user/{ann}"))

    assert_dead(postfix, dovecot, ann)
    assert_alive(postfix, dovecot, bob)


def test_forwarding_to_a_deleted_user(
    api: Client, world: World, ann: str, postfix: Postfix
) -> None:
    """Who forwarded to a deleted user still gets their own copy, and no mail is lost."""
    bob = f"bob@{DOMAIN}"
    done(api.post(f"/api/user/{bob}", password=PASSWORD))
    world.set(world.tree.user(bob), mailForwardingAddress=[bob, ann, "x@far.test"])
    assert postfix.recipients(bob) == {bob, ann, "x@far.test"}

    done(api.delete(f"/api/user/{ann}"))

    targets = postfix.lookup("virtual_alias_maps", bob)
    assert targets is not None
    assert set(targets.split(",")) == {bob, "x@far.test"}


def test_deleted_domain(api: Client, ann: str, postfix: Postfix, dovecot: Dovecot) -> None:
    """A deleted domain is gone with all its users, and may come back empty."""
    done(api.delete(f"/api/domain/{DOMAIN}"))

    assert_unknown(postfix, DOMAIN)
    assert_dead(postfix, dovecot, ann)

    done(api.post(f"/api/domain/{DOMAIN}"))
    assert postfix.knows_domain(DOMAIN)
    assert_dead(postfix, dovecot, ann)
