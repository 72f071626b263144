"""What an account that goes, or gets another address, leaves behind on subscribable lists.

The directory knows who owns and who moderates a list, and mlmmjadmin who is subscribed. It is asked
only where it is configured and there is a list at all: whoever has none needs it for nothing. Lists
follow before the directory does, as the directory is what tells a repeat which lists they are.

Source: `docs/decisions/0020-subscribable-lists.md`.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from iredldap.dit import generations, list_profile, names
from iredldap.dit.entry import Entry, encoded
from iredldap.dit.names import equals, every
from iredldap.dit.plan import Outside, Query, Scope
from iredldap.dit.subscribable import MODERATORS, OWNER
from iredldap.errors import InvalidMail
from iredldap.gateways.directory import Directory
from iredldap.operations.mailing_lists import MailingLists
from iredldap.operations.records import Records

LISTS = every(equals("objectClass", "mailList"), equals("enabledService", "mlmmj"))
"""Filter for subscribable lists."""

_LEADERS = {"listOwner": OWNER, "listModerator": MODERATORS}

Successor = Callable[[str], str | None]
"""Says what stands for an address from now on: itself, another one, or nothing."""


def ending(
    directory: Directory, records: Records, dn: str, addresses: Collection[str]
) -> tuple[Outside, ...]:
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
) -> tuple[Outside, ...]:
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
) -> tuple[Outside, ...]:
    lists = records.mlmmjadmin
    others = [entry for entry in _found(directory, lists) if not names.same(entry.dn, dn)]
    if not others:
        return ()
    lists.ask()
    joined = {mail: lists.subscribed(mail) for mail in successors if _can_subscribe(mail)}
    is_member = any(joined.values())
    led = [entry for entry in others if _roles(entry) & successors.keys()]

    def work() -> None:
        for address, kinds in joined.items():
            # Once more: while another call rewrites the members of a list, nobody is among them.
            now = lists.subscribed(address)
            for kind in sorted(kinds.keys() | now.keys()):
                for mail in sorted(kinds.get(kind, set()) | now.get(kind, set())):
                    _succeed(lists, mail, kind, address, successors[address])
        _pass_on(lists, led, lambda address: successors.get(address, address))

    words = "follow on subscribable lists"
    return (Outside(words, work),) if led or is_member else ()


def _found(directory: Directory, lists: MailingLists) -> list[Entry]:
    if not lists.is_configured:
        return []
    query = Query(directory.tree.base, Scope.SUBTREE, LISTS, ("mail", *_LEADERS))
    found = directory.find(query)
    if not found or generations.knows_leaders(directory.schema()):
        return found
    lists.ask()
    profiles = ((entry, lists.profile((entry.text("mail") or "").lower())) for entry in found)
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
    if successor and _can_subscribe(successor):
        members = lists.subscribers(mail).values()
        if not any(successor in held for held in members):
            lists.subscribe(mail, [successor], kind, confirm=False)
    lists.unsubscribe(mail, [address])


def _pass_on(lists: MailingLists, led: Iterable[Entry], successor: Successor) -> None:
    """Change owners and moderators in the control files of lists; the directory's own follow."""
    for entry in led:
        mail = (entry.text("mail") or "").lower()
        for form in list_profile.exchanged(lists.profile(mail) or {}, successor):
            lists.update(mail, form)


def ending_domain(
    directory: Directory, records: Records, dn: str, domains: Collection[str]
) -> Iterator[Outside]:
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

    def work() -> None:
        others: list[Entry] = []
        for entry in _found(directory, lists):
            mail = (entry.text("mail") or "").lower()
            if names.below(entry.dn, dn):
                lists.delete(mail, archive=True)
                continue
            others.append(entry)
            members = lists.subscribers(mail).values()
            gone = sorted({address for held in members for address in held if is_gone(address)})
            if gone:
                lists.unsubscribe(mail, gone)
        led = (entry for entry in others if any(map(is_gone, _roles(entry))))
        _pass_on(lists, led, lambda address: None if is_gone(address) else address)

    yield Outside("archive the subscribable lists, and follow on others", work)
