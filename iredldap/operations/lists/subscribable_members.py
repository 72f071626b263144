"""Plan who joins and who leaves a subscribable list, and read its members."""

from collections.abc import Iterator
from dataclasses import dataclass

from iredldap.dit import list_kinds
from iredldap.dit.entry import Entry
from iredldap.dit.fields import Field, Parsed, Verb
from iredldap.dit.plan import Outside, Step
from iredldap.errors import InvalidMail
from iredldap.gateways.directory import Directory
from iredldap.operations import external_members, list_membership
from iredldap.operations.mlmmj_calls import MailingLists

KINDS = ("normal", "digest", "nomail")
"""Kinds of membership."""


@dataclass(frozen=True)
class NewSubscribers:
    """Members to add, their kind of membership, whether they confirm, and addresses left out."""

    addresses: tuple[str, ...]
    kind: str
    confirm: bool
    ignored: tuple[str, ...] = ()


def requested(parsed: Parsed, row: Field, entry: Entry) -> NewSubscribers:
    """Read the members to add from a request; the list itself is left out.

    Args:
        parsed: The request.
        row: The parameter that names them.
        entry: The list.

    Raises:
        InvalidMail: If the list itself is the only one.
    """
    sent = next((c.values for c in parsed.changes if c.field.name == row.name), ())
    own = entry.lowered("mail") | entry.lowered("shadowAddress")
    # A list among its own members would send each post to itself again.
    addresses = tuple(mail for mail in sent if mail not in own)
    if sent and not addresses:
        raise InvalidMail("a list is no member of itself", parameter=row.name)
    return NewSubscribers(
        addresses,
        parsed.value("subscription") or "normal",
        parsed.value("require_confirm") != "no",
        tuple(mail for mail in sent if mail in own),
    )


def subscribe(lists: MailingLists, mail: str, members: NewSubscribers) -> Iterator[Outside]:
    """Yield the step that adds members, each of one kind unless they have still to confirm."""
    if members.addresses:
        yield Outside("add members", lambda: _join(lists, mail, members))


def _join(lists: MailingLists, mail: str, members: NewSubscribers) -> None:
    with lists.held([mail]):
        held = lists.subscribers(mail)
    present = held.pop(members.kind, set())
    others = {address for addresses in held.values() for address in addresses}
    moving = others.intersection(members.addresses)
    # Who has still to confirm stays of the kind that they are: they may never do so.
    if moving and not members.confirm:
        lists.unsubscribe(mail, sorted(moving))
        present -= moving
    new = [address for address in members.addresses if address not in present]
    if new:
        lists.subscribe(mail, new, members.kind, confirm=members.confirm)


def unsubscribe(
    directory: Directory, lists: MailingLists, entry: Entry, mail: str, parsed: Parsed
) -> Iterator[Step]:
    """Yield the steps that remove the members a request names, of any kind of membership.

    Also members that the directory names: mail to the list reaches them without mlmmj.
    """
    gone = next((c.values for c in parsed.changes if c.verb is Verb.REMOVE), ())
    if gone:
        everybody = list_kinds.EVERYBODY in gone
        # The directory first: mlmmj is what may fail, and a repeat finds the rest by the request
        # alone.
        yield from list_membership.remove_members(directory, entry, gone, everybody=everybody)
        yield Outside("remove members", lambda: lists.unsubscribe(mail, gone))


def read(
    directory: Directory, lists: MailingLists, entry: Entry, mail: str
) -> dict[str, list[str]]:
    """Read the members of a list: sorted addresses by the kind of membership.

    Members that the directory names get each mail, as normal members do.

    Raises:
        MlmmjadminUnavailable: If mlmmjadmin does not answer.
    """
    members = lists.subscribers(mail)
    externals, ours = list_membership.members_of(directory, entry)
    named = external_members.held(externals) | {one.folded("mail") for one in ours}
    members["normal"] = members.get("normal", set()) | named
    return {kind: sorted(members.get(kind, ())) for kind in KINDS}
