"""Attributes of a new mail user, and modifications of one.

Source: iRedMail's directory, mail user.
"""

from collections.abc import Iterable, Mapping
from datetime import date

from iredldap.dit import mail_names, settings
from iredldap.dit.entry import Entry, distinct, encoded
from iredldap.dit.fields import FieldChange
from iredldap.dit.modlist import new_attributes, service_mods
from iredldap.dit.plan import Mod, Op
from iredldap.dit.user import ROLE, is_global_admin

SERVICES = (
    "internal", "doveadm", "lib-storage", "indexer-worker", "dsync", "quota-status",
    "mail", "smtp", "smtpsecured", "smtptls",
    "pop3", "pop3secured", "pop3tls", "imap", "imapsecured", "imaptls",
    "managesieve", "managesievesecured", "managesievetls", "sieve", "sievesecured", "sievetls",
    "deliver", "lda", "lmtp", "recipientbcc", "senderbcc", "forward", "shadowaddress",
    "displayedInGlobalAddressBook", "sogo", "sogowebmail", "sogocalendar", "sogoactivesync",
)  # fmt: skip


_WITHHELD = {
    # One word of the domain's setting means all words of the same service: those for a
    # connection that turns to TLS, and `sieve`, as managesieve calls itself.
    "smtpsecured": {"smtpsecured", "smtptls"},
    "pop3secured": {"pop3secured", "pop3tls"},
    "imapsecured": {"imapsecured", "imaptls"},
    "managesieve": {"managesieve", "sieve"},
    "managesievesecured": {"managesievesecured", "managesievetls", "sievesecured", "sievetls"},
    "sogo": {"sogo", "sogowebmail", "sogocalendar", "sogoactivesync"},
}


_EPOCH = date(1970, 1, 1)


def new(
    mail: str, changes: Iterable[FieldChange], given: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[bytes, ...]]:
    """Make the attributes of a new user.

    Args:
        mail: Address.
        changes: Parameters that were sent; they win.
        given: Defaults of the domain and the server; empty: no attribute.
    """
    local = mail_names.local_part(mail)
    # mailUser is auxiliary and needs a structural class; inetOrgPerson demands cn and sn.
    attributes: dict[str, tuple[str, ...]] = {
        "objectClass": ("inetOrgPerson", "mailUser", "shadowAccount", "amavisAccount"),
        "mail": (mail,),
        "cn": (local,),
        "sn": (local,),
        # Required by mailUser; iRedMail's tools write the local part.
        "uid": (local,),
        "accountStatus": ("active",),
        # No program of iRedMail reads it today; every writer of iRedMail sets it, in upper case.
        "amavisLocal": ("TRUE",),
        # Parameters after defaults: a later key of the same name wins.
        **given,
        **new_attributes(changes),
    }
    return {name: encoded(values) for name, values in attributes.items() if values}


def services(
    withheld: Iterable[str], additional: Iterable[str], disabled: Iterable[str]
) -> list[str]:
    """Return the services of a new user.

    Args:
        withheld: The domain's `disabledMailService`; a word takes its other spellings along.
        additional: The server's own words.
        disabled: Words that the server does not give.
    """
    off = {word for name in withheld for word in _WITHHELD.get(name, {name})}
    off |= {word.lower() for word in disabled}
    return [word for word in distinct((*SERVICES, *additional)) if word.lower() not in off]


def promotion(entry: Entry) -> tuple[Mod, ...]:
    """Return the modifications that make a mail user a global admin, without limits."""
    # Limits left behind would be in effect again after a demotion.
    # By value, as other settings of the user are packed into the same attribute.
    limits = tuple(v for v in entry.values(settings.ATTRIBUTE) if v.startswith(b"create_"))
    return (
        *(() if is_global_admin(entry) else (Mod(Op.REPLACE, "domainGlobalAdmin", (b"yes",)),)),
        *service_mods({ROLE: True}, entry),
        *((Mod(Op.DELETE, settings.ATTRIBUTE, limits),) if limits else ()),
    )


def demotion(entry: Entry, *, manages: bool) -> tuple[Mod, ...]:
    """Return the modifications that make a global admin an ordinary mail user.

    Args:
        entry: The user.
        manages: Whether a domain names the user as its admin: then they go on as a normal one.
    """
    if not is_global_admin(entry):
        return ()
    return (
        # Removed rather than set to `no`: iRedMail's own tools leave it out for mail users.
        Mod(Op.REPLACE, "domainGlobalAdmin"),
        *(() if manages else service_mods({ROLE: False}, entry)),
    )


def new_password(entry: Entry, stored_as: str, today: date) -> tuple[Mod, ...]:
    """Return the modifications that replace all passwords of a mail user.

    Args:
        entry: The user.
        stored_as: The hash.
        today: The day to remember.
    """
    dated = entry.has("objectClass", "shadowAccount")
    return (
        # Without this class the directory has no place for the day.
        *(() if dated else (Mod(Op.ADD, "objectClass", (b"shadowAccount",)),)),
        *dated_password(stored_as, today),
    )


def dated_password(stored_as: str, today: date) -> tuple[Mod, ...]:
    """Return the modifications that replace all passwords of an admin or user, with the day."""
    return (
        # The one place where all values are replaced: a second password, added by another tool,
        # would go on opening the mailbox.
        Mod(Op.REPLACE, "userPassword", encoded([stored_as])),
        Mod(Op.REPLACE, "shadowLastChange", encoded([days_since_epoch(today)])),
    )


def lasting_services(entry: Entry) -> set[str]:
    """Return the services that stay on whatever set of services is asked for."""
    # The role follows the rights, and Dovecot accepts further addresses only with its service.
    bound = {ROLE} | ({"shadowaddress"} if entry.values("shadowAddress") else set())
    # Only what the entry has: the set that was sent adds no right by itself.
    return bound & entry.lowered("enabledService")


def names_in(domains: Iterable[str], mail: str) -> set[str]:
    """Return the names of an account in alias domains: they belong to these, not to the account."""
    return {f"{mail_names.local_part(mail)}@{domain}" for domain in domains}


def days_since_epoch(today: date) -> str:
    """Return the day of a password change, as `shadowLastChange` has it."""
    # Days since 1970, RFC 2307.
    return str((today - _EPOCH).days)
