"""References: where other entries mention an address, or any address of a domain.

The directory has no foreign keys: deleting an account clears its mentions, renaming one replaces
them.

Source: iRedMail's directory, "Where an address can occur".
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from iredldap.dit import dn_references, mail_names, names, settings
from iredldap.dit.dn_references import ACCOUNT_DNS
from iredldap.dit.entry import Entry, distinct, encoded, folded
from iredldap.dit.filters import contains, either, ends_with, equals, every, present
from iredldap.dit.names import Tree
from iredldap.dit.plan import Mod, Modify, Op, Operation, Query, Scope, Sweep

# Those that iRedMail's slapd.conf has an index for: a filter with one term that has none reads
# every entry below its base.
_INDEXED = (
    "mailForwardingAddress",
    "domainAdmin",
    "domainSenderBccAddress",
    "domainRecipientBccAddress",
    "userSenderBccAddress",
    "userRecipientBccAddress",
    "listAllowedUser",
)
_ON_LISTS = ("listModerator", "listOwner")
_ON_USERS = ("userManager",)
_GROUPS = ("memberOfGroup",)
# For people, not for programs: where mail goes, or who an account belongs to, does not depend on
# them.
_NOTES = ("backupMailAddress",)
_NOTES_ON_USERS = ("recoveryEmail",)
_DEFAULT_LISTS = "defaultList"

ADDRESSES = frozenset((*_INDEXED, *_ON_LISTS, *_ON_USERS))
"""Attributes that name accounts by their addresses."""

# A filter term on an attribute without an index makes slapd look at every entry, unless it is
# tied to one that has: lists, aliases, groups and roles are few.
_LISTS = either(equals("objectClass", "mailList"), equals("objectClass", "mailAlias"))
_EXTERNALS = equals("objectClass", "mailExternalUser")
_REPLACED = (
    "objectClass", "mail", *_INDEXED, *_ON_LISTS, *ACCOUNT_DNS, *_ON_USERS, *_GROUPS, *_NOTES,
    *_NOTES_ON_USERS, settings.ATTRIBUTE,
)  # fmt: skip


def clear_addresses(
    tree: Tree, dn: str, addresses: Iterable[str], below: Iterable[str] = ()
) -> tuple[Sweep, ...]:
    """Clear every mention of an account that is deleted, and of the entries below it.

    Args:
        tree: The tree.
        dn: The account's entry, which is left unchanged, as are the entries below it.
        addresses: All its addresses, in lower case.
        below: DNs of the entries below it.
    """
    gone = frozenset(addresses)

    def is_gone(value: str) -> bool:
        return folded(value) in gone

    def terms(*attributes: str) -> list[str]:
        return [equals(name, address) for name in attributes for address in sorted(gone)]

    dns = [dn, *below]
    everywhere = either(
        *terms(*_INDEXED, *_GROUPS),
        *dn_references.outside_persons(dns),
        every(_EXTERNALS, either(*terms("mail"))),
        every(_LISTS, either(*terms(*_ON_LISTS))),
    )

    def sweep(base: str, mentioned: str) -> Sweep:
        return _sweep(base, mentioned, is_gone, inside=dn)

    # What persons say of one another has no index, and its targets are colleagues as a rule:
    # reading one domain is the price, not all.
    colleagues = names.domain_dn(dn)
    if colleagues is None:
        # A standalone admin is in no domain, and has no colleagues.
        return (sweep(tree.base, everywhere),)
    # What persons say of others has no index: look for it among the colleagues only.
    on_users = either(*terms(*_ON_USERS), *dn_references.terms(dn_references.UNINDEXED, dns))
    return (sweep(tree.base, everywhere), sweep(colleagues, on_users))


def clear_dns(tree: Tree, dn: str, below: Iterable[str] = ()) -> Sweep:
    """Clear the DN of an entry that is deleted, and the DNs of the entries below it.

    The whole tree is read, as this is rare: what persons say of others has no index.

    Args:
        tree: The tree.
        dn: The entry, which is left unchanged, as are the entries below it.
        below: DNs of the entries below it.
    """
    named = either(*dn_references.terms(ACCOUNT_DNS, [dn, *below]))
    return _sweep(tree.base, named, lambda _: False, inside=dn)


def clear_late_mentions(tree: Tree, dn: str, addresses: Iterable[str]) -> Sweep:
    """Clear mentions of an account that other programs wrote since its mentions were cleared.

    Only attributes that every installation has an index for are searched.

    Args:
        tree: The tree.
        dn: The entry that is about to be deleted.
        addresses: All its addresses, in lower case.
    """
    # The fence of a deletion: it runs between the mark and the removal of the entry, so it must be
    # quick; a term without an index would read the whole tree.
    gone = frozenset(addresses)
    terms = (equals(name, mail) for name in (*_INDEXED, *_GROUPS) for mail in sorted(gone))
    return _sweep(
        tree.base,
        either(*terms),
        lambda value: folded(value) in gone,
        inside=dn,
    )


def clear_default_lists(tree: Tree, addresses: Iterable[str]) -> Sweep:
    """Remove lists from those that a domain's new users join.

    Args:
        tree: The tree.
        addresses: All addresses of a list that is deleted, in lower case; or ``@`` with the name
            of a domain, for all its lists.
    """
    gone = frozenset(addresses)

    def change(entry: Entry) -> Iterator[Operation]:
        old = settings.of_key(entry.texts(settings.ATTRIBUTE), _DEFAULT_LISTS)
        dropped = [value for value in old if _without(value, gone) != value]
        # A setting that is left after the removal may equal another one that is there already.
        kept = {folded(value) for value in old if value not in dropped}
        thinned = distinct(filter(None, (_without(value, gone) for value in dropped)))
        added = [value for value in thinned if folded(value) not in kept]
        mods = (
            # By value: other settings of the domain are packed into the same attribute.
            Mod(Op.DELETE, settings.ATTRIBUTE, encoded(dropped)),
            Mod(Op.ADD, settings.ATTRIBUTE, encoded(added)),
        )
        if dropped:
            yield Modify(entry.dn, tuple(mod for mod in mods if mod.values), absent_ok=True)

    named = either(*(contains(settings.ATTRIBUTE, address) for address in sorted(gone)))
    domains = every(equals("objectClass", "mailDomain"), named)
    query = Query(tree.base, Scope.ONE, domains, (settings.ATTRIBUTE,))
    return Sweep("clear default lists", query, change)


def _without(setting: str, gone: frozenset[str]) -> str | None:
    """Return a setting that lists addresses, kept as it is written, less some of them."""
    key, _, listed = setting.partition(":")

    def stays(part: str) -> bool:
        address = part.strip().lower()
        return address not in gone and f"@{mail_names.domain_of(address)}" not in gone

    kept = [part for part in listed.split(",") if stays(part)]
    return settings.packed(key, ",".join(kept))


def clear_domains(tree: Tree, dn: str, domains: Iterable[str]) -> Sweep:
    """Clear every mention of a domain's accounts in the other domains.

    Args:
        tree: The tree.
        dn: The domain's entry; what lies below it is left as it is.
        domains: Its name and the names of its alias domains.
    """
    gone = frozenset(domains)
    # The forms in which senders that may post are given: a domain, and all below it.
    bare = gone | {f".{name}" for name in gone}

    def is_gone(value: str) -> bool:
        return mail_names.domain_of(folded(value)) in gone or folded(value) in bare

    def terms(*attributes: str) -> list[str]:
        return [ends_with(name, f"@{domain}") for name in attributes for domain in sorted(gone)]

    mentioned = either(
        *terms(*_INDEXED, *_GROUPS),
        *(equals("listAllowedUser", name) for name in sorted(bare)),
        every(_EXTERNALS, either(*terms("mail"))),
        every(_LISTS, either(*terms(*_ON_LISTS))),
        # LDAP has no substring match for DNs: every value is read.
        *(present(name) for name in ACCOUNT_DNS),
    )
    return _sweep(tree.base, mentioned, is_gone, inside=dn)


def replace_addresses(
    tree: Tree, dn: str, new_dn: str, renamed: Mapping[str, str], below: Iterable[str] = ()
) -> tuple[Sweep, ...]:
    """Replace every mention of an account that gets other addresses.

    Unlike clearing, this follows personal notes too: the mailbox that they name is still the same.

    Args:
        tree: The tree.
        dn: The account's entry; neither under this name nor under the new one is it touched.
        new_dn: Its name afterwards.
        renamed: Addresses that it loses, in lower case, with the addresses that replace them;
            if there are none, only mentions by DN are replaced.
        below: DNs of the entries below it, under its old name; mentions of them follow too.
    """
    own, dns = (names.components(dn), names.components(new_dn)), [dn, *below]

    def terms(*attributes: str) -> list[str]:
        return [equals(name, address) for name in attributes for address in sorted(renamed)]

    def change(entry: Entry) -> Iterator[Operation]:
        # Its own entry is changed by the rename itself, after its references.
        if names.components(entry.dn) in own:
            return
        mods = tuple(replacements(entry, renamed, (dn, new_dn)))
        if mods:
            yield Modify(entry.dn, mods, absent_ok=True)

    def sweep(base: str, mentioned: str) -> Sweep:
        return Sweep("replace references", Query(base, Scope.SUBTREE, mentioned, _REPLACED), change)

    named = [contains(settings.ATTRIBUTE, address) for address in sorted(renamed)]
    rare = [
        every(_EXTERNALS, either(*terms("mail"))),
        every(_LISTS, either(*terms(*_ON_LISTS))),
        every(equals("objectClass", "mailDomain"), either(*named)),
    ]
    everywhere = either(
        *terms(*_INDEXED, *_GROUPS, *_NOTES),
        *dn_references.outside_persons(dns),
        *(rare if renamed else ()),
    )
    # Without an index, as in `clear_addresses`: colleagues only, those of yesterday and tomorrow.
    homes = dict.fromkeys(filter(None, (names.domain_dn(dn), names.domain_dn(new_dn))))
    on_users = either(
        *terms(*_ON_USERS, *_NOTES_ON_USERS), *dn_references.terms(dn_references.UNINDEXED, dns)
    )
    return (
        sweep(tree.base, everywhere),
        *(sweep(home, on_users) for home in homes),
    )


def follow_removed(tree: Tree, dn: str, removed: Mapping[str, str]) -> tuple[Sweep, ...]:
    """Let mentions of further addresses that an account loses name its own address instead.

    The mentions meant the account; left as they are, mail to them would bounce.

    Args:
        tree: The tree.
        dn: DN of the account.
        removed: As `removed_addresses` returns them; at least one.
    """

    def change(found: Entry) -> Iterator[Operation]:
        own = tuple(replacements(found, removed))
        if own:
            yield Modify(found.dn, own, absent_ok=True)

    # `replace_addresses` leaves the account's own entry out; here it keeps its name.
    itself = Query(dn, Scope.BASE, present("objectClass"), _REPLACED)
    return (
        *replace_addresses(tree, dn, dn, removed),
        Sweep("replace its own mentions", itself, change),
    )


def removed_addresses(entry: Entry, mods: Iterable[Mod]) -> dict[str, str]:
    """Return the further addresses that modifications take away, with the account's own one."""
    mail = entry.folded("mail")
    return {
        folded(value.decode()): mail
        for mod in mods
        if mod.attribute == "shadowAddress" and mod.op is Op.DELETE
        for value in mod.values
    }


