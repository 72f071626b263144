"""The members of an unsubscribable list: who they are, who joins, and who leaves.

Source: iRedMail's directory, "Mailing lists".
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from iredldap import finders
from iredldap.dit import maillist, names
from iredldap.dit.entry import Entry, encoded
from iredldap.dit.fields import Parsed, Verb
from iredldap.dit.filters import either, equals, every
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
from iredldap.operations import external_members as elsewhere
from iredldap.operations.login import Caller

_OF_A_MEMBER = ("objectClass", "mail", GROUP)
_OF_A_MEMBER_ANYWHERE = (
    *_OF_A_MEMBER, "shadowAddress", "accountStatus", "enabledService", "domainStatus",
)  # fmt: skip
_EVERYTHING = ("*", "entryCSN")


@dataclass(frozen=True)
class Found:
    """A list, the entries of its members elsewhere, and its members here.

    One entry for the members elsewhere is usual. Other tools make several for a list, one for
    several lists, and one for a further address of a list alone.
    """

    entry: Entry
    externals: tuple[Entry, ...]
    members: tuple[Entry, ...]


def read(directory: Directory, mail: str, *, with_members: bool) -> Found:
    """Read a list; of its members here only what membership stands on.

    It takes one search, and another one if the list has further addresses.

    Raises:
        NoSuchAccount: If there is none, or it is one that mlmmj runs.
    """
    marked = marked_with([mail], with_members=with_members)
    itself = every(equals("objectClass", "mailList"), equals("mail", mail))
    query = Query(directory.tree.base, Scope.SUBTREE, either(itself, marked), _EVERYTHING)
    lists, others = list[Entry](), list[Entry]()
    for found in directory.stream(query):
        is_itself = maillist.is_maillist(found) and found.has("mail", mail)
        (lists if is_itself else others).append(found)
    entry = finders.require(
        finders.choose_account(directory, lists, mail, "mailList"), "list", mail
    )
    if further := maillist.addresses(entry)[1:]:
        others += _marked(directory, further, with_members=with_members)
    return Found(entry, *told_apart(entry, others))


def of_list(directory: Directory, entry: Entry) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
    """Read who has an address of a list as that of a group: entries elsewhere, and accounts."""
    return told_apart(entry, _marked(directory, maillist.addresses(entry), with_members=True))


def _marked(
    directory: Directory, addresses: Sequence[str], *, with_members: bool
) -> Iterator[Entry]:
    marked = marked_with(addresses, with_members=with_members)
    return directory.stream(Query(directory.tree.base, Scope.SUBTREE, marked, _EVERYTHING))


def marked_with(addresses: Iterable[str], *, with_members: bool) -> str:
    """Filter for whoever gets mail to some addresses of a list as a member of it.

    Entries of members elsewhere get that to their further addresses too.
    """
    groups = [equals(GROUP, address) for address in addresses]
    further = (equals("shadowAddress", address) for address in addresses)
    externals = every(equals("objectClass", "mailExternalUser"), either(*groups, *further))
    return either(externals, *(groups if with_members else ()))


def told_apart(entry: Entry, found: Iterable[Entry]) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
    """Tell the entries of a list's members elsewhere from its members here; each comes once."""
    outside, members = dict[str, Entry](), dict[str, Entry]()
    for one in found:
        if maillist.is_externals(one):
            outside[one.dn] = one
        elif not names.same_dn(one.dn, entry.dn):
            held = {name: one.attributes.get(name, []) for name in _OF_A_MEMBER}
            members[one.dn] = Entry(one.dn, held)
    return tuple(outside.values()), tuple(members.values())


@dataclass(frozen=True)
class Told:
    """Addresses told apart: accounts of ours, addresses elsewhere, and what is neither."""

    ours: tuple[Entry, ...] = ()
    elsewhere: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def users(self) -> list[str]:
        """DNs of the mail users among them."""
        return [entry.dn for entry in self.ours if entry.has("objectClass", "mailUser")]


def tell(
    directory: Directory,
    caller: Caller,
    addresses: Iterable[str],
    own: Sequence[str],
    parameter: str,
    held: Collection[str] = (),
) -> Told:
    """Tell addresses of new members apart.

    Those of the list itself are ignored, and so are those that nobody has in a domain of ours.
    Who is a member elsewhere already, and no account of ours since, stays one.
    For a normal admin other people's domains are elsewhere: they neither write to their accounts
    nor learns which there are; mail to the list reaches them all the same.

    Args:
        directory: Where.
        caller: Who asks.
        addresses: What was asked for.
        own: The list's own addresses.
        parameter: Where it was asked for.
        held: Addresses of the members elsewhere, in lower case.

    Raises:
        InvalidMail: If none of them is left.
    """
    sent = dict.fromkeys(addresses)
    managed = {mail for mail in sent if caller.manages(names.domain_of(mail), by_alias=True)}
    found = finders.holders(directory, managed - {*own}, ("objectClass", GROUP))
    holders = {
        address: entries
        for address, entries in found.items()
        if all(caller.manages_place(entry.dn) for entry in entries)
    }
    others = [address for address in sent if address not in holders and address not in own]
    judged = managed.difference(held)
    hosted = finders.hosted_domains(directory, {names.domain_of(m) for m in others if m in judged})
    elsewhere = [
        address
        for address in others
        if address not in judged or names.domain_of(address) not in hosted
    ]
    known = {*holders, *elsewhere}
    ignored = [address for address in sent if address not in known]
    if sent and len(ignored) == len(sent):
        raise InvalidMail(f"no member among {', '.join(ignored)[:200]}", parameter=parameter)
    return Told(_distinct(holders), tuple(elsewhere), tuple(ignored))


