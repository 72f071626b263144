"""Plan changes of the entries that hold the external members of a list.

An external member is an address of another server.

One entry for a list is usual. Other tools make several, one for several lists, and one for a
further address of a list alone.

Source: iRedMail's directory, "Mailing lists".
"""

from collections.abc import Collection, Iterable, Iterator, Sequence

from iredldap.dit import domain_entry, maillist, names
from iredldap.dit.entry import Entry, distinct, encoded, folded
from iredldap.dit.filters import equals
from iredldap.dit.maillist import GROUP
from iredldap.dit.plan import Add, Delete, Mod, Modify, Op, Operation, Query, Scope, Sweep
from iredldap.gateways.directory import Directory


def dn_of(directory: Directory, entry: Entry) -> str:
    """Return the DN of the entry of a list's external members: beside the list, in its domain."""
    mail = maillist.addresses(entry)[0]
    home = names.domain_dn(entry.dn)
    return names.externals(home, mail) if home else directory.tree.externals(mail)


def held(externals: Iterable[Entry]) -> set[str]:
    """Return the addresses of external members, in lower case."""
    return {mail for entry in externals for mail in entry.lowered("mail")}


def complete(entry: Entry, externals: Iterable[Entry]) -> list[Entry]:
    """Return the entries whose members get the mail to the list's own address."""
    mail = maillist.addresses(entry)[0]
    return [one for one in externals if one.has(GROUP, mail)]


def change(
    directory: Directory,
    entry: Entry,
    externals: Sequence[Entry],
    added: tuple[str, ...],
    removed: tuple[str, ...] = (),
) -> tuple[Operation | Sweep, ...]:
    """Return the steps that change the external members, in an entry made for the first of them.

    An entry that serves other lists too is split first: each list then has the members in an entry
    of its own. A member under a further address of the list alone can be removed; new ones become
    members under its own.

    Args:
        directory: Where.
        entry: The list.
        externals: The entries of its external members.
        added: Addresses of new members, in lower case.
        removed: Addresses of those to remove; those that are also added stay.
    """
    own = maillist.addresses(entry)
    # Who is a member under a further address of the list only gets no mail that is sent to its own,
    # so they are added there like a new one.
    present = held(complete(entry, externals))
    new = tuple(address for address in added if address not in present)
    gone = held(externals).intersection(removed) - {*added}
    if not new and not gone:
        return ()
    steps: list[Operation | Sweep] = []
    kept: list[str] = []
    remaining: list[str] = []
    # Sorted, so that a repeat chooses the same entry for new members.
    for found in sorted(externals, key=lambda one: one.dn):
        changes, moved, stays = _remove_from(found, own, gone)
        steps += changes
        kept += moved
        if stays:
            remaining.append(found.dn)
    staying = held(one for one in externals if one.dn in remaining)
    missing = encoded(distinct(m for m in (*kept, *new) if folded(m) not in staying))
    if not missing:
        return tuple(steps)
    # Members are added before they are removed elsewhere: a crash in between leaves a member in two
    # entries, never in none.
    if remaining:
        return (Modify(remaining[0], (Mod(Op.ADD, "mail", missing),)), *steps)
    mail, *shadows = own
    is_marked = entry.has("domainStatus", "disabled")
    made = maillist.new_externals(mail, shadows, is_marked=is_marked)
    dn = dn_of(directory, entry)
    container = domain_entry.new_container(names.parent(names.parent(dn)), "Externals")
    return (
        # Two steps: an entry that is there already, of a request that broke off, gets them too.
        Add(dn, made, present_ok=True, container=container),
        Modify(dn, (Mod(Op.ADD, "mail", missing),)),
        *steps,
    )


def _remove_from(
    found: Entry, own: Sequence[str], gone: Collection[str]
) -> tuple[list[Operation | Sweep], list[str], bool]:
    """Plan the removal of members from an entry.

    Returns:
        The steps; the members that need another entry to stay members; whether this entry remains
        one that new members can be added to.
    """
    steps: list[Operation | Sweep] = []
    staying = [mail for mail in found.texts("mail") if folded(mail) not in gone]
    removed = encoded(mail for mail in found.texts("mail") if folded(mail) in gone)
    is_whole = found.has(GROUP, own[0])
    if not removed and not is_whole:
        return steps, [], False
    # Changed in place, the members of the other lists would change too.
    if others := maillist.other_lists(found, own):
        steps += _split(found, own, others)
        if not maillist.is_named_by(found, own):
            return steps, staying, False
    elif folded(names.named_by(found.dn, "mail") or "") in gone:
        # The entry is named by the address that is removed: the others move to another entry.
        return [Delete(found.dn, absent_ok=True, with_children=True)], staying, False
    if removed:
        steps.append(Modify(found.dn, (Mod(Op.DELETE, "mail", removed),)))
    return steps, [], is_whole


def _split(found: Entry, own: Sequence[str], others: Sequence[str]) -> Iterator[Operation | Sweep]:
    """Split an entry of external members that serves several lists.

    No member misses a mail meanwhile: a list gets its new entry before it loses the old one. The
    caller sees to that for the list of these addresses, where another list names the entry.
    """
    if not maillist.is_named_by(found, own):
        yield Modify(found.dn, maillist.without_lists(found, own))
        return
    for other in others:
        dn, attributes = maillist.copied(found, own, other)
        yield Add(dn, attributes, present_ok=True)
        # As a sweep, which reads first: of a request that broke off, the entry may have some of the
        # members, and slapd refuses a value that is there.
        yield _fill(dn, found.texts("mail"))
    # Last: until then both entries deliver, and Postfix sends a message once to a destination that
    # it finds twice.
    yield Modify(found.dn, maillist.only_lists(found, own))


def _fill(dn: str, addresses: Sequence[str]) -> Sweep:
    """Return the sweep that adds missing members to an entry, which may have existed before."""

    def fill(entry: Entry) -> Iterator[Operation]:
        present = entry.lowered("mail")
        missing = encoded(mail for mail in addresses if folded(mail) not in present)
        if missing:
            yield Modify(dn, (Mod(Op.ADD, "mail", missing),))

    query = Query(dn, Scope.BASE, equals("objectClass", "mailExternalUser"), ("mail",))
    return Sweep("add external members", query, fill)


def without_list(externals: Iterable[Entry], own: Sequence[str]) -> Iterator[Operation | Sweep]:
    """Yield the steps that remove a list from its entries of external members.

    Other lists that an entry serves keep their members.
    """
    for found in externals:
        others = maillist.other_lists(found, own)
        if others:
            yield from _split(found, own, others)
        if not others or maillist.is_named_by(found, own):
            yield Delete(found.dn, absent_ok=True, with_children=True)


def ended(found: Entry, own: Sequence[str]) -> Iterator[Operation]:
    """Yield the operations that remove a deleted list from an entry of external members."""
    others = maillist.other_lists(found, own)
    if others and not maillist.is_named_by(found, own):
        yield Modify(found.dn, maillist.without_lists(found, own), absent_ok=True)
        return
    for other in others:
        yield Add(*maillist.copied(found, own, other), present_ok=True)
    yield Delete(found.dn, absent_ok=True, with_children=True)