def replacements(
    entry: Entry, renamed: Mapping[str, str], dns: tuple[str, str] | None = None
) -> Iterator[Mod]:
    """Return how an entry's mentions of other addresses become those of the new ones.

    Its own addresses, `mail` and `shadowAddress`, are no mentions.

    Args:
        entry: What mentions them.
        renamed: As in `replace_addresses`.
        dns: The old DN and the new one, for what names accounts by DN.
    """

    def address(value: str) -> str:
        return renamed.get(folded(value), value)

    def setting(value: str) -> str:
        key, _, listed = value.partition(":")
        # All other settings that are packed into the attribute name no accounts.
        if key != _DEFAULT_LISTS:
            return value
        return f"{key}:{','.join(distinct(address(word.strip()) for word in listed.split(',')))}"

    def named(value: str) -> str:
        named_dn, uid = dn_references.split_uid(value)
        new = names.renamed_dn(named_dn, *dns) if dns else named_dn
        return value if new == named_dn else f"{new}{uid}"

    for attribute in (*held(entry), *_NOTES, *_NOTES_ON_USERS):
        yield from exchange(entry, attribute, address)
    for attribute in ACCOUNT_DNS:
        yield from exchange(entry, attribute, named)
    if renamed.keys() & default_lists(entry):
        yield from exchange(entry, settings.ATTRIBUTE, setting)


