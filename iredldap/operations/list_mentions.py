"""Remove or replace the addresses of deleted and renamed accounts on subscribable lists.

The directory knows who owns and who moderates a list, mlmmjadmin who is subscribed. mlmmjadmin is
asked only where it is configured and there is a list at all. The lists change before the directory
does: a repeat of the request finds the lists to change by what the directory has.

Source: `docs/decisions/0020-subscribable-lists.md`.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

import structlog

from iredldap.dit import generations, list_profile, mail_names, names
from iredldap.dit.entry import Entry, encoded
from iredldap.dit.filters import either, ends_with, equals, every
from iredldap.dit.plan import Mod, Modify, Op, Operation, Outside, Query, Scope, Step, Sweep
from iredldap.dit.subscribable import MODERATORS, OWNER
from iredldap.errors import InvalidMail, MlmmjadminUnavailable
from iredldap.gateways.directory import Directory
from iredldap.gateways.mlmmjadmin import Broken
from iredldap.operations.context import Context
from iredldap.operations.mlmmj_calls import MailingLists

LISTS = every(equals("objectClass", "mailList"), equals("enabledService", "mlmmj"))
"""Filter for subscribable lists."""

_LEADERS = {"listOwner": OWNER, "listModerator": MODERATORS}
_MAY_POST = "listAllowedUser"

_Joined = Mapping[str, Mapping[str, set[str]]]
"""Lists of some addresses, by the kind of membership."""

log = structlog.get_logger("iredldap.subscriptions")

Successor = Callable[[str], str | None]
"""Returns what replaces an address: itself (it stays), another one, or None (it is removed)."""


def remove_account(context: Context, dn: str, addresses: Collection[str]) -> tuple[Step, ...]:
    """Return the steps that remove an account from every list, as member, owner and moderator.

    Args:
        context: Knows the lists, and mlmmjadmin.
        dn: The account's entry, which may be a list itself.
        addresses: All its addresses, in lower case.

    Raises:
        MlmmjadminUnavailable: If there are lists, and mlmmjadmin does not answer.
    """
    return _replace_in_lists(context, dn, dict.fromkeys(addresses))


def replace_addresses(context: Context, dn: str, renamed: Mapping[str, str]) -> tuple[Step, ...]:
    """Return the steps that replace addresses of an account on its lists.

    Args:
        context: Knows the lists, and mlmmjadmin.
        dn: The account's entry.
        renamed: Addresses that it loses, in lower case, each with the one that replaces it.

    Raises:
        MlmmjadminUnavailable: If there are lists, and mlmmjadmin does not answer.
    """
    return _replace_in_lists(context, dn, renamed)


def _replace_in_lists(
    context: Context, dn: str, successors: Mapping[str, str | None]
) -> tuple[Step, ...]:
    directory, lists = context.directory, context.outside.mlmmjadmin
    others = [e for e in _read_lists(directory, lists) if not names.same_dn(e.dn, dn)]
    if not others:
        return ()
    lists.ask()
    # When the plan is made, not when it is carried out: if mlmmjadmin does not answer, nothing has
    # been changed yet.
    joined = _joined(lists, others, successors)
    is_member = any(joined.values())
    led = [entry for entry in others if _leaders(entry) & successors.keys()]
    moderated = set[str]()

    def successor(address: str) -> str | None:
        return successors.get(address, address)

    def work() -> None:
        # Again: the addresses may have joined another list since the plan was made.
        again = _joined(lists, others, joined)
        for address, kinds in joined.items():
            now = again[address]
            for kind in sorted(kinds.keys() | now.keys()):
                for mail in sorted(kinds.get(kind, set()) | now.get(kind, set())):
                    _replace_member(lists, mail, kind, address, successors[address])
        moderated.update(_replace_leaders(lists, led, successor))

    steps: tuple[Step, ...] = ()
    if led or is_member:
        steps = (Outside("update subscribable lists", work),)
    if led and None in successors.values() and generations.knows_leaders(directory.schema()):
        roles = (equals(role, mail) for role in _LEADERS for mail in sorted(successors))
        # After the control files: their settings say whether posts wait for a moderator.
        steps += (
            _appoint_leaders(
                directory,
                either(*roles),
                lambda entry: names.same_dn(entry.dn, dn),
                successor,
                moderated,
            ),
        )
    return steps


def places(context: Context, dn: str, addresses: Collection[str]) -> list[tuple[str, str]]:
    """Return the lists that name some addresses, each with a kind of membership or a role.

    They are those that `remove_account` and `replace_addresses` change.

    Args:
        context: Knows the lists, and mlmmjadmin.
        dn: The account's entry, which may be a list itself.
        addresses: All its addresses, in lower case.

    Raises:
        MlmmjadminUnavailable: If there are lists, and mlmmjadmin does not answer.
    """
    directory, lists = context.directory, context.outside.mlmmjadmin
    others = [e for e in _read_lists(directory, lists) if not names.same_dn(e.dn, dn)]
    if not others:
        return []
    lists.ask()
    joined = _joined(lists, others, addresses)
    found = {
        (mail, kind) for kinds in joined.values() for kind, mails in kinds.items() for mail in mails
    }
    found |= {
        (entry.folded("mail"), row.name)
        for entry in others
        for attribute, row in _LEADERS.items()
        if entry.lowered(attribute).intersection(addresses)
    }
    return sorted(found)


def _joined(lists: MailingLists, entries: Iterable[Entry], addresses: Iterable[str]) -> _Joined:
    """Find the lists that some addresses are members of.

    mlmmjadmin fails at that as soon as anything below its folders is not called like a list: then
    the lists that the directory knows are read one by one.
    """
    # An address that mlmmjadmin refuses can be on no list, and would make its answer about all
    # others a failure.
    wanted = [mail for mail in addresses if _can_subscribe(mail)]
    known = [entry.folded("mail") for entry in entries] if wanted else []
    # mlmmjadmin writes a file of members anew for each change: read at that moment it is empty, and
    # the account would stay on the list.
    with lists.held(known):
        try:
            return {mail: lists.subscribed(mail) for mail in wanted}
        except Broken as ex:
            log.warning("is there anything odd below mlmmj's folder", detail=ex.detail)
            # Kept for the report: an admin needs the first error, not only that of the second
            # attempt.
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


def _appoint_leaders(
    directory: Directory,
    named: str,
    is_removed: Callable[[Entry], bool],
    successor: Successor,
    moderated: Collection[str],
) -> Sweep:
    """Return the sweep that gives lists another owner or moderator for the last one they lose.

    Args:
        directory: Knows the lists.
        named: Filter for lists that lose one.
        is_removed: Whether a list is about to be removed itself, and stays as it is.
        successor: As in `_replace_leaders`.
        moderated: Lists whose posts wait for a moderator, at the time when the sweep is executed.
    """

    def change(entry: Entry) -> Iterator[Operation]:
        if is_removed(entry):
            return
        mail = entry.folded("mail")
        after = {
            role: [new for held in sorted(entry.lowered(role)) if (new := successor(held))]
            for role in _LEADERS
        }
        # A list without an owner sends its bounces and requests to no one.
        wanted = {"listOwner": after["listOwner"] or [list_profile.postmaster(mail)]}
        if mail in moderated:
            # mlmmj asks moderators alone about posts that wait, and discards these after a week
            # without a word.
            wanted["listModerator"] = after["listModerator"] or wanted["listOwner"]
        appointed = [new for role in wanted for new in wanted[role] if new not in after[role]]
        wanted[_MAY_POST] = appointed
        mods = (
            Mod(
                Op.ADD,
                role,
                encoded(dict.fromkeys(new for new in found if not entry.has(role, new))),
            )
            for role, found in wanted.items()
        )
        added = tuple(mod for mod in mods if mod.values)
        if added:
            yield Modify(entry.dn, added, absent_ok=True)

    query = Query(
        directory.tree.base, Scope.SUBTREE, every(LISTS, named), ("mail", *_LEADERS, _MAY_POST)
    )
    return Sweep("appoint owners and moderators of lists", query, change)


def _read_lists(directory: Directory, lists: MailingLists) -> list[Entry]:
    # Without a URL the lists, if there are any, are kept by another program, which has to look
    # after its members.
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
    """Return a list with its owners and moderators, also if the schema has no attribute for them.

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
    """Return whether mlmmjadmin takes such an address; another one makes its calls fail."""
    try:
        mail_names.subscriber(address)
    except InvalidMail:
        return False
    return True


