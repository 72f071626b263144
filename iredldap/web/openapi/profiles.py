"""JSON schemas of the profiles that reads answer with, a kind each, from the rows of parameters.

A profile has the attributes of an entry as the directory has them, and what is no attribute. A
schema names those that the rows know; the entry may have others, also of other programs.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from iredldap.dit import admin, alias, domain, kinds, maillist, settings, subscribable, user
from iredldap.dit.field_schemas import value_schema
from iredldap.dit.fields import Field, Profile, Setting, StoredAttribute, Table
from iredldap.dit.views import schemas as views
from iredldap.web.openapi.choices import with_names
from iredldap.web.openapi.parts import COUNT, TEXT, TEXTS, mapping, obj, reference

_OF_ANY: Mapping[str, str] = {
    "objectClass": "Object classes of the entry.",
    "accountStatus": "Whether it is on: active or disabled.",
    "enabledService": "Services that are on.",
}
_OF_ACCOUNTS: Mapping[str, str] = {**_OF_ANY, "mail": "Address.", "cn": "Display name."}
_OF_LISTS: Mapping[str, str] = {
    **_OF_ACCOUNTS,
    "shadowAddress": "Further addresses.",
    "accessPolicy": "Who may post.",
    "listOwner": "Owners.",
    "listModerator": "Moderators of posts.",
    "listAllowedUser": "Who may always post.",
}
_OF_USERS: Mapping[str, str] = {
    **_OF_ACCOUNTS,
    "uid": "Local part of the address.",
    "storageBaseDirectory": "Directory of all mailboxes.",
    "mailMessageStore": "Path of the mailbox below that.",
    "mailQuota": "Mailbox size in bytes.",
    "shadowLastChange": "Day of the last new password, counted from 1970.",
    "amavisLocal": "TRUE: Amavisd takes the user for one of this server.",
    "memberOfGroup": "Unsubscribable lists with the user as a member.",
    "domainGlobalAdmin": "yes: a global admin.",
}

_USAGE: Mapping[str, Any] = {
    "stored_bytes": {**COUNT, "description": "Size of the mails in the mailbox."},
    "stored_messages": {**COUNT, "description": "How many mails are in the mailbox."},
    "last_login": {
        **mapping({"type": ["integer", "null"]}),
        "description": "Seconds since 1970 by service, null for never.",
    },
}
_MEMBERS: Mapping[str, Any] = {"members": {**TEXTS, "description": "Addresses, sorted."}}


def _profile(
    description: str,
    tables: Iterable[Table],
    attributes: Mapping[str, str],
    beside: Mapping[str, Any],
    others: Mapping[str, Any] = TEXTS,
) -> dict[str, Any]:
    """Describe a profile.

    Args:
        description: What it is a profile of.
        tables: Rows of the parameters that are stored in the entry.
        attributes: Meanings of attributes.
        beside: Schemas of what is no attribute, or no list of texts.
        others: Schema of attributes that are not named.
    """
    rows = {row.name: row for table in tables for row in table}.values()
    sources: dict[str, list[str]] = {}
    for row in rows:
        if isinstance(row.stored_as, StoredAttribute):
            sources.setdefault(row.stored_as.name, []).append(f"`{row.name}`")
    set_by = {name: f"Set by {', '.join(words)}." for name, words in sources.items()}
    meanings = {
        name: " ".join(filter(None, (attributes.get(name), set_by.get(name))))
        for name in dict.fromkeys((*attributes, *set_by))
    }
    named = {name: {**TEXTS, "description": meaning} for name, meaning in meanings.items()}
    return {
        "type": "object",
        "description": description,
        "properties": {**named, settings.ATTRIBUTE: _account_setting(rows), **beside},
        "additionalProperties": others,
    }


def _account_setting(rows: Iterable[Field]) -> dict[str, Any]:
    described = {
        row.stored_as.key: {**_setting(row.stored_as.key), "description": f"Set by `{row.name}`."}
        for row in rows
        if isinstance(row.stored_as, Setting)
    }
    return {
        "type": "object",
        "description": "Settings that are packed into one attribute.",
        "properties": described,
        "additionalProperties": True,
    }


def _setting(key: str) -> Mapping[str, Any]:
    if key in settings.NUMBERS:
        return {"type": "integer"}
    return TEXTS if key in settings.LISTS else TEXT


def _list_settings() -> Mapping[str, Any]:
    """Describe the settings that mlmmjadmin keeps, by the names of their rows."""
    return {
        row.name: {**_shown(row.kind), "description": row.meaning}
        for row in subscribable.UPDATE
        if isinstance(row.stored_as, Profile)
    }


def _shown(kind: kinds.Kind) -> dict[str, Any]:
    # Programs beside this one write them too, so a text may be longer than a request may have it.
    return {**TEXTS} if kind.many else {"type": value_schema(kind)["type"]}


PROFILES: Mapping[str, Mapping[str, Any]] = {
    "Domain": _profile(
        "A domain: attributes of its entry, each a list of texts, and its settings.",
        (domain.CREATE, domain.UPDATE),
        {
            **_OF_ANY,
            "domainName": "Name.",
            "domainAliasName": "Alias domains.",
            "domainAdmin": "Addresses of its admins.",
            "domainBackupMX": "yes: mail is passed on to the primary MX.",
            "mtaTransport": "Postfix transport that delivers its mail.",
        },
        {},
    ),
    "User": _profile(
        "A mail user: attributes of the entry, each a list of texts, and what is no attribute.",
        (user.CREATE, user.UPDATE),
        _OF_USERS,
        {settings.ATTRIBUTE: _account_setting(admin.UPDATE), **_USAGE},
    ),
    "Maillist": _profile(
        "An unsubscribable mailing list: attributes of the entry, each a list of texts.",
        (maillist.CREATE, maillist.UPDATE),
        _OF_LISTS,
        _MEMBERS,
    ),
    "MaillistEntry": _profile(
        "An unsubscribable mailing list as the directory has it: attributes, each a list of texts.",
        (maillist.CREATE, maillist.UPDATE),
        _OF_LISTS,
        {},
    ),
    "Alias": _profile(
        "A mail alias: attributes of the entry, each a list of texts.",
        (alias.CREATE, alias.UPDATE),
        _OF_LISTS,
        _MEMBERS,
    ),
    "ListEntry": _profile(
        "A subscribable mailing list as the directory has it: attributes, each a list of texts.",
        (subscribable.UPDATE,),
        {**_OF_LISTS, "mailingListID": "Unique id."},
        {},
    ),
    "SubscribableList": _profile(
        "A subscribable mailing list: attributes of the entry, each a list of texts, and settings"
        " of mlmmj.",
        (),
        {"objectClass": _OF_ANY["objectClass"], "mail": _OF_ACCOUNTS["mail"]},
        {
            **_list_settings(),
            "max_message_size": {**COUNT, "description": "Bytes, 0 for any size."},
            "smtp_port": COUNT,
            "subscribers": obj({"normal": TEXTS, "digest": TEXTS, "nomail": TEXTS}, required=()),
        },
        {"anyOf": [TEXTS, TEXT]},
    ),
    "Admin": _profile(
        "A standalone admin: attributes of the entry, each a list of texts, and what they mean.",
        (admin.CREATE, admin.UPDATE),
        {**_OF_ACCOUNTS, "domainGlobalAdmin": "yes: a global admin."},
        {
            "settings": _account_setting(admin.UPDATE),
            "managed_domains": {**TEXTS, "description": "Domains that name the admin, sorted."},
            "isglobaladmin": {"type": "integer", "enum": [0, 1]},
        },
    ),
}

_LISTED = (
    ("Domains", "Domain", "DomainParams", "domains, by name"),
    ("Users", "User", "UserParams", "mail users, by address"),
    ("Aliases", "Alias", "AliasParams", "mail aliases, by address"),
    ("SubscribableLists", "ListEntry", "SubscribableListParams", "lists, by address"),
    ("Maillists", "MaillistEntry", "MaillistParams", "lists, by address"),
    ("Admins", "Admin", "AdminParams", "standalone admins, by address"),
)

LISTINGS: Mapping[str, Mapping[str, Any]] = {
    name: {"description": f"Profiles of {what}.", **mapping(reference(shape))}
    for name, shape, _, what in _LISTED
}
"""Listings of profiles; the names alone are `Names`."""

VIEWS: Mapping[str, Mapping[str, Any]] = {
    name: {
        **schema,
        "properties": {key: with_names(value) for key, value in schema["properties"].items()},
    }
    for name, schema in views.schemas().items()
} | {
    f"{name}Params": {"description": f"Parameters of {what}.", **mapping(reference(shape))}
    for name, _, shape, what in _LISTED
}
"""What `view=params` shows, also in listings."""
