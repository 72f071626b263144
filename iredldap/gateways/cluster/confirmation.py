"""Confirmation: wait until the other server has what a change has written.

An answer of success means that both servers have the change, or that every worker knows that the
writer is alone. It is given at the end of a change, once: the standby takes changes over in the
order of their CSNs, so that the last of each server id stands for all before it.
"""

import time
from collections import deque
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice

import ldap
import structlog

from iredldap.config.ldap import LdapSettings
from iredldap.dit import csn, filters
from iredldap.dit.csn import CsnVector, server_id
from iredldap.dit.plan import Query, Scope
from iredldap.errors import ServerDown
from iredldap.gateways.cluster.agreement import Agreement
from iredldap.gateways.cluster.clock import now
from iredldap.gateways.cluster.rewriting import write_again
from iredldap.gateways.cluster.view import Mode, WriterRow
from iredldap.gateways.cluster.watch import context_of
from iredldap.gateways.ldap import requests
from iredldap.gateways.ldap.requests import MANAGE
from iredldap.gateways.ldap.servers import Change, Connections, DirectoryConnection, Purpose

_EVERY = 200
"""Writes of a change after which the standby must have caught up: what it lags behind at the end,
and what is in doubt if the writer falls, is not more than these."""

_FEW = 20
"""Entries that are looked at one by one; of more, one search finds most."""

_AT_ONCE = 50
"""Looks at entries that are in flight."""

_CLOCKS = timedelta(minutes=1)
"""By which the clocks of a node and of the writer may differ."""

_GRACE = 0.3
"""Seconds for which an entry may be missing that the context has, before it is written again."""

_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 0.0005, 0.02, 1.5
"""Seconds between two looks at the standby; a single change is there within some milliseconds."""

log = structlog.get_logger("iredldap.writer")


