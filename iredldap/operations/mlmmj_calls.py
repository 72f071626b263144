"""Call mlmmjadmin for one change of a list at a time, and read back after each write.

It keeps members in files that it reads, truncates and writes again, without a lock: of two calls
at the same time both answer success, and members are lost, also such that neither call named. So
every write takes the turn of its list, over all workers and machines, and so does every decision by
what is read: a file read while it is empty shows no members. What other programs write meanwhile (a
member who joins by mail) is found by reading back, and missing members are added again.

Source: mlmmjadmin 3.6.3, run by five processes as iRedMail does: of 520 members 1 to 12 were left.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import structlog

from iredldap.errors import MlmmjadminUnavailable
from iredldap.gateways.mlmmjadmin import Form, Mlmmjadmin, Settings
from iredldap.gateways.turns import Turns

_EVERYBODY = "ALL"

_MOST_REPAIRS = 3
"""Attempts to repair the members, before the call counts as failed."""

Membership = tuple[str, str]
"""Kind of membership, and address."""

log = structlog.get_logger("iredldap.lists")


class MailingLists:
    """The subscribable lists that mlmmjadmin keeps.

    Args:
        mlmmjadmin: Its HTTP interface.
        turns: Excludes other changes of the same list.
    """

    def __init__(self, mlmmjadmin: Mlmmjadmin, turns: Turns) -> None:
        self._mlmmjadmin = mlmmjadmin
        self._turns = turns

    @property
    def is_configured(self) -> bool:
        return self._mlmmjadmin.is_configured

    def ask(self) -> None:
        """Check that mlmmjadmin answers, and accepts our token.

        Raises:
            MlmmjadminUnavailable: If not.
        """
        self._mlmmjadmin.ask()

    def profile(self, mail: str) -> Settings | None:
        """Read the settings of a list; None: there is no directory of this name.

        Raises:
            MlmmjadminUnavailable: If that fails.
        """
        return self._mlmmjadmin.profile(mail)

    @contextmanager
    def held(self, mails: Iterable[str]) -> Iterator[None]:
        """Exclude our own changes of some lists, so that a read finds all of their members.

        A file that is written again is empty for a moment, so every read that decides something is
        done inside. The lists must not be changed inside: changes take the same turn.

        Raises:
            ServerDown: If others are changing one of the lists for too long.
        """
        with self._turns.take(f"list {mail}" for mail in mails):
            yield

    def subscribers(self, mail: str) -> dict[str, set[str]]:
        """Read the members of a list: addresses by the kind of membership; there may be several.

        Raises:
            MlmmjadminUnavailable: If that fails.
        """
        return self._mlmmjadmin.subscribers(mail)

    def subscribed(self, address: str) -> dict[str, set[str]]:
        """Find the lists that an address is a member of, by the kind of membership.

        Raises:
            MlmmjadminUnavailable: If that fails.
        """
        return self._mlmmjadmin.subscribed(address)

    def create(self, mail: str, profile: Form) -> None:
        """Create a list; one that exists gets new settings, and keeps its members.

        Raises:
            MlmmjadminUnavailable: If that fails.
            ServerDown: If others are changing the list for too long; so below.
        """
        with self.held([mail]):
            self._mlmmjadmin.create(mail, profile)

    def update(self, mail: str, profile: Form) -> None:
        """Change those settings of a list that are given.

        Raises:
            MlmmjadminUnavailable: If that fails.
        """
        with self.held([mail]):
            self._mlmmjadmin.update(mail, profile)

    def delete(self, mail: str, *, archive: bool) -> None:
        """Delete a list, into the archive or for good; a missing list is no error.

        Raises:
            MlmmjadminUnavailable: If that fails.
        """
        with self.held([mail]):
            self._mlmmjadmin.delete(mail, archive=archive)

    def subscribe(self, mail: str, addresses: Iterable[str], kind: str, *, confirm: bool) -> None:
        """Subscribe addresses to a list, or ask them by mail to confirm.

        Raises:
            MlmmjadminUnavailable: If that fails, or members are missing afterwards for good.
        """
        new = [*addresses]
        with self.held([mail]):
            before = self._memberships(mail)
            self._mlmmjadmin.subscribe(mail, new, kind, confirm=confirm)
            # Those who are asked become members when they confirm.
            added = set() if confirm else {(kind, address) for address in new}
            self._repair(mail, before | added, gone=frozenset())

    def unsubscribe(self, mail: str, addresses: Iterable[str]) -> None:
        """Unsubscribe members of a list, whatever their kind of membership; ``ALL``: everybody.

        Raises:
            MlmmjadminUnavailable: If that fails, or other members are missing afterwards for good.
        """
        gone = frozenset(addresses)
        with self.held([mail]):
            before = self._memberships(mail)
            self._mlmmjadmin.unsubscribe(mail, sorted(gone))
            if _EVERYBODY in gone:
                gone = frozenset(address for _, address in before)
            self._repair(mail, {one for one in before if one[1] not in gone}, gone)

    def _memberships(self, mail: str) -> set[Membership]:
        return _flat(self._mlmmjadmin.subscribers(mail))

    def _repair(self, mail: str, wanted: set[Membership], gone: frozenset[str]) -> None:
        """Read the members back, and repair what other writers have changed.

        Args:
            mail: The list.
            wanted: The memberships that are to be there.
            gone: Addresses that are to be no members. Others may have joined by themselves.
        """
        for _ in range(_MOST_REPAIRS):
            there = self._memberships(mail)
            missing = wanted - there
            left = sorted({address for _, address in there if address in gone})
            if not missing and not left:
                return
            log.warning("members repaired", list=mail, missing=len(missing), left=len(left))
            for kind in sorted({kind for kind, _ in missing}):
                back = sorted(address for k, address in missing if k == kind)
                self._mlmmjadmin.subscribe(mail, back, kind, confirm=False)
            if left:
                self._mlmmjadmin.unsubscribe(mail, left)
        raise MlmmjadminUnavailable(f"others keep changing the members of {mail}")


def _flat(kinds: Mapping[str, set[str]]) -> set[Membership]:
    return {(kind, address) for kind, addresses in kinds.items() for address in addresses}
