"""Rows of a mail domain, and a newly made one.

Source: REST API reference, "Create a new domain" and "Update a domain"; iRedMail's directory,
mail domain.
"""

from iredldap.dit import kinds, settings
from iredldap.dit.entry import Entry
from iredldap.dit.fields import Elsewhere, Field, Setting, StoredAttribute, Table, Verb, list_rows
from iredldap.dit.mail_names import domain_of

_NAME = Field(
    name="name",
    aliases=("cn",),
    stored_as=StoredAttribute("cn"),
    kind=kinds.TEXT,
    meaning="Description of the domain, the name of the company, say.",
)
_QUOTA = Field(
    name="quota",
    stored_as=Setting("domainQuota"),
    kind=kinds.DOMAIN_QUOTA,
    meaning="Mailbox space that all users of the domain may be given together, in MB; 0: no limit.",
)
_LANGUAGE = Field(
    name="language",
    aliases=("preferredLanguage",),
    stored_as=Setting("defaultLanguage"),
    kind=kinds.LANGUAGE,
    meaning="Language of users created from now on; one that is not installed is ignored.",
)
_TRANSPORT = Field(
    name="transport",
    stored_as=StoredAttribute("mtaTransport"),
    kind=kinds.TRANSPORT,
    meaning="Postfix transport that delivers mail for the domain.",
)
_DEFAULT_QUOTA = Field(
    name="defaultQuota",
    stored_as=Setting("defaultQuota"),
    kind=kinds.MEGABYTES,
    meaning="Mailbox size of a new user created without one, in MB; 0: unlimited.",
)
_MAX_USER_QUOTA = Field(
    name="maxUserQuota",
    stored_as=Setting("maxUserQuota"),
    kind=kinds.MEGABYTES,
    meaning="Largest mailbox that a user may be given, in MB; 0: no limit.",
)
_NUMBER_OF_USERS = Field(
    name="numberOfUsers",
    stored_as=Setting("numberOfUsers"),
    kind=kinds.LIMIT,
    meaning="Most users of the domain; 0: no limit, -1: none may be created.",
)
_NUMBER_OF_ALIASES = Field(
    name="numberOfAliases",
    stored_as=Setting("numberOfAliases"),
    kind=kinds.LIMIT,
    meaning="Most mail aliases of the domain; 0: no limit, -1: none may be created.",
)
_NUMBER_OF_LISTS = Field(
    name="numberOfLists",
    stored_as=Setting("numberOfLists"),
    kind=kinds.LIMIT,
    meaning="Most mailing lists of the domain; 0: no limit, -1: none may be created.",
)
_SENDER_BCC = Field(
    name="senderBcc",
    stored_as=StoredAttribute("domainSenderBccAddress", service="senderbcc"),
    kind=kinds.ADDRESS,
    meaning="Address that gets a copy of every mail that users of the domain send.",
    empty="no more copies",
    profile="bcc",
)
_RECIPIENT_BCC = Field(
    name="recipientBcc",
    stored_as=StoredAttribute("domainRecipientBccAddress", service="recipientbcc"),
    kind=kinds.ADDRESS,
    meaning="Address that gets a copy of every mail that users of the domain receive.",
    empty="no more copies",
    profile="bcc",
)

# In the words of the public reference, which the contract test compares.
_SELF_SERVICE = "global_admin; domain_admin for self-service only"
_SERVICES = Field(
    name="services",
    stored_as=StoredAttribute("enabledService", many=True),
    kind=kinds.SERVICES,
    meaning="All services of the domain; `domainalias` stays while there are alias domains.",
    empty="no services, `mail` included",
    era="later",
)
_REMOVE_ALL_SERVICES = Field(
    name="removeAllServices",
    stored_as=Elsewhere("enabledService"),
    kind=kinds.PRESENCE,
    meaning="Switches every service off, `mail` included, before others are switched on.",
    conflicts_with=("services",),
)
_ALIAS_DOMAINS = Field(
    name="aliasDomains",
    stored_as=Elsewhere("domainAliasName"),
    kind=kinds.DOMAINS,
    meaning="All alias domains: each account has its name in each of them.",
    empty="no alias domains",
    needs="domainalias",
    profile="aliases",
    era="later",
)
_DOMAIN_PROFILES = kinds.profiles(
    "bcc", "relay", "catchall", "aliases", "throttle", "greylisting", "wblist", "spampolicy",
    "backupmx", "password_policies", "advanced",
)  # fmt: skip
_USER_PROFILES = kinds.profiles(
    "bcc", "forwarding", "relay", "aliases", "throttle", "greylisting", "wblist", "spampolicy"
)
_USER_PREFERENCES = kinds.profiles(
    "personal_info", "forwarding", "wblist", "quarantine", "rcvd_mails", "spampolicy"
)


