"""Who joins and who leaves a subscribable list."""

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
class Joining:
    """The members to add, of which kind, whether they are asked, and who cannot be one."""

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
    """Step: add members; each in one way only, unless they have still to confirm the second."""
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


def leaving(
    directory: Directory, lists: MailingLists, entry: Entry, mail: str, parsed: Parsed
) -> Iterator[Step]:
    """Steps: remove the members that a request names, whatever their kind.

    Also those whom the directory names: mail to the list comes to them beside mlmmj.
    """
    gone = next((c.values for c in parsed.changes if c.verb is Verb.REMOVE), ())
    if gone:
        everybody = list_kinds.EVERYBODY in gone
        yield from list_membership.remove_members(directory, entry, gone, everybody=everybody)
        yield Outside("remove members", lambda: lists.unsubscribe(mail, gone))


def shown(
    directory: Directory, lists: MailingLists, entry: Entry, mail: str
) -> dict[str, list[str]]:
    """Read the members of a list: sorted addresses by the kind of membership.

    Whom the directory names gets each mail, as normal members do.

    Raises:
        MlmmjadminUnavailable: If mlmmjadmin does not answer.
    """
    members = lists.subscribers(mail)
    externals, ours = list_membership.members_of(directory, entry)
    named = external_members.held(externals) | {one.folded("mail") for one in ours}
    members["normal"] = members.get("normal", set()) | named
    return {kind: sorted(members.get(kind, ())) for kind in KINDS}