def _distinct(holders: Mapping[str, list[Entry]]) -> tuple[Entry, ...]:
    return tuple({entry.dn: entry for found in holders.values() for entry in found}.values())


def homes(directory: Directory, members: Iterable[Entry]) -> frozenset[str]:
    """Return the domains that members stand in: one named by an alias domain stands in another."""
    return finders.domain_names(directory, (member.dn for member in members))


def asked(parsed: Parsed, verb: Verb) -> tuple[str, ...]:
    """Members that were sent with this meaning."""
    return next(
        (
            change.values
            for change in parsed.changes
            if change.field.stored_as == maillist.MEMBERS and change.verb is verb
        ),
        (),
    )


def told_to_go(directory: Directory, found: Found, parsed: Parsed, *, sets_all: bool) -> Told:
    """Members that shall leave, unless they are also told to come."""
    if sets_all:
        return Told(found.members, tuple(sorted(elsewhere.held(found.externals))))
    unwanted = asked(parsed, Verb.REMOVE)
    ours = _distinct(finders.holders(directory, unwanted, ("objectClass", GROUP)))
    return Told(ours, unwanted)


def dismissed(
    directory: Directory, entry: Entry, addresses: Collection[str], *, everybody: bool
) -> tuple[Operation | Sweep, ...]:
    """Take members off a list that the directory names, whatever its kind.

    Args:
        directory: Where.
        entry: The list.
        addresses: Who leaves, in lower case.
        everybody: Whether all others leave too.
    """
    externals, members = of_list(directory, entry)
    if not everybody:
        named = {one.dn for one in _distinct(finders.holders(directory, addresses, ("mail",)))}
        members = tuple(one for one in members if one.dn in named)
    go = tuple(elsewhere.held(externals)) if everybody else tuple(addresses)
    return (
        *leave(directory, entry, members),
        *elsewhere.change(directory, entry, externals, (), go),
    )


def join(directory: Directory, entry: Entry, members: Sequence[Entry]) -> Iterator[Sweep]:
    """Make accounts members under every address of a list."""
    own = maillist.addresses(entry)
    lacking = [member for member in members if maillist.is_partial_member(member, own)]
    return _sweeps(directory, "add members", lacking, lambda member: maillist.join(member, own))


def leave(directory: Directory, entry: Entry, members: Sequence[Entry]) -> Iterator[Sweep]:
    """Make accounts members under no address of a list."""
    own = maillist.addresses(entry)
    there = [member for member in members if maillist.leave(member, own)]
    return _sweeps(directory, "remove members", there, lambda member: maillist.leave(member, own))


def _sweeps(
    directory: Directory,
    meaning: str,
    members: Iterable[Entry],
    change: Callable[[Entry], Iterable[Operation]],
) -> Iterator[Sweep]:
    meant = {member.dn: member.texts("mail") for member in members}

    def judged(found: Entry) -> Iterable[Operation]:
        return change(found) if found.dn in meant else ()

    for batch in finders.batches({mail for mails in meant.values() for mail in mails}):
        filter_ = finders.holders_filter(*batch)
        query = Query(directory.tree.base, Scope.SUBTREE, filter_, _OF_A_MEMBER)
        yield Sweep(meaning, query, judged)


def recheck_list(directory: Directory, found: Found, joining: Iterable[Entry]) -> Recheck:
    """The list may have been deleted, or got another address, while members joined.

    They would keep alive what is gone, or miss what is new.
    """
    own = maillist.addresses(found.entry)
    back: list[Operation] = []
    for member in joining:
        missing = encoded(address for address in own if address not in member.lowered(GROUP))
        back.append(Modify(member.dn, (Mod(Op.DELETE, GROUP, missing),), absent_ok=True))
    externals = Delete(elsewhere.dn_of(directory, found.entry), absent_ok=True, with_children=True)

    def judge(entries: Iterable[Entry]) -> Correction:
        there = [*entries]
        if not there:
            return Correction((*back, externals), NoSuchAccount(f"no list {own[0]} any more"))
        if maillist.addresses(there[0]) != own:
            return Correction(tuple(back), PreconditionFailed(f"other addresses of {own[0]}"))
        return Correction()

    attributes = ("mail", "shadowAddress")
    query = Query(found.entry.dn, Scope.BASE, equals("objectClass", "mailList"), attributes)
    return Recheck("is the list still what it was", query, judge)


def recheck_members(directory: Directory, addresses: Sequence[str]) -> Recheck:
    """Somebody may have joined between the dismissal and the end."""

    def judge(entries: Iterable[Entry]) -> Correction:
        return Correction(
            tuple(
                operation
                for found in entries
                for operation in (
                    elsewhere.ended(found, addresses)
                    if maillist.is_externals(found)
                    else maillist.leave(found, addresses)
                )
            )
        )

    joined = either(*(equals(GROUP, address) for address in addresses))
    query = Query(directory.tree.base, Scope.SUBTREE, joined, _OF_A_MEMBER_ANYWHERE)
    return Recheck("has anybody joined meanwhile", query, judge)
