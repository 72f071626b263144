"""The members of an unsubscribable list: who they are, who joins, and who leaves.

Source: iRedMail's directory, "Mailing lists".
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from iredldap.dit import domain, maillist, names
from iredldap.dit.entry import Entry, distinct, encoded, folded
from iredldap.dit.fields import Parsed, Verb
from iredldap.dit.maillist import GROUP
from iredldap.dit.names import either, equals, every
from iredldap.dit.plan import (
    Add,
    Amendment,
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
from iredldap.operations import lookup
from iredldap.operations.login import Caller

_OF_A_MEMBER = ("objectClass", "mail", GROUP)
_OF_A_MEMBER_ANYWHERE = (
    *_OF_A_MEMBER, "shadowAddress", "accountStatus", "enabledService", "domainStatus",
)  # fmt: skip
_EVERYTHING = ("*", "entryCSN")


@dataclass(frozen=True)
class Found:
    """A list, the entries of its members elsewhere, and its members here.

    One entry for the members elsewhere is usual. Other tools make several for a list, and one for
    several lists.
    """

    entry: Entry
    externals: tuple[Entry, ...]
    members: tuple[Entry, ...]


def read(directory: Directory, mail: str, *, with_members: bool) -> Found:
    """Read a list in one search; of its members here only what membership stands on.

    Raises:
        NoSuchAccount: If there is none, or it is one that mlmmj runs.
    """
    externals = every(equals("objectClass", "mailExternalUser"), equals(GROUP, mail))
    others = equals(GROUP, mail) if with_members else externals
    itself = every(equals("objectClass", "mailList"), equals("mail", mail))
    query = Query(directory.tree.base, Scope.SUBTREE, either(itself, others), _EVERYTHING)
    lists, elsewhere, members = list[Entry](), list[Entry](), []
    for found in directory.stream(query):
        if maillist.is_list(found) and found.has("mail", mail):
            lists.append(found)
        elif maillist.is_externals(found):
            elsewhere.append(found)
        else:
            members.append(Entry(found.dn, {n: found.attributes.get(n, []) for n in _OF_A_MEMBER}))
    entry = lookup.existing(lookup.among(directory, lists, mail, "mailList"), f"no list {mail}")
    return Found(entry, tuple(elsewhere), tuple(members))


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
    For a normal admin other people's domains are elsewhere: he neither writes to their accounts
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
    his = {mail for mail in sent if caller.manages(names.domain_of(mail), by_alias=True)}
    found = lookup.holders(directory, his - {*own}, ("objectClass", GROUP))
    holders = {
        address: entries
        for address, entries in found.items()
        if all(caller.manages_place(entry.dn) for entry in entries)
    }
    others = [address for address in sent if address not in holders and address not in own]
    judged = his.difference(held)
    hosted = lookup.hosted(directory, {names.domain_of(m) for m in others if m in judged})
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
    return lookup.domain_names(directory, (member.dn for member in members))


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
        return Told(found.members, tuple(sorted(held(found.externals))))
    unwanted = asked(parsed, Verb.REMOVE)
    ours = _distinct(lookup.holders(directory, unwanted, ("objectClass", GROUP)))
    return Told(ours, unwanted)


def externals_dn(directory: Directory, entry: Entry) -> str:
    """DN of the entry of a list's members elsewhere: beside the list, in its domain."""
    mail = maillist.addresses(entry)[0]
    home = names.home(entry.dn)
    return names.externals(home, mail) if home else directory.tree.externals(mail)


def held(externals: Iterable[Entry]) -> set[str]:
    """Addresses of the members elsewhere, in lower case."""
    return {mail for entry in externals for mail in entry.lowered("mail")}


def join(directory: Directory, entry: Entry, members: Sequence[Entry]) -> Iterator[Sweep]:
    """Make accounts members under every address of a list."""
    own = maillist.addresses(entry)
    lacking = [member for member in members if maillist.lacks(member, own)]
    return _sweeps(directory, "add members", lacking, lambda member: maillist.joins(member, own))


def leave(directory: Directory, entry: Entry, members: Sequence[Entry]) -> Iterator[Sweep]:
    """Make accounts members under no address of a list."""
    own = maillist.addresses(entry)
    there = [member for member in members if maillist.leaves(member, own)]
    return _sweeps(directory, "remove members", there, lambda member: maillist.leaves(member, own))


def _sweeps(
    directory: Directory,
    meaning: str,
    members: Iterable[Entry],
    change: Callable[[Entry], Iterable[Operation]],
) -> Iterator[Sweep]:
    meant = {member.dn: member.texts("mail") for member in members}

    def judged(found: Entry) -> Iterable[Operation]:
        return change(found) if found.dn in meant else ()

    for batch in lookup.batches({mail for mails in meant.values() for mail in mails}):
        filter_ = lookup.holders_filter(*batch)
        query = Query(directory.tree.base, Scope.SUBTREE, filter_, _OF_A_MEMBER)
        yield Sweep(meaning, query, judged)


