"""Read the members of an unsubscribable list, and plan who joins and who leaves.

Source: iRedMail's directory, "Mailing lists".
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from iredldap import finders
from iredldap.dit import domain, mail_names, maillist, names
from iredldap.dit.entry import Entry, encoded
from iredldap.dit.fields import Parsed, Verb
from iredldap.dit.filters import either, equals, every
from iredldap.dit.holders import holders_filter
from iredldap.dit.maillist import GROUP
from iredldap.dit.plan import (
    Correction,
    Delete,
    Mod,
    Modify,
    Op,
    Operation,
    Query,
    Recheck,
    Scope,
    Sweep,
)
from iredldap.errors import InvalidMail, NoSuchAccount, PreconditionFailed
from iredldap.gateways.directory import Directory
from iredldap.operations import external_members, targets
from iredldap.operations.context import Context

# Members may be users with whole profiles; a list of twenty thousand is held in memory as these few
# values of each.
_OF_A_MEMBER = ("objectClass", "mail", GROUP)
_OF_A_MEMBER_ANYWHERE = (
    *_OF_A_MEMBER, "shadowAddress", "accountStatus", "enabledService", "domainStatus",
)  # fmt: skip
_EVERYTHING = ("*", "entryCSN")


@dataclass(frozen=True)
class ListWithMembers:
    """A list, the entries of its external members, and its members that are accounts.

    One entry for the external members is usual. Other tools make several for a list, one for
    several lists, and one for a further address of a list alone.
    """

    entry: Entry
    externals: tuple[Entry, ...]
    members: tuple[Entry, ...]


def read(context: Context, mail: str, *, with_members: bool) -> ListWithMembers:
    """Read a list; of the accounts that are members only the attributes of membership.

    It takes one search, and another one if the list has further addresses.

    Raises:
        NoSuchAccount: If there is none, or it is one that mlmmj runs.
    """
    directory = context.directory
    marked = members_filter([mail], with_members=with_members)
    itself = every(equals("objectClass", "mailList"), equals("mail", mail))
    # The list and its members in one search: membership is stored in the members' entries
    # (`memberOfGroup`), so each is found by the list's address, wherever in the tree it lies.
    query = Query(directory.tree.base, Scope.SUBTREE, either(itself, marked), _EVERYTHING)
    lists, others = list[Entry](), list[Entry]()
    for found in directory.stream(query):
        is_itself = maillist.is_maillist(found) and found.has("mail", mail)
        (lists if is_itself else others).append(found)
    chosen = finders.choose_account(
        directory, lists, mail, "mailList", anywhere=context.caller.is_global
    )
    entry = finders.require(chosen, "list", mail)
    if further := maillist.addresses(entry)[1:]:
        others += _find_members(directory, further, with_members=with_members)
    return ListWithMembers(entry, *split_members(entry, others))


def members_of(directory: Directory, entry: Entry) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
    """Read the members of a list of any type: entries of external members, and accounts."""
    addresses = maillist.addresses(entry)
    return split_members(entry, _find_members(directory, addresses, with_members=True))


def all_addresses(directory: Directory, entry: Entry) -> tuple[str, ...]:
    """Return all addresses by which members may name a list, its own first.

    Its name in an alias domain of its domain is among them, also where the list lacks it: Postfix
    finds members by the address that they name alone. One that another account has is that one's.
    """
    own = maillist.addresses(entry)
    home = names.domain_dn(entry.dn)
    found = directory.read(home, ("domainAliasName",)) if home else None
    local = mail_names.local_part(own[0])
    # Computed, not read: a list that was made before its alias domain, or by another tool, may lack
    # the address, while members were written with it.
    implied = {f"{local}@{alias}" for alias in domain.alias_domains(found)} if found else set()
    lacking = implied.difference(own)
    return (*own, *sorted(lacking - finders.holders(directory, lacking, ("1.1",)).keys()))


def externals_of(directory: Directory, entry: Entry, addresses: Sequence[str]) -> tuple[Entry, ...]:
    """Read the entries of the external members that name a list by any of some addresses."""
    found = _find_members(directory, addresses, with_members=False)
    return split_members(entry, found)[0]


def _find_members(
    directory: Directory, addresses: Sequence[str], *, with_members: bool
) -> Iterator[Entry]:
    marked = members_filter(addresses, with_members=with_members)
    return directory.stream(Query(directory.tree.base, Scope.SUBTREE, marked, _EVERYTHING))


def member_addresses(externals: Iterable[Entry], accounts: Iterable[Entry]) -> list[str]:
    """Return the sorted addresses of members: of each account one, as it is stored."""
    first = {mail for member in accounts for mail in member.texts("mail")[:1]}
    return sorted(first.union(mail for one in externals for mail in one.texts("mail")))


def members_filter(addresses: Iterable[str], *, with_members: bool) -> str:
    """Return the filter for the members of a list that has some addresses.

    Entries of external members get the mail to their further addresses too.

    Args:
        addresses: Addresses of the list.
        with_members: Whether it finds accounts as well, or entries of external members alone.
    """
    groups = [equals(GROUP, address) for address in addresses]
    further = (equals("shadowAddress", address) for address in addresses)
    externals = every(equals("objectClass", "mailExternalUser"), either(*groups, *further))
    return either(externals, *(groups if with_members else ()))


def split_members(
    entry: Entry, found: Iterable[Entry]
) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
    """Split the members of a list into entries of external members and accounts, each once."""
    outside, members = dict[str, Entry](), dict[str, Entry]()
    for one in found:
        if maillist.is_externals(one):
            outside[one.dn] = one
        elif not names.same_dn(one.dn, entry.dn):
            held = {name: one.attributes.get(name, []) for name in _OF_A_MEMBER}
            members[one.dn] = Entry(one.dn, held)
    return tuple(outside.values()), tuple(members.values())


@dataclass(frozen=True)
class Classified:
    """Addresses by what they are: accounts of this directory, external addresses, and neither.

    `found` is as that of a plan.
    """

    accounts: tuple[Entry, ...] = ()
    externals: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    found: Mapping[str, str] = field(default_factory=dict)

    @property
    def users(self) -> list[str]:
        """DNs of the mail users among them."""
        return [entry.dn for entry in self.accounts if entry.has("objectClass", "mailUser")]


def classify(
    context: Context,
    addresses: Iterable[str],
    own: Sequence[str],
    parameter: str,
    held: Collection[str] = (),
    members: Iterable[Entry] = (),
) -> Classified:
    """Classify addresses of new members as accounts of this directory, external, or neither.

    Ignored are the addresses of the list itself, and those in a domain hosted here that belong to
    no account. An external member stays external, unless an account has the address by now. For a
    normal admin, domains that they do not manage are external: they neither change accounts there
    nor learn which exist; mail to the list reaches those all the same.

    Args:
        context: Where accounts are looked up, and who asks.
        addresses: Addresses that were sent.
        own: The list's own addresses.
        parameter: The parameter that they were sent in.
        held: Addresses of the external members, in lower case.
        members: Accounts that are members: they stay what they are, whoever may look them up.

    Raises:
        InvalidMail: If none of them is left.
    """
    directory, caller = context.directory, context.caller
    sent = dict.fromkeys(addresses)
    managed = {mail for mail in sent if caller.manages(mail_names.domain_of(mail), by_alias=True)}
    # Only in the domains of the caller: a search elsewhere would let a normal admin find out, by
    # what is ignored, which accounts others have.
    found = finders.holders(directory, managed - {*own}, ("objectClass", GROUP, "entryUUID"))
    holders = {
        address: entries
        for address, entries in found.items()
        if all(caller.manages_place(entry.dn) for entry in entries)
    }
    numbers = {address: targets.number(entries[-1]) for address, entries in holders.items()}
    holders = _present(members, sent) | holders
    others = [address for address in sent if address not in holders and address not in own]
    # An external member is not looked up again when a whole list of members is sent back: of twenty
    # thousand members only the new ones cost anything.
    judged = managed.difference(held)
    hosted = finders.hosted_domains(
        directory, {mail_names.domain_of(m) for m in others if m in judged}
    )
    externals = [
        address
        for address in others
        if address not in judged or mail_names.domain_of(address) not in hosted
    ]
    known = {*holders, *externals}
    ignored = [address for address in sent if address not in known]
    if sent and len(ignored) == len(sent):
        raise InvalidMail(f"nobody else has {', '.join(ignored)[:200]}", parameter=parameter)
    return Classified(_distinct(holders), tuple(externals), tuple(ignored), numbers)


def _present(members: Iterable[Entry], asked: Collection[str]) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for member in members:
        for mail in member.lowered("mail").intersection(asked):
            found.setdefault(mail, []).append(member)
    return found


def _distinct(holders: Mapping[str, list[Entry]]) -> tuple[Entry, ...]:
    return tuple({entry.dn: entry for found in holders.values() for entry in found}.values())


def domains_of_members(directory: Directory, members: Iterable[Entry]) -> frozenset[str]:
    """Return the domains that members are entries of, whatever the domains of their addresses."""
    return finders.domain_names(directory, (member.dn for member in members))


def requested(parsed: Parsed, verb: Verb) -> tuple[str, ...]:
    """Return the members that were sent to be added, removed or set, as the verb says."""
    return next(
        (
            change.values
            for change in parsed.changes
            if change.field.stored_as == maillist.MEMBERS and change.verb is verb
        ),
        (),
    )


def members_to_remove(
    directory: Directory, found: ListWithMembers, parsed: Parsed, *, sets_all: bool
) -> Classified:
    """Return the members that a request removes; those that it also adds are among them."""
    if sets_all:
        return Classified(found.members, tuple(sorted(external_members.held(found.externals))))
    unwanted = requested(parsed, Verb.REMOVE)
    ours = _distinct(finders.holders(directory, unwanted, ("objectClass", GROUP)))
    return Classified(ours, unwanted)


def remove_members(
    directory: Directory, entry: Entry, addresses: Collection[str], *, everybody: bool
) -> tuple[Operation | Sweep, ...]:
    """Return the steps that remove members of a list of any type from the directory.

    Args:
        directory: Where.
        entry: The list.
        addresses: Addresses of those to remove, in lower case.
        everybody: Whether all members are removed.
    """
    externals, members = members_of(directory, entry)
    if not everybody:
        named = {one.dn for one in _distinct(finders.holders(directory, addresses, ("mail",)))}
        # By DN, because a member may have been named by any of its addresses.
        members = tuple(one for one in members if one.dn in named)
    removed = tuple(external_members.held(externals)) if everybody else tuple(addresses)
    return (
        *leave(directory, entry, members),
        *external_members.change(directory, entry, externals, (), removed),
    )


def join(directory: Directory, entry: Entry, members: Sequence[Entry]) -> Iterator[Sweep]:
    """Yield the steps that make accounts members under every address of a list."""
    own = maillist.addresses(entry)
    lacking = [member for member in members if maillist.is_partial_member(member, own)]
    return _sweeps(directory, "add members", lacking, lambda member: maillist.join(member, own))


def leave(directory: Directory, entry: Entry, members: Sequence[Entry]) -> Iterator[Sweep]:
    """Yield the steps that end the membership of accounts under every address of a list."""
    own = maillist.addresses(entry)
    leaving = [member for member in members if maillist.leave(member, own)]
    return _sweeps(directory, "remove members", leaving, lambda member: maillist.leave(member, own))


def _sweeps(
    directory: Directory,
    meaning: str,
    members: Iterable[Entry],
    change: Callable[[Entry], Iterable[Operation]],
) -> Iterator[Sweep]:
    meant = {member.dn: member.texts("mail") for member in members}

    def change_member(found: Entry) -> Iterable[Operation]:
        return change(found) if found.dn in meant else ()

    for batch in finders.batches({mail for mails in meant.values() for mail in mails}):
        filter_ = holders_filter(*batch)
        query = Query(directory.tree.base, Scope.SUBTREE, filter_, _OF_A_MEMBER)
        yield Sweep(meaning, query, change_member)


def recheck_list(directory: Directory, found: ListWithMembers, joining: Iterable[Entry]) -> Recheck:
    """Return the recheck of the list itself: it may have been deleted, or changed its addresses.

    Members who joined meanwhile would then name a list that is gone, or lack a new address.
    """
    own = maillist.addresses(found.entry)
    back: list[Operation] = []
    for member in joining:
        missing = encoded(address for address in own if address not in member.lowered(GROUP))
        back.append(Modify(member.dn, (Mod(Op.DELETE, GROUP, missing),), absent_ok=True))
    externals = Delete(
        external_members.dn_of(directory, found.entry), absent_ok=True, with_children=True
    )

    def judge(entries: Iterable[Entry]) -> Correction:
        there = [*entries]
        # The list is gone, and so is its entry of external members unless it was made by us
        # meanwhile: that one is removed as well, or the next list of this address would begin with
        # its members.
        if not there:
            return Correction((*back, externals), NoSuchAccount(f"no list {own[0]} any more"))
        if maillist.addresses(there[0]) != own:
            return Correction(tuple(back), PreconditionFailed(f"other addresses of {own[0]}"))
        return Correction()

    attributes = ("mail", "shadowAddress")
    query = Query(found.entry.dn, Scope.BASE, equals("objectClass", "mailList"), attributes)
    return Recheck("check that the list still has its addresses", query, judge)


def recheck_members(directory: Directory, addresses: Sequence[str]) -> Recheck:
    """Return the recheck for members who joined while the list was being deleted."""

    def judge(entries: Iterable[Entry]) -> Correction:
        return Correction(
            tuple(
                operation
                for found in entries
                for operation in (
                    external_members.ended(found, addresses)
                    if maillist.is_externals(found)
                    else maillist.leave(found, addresses)
                )
            )
        )

    joined = either(*(equals(GROUP, address) for address in addresses))
    # Whole values of what delivers mail: an entry that belongs to other lists as well is divided,
    # and the copy needs them.
    query = Query(directory.tree.base, Scope.SUBTREE, joined, _OF_A_MEMBER_ANYWHERE)
    return Recheck("remove members who joined meanwhile", query, judge)