def _withdrawn(what: str, key: str, kind: kinds.Kind, group: str, **limits: str) -> Table:
    """Return the two rows that withdraw parts of a profile and give them back."""
    disable = Field(
        name=f"disable{what}",
        stored_as=Setting(key, many=True),
        kind=kind,
        meaning=f"Parts that {group} may no longer see or change.",
        era="later",
        verb=Verb.ADD,
    ).but(**limits)
    enable = disable.but(
        name=f"enable{what}", meaning=f"Gives such parts back to {group}.", verb=Verb.REMOVE
    )
    return disable, enable


def _service_rows(names_: dict[str, str], **differences: str) -> Table:
    """Return the four rows that switch services; two of their names differ by endpoint."""
    whole, add, remove = list_rows(
        _SERVICES, "Service", "Services to switch on.", "Services to switch off."
    )
    on, off = names_
    return (
        add.but(name=on, aliases=(names_[on],), **differences),
        remove.but(name=off, aliases=(names_[off],), **differences),
        whole.but(conflicts_with=(on, off, "removeAllServices"), **differences | {"era": "later"}),
        _REMOVE_ALL_SERVICES.but(**differences),
    )


SERVICES: Table = _service_rows(
    {"enableService": "addService", "disableService": "removeService"}, era="seed"
)

ADMINS: Table = (
    Field(
        name="addAdmin",
        stored_as=Elsewhere("domainAdmin on the domain; enabledService=domainadmin on a mail user"),
        kind=kinds.ADDRESSES,
        meaning="Admins to assign: mail users or standalone admins. A normal admin names mail"
        " users of domains that they manage.",
        verb=Verb.ADD,
    ),
    Field(
        name="removeAdmin",
        stored_as=Elsewhere("domainAdmin"),
        kind=kinds.ADDRESSES,
        meaning="Admins to withdraw; who manages no domain any more loses the role.",
        verb=Verb.REMOVE,
    ),
    Field(
        name="removeAllAdmins",
        stored_as=Elsewhere("domainAdmin"),
        kind=kinds.PRESENCE,
        meaning="Withdraws all admins, before others are assigned.",
    ),
)

ALL_SERVICES = _SERVICES
CATCHALL_TARGETS = Field(
    name="catchall",
    stored_as=StoredAttribute("mailForwardingAddress", many=True),
    kind=kinds.ADDRESSES,
    meaning="Destinations, as the catch-all account has them.",
)

CREATE: Table = (
    _NAME,
    _QUOTA,
    _LANGUAGE,
    _TRANSPORT.but(who="global_admin"),
    _DEFAULT_QUOTA,
    _MAX_USER_QUOTA,
    _NUMBER_OF_USERS,
    _NUMBER_OF_ALIASES,
    _NUMBER_OF_LISTS,
    _SENDER_BCC,
    _RECIPIENT_BCC,
)

