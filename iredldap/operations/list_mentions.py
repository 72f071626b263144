"""What an account that goes, or gets another address, leaves behind on subscribable lists.

The directory knows who owns and who moderates a list, and mlmmjadmin who is subscribed. It is asked
only where it is configured and there is a list at all: whoever has none needs it for nothing. Lists
follow before the directory does, as the directory is what tells a repeat which lists they are.

Source: `docs/decisions/0020-subscribable-lists.md`.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

import structlog

from iredldap.dit import generations, list_profile, names
from iredldap.dit.entry import Entry, encoded
from iredldap.dit.filters import either, ends_with, equals, every
from iredldap.dit.plan import Mod, Modify, Op, Operation, Outside, Query, Scope, Step, Sweep
from iredldap.dit.subscribable import MODERATORS, OWNER
from iredldap.errors import InvalidMail, MlmmjadminUnavailable
from iredldap.gateways.directory import Directory
from iredldap.gateways.mlmmjadmin import Broken
from iredldap.operations.mail_databases import Records
from iredldap.operations.mlmmj_calls import MailingLists

LISTS = every(equals("objectClass", "mailList"), equals("enabledService", "mlmmj"))
"""Filter for subscribable lists."""

_LEADERS = {"listOwner": OWNER, "listModerator": MODERATORS}
_MAY_POST = "listAllowedUser"

_Joined = Mapping[str, Mapping[str, set[str]]]
"""Lists of some addresses, by the kind of membership."""

log = structlog.get_logger("iredldap.subscriptions")

Successor = Callable[[str], str | None]
"""Says what stands for an address from now on: itself, another one, or nothing."""


def ending(
    directory: Directory, records: Records, dn: str, addresses: Collection[str]
) -> tuple[Step, ...]:
    """Step: take an account that goes off every list, as member, owner and moderator.

    Args:
        directory: Knows the lists.
        records: Knows mlmmjadmin.
        dn: The account's entry, which may be a list itself.
        addresses: All its addresses, in lower case.

    Raises:
        MlmmjadminUnavailable: If there are lists, and mlmmjadmin does not answer.
    """
    return _of_account(directory, records, dn, dict.fromkeys(addresses))


def moving(
    directory: Directory, records: Records, dn: str, renamed: Mapping[str, str]
) -> tuple[Step, ...]:
    """Step: let an account be on its lists with another address.

    Args:
        directory: Knows the lists.
        records: Knows mlmmjadmin.
        dn: The account's entry.
        renamed: Addresses that it loses, in lower case, with what stands there instead.

    Raises:
        MlmmjadminUnavailable: If there are lists, and mlmmjadmin does not answer.
    """
    return _of_account(directory, records, dn, renamed)


def _of_account(
    directory: Directory, records: Records, dn: str, successors: Mapping[str, str | None]
) -> tuple[Step, ...]:
    lists = records.mlmmjadmin
    others = [entry for entry in _found(directory, lists) if not names.same_dn(entry.dn, dn)]
    if not others:
        return ()
    lists.ask()
    joined = _joined(lists, others, successors)
    is_member = any(joined.values())
    led = [entry for entry in others if _roles(entry) & successors.keys()]
    holding = set[str]()

    def successor(address: str) -> str | None:
        return successors.get(address, address)

    def work() -> None:
        # Once more: they may have joined another list meanwhile.
        again = _joined(lists, others, joined)
        for address, kinds in joined.items():
            now = again[address]
            for kind in sorted(kinds.keys() | now.keys()):
                for mail in sorted(kinds.get(kind, set()) | now.get(kind, set())):
                    _succeed(lists, mail, kind, address, successors[address])
        holding.update(_pass_on(lists, led, successor))

    steps: tuple[Step, ...] = ()
    if led or is_member:
        steps = (Outside("follow on subscribable lists", work),)
    if led and None in successors.values() and generations.knows_leaders(directory.schema()):
        roles = (equals(role, mail) for role in _LEADERS for mail in sorted(successors))
        steps += (_inherit(directory, either(*roles), dn, successor, holding),)
    return steps


def _joined(lists: MailingLists, entries: Iterable[Entry], addresses: Iterable[str]) -> _Joined:
    """Find the lists that some addresses are members of.

    mlmmjadmin fails at that as soon as anything below its folders is not called like a list: then
    the lists that the directory knows are asked one by one.
    """
    wanted = [mail for mail in addresses if _can_subscribe(mail)]
    known = [entry.folded("mail") for entry in entries] if wanted else []
    with lists.held(known):
        try:
            return {mail: lists.subscribed(mail) for mail in wanted}
        except Broken as ex:
            log.warning("is there anything odd below mlmmj's folder", detail=ex.detail)
            cause = ex.detail
        try:
            return _joined_one_by_one(lists, known, wanted)
        except MlmmjadminUnavailable as ex:
            raise MlmmjadminUnavailable(ex.detail, report={"causes": [cause, ex.detail]}) from ex


def _joined_one_by_one(
    lists: MailingLists, known: Iterable[str], wanted: Collection[str]
) -> _Joined:
    found: dict[str, dict[str, set[str]]] = {mail: {} for mail in wanted}
    for mail in known:
        members = lists.subscribers(mail) if _can_subscribe(mail) else {}
        for kind, addresses in members.items():
            for address in addresses.intersection(wanted):
                found[address].setdefault(kind, set()).add(mail)
    return found


def _inherit(
    directory: Directory,
    named: str,
    dn: str,
    successor: Successor,
    holding: Collection[str],
    *,
    below: bool = False,
) -> Sweep:
    """Let the directory name whoever owns or moderates lists that the last one leaves.

    Args:
        directory: Knows the lists.
        named: Filter for those that somebody leaves.
        dn: An entry that is left alone.
        successor: As in `_pass_on`.
        holding: Lists whose posts wait for a moderator, when the sweep is carried out.
        below: Whether what lies below that entry is left alone, too.
    """

    def change(entry: Entry) -> Iterator[Operation]:
        if names.is_within(entry.dn, dn) if below else names.same_dn(entry.dn, dn):
            return
        mail = entry.folded("mail")
        after = {
            role: [new for held in sorted(entry.lowered(role)) if (new := successor(held))]
            for role in _LEADERS
        }
        heirs = {"listOwner": after["listOwner"] or [list_profile.postmaster(mail)]}
        if mail in holding:
            heirs["listModerator"] = after["listModerator"] or heirs["listOwner"]
        heirs[_MAY_POST] = [new for role in heirs for new in heirs[role] if new not in after[role]]
        mods = (
            Mod(
                Op.ADD,
                role,
                encoded(dict.fromkeys(new for new in found if not entry.has(role, new))),
            )
            for role, found in heirs.items()
        )
        added = tuple(mod for mod in mods if mod.values)
        if added:
            yield Modify(entry.dn, added, absent_ok=True)

    query = Query(
        directory.tree.base, Scope.SUBTREE, every(LISTS, named), ("mail", *_LEADERS, _MAY_POST)
    )
    return Sweep("name who leads lists from now on", query, change)


def _found(directory: Directory, lists: MailingLists) -> list[Entry]:
    if not lists.is_configured:
        return []
    query = Query(directory.tree.base, Scope.SUBTREE, LISTS, ("mail", *_LEADERS))
    found = directory.find(query)
    if not found or generations.knows_leaders(directory.schema()):
        return found
    lists.ask()
    profiles = ((entry, lists.profile(entry.folded("mail"))) for entry in found)
    return [with_leaders(directory, entry, profile or {}) for entry, profile in profiles]


def with_leaders(directory: Directory, entry: Entry, profile: Mapping[str, Any]) -> Entry:
    """Give a list with its owners and moderators, also if the schema has no place for them.

    Args:
        directory: Where the list is.
        entry: The list.
        profile: What mlmmjadmin says of it.
    """
    if generations.knows_leaders(directory.schema()):
        return entry
    held = {name: [*encoded(profile.get(row.name) or ())] for name, row in _LEADERS.items()}
    return Entry(entry.dn, {**entry.attributes, **held})


def _can_subscribe(address: str) -> bool:
    """Whether mlmmjadmin knows such addresses at all; of another one it would make an error."""
    try:
        names.subscriber(address)
    except InvalidMail:
        return False
    return True


def _roles(entry: Entry) -> set[str]:
    return {address for attribute in _LEADERS for address in entry.lowered(attribute)}


def _succeed(
    lists: MailingLists, mail: str, kind: str, address: str, successor: str | None
) -> None:
    if successor and _can_subscribe(successor) and successor not in _members(lists, mail):
        lists.subscribe(mail, [successor], kind, confirm=False)
    lists.unsubscribe(mail, [address])


def _members(lists: MailingLists, mail: str) -> set[str]:
    with lists.held([mail]):
        return {address for held in lists.subscribers(mail).values() for address in held}


def _pass_on(lists: MailingLists, led: Iterable[Entry], successor: Successor) -> set[str]:
    """Change owners and moderators in the control files of lists; the directory's own follow.

    Returns:
        Those of the lists whose posts wait for a moderator.
    """
    holding = set[str]()
    for entry in led:
        mail = entry.folded("mail")
        profile = lists.profile(mail)
        if profile is None:
            continue
        for form in list_profile.exchanged(profile, successor, list_profile.postmaster(mail)):
            lists.update(mail, form)
        if list_profile.holds_posts(profile):
            holding.add(mail)
    return holding


def ending_domain(
    directory: Directory, records: Records, dn: str, domains: Collection[str]
) -> Iterator[Step]:
    """Step: archive the lists of a domain that goes, and take its accounts off all others.

    Args:
        directory: Knows the lists.
        records: Knows mlmmjadmin.
        dn: The domain's entry.
        domains: Its name and the names of its alias domains.

    Raises:
        MlmmjadminUnavailable: If there are lists, and mlmmjadmin does not answer.
    """
    lists = records.mlmmjadmin
    if not _found(directory, lists):
        return
    lists.ask()

    def is_gone(address: str) -> bool:
        return names.domain_of(address) in domains

    def successor(address: str) -> str | None:
        return None if is_gone(address) else address

    holding = set[str]()

    def work() -> None:
        others: list[Entry] = []
        for entry in _found(directory, lists):
            mail = entry.folded("mail")
            if names.is_within(entry.dn, dn):
                lists.delete(mail, archive=True)
                continue
            others.append(entry)
            gone = sorted(filter(is_gone, _members(lists, mail)))
            if gone:
                lists.unsubscribe(mail, gone)
        led = (entry for entry in others if any(map(is_gone, _roles(entry))))
        holding.update(_pass_on(lists, led, successor))

    yield Outside("archive the subscribable lists, and follow on others", work)
    if not generations.knows_leaders(directory.schema()):
        return
    roles = (ends_with(role, f"@{name}") for role in _LEADERS for name in sorted(domains))
    yield _inherit(directory, either(*roles), dn, successor, holding, below=True)


def ending_alias_domains(
    directory: Directory, records: Records, dn: str, domains: Collection[str]
) -> Iterator[Outside]:
    """Step: let the lists of a domain forget their addresses in alias domains that end.

    Args:
        directory: Knows the lists.
        records: Knows mlmmjadmin.
        dn: The domain's entry.
        domains: Names of the alias domains.

    Raises:
        MlmmjadminUnavailable: If there are lists, and mlmmjadmin does not answer.
    """
    lists = records.mlmmjadmin
    if not any(names.is_within(entry.dn, dn) for entry in _found(directory, lists)):
        return
    lists.ask()

    def work() -> None:
        for entry in _found(directory, lists):
            mail = entry.folded("mail")
            profile = lists.profile(mail) if names.is_within(entry.dn, dn) else None
            form = list_profile.without(
                mail, profile or {}, lambda address: names.domain_of(address) in domains
            )
            if form:
                lists.update(mail, form)

    yield Outside("forget addresses of the subscribable lists", work)
