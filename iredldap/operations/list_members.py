"""Who joins and who leaves a subscribable list."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from iredldap.dit.entry import Entry
from iredldap.dit.fields import Field, Parsed, Verb
from iredldap.dit.plan import Outside
from iredldap.errors import InvalidMail
from iredldap.operations.mailing_lists import MailingLists


@dataclass(frozen=True)
class Joining:
    """Who shall be a member, of which kind, and whether he is asked; who cannot be one."""

    addresses: tuple[str, ...]
    kind: str
    confirm: bool
    ignored: tuple[str, ...] = ()


def asked(parsed: Parsed, row: Field, entry: Entry) -> Joining:
    """Read who shall join; the list itself never does.

    Args:
        parsed: The request.
        row: The parameter that names them.
        entry: The list.

    Raises:
        InvalidMail: If nobody but the list itself is among them.
    """
    sent = next((c.values for c in parsed.changes if c.field.name == row.name), ())
    own = entry.lowered("mail") | entry.lowered("shadowAddress")
    addresses = tuple(mail for mail in sent if mail not in own)
    if sent and not addresses:
        raise InvalidMail("a list is no member of itself", parameter=row.name)
    return Joining(
        addresses,
        parsed.value("subscription") or "normal",
        parsed.value("require_confirm") != "no",
        tuple(mail for mail in sent if mail in own),
    )


def joining(lists: MailingLists, mail: str, members: Joining) -> Iterator[Outside]:
    """Step: add members; nobody is one in two ways, unless he has still to confirm the second."""
    if members.addresses:
        yield Outside("add members", lambda: _join(lists, mail, members))


def _join(lists: MailingLists, mail: str, members: Joining) -> None:
    with lists.held([mail]):
        held = lists.subscribers(mail)
    there = held.pop(members.kind, set())
    others = {address for addresses in held.values() for address in addresses}
    moving = others.intersection(members.addresses)
    if moving and not members.confirm:
        lists.unsubscribe(mail, sorted(moving))
        there -= moving
    new = [address for address in members.addresses if address not in there]
    if new:
        lists.subscribe(mail, new, members.kind, confirm=members.confirm)


def leaving(lists: MailingLists, mail: str, parsed: Parsed) -> Iterator[Outside]:
    """Step: remove the members that a request names, whatever their kind."""
    gone: Iterable[str] = next((c.values for c in parsed.changes if c.verb is Verb.REMOVE), ())
    if gone:
        yield Outside("remove members", lambda: lists.unsubscribe(mail, gone))
