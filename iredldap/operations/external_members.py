"""The entries of a list's members elsewhere: who is in them, who comes and who leaves.

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
    """DN of the entry of a list's members elsewhere: beside the list, in its domain."""
    mail = maillist.addresses(entry)[0]
    home = names.domain_dn(entry.dn)
    return names.externals(home, mail) if home else directory.tree.externals(mail)


def held(externals: Iterable[Entry]) -> set[str]:
    """Addresses of the members elsewhere, in lower case."""
    return {mail for entry in externals for mail in entry.lowered("mail")}


def whole(entry: Entry, externals: Iterable[Entry]) -> list[Entry]:
    """Entries of members elsewhere who get the mail to the list's own address."""
    mail = maillist.addresses(entry)[0]
    return [one for one in externals if one.has(GROUP, mail)]


def change(
    directory: Directory,
    entry: Entry,
    externals: Sequence[Entry],
    come: tuple[str, ...],
    go: tuple[str, ...] = (),
) -> tuple[Operation | Sweep, ...]:
    """Change the members elsewhere, on an entry that is made when there is a first one.

    An entry that serves other lists too is parted first: each list then has the members in an
    entry of its own. Who is a member under a further address of the list alone can leave; to come,
    they need the list's own.

    Args:
        directory: Where.
        entry: The list.
        externals: The entries of its members elsewhere.
        come: Addresses of new members, in lower case.
        go: Addresses of those who leave; who comes stays.
    """
    own = maillist.addresses(entry)
    there = held(whole(entry, externals))
    added = tuple(address for address in come if address not in there)
    gone = held(externals).intersection(go) - {*come}
    if not added and not gone:
        return ()
    steps: list[Operation | Sweep] = []
    kept: list[str] = []
    places: list[str] = []
    for found in sorted(externals, key=lambda one: one.dn):
        changes, homeless, stays = _changed(found, own, gone)
        steps += changes
        kept += homeless
        if stays:
            places.append(found.dn)
    standing = held(one for one in externals if one.dn in places)
    # What an entry named by another list held goes before that one loses this list.
    missing = encoded(distinct(m for m in (*kept, *added) if folded(m) not in standing))
    if not missing:
        return tuple(steps)
    if places:
        return (Modify(places[0], (Mod(Op.ADD, "mail", missing),)), *steps)
    mail, *shadows = own
    is_marked = entry.has("domainStatus", "disabled")
    made = maillist.new_externals(mail, shadows, is_marked=is_marked)
    dn = dn_of(directory, entry)
    container = domain_entry.new_container(names.parent(names.parent(dn)), "Externals")
    return (
        Add(dn, made, present_ok=True, container=container),
        Modify(dn, (Mod(Op.ADD, "mail", missing),)),
        *steps,
    )


def _changed(
    found: Entry, own: Sequence[str], gone: Collection[str]
) -> tuple[list[Operation | Sweep], list[str], bool]:
    """Take members off an entry for members elsewhere.

    Returns:
        What is to be done; who stays a member and needs another entry for that; whether this entry
        stays one that has all members to come.
    """
    steps: list[Operation | Sweep] = []
    staying = [mail for mail in found.texts("mail") if folded(mail) not in gone]
    away = encoded(mail for mail in found.texts("mail") if folded(mail) in gone)
    is_whole = found.has(GROUP, own[0])
    if not away and not is_whole:
        return steps, [], False
    if others := maillist.other_lists(found, own):
        steps += _parted(found, own, others)
        if not maillist.is_named_by(found, own):
            return steps, staying, False
    elif folded(names.named_by(found.dn, "mail") or "") in gone:
        # Its name can't go without it: who stays in it moves to another entry.
        return [Delete(found.dn, absent_ok=True, with_children=True)], staying, False
    if away:
        steps.append(Modify(found.dn, (Mod(Op.DELETE, "mail", away),)))
    return steps, [], is_whole


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


def ended(found: Entry, own: Sequence[str]) -> Iterator[Operation]:
    """Take a list that is gone off an entry of members elsewhere."""
    others = maillist.other_lists(found, own)
    if others and not maillist.is_named_by(found, own):
        yield Modify(found.dn, maillist.without_lists(found, own), absent_ok=True)
        return
    for other in others:
        yield Add(*maillist.copied(found, own, other), present_ok=True)
    yield Delete(found.dn, absent_ok=True, with_children=True)