def _leaders(entry: Entry) -> set[str]:
    return {address for attribute in _LEADERS for address in entry.lowered(attribute)}


def _replace_member(
    lists: MailingLists, mail: str, kind: str, address: str, successor: str | None
) -> None:
    # Subscribed before the old address is unsubscribed, so that no post is missed in between.
    if successor and _can_subscribe(successor) and successor not in _members(lists, mail):
        lists.subscribe(mail, [successor], kind, confirm=False)
    lists.unsubscribe(mail, [address])


def _members(lists: MailingLists, mail: str) -> set[str]:
    with lists.held([mail]):
        return {address for held in lists.subscribers(mail).values() for address in held}


def _replace_leaders(lists: MailingLists, led: Iterable[Entry], successor: Successor) -> set[str]:
    """Replace owners and moderators in the control files of lists; the directory follows.

    Returns:
        Addresses of those lists whose posts wait for a moderator.
    """
    moderated = set[str]()
    for entry in led:
        mail = entry.folded("mail")
        profile = lists.profile(mail)
        if profile is None:
            continue
        # The control files before the directory, which names the lists that a repeat has to look
        # at.
        for form in list_profile.exchanged(profile, successor, list_profile.postmaster(mail)):
            lists.update(mail, form)
        if list_profile.holds_posts(profile):
            moderated.add(mail)
    return moderated