def exchange(entry: Entry, attribute: str, successor: Callable[[str], str]) -> Iterator[Mod]:
    """Exchange those values of an attribute that have another successor than themselves.

    A successor that is there already is not added again.
    """
    gone: list[bytes] = []
    coming: list[str] = []
    kept: set[str] = set()
    # Deleted by the stored bytes, which may be no valid text or in another letter case.
    for value, text in zip(entry.values(attribute), entry.texts(attribute), strict=True):
        new = successor(text)
        if new == text:
            kept.add(folded(text))
        else:
            gone.append(value)
            coming.append(new)
    added = [new.encode() for new in distinct(coming) if folded(new) not in kept]
    if gone:
        # Single values, not the whole list: what others add meanwhile stays.
        yield Mod(Op.DELETE, attribute, tuple(gone))
    if added:
        yield Mod(Op.ADD, attribute, tuple(added))


def default_lists(entry: Entry) -> set[str]:
    """Return the lists that a domain's new users join, in lower case."""
    lists = settings.of_key(entry.texts(settings.ATTRIBUTE), _DEFAULT_LISTS)
    words = (word for value in lists for word in value.partition(":")[2].split(","))
    return {word.strip().lower() for word in words if word.strip()}


def _sweep(
    base: str,
    mentioned: str,
    is_gone: Callable[[str], bool],
    inside: str,
) -> Sweep:
    def is_gone_dn(value: str) -> bool:
        return names.is_within(dn_references.split_uid(value)[0], inside)

    def change(entry: Entry) -> Iterator[Operation]:
        # Entries below are deleted too, and left as they are: a group without members is refused.
        if names.is_within(entry.dn, inside):
            return
        mods = tuple(_mods(entry, is_gone, is_gone_dn))
        if mods:
            yield Modify(entry.dn, mods, absent_ok=True)

    attributes = ("objectClass", "mail", *_INDEXED, *_ON_LISTS, *ACCOUNT_DNS, *_ON_USERS, *_GROUPS)
    return Sweep("clear references", Query(base, Scope.SUBTREE, mentioned, attributes), change)


def _mods(
    entry: Entry, is_gone: Callable[[str], bool], is_gone_dn: Callable[[str], bool]
) -> Iterator[Mod]:
    for attribute, judge in (
        *((name, is_gone) for name in held(entry)),
        *((name, is_gone_dn) for name in ACCOUNT_DNS),
    ):
        values = tuple(v for v in entry.values(attribute) if judge(v.decode("utf-8", "replace")))
        if values:
            yield Mod(Op.DELETE, attribute, values)


def held(entry: Entry) -> tuple[str, ...]:
    """Return attributes of an entry that hold addresses of others."""
    # In these entries `mail` is the address of a member elsewhere, in all others the account's own.
    is_external = entry.has("objectClass", "mailExternalUser")
    return (*_INDEXED, *_ON_LISTS, *_ON_USERS, *(("mail",) if is_external else _GROUPS))
