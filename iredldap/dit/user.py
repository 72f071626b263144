"""Rows of a mail user, and a newly made one.

Source: REST API reference, "Create a new mail user"; iRedMail's directory, mail user.
"""

from collections.abc import Iterable, Mapping
from datetime import date

from iredldap.dit import kinds, names
from iredldap.dit.entry import Entry, distinct, encoded
from iredldap.dit.fields import Attribute, Change, Elsewhere, Field, Table, stored
from iredldap.errors import WeakPassword

SERVICES = (
    "internal", "doveadm", "lib-storage", "indexer-worker", "dsync", "quota-status",
    "mail", "smtp", "smtpsecured", "smtptls",
    "pop3", "pop3secured", "pop3tls", "imap", "imapsecured", "imaptls",
    "managesieve", "managesievesecured", "managesievetls", "sieve", "sievesecured", "sievetls",
    "deliver", "lda", "lmtp", "recipientbcc", "senderbcc", "forward", "shadowaddress",
    "displayedInGlobalAddressBook", "sogo", "sogowebmail", "sogocalendar", "sogoactivesync",
)  # fmt: skip

_WITHHELD = {
    "smtpsecured": {"smtpsecured", "smtptls"},
    "pop3secured": {"pop3secured", "pop3tls"},
    "imapsecured": {"imapsecured", "imaptls"},
    "managesieve": {"managesieve", "sieve"},
    "managesievesecured": {"managesievesecured", "managesievetls", "sievesecured", "sievetls"},
    "sogo": {"sogo", "sogowebmail", "sogocalendar", "sogoactivesync"},
}

_EPOCH = date(1970, 1, 1)

PASSWORD = Field(
    name="password",
    stored_as=Elsewhere("userPassword, shadowLastChange"),
    kind=kinds.PASSWORD,
    meaning="New password in clear text; the rules of the domain and the server apply.",
    required=True,
    missing=lambda: WeakPassword("PW_EMPTY"),
    conflicts_with=("password_hash",),
)

CREATE: Table = (
    Field(
        name="name",
        aliases=("cn",),
        stored_as=Attribute("cn"),
        kind=kinds.TEXT,
        meaning="Display name; the local part of the address where none is given.",
    ),
    PASSWORD,
    Field(
        name="language",
        aliases=("preferredLanguage",),
        stored_as=Attribute("preferredLanguage"),
        kind=kinds.LANGUAGE,
        meaning="Language that the user sees; one that is not installed is ignored.",
    ),
    Field(
        name="quota",
        aliases=("mailQuota",),
        stored_as=Attribute("mailQuota", zero_is_absent=True),
        kind=kinds.MEGABYTES_AS_BYTES,
        meaning="Mailbox size in MB; without it or 0: what the domain gives to new users.",
    ),
    Field(
        name="password_hash",
        stored_as=Elsewhere("userPassword"),
        kind=kinds.PASSWORD_HASH,
        meaning="Ready-made hash with its {SCHEME}, of a scheme that the directory verifies; the"
        " password rules do not apply.",
        conflicts_with=("password",),
        era="later",
    ),
    Field(
        name="mailboxFormat",
        stored_as=Attribute("mailboxFormat"),
        kind=kinds.MAILBOX_FORMAT,
        meaning="Storage format of the mailbox.",
        default="maildir",
        era="later",
    ),
    Field(
        name="mailboxFolder",
        stored_as=Attribute("mailboxFolder"),
        kind=kinds.MAILBOX_FOLDER,
        meaning="Folder below the mailbox path, 1 to 20 letters or digits, letter case kept.",
        default="Maildir",
        era="later",
    ),
    Field(
        name="maildir",
        stored_as=Attribute("homeDirectory"),
        kind=kinds.MAILBOX_PATH,
        meaning="Mailbox path, absolute, stored in lower case; a normal admin's lies below the"
        " directory of the domain.",
        era="later",
    ),
)


def new(
    mail: str, changes: Iterable[Change], given: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[bytes, ...]]:
    """Make the attributes of a new user.

    Args:
        mail: Address.
        changes: What was asked for; it wins.
        given: What the domain and the server give where nothing was; empty: no attribute.
    """
    local = names.local_part(mail)
    attributes: dict[str, tuple[str, ...]] = {
        "objectClass": ("inetOrgPerson", "mailUser", "shadowAccount", "amavisAccount"),
        "mail": (mail,),
        "cn": (local,),
        "sn": (local,),
        "uid": (local,),
        "accountStatus": ("active",),
        "amavisLocal": ("TRUE",),
        **given,
        **stored(changes),
    }
    return {name: encoded(values) for name, values in attributes.items() if values}


def services(
    withheld: Iterable[str], additional: Iterable[str], disabled: Iterable[str]
) -> list[str]:
    """The services of a new user.

    Args:
        withheld: The domain's `disabledMailService`; a word takes its other spellings along.
        additional: The server's own words.
        disabled: Words that the server does not give.
    """
    off = {word for name in withheld for word in _WITHHELD.get(name, {name})}
    off |= {word.lower() for word in disabled}
    return [word for word in distinct((*SERVICES, *additional)) if word.lower() not in off]


def is_global_admin(entry: Entry) -> bool:
    return entry.has("domainGlobalAdmin", "yes")


def days_since_epoch(today: date) -> str:
    """The day of a password change, as `shadowLastChange` has it."""
    return str((today - _EPOCH).days)
