"""Where in the tree an address, or a whole domain of them, is mentioned by other entries.

The directory knows no foreign keys: whoever takes an account away clears its mentions.

Source: iRedMail's directory, "Where an address can occur".
"""

from collections.abc import Callable, Iterable, Iterator

from iredldap.dit import names
from iredldap.dit.entry import Entry
from iredldap.dit.names import Tree, either, ends_with, equals, every, present
from iredldap.dit.plan import Mod, Modify, Op, Operation, Query, Scope, Sweep

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
_MEMBER_DNS = ("member", "uniqueMember")
_ON_USERS = ("userManager",)
_GROUPS = ("memberOfGroup",)

# A filter term on an attribute without an index makes slapd look at every entry, unless it is
# tied to one that has: lists and aliases are few.
_LISTS = either(equals("objectClass", "mailList"), equals("objectClass", "mailAlias"))
_EXTERNALS = equals("objectClass", "mailExternalUser")


def clear_addresses(tree: Tree, dn: str, addresses: Iterable[str]) -> tuple[Sweep, ...]:
    """Clear every mention of an account that goes away.

    Args:
        tree: The tree.
        dn: The account's entry, which itself is left as it is.
        addresses: All its addresses, in lower case.
    """
    gone = frozenset(addresses)

    def is_gone(value: str) -> bool:
        return value.lower() in gone

    def terms(*attributes: str) -> list[str]:
        return [equals(name, address) for name in attributes for address in sorted(gone)]

    mentioned = either(
        *terms(*_INDEXED),
        *(equals(name, dn) for name in _MEMBER_DNS),
        every(_EXTERNALS, either(*terms("mail"))),
        every(_LISTS, either(*terms(*_ON_LISTS))),
    )
    everywhere = _sweep(
        tree.base, mentioned, is_gone, lambda value: _same_dn(value, dn), {dn.lower()}
    )
    home = names.domain_in(dn)
    if home is None:
        return (everywhere,)
    # userManager has no index: look for it among the colleagues only, not in the whole tree.
    colleagues = tree.container(home, "Users")
    managed = either(*terms(*_ON_USERS))
    return (everywhere, _sweep(colleagues, managed, is_gone, lambda _: False, {dn.lower()}))


def clear_domains(tree: Tree, dn: str, domains: Iterable[str]) -> Sweep:
    """Clear every mention of a domain's accounts in the other domains.

    Args:
        tree: The tree.
        dn: The domain's entry; what lies below it is left as it is.
        domains: Its name and the names of its alias domains.
    """
    gone = frozenset(domains)
    bare = gone | {f".{name}" for name in gone}

    def is_gone(value: str) -> bool:
        return names.domain_of(value.lower()) in gone or value.lower() in bare

    def terms(*attributes: str) -> list[str]:
        return [ends_with(name, f"@{domain}") for name in attributes for domain in sorted(gone)]

    mentioned = either(
        *terms(*_INDEXED, *_GROUPS),
        *(equals("listAllowedUser", name) for name in sorted(bare)),
        every(_EXTERNALS, either(*terms("mail"))),
        every(_LISTS, either(*terms(*_ON_LISTS), *(present(name) for name in _MEMBER_DNS))),
    )
    return _sweep(
        tree.base, mentioned, is_gone, lambda value: _below(value, dn), {dn.lower()}, inside=dn
    )


def _sweep(
    base: str,
    mentioned: str,
    is_gone: Callable[[str], bool],
    is_gone_dn: Callable[[str], bool],
    spared: set[str],
    inside: str | None = None,
) -> Sweep:
    def change(entry: Entry) -> Iterator[Operation]:
        if entry.dn.lower() in spared or (inside and _below(entry.dn, inside)):
            return
        mods = tuple(_mods(entry, is_gone, is_gone_dn))
        if mods:
            yield Modify(entry.dn, mods, absent_ok=True)

    attributes = ("objectClass", "mail", *_INDEXED, *_ON_LISTS, *_MEMBER_DNS, *_ON_USERS, *_GROUPS)
    return Sweep("clear references", Query(base, Scope.SUBTREE, mentioned, attributes), change)


def _mods(
    entry: Entry, is_gone: Callable[[str], bool], is_gone_dn: Callable[[str], bool]
) -> Iterator[Mod]:
    is_external = entry.has("objectClass", "mailExternalUser")
    held = (*_INDEXED, *_ON_LISTS, *_ON_USERS, *(("mail",) if is_external else _GROUPS))
    for attribute, judge in (
        *((name, is_gone) for name in held),
        *((name, is_gone_dn) for name in _MEMBER_DNS),
    ):
        values = tuple(v for v in entry.values(attribute) if judge(v.decode("utf-8", "replace")))
        if values:
            yield Mod(Op.DELETE, attribute, values)


def _same_dn(one: str, other: str) -> bool:
    return names.components(one) == names.components(other)


def _below(dn: str, parent: str) -> bool:
    above = names.components(parent)
    return names.components(dn)[-len(above) :] == above