class PendingChange(Change):
    """A change whose writes wait for their confirmation.

    Args:
        epoch: In which it has begun; it ends in the same one, or fails.
        agreement: What is known of the writer.
        pool: Connections to both servers.
        settings: The suffix, and how long to wait.
    """

    def __init__(
        self, epoch: int, agreement: Agreement, pool: Connections, settings: LdapSettings
    ) -> None:
        self.epoch = epoch
        self._agreement = agreement
        self._pool = pool
        self._settings = settings
        self._wanted = CsnVector()
        self._is_known = True
        self._writes = 0
        # More are never in flight: of those before, the context tells.
        self._gone: deque[str] = deque(maxlen=2 * _EVERY)
        # What the other server must have: newest state by DN; empty: that which the writer has.
        self._left: dict[str, str] = {}
        self._renewed: float | None = None
        self._since = ""

    def cover_since(self, moment: datetime) -> None:
        self._since = csn.first_of(moment - _CLOCKS)
        self._is_known = False

    def cover(self, state: str | None, dn: str | None = None) -> None:
        self._note(state)
        if dn and dn not in self._gone:
            self._left[dn] = max(state or "", self._left.get(dn, ""))

    def note(self, dn: str | None, state: str | None, *, is_gone: bool = False) -> None:
        self._note(state)
        if dn and is_gone:
            self._gone.append(dn)
            self._left.pop(dn, None)
        elif dn and state:
            self._left[dn] = state
        if state and not is_gone:
            # Of this write: what else is wanted may have been written by the other server.
            self._agreement.wrote_as(self.epoch, server_id(state))
        self._writes += 1
        if self._writes % _EVERY == 0:
            self.confirm()

    def _note(self, state: str | None) -> None:
        if state:
            self._wanted = self._wanted.with_newest((state,))
        else:
            self._is_known = False

    def confirm(self) -> None:
        """Wait until the other server has all that was noted, or the writer is known to be alone.

        Raises:
            WriterChanged: If another server has become the writer.
            NoWriter: If that is not known.
            ServerDown: If the writer does not answer; the other server may take its place then.
        """
        row = self._agreement.permitted(self.epoch)
        if not self._settings.confirm or self._is_alone(row):
            # When the other server is back, every entry is compared. What a sweep of a million has
            # noted until then would fill the memory.
            self._gone.clear()
            self._left.clear()
            return
        if not self._is_known:
            # Deletions leave no state. Read when they have been answered: it has them all.
            self._wanted = self._wanted.with_newest(self._context(Purpose.WRITE))
        if self._since and not self._find_changed():
            self._agreement.go_alone(self.epoch)
            self._agreement.await_alone(self.epoch)
            return
        if unknown := [dn for dn, state in self._left.items() if not state]:
            self._find_out(unknown)
        if self._wanted:
            self._wait()
        self._is_known, self._since = True, ""
        self._gone.clear()
        self._left.clear()
        self._renewed = None

    def _wait(self) -> None:
        began = progress = now()
        pause, last = _FIRST_PAUSE, None
        while True:
            vector: CsnVector | None = None
            with suppress(ServerDown):
                vector = self._context(Purpose.STANDBY)
                if vector.covers(self._wanted) and self._are_gone() and self._are_there():
                    break
            time_ = now()
            if vector is not None and vector != last:
                last, progress = vector, time_
            stands_still = time_ - progress >= self._settings.failover_after
            if stands_still or time_ - began >= self._settings.operation_timeout:
                # If it is the writer that has fallen, the standby will never have this change. It
                # must be free to take the writer's place.
                self._context(Purpose.WRITE)
                self._agreement.go_alone(self.epoch)
                self._agreement.await_alone(self.epoch)
                return
            time.sleep(pause)
            pause = min(_LONGEST_PAUSE, pause * _GROWTH)
            if self._is_alone(self._agreement.permitted(self.epoch)):
                # Another change has waited in vain before.
                return
        # What the standby has may have been written after another writer began, by a server that
        # was silent: then this is no success.
        self._is_alone(self._agreement.permitted(self.epoch))

    def _is_alone(self, row: WriterRow) -> bool:
        """Return whether everybody knows that the writer is alone.

        The server that this node would ask may not be the one that the mode speaks of, and that
        could take over: then the writer is, for this change.
        """
        if row.mode is not Mode.ALONE:
            if self._agreement.is_confirmed_by(row):
                return False
            self._agreement.go_alone(self.epoch)
        self._agreement.await_alone(self.epoch)
        return True

    def _context(self, purpose: Purpose) -> CsnVector:
        with self._pool.connection(purpose) as connection:
            try:
                return context_of(connection, self._settings.suffix, self._settings.health_timeout)
            except ldap.LDAPError as ex:
                # Without a cause: it is only a look, from which the pool concludes nothing.
                raise ServerDown(str(ex)) from None

    def _find_changed(self) -> bool:
        """Note all entries that have been changed since earlier attempts; False: it is too many."""
        with self._pool.connection(Purpose.WRITE) as connection:
            found = self._changed_since(connection, self._since)
        for dn, state in (found or {}).items():
            self.cover(state, dn)
        return found is not None

    def _find_out(self, dns: list[str]) -> None:
        """Note what the writer has of entries, or that it does not have them."""
        with self._pool.connection(Purpose.WRITE) as connection:
            for dn, state in self._states(connection, dns).items():
                if state is None:
                    del self._left[dn]
                    self._gone.append(dn)
                else:
                    self._left[dn] = state

    def _are_gone(self) -> bool:
        """Return whether the other server lacks what was deleted, or it has been created anew."""
        left = self._present(Purpose.STANDBY, self._gone)
        there = self._present(Purpose.WRITE, left) if left else []
        return len(there) == len(left)

    def _present(self, purpose: Purpose, dns: Collection[str]) -> list[str]:
        if not dns:
            return []
        with self._pool.connection(purpose) as connection:
            return [dn for dn, state in self._states(connection, dns).items() if state is not None]

    def _are_there(self) -> bool:
        """Return whether the other server has the entries that were written, in these states.

        Its context says so already, which does not tell of an entry that it has missed. One that is
        missing is written again.
        """
        if not self._left:
            return True
        with self._pool.connection(Purpose.STANDBY) as connection:
            first = min(self._left.values())
            is_much = len(self._left) > _FEW
            recent = (self._changed_since(connection, first) if is_much else None) or {}
            left = {dn: state for dn, state in self._left.items() if recent.get(dn, "") < state}
            seen = self._states(connection, left)
        missing = {dn: state for dn, state in left.items() if (seen[dn] or "") < state}
        if not missing:
            return True
        with self._pool.connection(Purpose.WRITE) as connection:
            # One that others have deleted, or changed since, is theirs to confirm.
            now_ = self._states(connection, missing)
            missing = {dn: state for dn, state in missing.items() if now_[dn] == state}
            time_ = now()
            if self._renewed is None:
                self._renewed = time_ + _GRACE
            elif missing and time_ >= self._renewed:
                self._renewed = time_ + self._settings.failover_after
                for dn, state in missing.items():
                    write_again(connection, dn, state)
                for dn, renewed in self._states(connection, missing).items():
                    self._left[dn] = renewed or self._left[dn]
        return not missing

    def _changed_since(self, connection: DirectoryConnection, first: str) -> dict[str, str] | None:
        """Read the states of the entries that have been changed since a CSN; None: it is too many.

        By the index of entryCSN that replication needs: one search in place of many.
        """
        since = filters.at_least("entryCSN", first)
        query = Query(self._settings.suffix, Scope.SUBTREE, since, ("entryCSN",))
        try:
            found = requests.results(connection, query, at_once=True)
            return {entry.dn: entry.csn or "" for entry in found}
        except ldap.SIZELIMIT_EXCEEDED:
            return None
        except ldap.LDAPError as ex:
            raise ServerDown(str(ex)) from None

    def _states(
        self, connection: DirectoryConnection, dns: Collection[str]
    ) -> dict[str, str | None]:
        """Read the states of entries, many at a time; None: it does not exist.

        Raises:
            ServerDown: If the server does not answer; from this the pool concludes nothing.
        """
        found: dict[str, str | None] = {}
        try:
            waiting = iter(dns)
            while some := [*islice(waiting, _AT_ONCE)]:
                numbers = [
                    connection.search_ext(
                        dn, ldap.SCOPE_BASE, attrlist=["entryCSN"], serverctrls=[MANAGE]
                    )
                    for dn in some
                ]
                for dn, number in zip(some, numbers, strict=True):
                    found[dn] = self._state(connection, number)
        except ldap.LDAPError as ex:
            raise ServerDown(str(ex)) from None
        return found

    def _state(self, connection: DirectoryConnection, number: int) -> str | None:
        try:
            found = connection.result3(number, timeout=self._settings.health_timeout)[1]
        except ldap.NO_SUCH_OBJECT:
            return None
        return found[0][1]["entryCSN"][0].decode("ascii") if found else None