UPDATE: Table = (
    _NAME.but(empty="no description"),
    Field(
        name="accountStatus",
        stored_as=StoredAttribute("accountStatus"),
        kind=kinds.STATUS,
        meaning="Switches the domain and every account in it on (active) or off (disabled).",
        who="global_admin",
    ),
    _QUOTA.but(who="global_admin"),
    _LANGUAGE.but(profile="advanced", empty="that of the server"),
    _TRANSPORT.but(conflicts_with=("is_backupmx", "primarymx"), profile="relay"),
    Field(
        name="minPasswordLength",
        stored_as=Setting("minPasswordLength"),
        kind=kinds.COUNT,
        meaning="Fewest characters of a user's password; 0: the server's own rule.",
        profile="password_policies",
    ),
    Field(
        name="maxPasswordLength",
        stored_as=Setting("maxPasswordLength"),
        kind=kinds.COUNT,
        meaning="Most characters of a user's password; 0: the server's own rule.",
        profile="password_policies",
    ),
    _DEFAULT_QUOTA,
    _MAX_USER_QUOTA.but(who="global_admin"),
    _NUMBER_OF_USERS.but(who="global_admin"),
    _NUMBER_OF_ALIASES.but(who="global_admin"),
    _NUMBER_OF_LISTS.but(who="global_admin", era="later"),
    _SENDER_BCC,
    _RECIPIENT_BCC,
    Field(
        name="is_backupmx",
        aliases=("backupmx",),
        stored_as=Elsewhere("domainBackupMX"),
        kind=kinds.YES_NO,
        meaning="Whether this server is only a backup MX of the domain; `no` restores the"
        " server's own transport.",
        conflicts_with=("transport",),
        required_with=("primarymx",),
        alone=("no",),
        profile="backupmx",
    ),
    Field(
        name="primarymx",
        stored_as=Elsewhere("mtaTransport relay:<value>"),
        kind=kinds.HOST,
        meaning="Host or address that mail is relayed to, with optional port, in square brackets"
        " to skip the look-up of its MX.",
        conflicts_with=("transport",),
        required_with=("is_backupmx",),
        profile="backupmx",
    ),
    Field(
        name="catchall",
        stored_as=Elsewhere("entry mail=@<domain> under ou=Users, mailForwardingAddress"),
        kind=kinds.ADDRESSES,
        meaning="Addresses that get the mail for names that the domain does not have.",
        empty="no catch-all",
        profile="catchall",
        era="later",
    ),
    Field(
        name="outboundRelay",
        stored_as=StoredAttribute("senderRelayHost"),
        kind=kinds.RELAY,
        meaning="Next hop of mail that the domain sends.",
        empty="no relay",
        profile="relay",
        era="later",
    ),
    *list_rows(
        _ALIAS_DOMAINS, "AliasDomain", "Alias domains to add.", "Alias domains to take away."
    ),
    Field(
        name="admins",
        stored_as=Elsewhere("domainAdmin; enabledService=domainadmin on a mail user"),
        kind=kinds.ADDRESSES,
        meaning="Admins of the domain, mail users or standalone admins: these and no others. Who"
        " manages no domain any more loses the role.",
        empty="no admins",
        who="global_admin",
        area="admins",
        era="ours",
    ),
    *_service_rows(
        {"addService": "enableService", "removeService": "disableService"},
        who=_SELF_SERVICE,
        profile="advanced",
        era="later",
    ),
    *_withdrawn(
        "DomainProfile",
        "disabledDomainProfile",
        _DOMAIN_PROFILES,
        "normal admins of the domain",
        who="global_admin",
    ),
    *_withdrawn(
        "UserProfile",
        "disabledUserProfile",
        _USER_PROFILES,
        "normal admins in the profiles of users",
        who="global_admin",
    ),
    *_withdrawn(
        "UserPreference",
        "disabledUserPreference",
        _USER_PREFERENCES,
        "users in their own settings",
        profile="advanced",
    ),
)


def limits(entry: Entry) -> settings.Settings:
    """Return the domain's settings, unpacked."""
    return settings.read(entry.texts(settings.ATTRIBUTE))


def alias_domains(entry: Entry) -> list[str]:
    """Return the names of a domain's alias domains, sorted; its own name is never one."""
    # Other tools write a domain's own name there as well. It would make each account its own alias,
    # and a removal would take the accounts' addresses.
    return sorted(entry.lowered("domainAliasName") - entry.lowered("domainName"))


def is_backup(entry: Entry) -> bool:
    """Return whether another server has the accounts of a domain, and this one is a backup MX."""
    return entry.has("domainBackupMX", "yes")


def is_managed_by(entry: Entry, admin: str) -> bool:
    """Return whether an address is among the domain's admins."""
    return entry.has("domainAdmin", admin)


def has_address(entry: Entry, mail: str) -> bool:
    """Return whether an address lies in the domain or one of its alias domains."""
    return domain_of(mail) in entry.lowered("domainName") | entry.lowered("domainAliasName")
