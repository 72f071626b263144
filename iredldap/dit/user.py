"""Rows of a mail user, and a newly made one.

Source: REST API reference, "Create a new mail user", "Update a mail user"; iRedMail's directory,
mail user.
"""

from iredldap.dit import kinds
from iredldap.dit.entry import Entry
from iredldap.dit.fields import (
    Elsewhere,
    Field,
    FieldChange,
    StoredAttribute,
    Table,
    Verb,
    list_rows,
)
from iredldap.errors import EmptyPassword, WeakPassword

ROLE = "domainadmin"
"""Service of a mail user who is an admin; it is set and removed with the role alone."""

_NAME = Field(
    name="name",
    aliases=("cn",),
    stored_as=StoredAttribute("cn"),
    kind=kinds.TEXT,
    meaning="Display name.",
    by_self=True,
)
PASSWORD = Field(
    name="password",
    stored_as=Elsewhere("userPassword, shadowLastChange"),
    kind=kinds.PASSWORD,
    meaning="New password in clear text; the rules of the domain and the server apply.",
    required=True,
    missing=lambda: WeakPassword("PW_EMPTY"),
    conflicts_with=("password_hash",),
)
_NEW_PASSWORD = PASSWORD.but(kind=kinds.NEW_PASSWORD, required=False, by_self=True)
_LANGUAGE = Field(
    name="language",
    aliases=("preferredLanguage",),
    stored_as=StoredAttribute("preferredLanguage"),
    kind=kinds.LANGUAGE,
    meaning="Language that the user sees; one that is not installed is ignored.",
    empty="that of the programs",
    by_self=True,
)
_QUOTA = Field(
    name="quota",
    aliases=("mailQuota",),
    older_kind=kinds.MEGABYTES_OR_STORED_BYTES,
    stored_as=StoredAttribute("mailQuota", zero_is_absent=True),
    kind=kinds.MEGABYTES_AS_BYTES,
    meaning="Mailbox size in MB; 0: unlimited, where the domain has no limit of its own.",
)
_PASSWORD_HASH = Field(
    name="password_hash",
    stored_as=Elsewhere("userPassword"),
    kind=kinds.PASSWORD_HASH,
    meaning="Ready-made hash with its {SCHEME}, of a scheme that the directory verifies; the"
    " password rules do not apply.",
    conflicts_with=("password",),
    era="later",
)
SEALED_PASSWORD = _PASSWORD_HASH.but(
    meaning="Hash of a password that was sent in clear text, where the request is written down.",
    conflicts_with=(),
    by_self=True,
)
_MAILBOX: Table = (
    Field(
        name="mailboxFormat",
        stored_as=StoredAttribute("mailboxFormat"),
        kind=kinds.MAILBOX_FORMAT,
        meaning="Storage format of the mailbox.",
        default="maildir",
        era="later",
    ),
    Field(
        name="mailboxFolder",
        stored_as=StoredAttribute("mailboxFolder"),
        kind=kinds.MAILBOX_FOLDER,
        meaning="Folder below the mailbox path, 1 to 20 letters or digits, letter case kept.",
        default="Maildir",
        era="later",
    ),
    Field(
        name="maildir",
        stored_as=StoredAttribute("homeDirectory"),
        kind=kinds.MAILBOX_PATH,
        meaning="Mailbox path, absolute, stored in lower case; a normal admin's lies below the"
        " directory of the domain. It neither is, holds nor lies in that of another account; a"
        " global admin may name the very path of another one, with which the mailbox is then"
        " shared (`X-Shared-Mailbox`). No mail is moved.",
        era="later",
    ),
)

CREATE: Table = (
    _NAME.but(
        meaning="Display name; the local part of the address where none is given.", by_self=False
    ),
    PASSWORD,
    _LANGUAGE.but(by_self=False, empty=None),
    _QUOTA.but(meaning="Mailbox size in MB; without it or 0: the domain's default for new users."),
    _PASSWORD_HASH,
    *_MAILBOX,
)

_STATUS = Field(
    name="accountStatus",
    stored_as=StoredAttribute("accountStatus"),
    kind=kinds.STATUS,
    meaning="Switches the user on (active) or off (disabled).",
)
_TRANSPORT = Field(
    name="transport",
    stored_as=StoredAttribute("mtaTransport"),
    kind=kinds.TRANSPORT,
    meaning="Postfix transport that delivers mail for the user, instead of the domain's.",
    empty="that of the domain again",
    profile="relay",
)
_FORWARDING, _ADD_FORWARDING, _REMOVE_FORWARDING = list_rows(
    Field(
        name="forwarding",
        stored_as=StoredAttribute("mailForwardingAddress", many=True),
        kind=kinds.ADDRESSES,
        meaning="Addresses that get the user's mail, the own one among them for a copy in the"
        " mailbox. Those of the domain that do not exist are ignored.",
        empty="no forwarding",
        needs="forward",
        profile="forwarding",
        by_self=True,
    ),
    "Forwarding",
    "Addresses that get the user's mail too; the own one keeps a copy in the mailbox.",
    "Addresses that get the user's mail no more.",
)
_ALIASES, _ADD_ALIAS, _REMOVE_ALIAS = list_rows(
    Field(
        name="aliases",
        stored_as=StoredAttribute(
            "shadowAddress", many=True, service="shadowaddress", service_stays=True
        ),
        kind=kinds.ACCOUNTS,
        meaning="Further addresses of the user, in the user's domain or its alias domains; those"
        " that another account has are ignored. The user's name in an alias domain belongs to that"
        " domain and stays.",
        empty="no further addresses",
        profile="aliases",
    ),
    "Alias",
    "Further addresses to give to the user.",
    "Further addresses to take from the user.",
)
_SERVICES, _ADD_SERVICE, _REMOVE_SERVICE = list_rows(
    Field(
        name="services",
        stored_as=StoredAttribute("enabledService", many=True),
        kind=kinds.SERVICES,
        meaning="Services that are on; all others are switched off. What belongs to a role"
        " (domainadmin) is neither given nor taken here, and shadowaddress stays while there are"
        " further addresses.",
        era="later",
    ),
    "Service",
    "Services to switch on, also words of your own.",
    "Services to switch off.",
)

