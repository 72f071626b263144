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

from iredldap.dit import list_profile
from iredldap.errors import MlmmjadminUnavailable
from iredldap.gateways import touched_rows
from iredldap.gateways.mlmmjadmin import Form, Mlmmjadmin, Settings
from iredldap.gateways.turns import Turns

_EVERYBODY = "ALL"

SYSTEM, LIST, MEMBERS = "mlmmjadmin", "list", "members"
"""Names in the change log: of the system, and of rows about a list and about its members."""

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
        if touched_rows.are_tried():
            # Nothing is decided for good: nobody needs to wait.
            yield
            return
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
        with self.held([mail]), self._reported(mail, profile):
            self._mlmmjadmin.create(mail, profile)

    def update(self, mail: str, profile: Form) -> None:
        """Change those settings of a list that are given.

        Raises:
            MlmmjadminUnavailable: If that fails.
        """
        with self.held([mail]), self._reported(mail, profile):
            self._mlmmjadmin.update(mail, profile)

    def delete(self, mail: str, *, archive: bool) -> None:
        """Delete a list, into the archive or for good; a missing list is no error.

        Raises:
            MlmmjadminUnavailable: If that fails.
        """
        with self.held([mail]), self._reported(mail, None):
            self._mlmmjadmin.delete(mail, archive=archive)

    def subscribe(self, mail: str, addresses: Iterable[str], kind: str, *, confirm: bool) -> None:
        """Subscribe addresses to a list, or ask them by mail to confirm.

        Raises:
            MlmmjadminUnavailable: If that fails, or members are missing afterwards for good.
        """
        new = [*addresses]
        with self.held([mail]):
            before = self.memberships(mail)
            self._mlmmjadmin.subscribe(mail, new, kind, confirm=confirm)
            # Those who are asked become members when they confirm.
            # mlmmjadmin answers success whatever it has passed over, so the members are read back
            # and not believed.
            added = set() if confirm else {(kind, address) for address in new}
            self._repair(mail, before | added, gone=frozenset())
            _report_members(mail, before, before | added)

    def unsubscribe(self, mail: str, addresses: Iterable[str]) -> None:
        """Unsubscribe members of a list, whatever their kind of membership; ``ALL``: everybody.

        Raises:
            MlmmjadminUnavailable: If that fails, or other members are missing afterwards for good.
        """
        gone = frozenset(addresses)
        with self.held([mail]):
            before = self.memberships(mail)
            self._mlmmjadmin.unsubscribe(mail, sorted(gone))
            if _EVERYBODY in gone:
                gone = frozenset(address for _, address in before)
            left = {one for one in before if one[1] not in gone}
            self._repair(mail, left, gone)
            _report_members(mail, before, left)

    @contextmanager
    def _reported(self, mail: str, form: Form | None) -> Iterator[None]:
        """Report what a block changes of the settings of a list, and of its members if it goes.

        Args:
            mail: The list.
            form: What the block writes; None: it deletes the list.
        """
        # Two calls more for each change: only while a change is recorded.
        if not touched_rows.are_collected():
            yield
            return
        profile = self._mlmmjadmin.profile(mail)
        before = _as_rows(mail, profile)
        subscribed = self.memberships(mail) if form is None and before else set()
        yield
        if not touched_rows.are_tried():
            after = _as_rows(mail, self._mlmmjadmin.profile(mail))
        else:
            after = [] if form is None else _as_rows(mail, {**(profile or {}), **form})
        with touched_rows.about(mail):
            touched_rows.report(SYSTEM, LIST, before, after)
        _report_members(mail, subscribed, set())

    def memberships(self, mail: str) -> set[Membership]:
        """Read the members of a list, each with the kind of membership.

        Raises:
            MlmmjadminUnavailable: If that fails.
        """
        return _flat(self._mlmmjadmin.subscribers(mail))

    def _repair(self, mail: str, wanted: set[Membership], gone: frozenset[str]) -> None:
        """Read the members back, and repair what other writers have changed.

        Args:
            mail: The list.
            wanted: The memberships that are to be there.
            gone: Addresses that are to be no members. Others may have joined by themselves.
        """
        if touched_rows.are_tried():
            return
        # mlmmjadmin writes files of members without a lock, and mlmmj itself changes them when
        # people subscribe by mail: of two writers at once one loses its lines.
        for _ in range(_MOST_REPAIRS):
            there = self.memberships(mail)
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


def _as_rows(mail: str, profile: Settings | Form | None) -> list[dict[str, str]]:
    return [] if profile is None else [list_profile.as_row(mail, profile)]


def _report_members(mail: str, before: set[Membership], after: set[Membership]) -> None:
    def rows(members: set[Membership]) -> list[dict[str, str]]:
        return [{"list": mail, "kind": kind, "mail": address} for kind, address in sorted(members)]

    with touched_rows.about(mail):
        touched_rows.report(SYSTEM, MEMBERS, rows(before - after))
        touched_rows.report(SYSTEM, MEMBERS, (), rows(after - before))


def _flat(kinds: Mapping[str, set[str]]) -> set[Membership]:
    return {(kind, address) for kind, addresses in kinds.items() for address in addresses}
