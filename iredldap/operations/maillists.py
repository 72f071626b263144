"""What one can do with an unsubscribable mailing list.

Members come before the list's own entry: that a creation broke off shows in the missing entry,
and asking again finishes it. Every change of members ends with a change of the list's entry,
so that its state tells of them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from iredldap.dit import domain, maillist, names, references
from iredldap.dit.entry import Entry, encoded
from iredldap.dit.fields import Parsed, Verb, modlist
from iredldap.dit.maillist import GROUP
from iredldap.dit.names import either, equals, every, present
from iredldap.dit.plan import (
    Add,
    Amendment,
    Delete,
    Mod,
    Modify,
    Op,
    Operation,
    Plan,
    Query,
    Recheck,
    Scope,
    Step,
    Sweep,
)
from iredldap.errors import InvalidMail, NoSuchAccount, PreconditionFailed
from iredldap.gateways.directory import Directory
from iredldap.operations import lookup, subscriptions, uniqueness
from iredldap.operations.limits import Limit
from iredldap.operations.login import Caller
from iredldap.operations.records import Records
from iredldap.operations.uniqueness import Newcomer

_OF_A_MEMBER = ("objectClass", "mail", GROUP)
_EVERYTHING = ("*", "entryCSN")


@dataclass(frozen=True)
class _Found:
    """A list, the entry of its members elsewhere, and its members here."""

    entry: Entry
    externals: Entry | None
    members: tuple[Entry, ...]


def _read(directory: Directory, mail: str, *, with_members: bool) -> _Found:
    """Read a list in one search; of its members here only what membership stands on."""
    externals = every(equals("objectClass", "mailExternalUser"), equals(GROUP, mail))
    others = equals(GROUP, mail) if with_members else externals
    itself = every(equals("objectClass", "mailList"), equals("mail", mail))
    query = Query(directory.tree.base, Scope.SUBTREE, either(itself, others), _EVERYTHING)
    entry, elsewhere, members = None, None, []
    for found in directory.stream(query):
        if maillist.is_list(found) and found.has("mail", mail):
            entry = found
        elif maillist.is_externals(found):
            elsewhere = found
        else:
            members.append(Entry(found.dn, {n: found.attributes.get(n, []) for n in _OF_A_MEMBER}))
    if entry is None:
        raise NoSuchAccount(f"no list {mail}")
    return _Found(entry, elsewhere, tuple(members))


def get(directory: Directory, mail: str) -> tuple[Entry, list[str]]:
    """Read a list and the sorted addresses of its members.

    Raises:
        NoSuchAccount: If there is none, or it is one that mlmmj runs.
    """
    found = _read(directory, mail, with_members=True)
    members = {address for member in found.members for address in member.texts("mail")[:1]}
    members.update(found.externals.texts("mail") if found.externals else ())
    return found.entry, sorted(members)


@dataclass(frozen=True)
class _Told:
    """Addresses told apart: accounts of ours, addresses elsewhere, and what is neither."""

    ours: tuple[Entry, ...] = ()
    elsewhere: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def users(self) -> list[str]:
        """DNs of the mail users among them."""
        return [entry.dn for entry in self.ours if entry.has("objectClass", "mailUser")]


def _tell(
    directory: Directory,
    caller: Caller,
    addresses: Iterable[str],
    own: Sequence[str],
    parameter: str,
) -> _Told:
    """Tell addresses of new members apart.

    Those of the list itself are ignored, and so are those that nobody has in a domain of ours.
    For a normal admin other people's domains are elsewhere: he neither writes to their accounts
    nor learns which there are; mail to the list reaches them all the same.

    Args:
        directory: Where.
        caller: Who asks.
        addresses: What was asked for.
        own: The list's own addresses.
        parameter: Where it was asked for.

    Raises:
        InvalidMail: If none of them is left.
    """
    sent = dict.fromkeys(addresses)
    his = {mail for mail in sent if caller.manages(names.domain_of(mail), by_alias=True)}
    found = lookup.holders(directory, his - {*own}, ("objectClass", GROUP))
    holders = {
        address: entries
        for address, entries in found.items()
        if all(caller.manages(names.domain_in(entry.dn) or "") for entry in entries)
    }
    others = [address for address in sent if address not in holders and address not in own]
    hosted = lookup.hosted(directory, {names.domain_of(mail) for mail in others if mail in his})
    elsewhere = [address for address in others if names.domain_of(address) not in hosted]
    known = {*holders, *elsewhere}
    ignored = [address for address in sent if address not in known]
    if sent and len(ignored) == len(sent):
        raise InvalidMail(f"no member among {', '.join(ignored)[:200]}", parameter=parameter)
    return _Told(_distinct(holders), tuple(elsewhere), tuple(ignored))


def _distinct(holders: Mapping[str, list[Entry]]) -> tuple[Entry, ...]:
    return tuple({entry.dn: entry for found in holders.values() for entry in found}.values())


def create(directory: Directory, caller: Caller, mail: str, parsed: Parsed) -> Plan:
    """Plan a new list with exactly the members that were asked for.

    Raises:
        NoSuchAccount: If its domain does not exist.
        AlreadyExists: If the address belongs to any account.
        InvalidMail: If members were asked for, and none of them can be one.
        NotAllowed, ExceededDomainAccountLimit: If the domain takes no more lists.
    """
    strays, others = _apart(directory, mail)
    home = uniqueness.home_of(others, mail)
    limit = limit_of(directory, home, mail)
    limit.refuse_another(directory)
    aliases = uniqueness.in_alias_domains(home, mail)
    taken = uniqueness.taken(directory, aliases)
    addresses = (mail, *(alias for alias in aliases if alias not in taken))
    members = _tell(directory, caller, _asked(parsed, Verb.SET), addresses, "members")
    attributes = maillist.new(
        mail,
        parsed.changes,
        addresses[1:],
        maillist.member_dns(Entry("", {}), members.users, ()),
        is_marked=not home.is_active,
    )
    dn = directory.tree.maillist(mail)
    made = Entry(dn, {name: [*values] for name, values in attributes.items()})
    externals = next((entry for entry in strays if maillist.is_externals(entry)), None)
    newcomer = _newcomer(directory, made, aliases, members)
    return Plan(
        dn,
        (
            *_join(directory, made, members.ours),
            *_elsewhere(directory, made, externals, members.elsewhere),
            Add(dn, attributes),
            *_dismiss_strays(directory, made, strays, members),
            uniqueness.recheck(directory, newcomer),
            *limit.recheck(newcomer),
        ),
        ignored=(*parsed.dropped, *members.ignored, *sorted(taken)),
    )


def _apart(directory: Directory, mail: str) -> tuple[list[Entry], list[Entry]]:
    """Find who is a member of a list that is not there yet; the others as for any new account.

    Such members are what a creation or deletion that broke off left behind.
    """
    query = lookup.domain_and_holders(directory, mail)
    strays, others = list[Entry](), list[Entry]()
    for entry in directory.find(replace(query, filter=either(query.filter, equals(GROUP, mail)))):
        is_holder = entry.has("mail", mail) or entry.has("shadowAddress", mail)
        is_stray = entry.has(GROUP, mail) and (maillist.is_externals(entry) or not is_holder)
        (strays if is_stray else others).append(entry)
    return strays, others


def limit_of(directory: Directory, home: Entry, mail: str) -> Limit:
    """How many lists the domain of an address may hold, of whatever kind."""
    lists = Query(
        directory.tree.container(names.domain_of(mail), "Groups"),
        Scope.ONE,
        equals("objectClass", "mailList"),
        ("1.1",),
    )
    return Limit.of(domain.limits(home), "numberOfLists", lists)


def _asked(parsed: Parsed, verb: Verb) -> tuple[str, ...]:
    """Members that were sent with this meaning."""
    return next(
        (
            change.values
            for change in parsed.changes
            if change.field.stored_as == maillist.MEMBERS and change.verb is verb
        ),
        (),
    )


def _newcomer(
    directory: Directory, made: Entry, aliases: tuple[str, ...], members: _Told
) -> Newcomer:
    addresses = maillist.addresses(made)
    mail = addresses[0]
    externals = directory.tree.externals(mail)

    def beside(lost: tuple[str, ...]) -> Iterator[Operation]:
        theirs = encoded(address for address in addresses if address in lost)
        for member in members.ours if theirs else ():
            yield Modify(member.dn, (Mod(Op.DELETE, GROUP, theirs),), absent_ok=True)
        if members.elsewhere and mail in lost:
            yield Delete(externals, absent_ok=True)
        elif members.elsewhere and theirs:
            yield Modify(externals, (Mod(Op.DELETE, "shadowAddress", theirs),), absent_ok=True)

    return Newcomer(
        dn=made.dn,
        mail=mail,
        aliases=aliases,
        is_marked=made.has("domainStatus", "disabled"),
        parts=(externals,) if members.elsewhere else (),
        beside=lambda lost: tuple(beside(lost)),
    )


def _dismiss_strays(
    directory: Directory, made: Entry, strays: list[Entry], members: _Told
) -> tuple[Step, ...]:
    """Dismiss members that a new list has without anybody having asked for them.

    They go when the list is there: until then they may be those of a rival, whose own creation
    is about to succeed.
    """
    wanted = {entry.dn for entry in members.ours}
    ours = [e for e in strays if e.dn not in wanted and not maillist.is_externals(e)]
    externals = [entry for entry in strays if maillist.is_externals(entry)]
    stale = {mail for entry in externals for mail in _held(entry)} - {*members.elsewhere}

    def thin(found: Entry) -> Iterator[Operation]:
        gone = encoded(mail for mail in found.texts("mail") if mail.lower() in stale)
        if gone:
            yield Modify(found.dn, (Mod(Op.DELETE, "mail", gone),), absent_ok=True)

    elsewhere = (
        Sweep("remove members", Query(entry.dn, Scope.BASE, present("mail")), thin)
        for entry in externals
        if stale
    )
    return (*_leave(directory, made, ours), *elsewhere)


def update(directory: Directory, caller: Caller, mail: str, parsed: Parsed) -> Plan:
    """Plan a change of a list.

    Raises:
        NoSuchAccount: If there is none, or it is one that mlmmj runs.
        InvalidMail: If members were asked for, and none of them can be one.
    """
    sets_all = any(change.field.name == "members" for change in parsed.changes)
    found = _read(directory, mail, with_members=sets_all)
    entry, own = found.entry, maillist.addresses(found.entry)
    verb, parameter = (Verb.SET, "members") if sets_all else (Verb.ADD, "addMember")
    come = _tell(directory, caller, _asked(parsed, verb), own, parameter)
    go = _told_to_go(directory, found, parsed, sets_all=sets_all)
    staying = {member.dn for member in come.ours}
    joining = [member for member in come.ours if maillist.lacks(member, own)]
    steps: tuple[Step, ...] = (
        *_join(directory, entry, joining),
        *_leave(directory, entry, [member for member in go.ours if member.dn not in staying]),
        *_elsewhere(directory, entry, found.externals, come.elsewhere, go.elsewhere),
    )
    if joining or {*come.elsewhere} - _held(found.externals):
        steps += (_recheck_list(directory, found, joining),)
    gone = entry.texts("member") if sets_all else [member.dn for member in go.ours]
    mods = (*modlist(parsed.changes, entry), *maillist.member_dns(entry, come.users, gone))
    if steps or mods:
        # What sets all members depends on those that were read.
        expect = (entry.csn,) if sets_all and entry.csn else ()
        steps += (Modify(entry.dn, mods, expect),)
    return Plan(entry.dn, steps, entry.csn, (*parsed.dropped, *come.ignored))


def _told_to_go(directory: Directory, found: _Found, parsed: Parsed, *, sets_all: bool) -> _Told:
    """Members that shall leave, unless they are also told to come."""
    if sets_all:
        return _Told(found.members, tuple(_held(found.externals)))
    unwanted = _asked(parsed, Verb.REMOVE)
    ours = _distinct(lookup.holders(directory, unwanted, ("objectClass", GROUP)))
    return _Told(ours, unwanted)


def _held(externals: Entry | None) -> set[str]:
    return externals.lowered("mail") if externals else set()


def _join(directory: Directory, entry: Entry, members: Sequence[Entry]) -> Iterator[Sweep]:
    """Make accounts members under every address of a list."""
    own = maillist.addresses(entry)
    lacking = [member for member in members if maillist.lacks(member, own)]
    return _sweeps(directory, "add members", lacking, lambda member: maillist.joins(member, own))


def _leave(directory: Directory, entry: Entry, members: Sequence[Entry]) -> Iterator[Sweep]:
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


def _elsewhere(
    directory: Directory,
    entry: Entry,
    externals: Entry | None,
    come: tuple[str, ...],
    go: tuple[str, ...] = (),
) -> tuple[Operation, ...]:
    """Change the members elsewhere, on an entry that is made when there is a first one."""
    held = _held(externals)
    added = encoded(address for address in come if address not in held)
    removed = encoded(sorted(held.intersection(go) - {*come}))
    mods = (Mod(Op.DELETE, "mail", removed), Mod(Op.ADD, "mail", added))
    change = tuple(mod for mod in mods if mod.values)
    if not change:
        return ()
    if externals:
        return (Modify(externals.dn, change),)
    mail, *shadows = maillist.addresses(entry)
    dn = directory.tree.externals(mail)
    is_marked = entry.has("domainStatus", "disabled")
    made = maillist.externals(mail, shadows, is_marked=is_marked)
    return (Add(dn, made, present_ok=True), Modify(dn, change))


def _recheck_list(directory: Directory, found: _Found, joining: Iterable[Entry]) -> Recheck:
    """The list may have been deleted, or got another address, while members joined.

    They would keep alive what is gone, or miss what is new.
    """
    own = maillist.addresses(found.entry)
    back: list[Operation] = []
    for member in joining:
        missing = encoded(address for address in own if address not in member.lowered(GROUP))
        back.append(Modify(member.dn, (Mod(Op.DELETE, GROUP, missing),), absent_ok=True))
    externals = Delete(directory.tree.externals(own[0]), absent_ok=True)

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


def delete(directory: Directory, records: Records, mail: str) -> Plan:
    """Plan the end of a list: switch it off, dismiss members, clear mentions, take it away.

    Raises:
        NoSuchAccount: If there is none, or it is one that mlmmj runs.
        ServerDown: If a database does not answer.
        MlmmjadminUnavailable: If there are subscribable lists, and mlmmjadmin does not answer.
    """
    entry = _read(directory, mail, with_members=False).entry
    records.ask()
    addresses = maillist.addresses(entry)
    return Plan(
        entry.dn,
        (
            Modify(entry.dn, (Mod(Op.REPLACE, "accountStatus", (b"disabled",)),)),
            *subscriptions.ending(directory, records, entry.dn, addresses),
            *references.clear_addresses(directory.tree, entry.dn, addresses),
            references.clear_default_lists(directory.tree, addresses),
            records.forgetting(mail),
            Delete(directory.tree.externals(mail), absent_ok=True),
            Delete(entry.dn, absent_ok=True),
            _recheck_members(directory, addresses),
        ),
        entry.csn,
    )


def _recheck_members(directory: Directory, addresses: Sequence[str]) -> Recheck:
    """Somebody may have joined between the dismissal and the end."""

    def judge(entries: Iterable[Entry]) -> Amendment:
        return Amendment(
            tuple(
                operation
                for found in entries
                for operation in (
                    (Delete(found.dn, absent_ok=True),)
                    if maillist.is_externals(found)
                    else maillist.leaves(found, addresses)
                )
            )
        )

    joined = either(*(equals(GROUP, address) for address in addresses))
    query = Query(directory.tree.base, Scope.SUBTREE, joined, _OF_A_MEMBER)
    return Recheck("has anybody joined meanwhile", query, judge)