def elsewhere(
    directory: Directory,
    entry: Entry,
    externals: Sequence[Entry],
    come: tuple[str, ...],
    go: tuple[str, ...] = (),
) -> tuple[Operation | Sweep, ...]:
    """Change the members elsewhere, on an entry that is made when there is a first one.

    An entry that serves other lists too is parted first: each list then has the members in an
    entry of its own.

    Args:
        directory: Where.
        entry: The list.
        externals: The entries of its members elsewhere.
        come: Addresses of new members, in lower case.
        go: Addresses of those who leave; who comes stays.
    """
    there = held(externals)
    added = tuple(address for address in come if address not in there)
    gone = there.intersection(go) - {*come}
    if not added and not gone:
        return ()
    own = maillist.addresses(entry)
    steps: list[Operation | Sweep] = []
    kept: list[str] = []
    places: list[str] = []
    for found in sorted(externals, key=lambda one: one.dn):
        away = encoded(mail for mail in found.texts("mail") if folded(mail) in gone)
        if others := maillist.other_lists(found, own):
            steps += _parted(found, own, others)
            if not maillist.is_named_by(found, own):
                kept += [mail for mail in found.texts("mail") if folded(mail) not in gone]
                continue
        elif folded(names.named_by(found.dn, "mail") or "") in gone:
            # Its name can't go without it: who stays in it moves to another entry.
            kept += [mail for mail in found.texts("mail") if folded(mail) not in gone]
            steps.append(Delete(found.dn, absent_ok=True, with_children=True))
            continue
        places.append(found.dn)
        if away:
            steps.append(Modify(found.dn, (Mod(Op.DELETE, "mail", away),)))
    standing = held(one for one in externals if one.dn in places)
    # What an entry named by another list held goes before that one loses this list.
    missing = encoded(distinct(m for m in (*kept, *added) if folded(m) not in standing))
    if not missing:
        return tuple(steps)
    if places:
        return (Modify(places[0], (Mod(Op.ADD, "mail", missing),)), *steps)
    mail, *shadows = own
    is_marked = entry.has("domainStatus", "disabled")
    made = maillist.externals(mail, shadows, is_marked=is_marked)
    dn = externals_dn(directory, entry)
    container = domain.container(names.parent(names.parent(dn)), "Externals")
    return (
        Add(dn, made, present_ok=True, container=container),
        Modify(dn, (Mod(Op.ADD, "mail", missing),)),
        *steps,
    )


def _parted(found: Entry, own: Sequence[str], others: Sequence[str]) -> Iterator[Operation | Sweep]:
    """Part an entry for members elsewhere that serves several lists.

    Nobody misses a mail meanwhile: whoever loses the entry has another one first. For the list of
    these addresses, where it is named by another, that is up to the caller.
    """
    if not maillist.is_named_by(found, own):
        yield Modify(found.dn, maillist.without_lists(found, own))
        return
    for other in others:
        dn, attributes = maillist.copied(found, own, other)
        yield Add(dn, attributes, present_ok=True)
        yield _filled(dn, found.texts("mail"))
    yield Modify(found.dn, maillist.only_lists(found, own))


def _filled(dn: str, addresses: Sequence[str]) -> Sweep:
    """Add to an entry for members elsewhere whom it lacks: it may have been there before."""

    def fill(entry: Entry) -> Iterator[Operation]:
        there = entry.lowered("mail")
        missing = encoded(mail for mail in addresses if folded(mail) not in there)
        if missing:
            yield Modify(dn, (Mod(Op.ADD, "mail", missing),))

    query = Query(dn, Scope.BASE, equals("objectClass", "mailExternalUser"), ("mail",))
    return Sweep("add members elsewhere", query, fill)


def without_list(externals: Iterable[Entry], own: Sequence[str]) -> Iterator[Operation | Sweep]:
    """Take a list that goes off the entries of its members elsewhere; other lists keep theirs."""
    for found in externals:
        others = maillist.other_lists(found, own)
        if others:
            yield from _parted(found, own, others)
        if not others or maillist.is_named_by(found, own):
            yield Delete(found.dn, absent_ok=True, with_children=True)


def recheck_list(directory: Directory, found: Found, joining: Iterable[Entry]) -> Recheck:
    """The list may have been deleted, or got another address, while members joined.

    They would keep alive what is gone, or miss what is new.
    """
    own = maillist.addresses(found.entry)
    back: list[Operation] = []
    for member in joining:
        missing = encoded(address for address in own if address not in member.lowered(GROUP))
        back.append(Modify(member.dn, (Mod(Op.DELETE, GROUP, missing),), absent_ok=True))
    externals = Delete(externals_dn(directory, found.entry), absent_ok=True, with_children=True)

    def judge(entries: Iterable[Entry]) -> Amendment:
        there = [*entries]
        if not there:
            return Amendment((*back, externals), NoSuchAccount(f"no list {own[0]} any more"))
        if maillist.addresses(there[0]) != own:
            return Amendment(tuple(back), PreconditionFailed(f"other addresses of {own[0]}"))
        return Amendment()

    attributes = ("mail", "shadowAddress")
    query = Query(found.entry.dn, Scope.BASE, equals("objectClass", "mailList"), attributes)
    return Recheck("is the list still what it was", query, judge)


def _ended(found: Entry, own: Sequence[str]) -> Iterator[Operation]:
    """Take a list that is gone off an entry of members elsewhere."""
    others = maillist.other_lists(found, own)
    if others and not maillist.is_named_by(found, own):
        yield Modify(found.dn, maillist.without_lists(found, own), absent_ok=True)
        return
    for other in others:
        yield Add(*maillist.copied(found, own, other), present_ok=True)
    yield Delete(found.dn, absent_ok=True, with_children=True)


def recheck_members(directory: Directory, addresses: Sequence[str]) -> Recheck:
    """Somebody may have joined between the dismissal and the end."""

    def judge(entries: Iterable[Entry]) -> Amendment:
        return Amendment(
            tuple(
                operation
                for found in entries
                for operation in (
                    _ended(found, addresses)
                    if maillist.is_externals(found)
                    else maillist.leaves(found, addresses)
                )
            )
        )

    joined = either(*(equals(GROUP, address) for address in addresses))
    query = Query(directory.tree.base, Scope.SUBTREE, joined, _OF_A_MEMBER_ANYWHERE)
    return Recheck("has anybody joined meanwhile", query, judge)
