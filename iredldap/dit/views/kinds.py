"""The kinds of entries whose parameters can be read as they are sent, with their readers."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from iredldap.dit import (
    admin,
    alias,
    domain,
    domain_entry,
    list_profile,
    maillist,
    settings,
    subscribable,
    user,
    user_entry,
)
from iredldap.dit.entry import Entry, folded
from iredldap.dit.fields import Field, FieldChange, Parsed, Profile, Setting, Verb
from iredldap.dit.modlist import modlist
from iredldap.dit.views.params import (
    IGNORED,
    ParamsKind,
    ParamsSource,
    Reader,
    Values,
    entry_effect,
    with_kept,
)


def _beside(name: str) -> Reader:
    return lambda source: source.beside.get(name, ())


def _without_kept(name: str, attribute: str) -> Reader:
    def read(source: ParamsSource) -> Values:
        kept = source.kept.get(name, ())
        return [value for value in source.entry.texts(attribute) if folded(value) not in kept]

    return read


def _user_services(source: ParamsSource) -> Values:
    """Return the services that a request may set: the word of the role follows the rights."""
    return [word for word in source.entry.texts("enabledService") if folded(word) != user.ROLE]


def _role_of_user(source: ParamsSource) -> Values:
    return ("yes" if user.is_global_admin(source.entry) else "no",)


def user_kept(entry: Entry, aliases: Iterable[str]) -> Mapping[str, frozenset[str]]:
    """Return what whole lists of a user keep.

    Args:
        entry: The user.
        aliases: The names of the user's alias domains.
    """
    names = user_entry.names_in(aliases, entry.folded("mail"))
    return {
        "aliases": frozenset(names & entry.lowered("shadowAddress")),
        "services": frozenset(user_entry.lasting_services(entry)),
    }


USER = ParamsKind(
    "user",
    "users",
    user.UPDATE,
    profiles="disabledUserProfile",
    readers={
        "aliases": _without_kept("aliases", "shadowAddress"),
        "services": _user_services,
        "isGlobalAdmin": _role_of_user,
    },
    further=("domainGlobalAdmin",),
)
ALIAS = ParamsKind("alias", "aliases", alias.UPDATE)
MAILLIST = ParamsKind("maillist", "lists", maillist.UPDATE, readers={"members": _beside("members")})


def _primary(entry: Entry) -> str:
    """Return where a backup MX relays to; empty: nowhere that a request could name."""
    transport = entry.text("mtaTransport") or ""
    return transport.removeprefix("relay:") if transport.startswith("relay:") else ""


def _is_backup(source: ParamsSource) -> Values:
    if not domain.is_backup(source.entry):
        return ()
    return ("yes",) if _primary(source.entry) else None


def _primary_mx(source: ParamsSource) -> Values:
    return [_primary(source.entry)] if domain.is_backup(source.entry) else ()


def _domain_transport(source: ParamsSource) -> Values:
    is_expressed = domain.is_backup(source.entry) and _primary(source.entry)
    return IGNORED if is_expressed else source.entry.texts("mtaTransport")


def _domain_effect(source: ParamsSource, parsed: Parsed) -> Iterator[str]:
    yield from entry_effect(source, parsed)
    yield from (m.attribute for m in domain_entry.backup_mx(parsed, source.entry, ""))


def _withdrawn(row: Field) -> Reader:
    """Return the reader of the parts that a row withdraws, or gives back."""
    assert isinstance(row.stored_as, Setting)
    key = row.stored_as.key

    def read(source: ParamsSource) -> Values:
        off = settings.words(domain.limits(source.entry), key)
        takes = row.verb is Verb.ADD
        return [word for word in row.kind.choices if (word in off) == takes]

    return read


DOMAIN = ParamsKind(
    "domain",
    "domains",
    domain.UPDATE,
    key="domain",
    attribute="domainName",
    profiles="disabledDomainProfile",
    readers={
        "catchall": _beside("catchall"),
        "aliasDomains": lambda source: domain.alias_domains(source.entry),
        "admins": lambda source: source.entry.texts("domainAdmin"),
        "transport": _domain_transport,
        "is_backupmx": _is_backup,
        "primarymx": _primary_mx,
        # Both, so that the two say of each part whether it is withdrawn.
        **{
            row.name: _withdrawn(row)
            for row in domain.UPDATE
            if isinstance(row.stored_as, Setting) and row.stored_as.many
        },
    },
    effect=_domain_effect,
    further=("domainAliasName", "domainBackupMX", "domainAdmin"),
    is_whole=True,
)


def domain_kept(entry: Entry) -> Mapping[str, frozenset[str]]:
    """Return what whole lists of a domain keep."""
    return {"services": frozenset(["domainalias"] if domain.alias_domains(entry) else ())}


def _unlimited(row: Field) -> Reader:
    """Return the reader of a limit: a global admin has none, and none is taken from a request."""
    assert isinstance(row.stored_as, Setting)
    key = row.stored_as.key

    def read(source: ParamsSource) -> Values:
        if user.is_global_admin(source.entry):
            return IGNORED
        held = settings.read(source.entry.texts(settings.ATTRIBUTE))
        return [str(settings.number(held, key))]

    return read


def _hidden_part(name: str) -> Reader:
    return lambda source: ["yes" if source.entry.has("disabledService", name) else "no"]


def _admin_effect(source: ParamsSource, parsed: Parsed) -> list[str]:
    is_global = user.is_global_admin(source.entry)
    changes = admin.changes(parsed, is_global=is_global)
    return [mod.attribute for mod in modlist(changes, source.entry)]


ADMIN = ParamsKind(
    "admin",
    "admins",
    admin.UPDATE,
    readers={
        **{row.name: _unlimited(row) for row in admin.UPDATE if isinstance(row.stored_as, Setting)},
        # Sizes are shown in MB, which is what is meant without a unit.
        "quotaUnit": None,
        **{name: _hidden_part(part) for name, part in admin.WITHHELD.items()},
    },
    effect=_admin_effect,
    further=("disabledService", "domainGlobalAdmin"),
)


def _setting(name: str) -> Reader:
    """Return the reader of a parameter that mlmmj has under its own name."""

    def read(source: ParamsSource) -> Values:
        held = list_profile.shown(source.profile).get(name)
        if held is None:
            return ()
        return [str(item) for item in held] if isinstance(held, list) else [str(held)]

    return read


def _extra_addresses(source: ParamsSource) -> Values:
    """Return the further addresses; the own one alone means that there are none."""
    kept = {*source.kept["extra_addresses"], *source.entry.lowered("mail")}
    held = {folded(str(address)) for address in source.profile.get("extra_addresses") or ()}
    further = (held | source.entry.lowered("shadowAddress")) - kept
    return sorted(further) or sorted(source.entry.lowered("mail"))


def list_kept(entry: Entry, aliases: Iterable[str]) -> Mapping[str, frozenset[str]]:
    """Return what whole lists of parameters of a subscribable list keep, as `user_kept` does."""
    names = user_entry.names_in(aliases, entry.folded("mail"))
    return {"extra_addresses": frozenset(names & entry.lowered("shadowAddress"))}


def _list_effect(source: ParamsSource, parsed: Parsed) -> Iterator[str]:
    entry, mail = source.entry, source.entry.folded("mail")
    moderated = list_profile.with_moderators(mail, parsed.changes, source.profile)
    policy = entry.text("accessPolicy") or "public"
    agreed = list_profile.agreed(moderated.changes, policy, source.profile)
    yield from (*moderated.overruled, *agreed.overruled)
    changes = _without(with_kept(source, agreed.changes), entry.lowered("mail"))
    for mod in (
        *modlist(subscribable.in_directory(changes, entry), entry),
        *subscribable.newsletter_mods(changes, entry),
    ):
        yield mod.attribute
    # Names in alias domains are the directory's, unless mlmmj has them all the same.
    held = {folded(str(address)) for address in source.profile.get("extra_addresses") or ()}
    in_profile = _without(changes, source.kept["extra_addresses"] - held)
    for form in list_profile.forms(mail, in_profile, source.profile):
        yield from form


def _without(changes: Iterable[FieldChange], gone: Collection[str]) -> list[FieldChange]:
    """Return changes of a list without some of its further addresses."""
    return [
        replace(change, values=tuple(value for value in change.values if value not in gone))
        if change.field.name == subscribable.EXTRA_ADDRESSES.name
        else change
        for change in changes
    ]


SUBSCRIBABLE = ParamsKind(
    "ml",
    "lists",
    subscribable.UPDATE,
    readers={
        **{
            row.name: _setting(row.name)
            for row in subscribable.UPDATE
            if isinstance(row.stored_as, Profile)
        },
        **{name: _setting(name) for name in ("owner", "moderators", "max_message_size")},
        "extra_addresses": _extra_addresses,
        "newsletter_description": lambda source: source.entry.texts("description")[:1],
    },
    effect=_list_effect,
    further=("description", "listAllowedUser", "shadowAddress"),
    is_whole=True,
)

KINDS: Mapping[str, ParamsKind] = {
    kind.name: kind for kind in (DOMAIN, USER, ALIAS, MAILLIST, SUBSCRIBABLE, ADMIN)
}
"""All of them, by their names."""
