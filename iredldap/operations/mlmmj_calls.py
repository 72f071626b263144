"""mlmmjadmin, called by one change at a time for each list, and read back after each write.

It keeps members in files that it reads, truncates and writes again, without a lock: of two calls
that meet, both answer success, and members are lost, those of the list that nobody named among
them. So whatever writes takes the turn of its list, over all workers and machines, and so does
whatever decides by what it reads: who is read while the file is empty is no member. What other
programs write meanwhile (a member who joins by mail) is found by reading back, and members who are
missing are put back.

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
"""Attempts to put members back, before the call counts as failed."""

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
        """See whether mlmmjadmin answers, and takes our token.

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
        """Keep our own changes off the members of some lists, so that reading finds all of them.

        A file that is written anew is empty for a moment. Whoever decides something by what is read
        reads it so. No list may be changed meanwhile, as that takes the same turn.

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
        """Make a list; one that is there is made anew, but keeps its members.

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
        """Take a list away, into the archive or for good; one that is gone is as it should be.

        Raises:
            MlmmjadminUnavailable: If that fails.
        """
        with self.held([mail]):
            self._mlmmjadmin.delete(mail, archive=archive)

    def subscribe(self, mail: str, addresses: Iterable[str], kind: str, *, confirm: bool) -> None:
        """Make addresses members of a list, or ask them by mail whether they want to be.

        Raises:
            MlmmjadminUnavailable: If that fails, or members are missing afterwards for good.
        """
        new = [*addresses]
        with self.held([mail]):
            before = self._memberships(mail)
            self._mlmmjadmin.subscribe(mail, new, kind, confirm=confirm)
            # Who is asked becomes a member when they have answered.
            added = set() if confirm else {(kind, address) for address in new}
            self._repair(mail, before | added, gone=frozenset())

    def unsubscribe(self, mail: str, addresses: Iterable[str]) -> None:
        """Take members off a list, whatever their kind; ``ALL``: everybody.

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
        """Read the members back, and put right what is not as it should be.

        Args:
            mail: The list.
            wanted: Who was a member before, and is to be one now.
            gone: Addresses that are to be members no more. Others may have joined by themselves.
        """
        for _ in range(_MOST_REPAIRS):
            there = self._memberships(mail)
            missing = wanted - there
            left = sorted({address for _, address in there if address in gone})
            if not missing and not left:
                return
            log.warning("members put right", list=mail, missing=len(missing), left=len(left))
            for kind in sorted({kind for kind, _ in missing}):
                back = sorted(address for k, address in missing if k == kind)
                self._mlmmjadmin.subscribe(mail, back, kind, confirm=False)
            if left:
                self._mlmmjadmin.unsubscribe(mail, left)
        raise MlmmjadminUnavailable(f"others keep changing the members of {mail}")


def _flat(kinds: Mapping[str, set[str]]) -> set[Membership]:
    return {(kind, address) for kind, addresses in kinds.items() for address in addresses}