def remove_domain(context: Context, dn: str, domains: Collection[str]) -> Iterator[Step]:
    """Yield the steps that archive the lists of a domain and remove its accounts from all others.

    Args:
        context: Knows the lists, and mlmmjadmin.
        dn: The domain's entry.
        domains: Its name and the names of its alias domains.

    Raises:
        MlmmjadminUnavailable: If there are lists, and mlmmjadmin does not answer.
    """
    directory, lists = context.directory, context.outside.mlmmjadmin
    if not _read_lists(directory, lists):
        return
    lists.ask()

    def is_gone(address: str) -> bool:
        return mail_names.domain_of(address) in domains

    def successor(address: str) -> str | None:
        return None if is_gone(address) else address

    moderated = set[str]()

    def work() -> None:
        others: list[Entry] = []
        for entry in _read_lists(directory, lists):
            mail = entry.folded("mail")
            if names.is_within(entry.dn, dn):
                # Archived, not removed: unlike a mailbox, for which there are days to think again,
                # the folder would be gone at once.
                lists.delete(mail, archive=True)
                continue
            others.append(entry)
            gone = sorted(filter(is_gone, _members(lists, mail)))
            if gone:
                lists.unsubscribe(mail, gone)
        led = (entry for entry in others if any(map(is_gone, _leaders(entry))))
        moderated.update(_replace_leaders(lists, led, successor))

    yield Outside("archive the subscribable lists, and update others", work)
    if not generations.knows_leaders(directory.schema()):
        return
    roles = (ends_with(role, f"@{name}") for role in _LEADERS for name in sorted(domains))
    yield _appoint_leaders(
        directory,
        either(*roles),
        lambda entry: names.is_within(entry.dn, dn),
        successor,
        moderated,
    )


def remove_alias_domains(context: Context, dn: str, domains: Collection[str]) -> Iterator[Outside]:
    """Yield the step that removes addresses in alias domains from the lists of a domain.

    Args:
        context: Knows the lists, and mlmmjadmin.
        dn: The domain's entry.
        domains: Names of the alias domains that it loses.

    Raises:
        MlmmjadminUnavailable: If there are lists, and mlmmjadmin does not answer.
    """
    lists = context.outside.mlmmjadmin
    if not any(names.is_within(e.dn, dn) for e in _read_lists(context.directory, lists)):
        return
    lists.ask()

    def work() -> None:
        for entry in _read_lists(context.directory, lists):
            mail = entry.folded("mail")
            profile = lists.profile(mail) if names.is_within(entry.dn, dn) else None
            form = list_profile.without(
                mail, profile or {}, lambda address: mail_names.domain_of(address) in domains
            )
            if form:
                lists.update(mail, form)

    yield Outside("remove addresses from the subscribable lists", work)
