"""Read and plan white- and blacklists of everybody, a domain or an account."""

from dataclasses import dataclass

from iredldap.dit import scopes, wblist
from iredldap.dit.fields import Parsed
from iredldap.dit.plan import Plan
from iredldap.dit.wblist import Colour, Direction
from iredldap.operations.context import Context, PathVariables, Shown
from iredldap.operations.policies import target
from iredldap.operations.policies.target import naming, refuse_leftovers


@dataclass(frozen=True)
class Wblist:
    """The operations on the lists of one direction and colour."""

    direction: Direction
    colour: Colour

    def __str__(self) -> str:
        return f"{self.direction.value} {self.colour.word}"

    def get(self, context: Context, path: PathVariables, parsed: Parsed) -> Shown:
        """Read a list, sorted.

        Raises:
            NoSuchAccount, PermissionDenied: As `target.find`.
            ServerDown: If the database does not answer.
        """
        return Shown(self._listed(context, target.find(context, path, reading=True).key))

    def add(self, context: Context, path: PathVariables, parsed: Parsed) -> Plan:
        """Plan to add addresses to a list; those on the list of the other colour are removed there.

        Raises:
            NeverApplies: If one of them is never looked up, and not on the list already.
            NoSuchAccount, PermissionDenied: As `target.find`.
            ServerDown: If the database does not answer.
        """
        key, addresses = target.find(context, path).key, _addresses(parsed)
        with naming("addresses"):
            # Entries that Amavisd never looks up would look like a rule that is in force. Those
            # that another panel has stored stay, and can be sent again with a whole list.
            scopes.refuse_new(
                wblist.READERS[self.direction], addresses, lambda: self._listed(context, key)
            )
        return target.change(
            key,
            f"add to the {self} of {key}",
            lambda: context.outside.amavisd.enlist(key, self.direction, self.colour, addresses),
            parsed.dropped,
        )

    def remove(self, context: Context, path: PathVariables, parsed: Parsed) -> Plan:
        """Plan to remove addresses from a list; those that are not on it are no error.

        Values that are no addresses, and are not on it either, are ignored.

        Raises:
            InvalidParameter: If all are such.
            NoSuchAccount, PermissionDenied: As `target.find`.
            ServerDown: If the database does not answer.
        """
        key, addresses = target.find(context, path).key, _addresses(parsed)
        read, stored = scopes.wblist_address, self._listed(context, key)
        leftovers = scopes.malformed_leftovers(read, addresses, stored)
        refuse_leftovers("addresses", addresses, leftovers)
        # Tables have what other tools wrote: the rows are deleted by their exact values.
        listed = scopes.stored_spellings(read, addresses, stored)
        return target.change(
            key,
            f"remove from the {self} of {key}",
            lambda: context.outside.amavisd.delist(key, self.direction, self.colour, listed),
            (*parsed.dropped, *leftovers),
        )

    def clear(self, context: Context, path: PathVariables, parsed: Parsed) -> Plan:
        """Plan to remove all addresses from a list.

        Raises:
            NoSuchAccount, PermissionDenied: As `target.find`.
        """
        key = target.find(context, path).key
        return target.change(
            key,
            f"empty the {self} of {key}",
            lambda: context.outside.amavisd.clear(key, self.direction, self.colour),
        )

    def _listed(self, context: Context, key: str) -> list[str]:
        return context.outside.amavisd.listed(key, self.direction, self.colour)


def _addresses(parsed: Parsed) -> tuple[str, ...]:
    (addresses,) = parsed.changes
    return addresses.values
