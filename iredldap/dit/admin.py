"""Rows of a standalone admin, and a newly made one.

Source: REST API reference, "Create a standalone admin", "Update a standalone admin"; iRedMail's
directory, standalone admin and accountSetting.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from iredldap.dit import kinds, settings, user
from iredldap.dit.entry import Entry, encoded
from iredldap.dit.fields import (
    Elsewhere,
    Field,
    FieldChange,
    Parsed,
    Setting,
    StoredAttribute,
    Table,
    Verb,
    show,
)
from iredldap.dit.modlist import new_attributes

_LIMITS: Table = (
    Field(
        name="maxDomains",
        stored_as=Setting("create_max_domains"),
        kind=kinds.MOST_DOMAINS,
        meaning="Most domains that they may manage and still create another one; 0 or -1: they"
        " create none.",
        era="later",
    ),
    # Of the two only the unit is nothing without the other.
    Field(
        name="maxQuota",
        stored_as=Setting("create_max_quota"),
        kind=kinds.QUOTA_IN_UNIT,
        meaning="Mailbox space that they may give to all their domains together, in quotaUnit, or"
        " in MB without one; 0: any.",
        era="later",
    ),
    Field(
        name="quotaUnit",
        stored_as=Elsewhere("accountSetting create_max_quota, which is in MB"),
        kind=kinds.choice("TB", "GB", "MB"),
        meaning="Unit of maxQuota.",
        required_with=("maxQuota",),
        era="later",
    ),
    Field(
        name="maxUsers",
        stored_as=Setting("create_max_users"),
        kind=kinds.LIMIT,
        meaning="Most mail users that their domains may be allowed together; 0: any, -1: none.",
        era="later",
    ),
    Field(
        name="maxAliases",
        stored_as=Setting("create_max_aliases"),
        kind=kinds.LIMIT,
        meaning="Most mail aliases that their domains may be allowed together; 0: any, -1: none.",
        era="later",
    ),
    Field(
        name="maxLists",
        stored_as=Setting("create_max_lists"),
        kind=kinds.LIMIT,
        meaning="Most mailing lists that their domains may be allowed together; 0: any, -1: none.",
        era="later",
    ),
)
_MAY_CREATE = Field(
    name="create_new_domains",
    stored_as=Setting("create_new_domains"),
    kind=kinds.YES_NO,
    meaning="Whether they may create domains.",
)
_DISABLED_SERVICES = Field(
    name="disabledService",
    stored_as=StoredAttribute("disabledService", many=True),
    kind=kinds.SERVICES,
    meaning="Parts of iRedAdmin that they may not use.",
)
WITHHELD = {
    "disableViewingMailLog": "view_mail_log",
    "disableManagingQuarantinedMails": "manage_quarantined_mails",
}
"""Words of `disabledService`, by the parameters that set them."""

UPDATE: Table = (
    Field(
        name="name",
        aliases=("cn",),
        stored_as=StoredAttribute("cn"),
        kind=kinds.TEXT,
        meaning="Display name.",
        empty="none",
        era="later",
    ),
    user.PASSWORD.but(
        kind=kinds.NEW_PASSWORD,
        meaning="New password in clear text; the rules of the server apply.",
        required=False,
        conflicts_with=(),
        area="admins",
        era="later",
    ),
    Field(
        name="accountStatus",
        stored_as=StoredAttribute("accountStatus"),
        kind=kinds.STATUS,
        meaning="Switches the admin on (active) or off (disabled).",
        era="later",
    ),
    Field(
        name="language",
        aliases=("preferredLanguage",),
        stored_as=StoredAttribute("preferredLanguage"),
        kind=kinds.LANGUAGE,
        meaning="Language that the admin sees; one that is not installed is ignored.",
        empty="that of the programs",
        era="later",
    ),
    Field(
        name="isGlobalAdmin",
        aliases=("domainGlobalAdmin",),
        stored_as=StoredAttribute("domainGlobalAdmin"),
        kind=kinds.YES_NO,
        meaning="Makes them a global admin or a normal one. A global admin has no limits: those"
        " that they have go, and others are ignored.",
        default="no",
        era="later",
    ),
    *_LIMITS,
    Field(
        name="disableViewingMailLog",
        stored_as=Elsewhere("disabledService view_mail_log"),
        kind=kinds.YES_NO,
        meaning="Hides iRedAdmin's log of sent and received mail from them.",
        era="later",
    ),
    Field(
        name="disableManagingQuarantinedMails",
        stored_as=Elsewhere("disabledService manage_quarantined_mails"),
        kind=kinds.YES_NO,
        meaning="Keeps them from handling quarantined mail in iRedAdmin.",
        era="later",
    ),
)

CREATE: Table = tuple(
    row.but(
        kind=kinds.PASSWORD,
        meaning="Password in clear text; the rules of the server apply.",
        required=True,
    )
    if row.name == user.PASSWORD.name
    else row.but(empty=None)
    for row in UPDATE
)

VERIFY: Table = tuple(row.but(era="later") for row in user.VERIFY)


def changes(parsed: Parsed, *, is_global: bool) -> tuple[FieldChange, ...]:
    """Return the changes of a request to the entry of an admin.

    Args:
        parsed: The request.
        is_global: Whether they are a global admin, or become one: their limits are then ignored.
    """
    lost = tuple(FieldChange(row, ()) for row in (*_LIMITS, _MAY_CREATE))
    ignored = _limits(parsed) if is_global else ()
    asked = (change for change in parsed.changes if change not in ignored)
    meant = (each for change in asked for each in _meaning(change, parsed.value("quotaUnit")))
    return (*meant, *(lost if parsed.value("isGlobalAdmin") == "yes" else ()))


def ignored_limits(parsed: Parsed, *, is_global: bool) -> tuple[str, ...]:
    """Return the limits that were sent and a global admin does not get, as ``name=value``."""
    sent = _limits(parsed) if is_global else ()
    return tuple(f"{change.field.name}={''.join(change.values)}" for change in sent)


def _limits(parsed: Parsed) -> tuple[FieldChange, ...]:
    names = {row.name for row in _LIMITS}
    return tuple(change for change in parsed.changes if change.field.name in names)


def _meaning(change: FieldChange, unit: str | None) -> Iterator[FieldChange]:
    if not change.values:
        yield change
        return
    (value,) = change.values
    match change.field.name:
        case "maxDomains":
            yield change
            yield FieldChange(_MAY_CREATE, ("yes",) if value != "0" else ())
        case "maxQuota":
            yield FieldChange(change.field, (str(settings.megabytes(int(value), unit or "MB")),))
        case name if name in WITHHELD:
            verb = Verb.ADD if value == "yes" else Verb.REMOVE
            yield FieldChange(_DISABLED_SERVICES, (WITHHELD[name],), verb)
        case _:
            yield change


def new(
    mail: str, changes: Iterable[FieldChange], given: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[bytes, ...]]:
    """Make the attributes of a new admin: an active one without any rights.

    Args:
        mail: Address, in a domain that is not hosted here.
        changes: What was asked for; it wins.
        given: Password, and attributes that were not asked for.
    """
    attributes: dict[str, tuple[str, ...]] = {
        "objectClass": ("mailAdmin",),
        "mail": (mail,),
        "accountStatus": ("active",),
        "domainGlobalAdmin": ("no",),
        **given,
        **new_attributes(changes),
    }
    return {name: encoded(values) for name, values in attributes.items()}


MADE_OF: Mapping[str, tuple[str, ...]] = {
    "settings": (settings.ATTRIBUTE,),
    "isglobaladmin": ("domainGlobalAdmin",),
}
"""Keys of an admin in an answer, and the attributes of the admin that they come from."""


def shown(entry: Entry, hidden: Iterable[str]) -> dict[str, Any]:
    """Return an admin as listings show it: the attributes, and keys as iRedAdmin with SQL has them.

    Args:
        entry: The admin.
        hidden: Attributes that are left out, along with the keys computed from them.
    """
    withheld = {name.lower() for name in hidden}
    computed = {
        "settings": settings.read(entry.texts(settings.ATTRIBUTE)),
        "isglobaladmin": int(user.is_global_admin(entry)),
    }
    seen = {key: value for key, value in computed.items() if not _parts(key) & withheld}
    return {**show(entry, withheld), **seen}


def profile(entry: Entry, managed: list[str], hidden: Iterable[str]) -> dict[str, Any]:
    """Return an admin as a read of one shows it, with the domains that name them."""
    withheld = {name.lower() for name in hidden}
    domains = {} if withheld & {"managed_domains", "domainadmin"} else {"managed_domains": managed}
    return {**shown(entry, hidden), **domains}


def _parts(key: str) -> set[str]:
    return {key, *(name.lower() for name in MADE_OF[key])}
