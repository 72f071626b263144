"""Check that the targets of references exist, before a change writes them and after it.

Our own changes take turns. Other programs take none: an account that a plan refers to may be
deleted or renamed between the search for it and the write. So every reference is checked again
afterwards. If its target existed and is gone, the reference is removed, or replaced by the new name
of a renamed account; one that never had a target stays as it was sent.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from iredldap import finders
from iredldap.dit import domain, mail_names, names, references
from iredldap.dit.dn_references import ACCOUNT_DNS
from iredldap.dit.entry import Entry, encoded
from iredldap.dit.filters import either, equals, every
from iredldap.dit.holders import holders_filter
from iredldap.dit.plan import (
    Add,
    Correction,
    Mod,
    Modify,
    Op,
    Operation,
    Plan,
    Query,
    Recheck,
    Scope,
    Step,
)
from iredldap.gateways.directory import Directory
from iredldap.operations.login import Caller

_ATTRIBUTES = ("mail", "shadowAddress", "entryUUID")

_FEW = 20
"""Most destinations that are looked up in the search for the account itself, which returns whole
entries: of more, a search of their own is cheaper."""


class Judge:
    """Finds out which destinations exist, and remembers what it has found.

    Args:
        directory: Where.
        judges: Whether the caller may learn what exists in a domain; addresses in others are not
            judged.
        coming: Addresses that will exist, as a context has them.

    Attributes:
        found: entryUUID by address of the accounts that exist. As `Plan.found` it spares
            `with_rechecks` a search.
    """

    def __init__(
        self,
        directory: Directory,
        judges: Callable[[str], bool],
        coming: AbstractSet[str] = frozenset(),
    ) -> None:
        self._directory = directory
        self._judges = judges
        self._coming = coming
        self._known: dict[str, list[Entry]] = {}
        self.found: dict[str, str] = {}

    @classmethod
    def of(cls, directory: Directory, caller: Caller, coming: AbstractSet[str]) -> "Judge":
        """Return one that judges in the domains that a caller manages."""
        return cls(directory, partial(caller.manages, by_alias=True), coming)

    def find_with(self, query: Query, addresses: Iterable[str]) -> list[Entry]:
        """Search, and find the accounts of a few destinations in the same search.

        `unreachable` then does not search for these again.

        Args:
            query: Below the parent of all domains.
            addresses: Destinations, in lower case.

        Returns:
            All entries found, the accounts of the destinations among them.
        """
        # Both forms are searched at once: Postfix looks for `ann+news@…` as it is before it looks
        # for `ann@…`.
        wanted = _forms(self._judged(addresses))
        if not 0 < len(wanted) <= _FEW:
            return self._directory.find(query)
        filter_ = either(query.filter, holders_filter(*sorted(wanted)))
        attributes = (*query.attributes, "entryUUID")
        entries = self._directory.find(replace(query, filter=filter_, attributes=attributes))
        holders = finders.by_address(filter(finders.is_account, entries), wanted)
        self._known |= {address: holders.get(address, []) for address in wanted}
        return entries

    def _judged(self, addresses: Iterable[str]) -> set[str]:
        return {
            mail for mail in addresses if "@" in mail and self._judges(mail_names.domain_of(mail))
        }

    def unreachable(self, addresses: Iterable[str]) -> set[str]:
        """Return those of some addresses that lie in a domain hosted here and belong to no account.

        An address with an extension is that of the account without it.

        Args:
            addresses: Destinations, in lower case.
        """
        asked = self._judged(addresses)
        wanted = _forms(asked)
        holders = {mail: self._known[mail] for mail in wanted & self._known.keys()}
        holders |= finders.holders(self._directory, wanted - holders.keys(), ("entryUUID",))
        self.found |= {mail: number(found[-1]) for mail, found in holders.items() if found}
        there = self.found.keys() | self._coming
        missing = {mail for mail in asked if not _forms((mail,)) & there}
        # Whether the domain is hosted matters only where no account was found, so the search is
        # left out for all that exist.
        homes = (
            finders.domains_by_name(self._directory, mail_names.domains_of(missing))
            if missing
            else {}
        )
        # Another server has the accounts of a domain that this one is only a backup MX of.
        here = {name for name, found in homes.items() if not all(map(domain.is_backup, found))}
        return {mail for mail in missing if mail_names.domain_of(mail) in here}


def _forms(addresses: Iterable[str]) -> set[str]:
    """Return addresses with and without their extensions."""
    return {form for mail in addresses for form in (mail, mail_names.without_extension(mail))}


def number(account: Entry) -> str:
    """Return the entryUUID of an account that was read with it, as `Plan.found` has it."""
    return account.text("entryUUID") or ""


@dataclass(frozen=True, slots=True)
class Reference:
    """A value that a plan writes into an entry, and the address that it refers to."""

    dn: str
    attribute: str
    value: str

    @property
    def is_dn(self) -> bool:
        return self.attribute in ACCOUNT_DNS

    @property
    def address(self) -> str:
        """The address of its target in lower case; empty: another tool named that otherwise."""
        if not self.is_dn:
            return self.value.lower()
        mail = names.named_by(self.value, "mail") or ""
        return mail.lower() if "@" in mail else ""

    @property
    def key(self) -> str:
        """What its target is looked up by: its address, else its DN."""
        return self.address or self.value


def references_written(steps: Iterable[Step]) -> Iterator[Reference]:
    """Yield the references that the steps of a plan write; those of sweeps are not among them."""
    for step in steps:
        match step:
            case Add(dn=dn, attributes=attributes):
                added = [*attributes.items()]
            case Modify(dn=dn, mods=mods):
                added = [(mod.attribute, mod.values) for mod in mods if mod.op is not Op.DELETE]
            case _:
                continue
        for attribute, values in added:
            # What a sweep writes is not checked again one by one: it replaces a reference by the
            # name of an account that the plan itself holds the turn of.
            if attribute in references.ADDRESSES or attribute in ACCOUNT_DNS:
                for value in values:
                    yield Reference(dn, attribute, value.decode("utf-8", "replace"))


def with_rechecks(directory: Directory, plan: Plan) -> Plan:
    """Return a plan that ends with rechecks of the references that it writes."""
    found = [reference for reference in references_written(plan.steps) if _is_rechecked(reference)]
    rechecks = (
        *_rechecks(directory, [one for one in found if one.address], _ByAddress(), plan.found),
        *_rechecks(directory, [one for one in found if not one.address], _ByDn(), {}),
    )
    return replace(plan, steps=(*plan.steps, *rechecks)) if rechecks else plan


def _is_rechecked(reference: Reference) -> bool:
    """Return whether a reference is to another account: one may name itself."""
    if not reference.address:
        return names.is_dn(reference.value) and not names.same_dn(reference.value, reference.dn)
    own = names.rdn_value(reference.dn).lower()
    return "@" in reference.address and reference.address != own


class _Index(Protocol):
    """How targets are found by the keys of references."""

    def filter(self, keys: Iterable[str]) -> str:
        """Return the filter for the targets of some keys."""

    def holders(self, entries: Iterable[Entry], keys: Collection[str]) -> dict[str, list[Entry]]:
        """Return which of some entries are the targets of each key; one of none is absent."""


class _ByAddress:
    """Users, lists, aliases and standalone admins, by their addresses."""

    def filter(self, keys: Iterable[str]) -> str:
        mails = [*keys]
        admins = every(
            equals("objectClass", "mailAdmin"), either(*(equals("mail", mail) for mail in mails))
        )
        return either(holders_filter(*mails), admins)

    def holders(self, entries: Iterable[Entry], keys: Collection[str]) -> dict[str, list[Entry]]:
        return finders.by_address(entries, keys)


class _ByDn:
    """Whatever entries other tools have named otherwise, by their DNs."""

    def filter(self, keys: Iterable[str]) -> str:
        return either(*(equals("entryDN", dn) for dn in keys))

    def holders(self, entries: Iterable[Entry], keys: Collection[str]) -> dict[str, list[Entry]]:
        there = {_comparable(entry.dn): entry for entry in entries}
        return {dn: [there[same]] for dn in keys if (same := _comparable(dn)) in there}


def _comparable(dn: str) -> object:
    return names.components(dn)


def _rechecks(
    directory: Directory, found: Sequence[Reference], index: _Index, known: Mapping[str, str]
) -> Iterator[Recheck]:
    """Yield the rechecks of some references; `known` are the entryUUIDs of targets by key."""
    for batch in finders.batches({reference.key for reference in found}):
        # What the plan has found is not searched for again: in a plan for one reference that would
        # be one of four searches. An account deleted in between is noticed by the recheck.
        numbers = {key: known[key] for key in batch if key in known}
        if unknown := set(batch) - numbers.keys():
            holders = index.holders(directory.find(_query(directory, index, unknown)), unknown)
            numbers |= {key: number(accounts[-1]) for key, accounts in holders.items()}
        references_ = tuple(reference for reference in found if reference.key in numbers)
        if references_:
            yield _recheck(directory, references_, index, numbers)


def _query(directory: Directory, index: _Index, keys: Iterable[str], *numbers: str) -> Query:
    """Return the search for targets, by their keys and by their entryUUIDs."""
    same = (equals("entryUUID", number) for number in numbers if number)
    filter_ = either(index.filter(keys), *same)
    return Query(directory.tree.suffix, Scope.SUBTREE, filter_, _ATTRIBUTES)


def _recheck(
    directory: Directory,
    written: tuple[Reference, ...],
    index: _Index,
    numbers: Mapping[str, str],
) -> Recheck:
    """Return the recheck of some references.

    Args:
        directory: Where.
        written: References whose targets existed.
        index: How these are found.
        numbers: entryUUID of the target of each key: it stays with an account that is renamed.
    """

    def judge(entries: Iterable[Entry]) -> Correction:
        there = [*entries]
        holders = index.holders(there, numbers.keys())
        # By entryUUID, which a rename keeps. An account that was deleted and made again has another
        # one, but is found by the address.
        renamed = {entry.text("entryUUID"): entry for entry in there}
        return Correction(
            tuple(
                _corrected(reference, renamed.get(numbers[reference.key]))
                for reference in written
                if not any(_has_target(reference, one) for one in holders.get(reference.key, ()))
            )
        )

    query = _query(directory, index, numbers, *numbers.values())
    return Recheck("check that the accounts it refers to still exist", query, judge, few=True)


def _has_target(reference: Reference, holder: Entry) -> bool:
    return not reference.is_dn or names.same_dn(holder.dn, reference.value)


def _corrected(reference: Reference, successor: Entry | None) -> Operation:
    """Return the operation that removes a reference, or gives it the new name of its target."""
    # By value: what other clients have written into the same attribute stays.
    mods = [Mod(Op.DELETE, reference.attribute, encoded([reference.value]))]
    if successor:
        name = successor.dn if reference.is_dn else (successor.text("mail") or "")
        mods.append(Mod(Op.ADD, reference.attribute, encoded([name])))
    return Modify(reference.dn, tuple(mods), absent_ok=True)
