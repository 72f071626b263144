"""Judge which values may come back: addresses of nobody else, references to accounts that exist."""

from collections.abc import Callable, Container, Iterable, Mapping
from functools import cache

from iredldap import finders
from iredldap.dit import mail_names, names, references
from iredldap.dit.dn_references import MEMBER_DNS
from iredldap.dit.entry import Entry, folded
from iredldap.dit.undoing.net_changes import EntryChange
from iredldap.gateways.directory import Directory
from iredldap.operations.targets import Judge

_OWN = {"shadowaddress", "mail"}
_DOMAINS = {"domainname", "domainaliasname"}
_ADDRESSES = {name.lower() for name in references.ADDRESSES}
_DNS = {name.lower() for name in MEMBER_DNS}


class ReturningValues:
    """Says why a value must not come back, for all values of an undo at once.

    Args:
        directory: Where.
        values: All that would come back: name of the attribute, in lower case, and value.
        returning: Entries that come back.
        changes: All changes; an address moves back to the entry that it was taken from.
    """

    def __init__(
        self,
        directory: Directory,
        values: Iterable[tuple[str, bytes]],
        returning: Iterable[Entry],
        changes: Iterable[EntryChange],
    ) -> None:
        own, domains, targets = set[str](), set[str](), set[str]()
        for name, value in values:
            text = folded(value.decode("utf-8", "replace"))
            if name in _OWN:
                own.add(text)
            elif name in _DOMAINS:
                domains.add(text)
            elif name in _ADDRESSES or name in _DNS:
                targets.add(_address(name, text))
        # An address that the same undo takes from another entry is free again when this one gets
        # it.
        self._leaving = _addresses_added(changes)
        self._holders = self._other_holders(finders.holders(directory, own, ("objectClass",)))
        self._domains = finders.domains_by_name(directory, domains)
        coming = {mail for entry in returning for mail in _addresses(entry)} | own
        # The former names of accounts that are renamed back exist again by then.
        coming |= {
            names.rdn_value(change.before).lower()
            for change in changes
            if change.before and change.after and change.before != change.after
        }
        back = {entry.folded("domainName") for entry in returning if entry.text("domainName")}
        # All at once, as the values of a domain with ten thousand accounts may come back.
        asked = {mail for mail in targets - coming if _is_judged(mail, back)}
        self._unreachable = Judge(directory, lambda _: True).unreachable(asked) if asked else set()

    def _other_holders(self, found: Mapping[str, list[Entry]]) -> dict[str, str]:
        return {
            address: entry.dn
            for address, entries in found.items()
            for entry in entries
            if address not in self._leaving.get(entry.dn.lower(), ())
        }

    def holder(self, address: str) -> str | None:
        """Return the DN of another account that has an address by now."""
        return self._holders.get(address)

    def domain(self, name: str) -> str | None:
        """Return the DN of a domain that has a name by now."""
        return next((entry.dn for entry in self._domains.get(name, ())), None)

    def why_not(self, name: str, value: bytes) -> str:
        """Return why a value must not come back; empty: it may."""
        text = folded(value.decode("utf-8", "replace"))
        taken: str | None = None
        if name in _OWN:
            taken = self.holder(text)
        elif name in _DOMAINS:
            taken = self.domain(text)
        elif name in _ADDRESSES or name in _DNS:
            gone = _address(name, text) in self._unreachable
            return "there is no such account any more" if gone else ""
        return f"it belongs to {taken} by now" if taken else ""


def _is_judged(mail: str, back: Container[str]) -> bool:
    """Return whether an account of an address must be there; of postmasters there need be none."""
    return mail_names.domain_of(mail) not in back and mail_names.local_part(mail) != "postmaster"


def _address(name: str, text: str) -> str:
    return names.rdn_value(text).lower() if name in _DNS and names.is_dn(text) else text


def _addresses(entry: Entry) -> set[str]:
    return entry.lowered("mail") | entry.lowered("shadowAddress")


def _addresses_added(changes: Iterable[EntryChange]) -> dict[str, set[str]]:
    """Return the addresses that an undo takes away from entries, by their DNs in lower case."""
    return {
        change.after.lower(): {
            # Its name of a renamed one, whether the log has the value or not.
            *({names.rdn_value(change.after).lower()} if change.before != change.after else ()),
            *(
                folded(value.decode("utf-8", "replace"))
                for name in _OWN
                if name in change.attributes
                for value in change.attributes[name].added.values()
            ),
        }
        for change in changes
        if change.after
    }


def lazily(make: Callable[[], ReturningValues]) -> Callable[[str, bytes], str]:
    """Return a judge that searches when it is first asked: most changes need no search."""
    made = cache(make)
    judged = _OWN | _DOMAINS | _ADDRESSES | _DNS
    return lambda name, value: made().why_not(name, value) if name in judged else ""
