"""Names of a domain's accounts in an alias domain.

There is no mapping of domains: each account carries its name in each alias domain, as
shadowAddress. Members of a plain list are found by its address alone, so they are members of its
name in the alias domain too.

Source: iRedMail's directory, "Alias domain", and its look-ups.
"""

from collections.abc import Collection, Iterator, Mapping

from iredldap.dit import filters, mail_names, names
from iredldap.dit.entry import Entry, encoded, folded
from iredldap.dit.filters import either, ends_with, equals, every, negated
from iredldap.dit.names import Tree
from iredldap.dit.plan import Delete, Mod, Modify, Op, Operation, Query, Scope, Sweep

_EXTERNALS = equals("objectClass", "mailExternalUser")
_NAMED = either(
    equals("objectClass", "mailUser"),
    equals("objectClass", "mailList"),
    equals("objectClass", "mailAlias"),
    _EXTERNALS,
)


def own_local_part(entry: Entry) -> str:
    """Return the local part of an account's own address."""
    return mail_names.local_part((entry.text("mail") or "").lower())


def local_parts(entry: Entry, domains: Collection[str]) -> list[str]:
    """Return the local parts of an account's own address; of external members, their lists'.

    Args:
        entry: The account.
        domains: The domain, and whatever of its alias domains counts.
    """
    if not entry.has("objectClass", "mailExternalUser"):
        return [own_local_part(entry)]
    # An entry of external members has no address of its own: it gets mail under the addresses of
    # its lists.
    lists = sorted(entry.lowered("memberOfGroup"))
    here = (
        mail_names.local_part(group) for group in lists if mail_names.domain_of(group) in domains
    )
    return [*dict.fromkeys(here)]


def join(tree: Tree, home: Entry, alias: str, taken: Mapping[str, str]) -> tuple[Sweep, Sweep]:
    """Plan to give every account of a domain its name in an alias domain.

    Args:
        tree: The tree.
        home: The domain.
        alias: Name of the alias domain.
        taken: Addresses in the alias domain that belong to others, with their DNs.
    """
    domain = home.folded("domainName")

    def name(entry: Entry) -> Iterator[Operation]:
        missing = [
            address
            for local in local_parts(entry, {domain})
            if not entry.has("shadowAddress", address := f"{local}@{alias}")
            and names.same_dn(taken.get(address, entry.dn), entry.dn)
        ]
        if missing:
            yield _modify(entry, Op.ADD, "shadowAddress", missing)

    def enrol(entry: Entry) -> Iterator[Operation]:
        lists = entry.lowered("memberOfGroup")
        here = [
            mail_names.local_part(group) for group in lists if mail_names.domain_of(group) == domain
        ]
        # A membership delivers mail of the address here, also if another account has it.
        missing = [
            group
            for local in sorted(here)
            if (group := f"{local}@{alias}") not in lists and group not in taken
        ]
        if missing:
            yield _modify(entry, Op.ADD, "memberOfGroup", missing)

    attributes = ("objectClass", "mail", "shadowAddress", "memberOfGroup")
    # In all domains: members of a list may be accounts of any. Entries of external members are
    # named by the first sweep.
    members = every(ends_with("memberOfGroup", f"@{domain}"), negated(_EXTERNALS))
    # Names first: a list has its address in the alias domain before members are enrolled under it,
    # so that no membership names an address that no account has.
    return (
        Sweep(
            f"name the accounts in {alias}",
            Query(home.dn, Scope.SUBTREE, _NAMED, attributes),
            name,
        ),
        Sweep(
            f"enrol the members of lists in {alias}",
            Query(tree.base, Scope.SUBTREE, members, ("memberOfGroup",)),
            enrol,
        ),
    )


def leave(tree: Tree, home: Entry, alias: str) -> tuple[Sweep, ...]:
    """Plan to remove the accounts' names in an alias domain.

    Entries of external members that another tool made for a list's name in the alias domain alone
    go with that name: mail to it would leave to them for ever.

    The names are removed last: while one is left, a repeat finds that the rest may be there too.
    """

    def drop(attribute: str, entry: Entry) -> Iterator[Operation]:
        gone = [v for v in entry.texts(attribute) if mail_names.domain_of(folded(v)) == alias]
        if gone:
            yield _modify(entry, Op.DELETE, attribute, gone)

    def sweep(base: str, attribute: str, filter_: str) -> Sweep:
        query = Query(base, Scope.SUBTREE, filter_, (attribute,))
        return Sweep(f"forget {alias}", query, lambda entry: drop(attribute, entry))

    def dismiss(entry: Entry) -> Iterator[Operation]:
        lists = entry.texts("memberOfGroup")
        gone = [v for v in lists if mail_names.domain_of(folded(v)) == alias]
        if len(gone) == len(lists):
            yield Delete(entry.dn, absent_ok=True, with_children=True)
            return
        # The name of an entry can't go without it.
        gone = [v for v in gone if not names.is_named(entry.dn, "memberOfGroup", v)]
        if gone:
            yield _modify(entry, Op.DELETE, "memberOfGroup", gone)

    named = ends_with("shadowAddress", f"@{alias}")
    enrolled = ends_with("memberOfGroup", f"@{alias}")
    external = Query(tree.base, Scope.SUBTREE, every(enrolled, _EXTERNALS), ("memberOfGroup",))
    # `shadowAddress` last, as said above: it is what a repeat looks for.
    return (
        # Of accounts elsewhere as well: a membership under an address that is gone would be in
        # effect again when the name gets another owner.
        sweep(tree.base, "memberOfGroup", every(enrolled, negated(_EXTERNALS))),
        Sweep(f"remove external members of lists in {alias}", external, dismiss),
        sweep(home.dn, "shadowAddress", named),
    )


def foreign_names(entry: Entry, domains: Collection[str]) -> set[str]:
    """Return the domains, other than these, in which an account carries its own local part.

    External members carry those of each of their lists in these domains, the domain and its alias
    domains.
    """
    own = local_parts(entry, domains)
    return {
        mail_names.domain_of(address)
        for address in entry.lowered("shadowAddress")
        if mail_names.local_part(address) in own and mail_names.domain_of(address) not in domains
    }


def named_query(home: Entry) -> Query:
    """Search for the accounts of a domain that have further addresses."""
    named = every(_NAMED, filters.present("shadowAddress"))
    attributes = ("objectClass", "mail", "shadowAddress", "memberOfGroup")
    return Query(home.dn, Scope.SUBTREE, named, attributes)


def _modify(entry: Entry, op: Op, attribute: str, values: list[str]) -> Modify:
    return Modify(entry.dn, (Mod(op, attribute, encoded(values)),), absent_ok=True)