UPDATE: Table = (
    _NAME,
    _NEW_PASSWORD,
    _QUOTA,
    _STATUS,
    _LANGUAGE,
    _TRANSPORT,
    _FORWARDING,
    _ALIASES,
    _ADD_ALIAS,
    _REMOVE_ALIAS.but(kind=kinds.ADDRESSES),
    Field(
        name="gn",
        stored_as=StoredAttribute("givenName"),
        kind=kinds.TEXT,
        meaning="Given name.",
        empty="none",
        era="later",
        by_self=True,
    ),
    Field(
        name="sn",
        stored_as=StoredAttribute("sn"),
        kind=kinds.TEXT,
        meaning="Family name.",
        era="later",
        by_self=True,
    ),
    _PASSWORD_HASH,
    Field(
        name="employeeid",
        stored_as=StoredAttribute("employeeNumber"),
        kind=kinds.TEXT,
        meaning="Staff number, or whatever else identifies the person.",
        empty="none",
        era="later",
    ),
    Field(
        name="isGlobalAdmin",
        aliases=("domainGlobalAdmin",),
        stored_as=Elsewhere("domainGlobalAdmin"),
        kind=kinds.YES_NO,
        meaning="Makes the user a global admin, without limits from then on, or ends that.",
        who="global_admin",
        area="admins",
        era="later",
    ),
    _ADD_FORWARDING.but(era="later"),
    _REMOVE_FORWARDING.but(era="later"),
    Field(
        name="senderBcc",
        stored_as=StoredAttribute("userSenderBccAddress", service="senderbcc", service_stays=True),
        kind=kinds.ADDRESS,
        meaning="Address that gets a copy of every mail that the user sends.",
        empty="no more copies",
        profile="bcc",
        era="later",
    ),
    Field(
        name="recipientBcc",
        stored_as=StoredAttribute(
            "userRecipientBccAddress", service="recipientbcc", service_stays=True
        ),
        kind=kinds.ADDRESS,
        meaning="Address that gets a copy of every mail that the user receives.",
        empty="no more copies",
        profile="bcc",
        era="later",
    ),
    _SERVICES,
    _ADD_SERVICE,
    _REMOVE_SERVICE,
    *_MAILBOX,
    Field(
        name="telephoneNumber",
        stored_as=StoredAttribute("telephoneNumber", many=True),
        kind=kinds.STRINGS,
        meaning="Telephone numbers, in ASCII.",
        empty="no numbers",
        era="later",
        by_self=True,
    ),
    Field(
        name="mobile",
        stored_as=StoredAttribute("mobile", many=True),
        kind=kinds.STRINGS,
        meaning="Mobile telephone numbers, in ASCII.",
        empty="no numbers",
        era="later",
        by_self=True,
    ),
)

BULK: Table = tuple(
    row.but(by_self=False, meaning=meaning, conflicts_with=())
    for row, meaning in (
        (_STATUS, "Switches the users on (active) or off (disabled)."),
        (_NEW_PASSWORD, "New password of all of them, in clear text; the rules apply."),
        (
            _LANGUAGE.but(empty=None),
            "Language that they see; one that is not installed is ignored.",
        ),
        (_TRANSPORT, "Postfix transport that delivers mail for them, instead of the domain's."),
    )
)

VERIFY: Table = (
    PASSWORD.but(
        meaning="Password to test.",
        missing=lambda: EmptyPassword("no password"),
        conflicts_with=(),
    ),
)


def quota(entry: Entry) -> int:
    """Return the size of a mailbox in bytes, 0 for no limit; other tools store -1 for that."""
    return max(int(entry.text("mailQuota") or 0), 0)


def is_global_admin(entry: Entry) -> bool:
    return entry.has("domainGlobalAdmin", "yes")


def has_rights(entry: Entry) -> bool:
    """Return whether a user is an admin, global or normal."""
    return is_global_admin(entry) or entry.has("enabledService", ROLE)


def role_words(change: FieldChange, entry: Entry) -> set[str]:
    """Return the words in a change of services that would grant or revoke the admin role."""
    # Given with the profile that was read, the word of the role changes nothing and is no attempt
    # at more rights.
    would_matter = entry.has("enabledService", ROLE) == (change.verb is Verb.REMOVE)
    return {word for word in change.values if would_matter and word.lower() == ROLE}
