"""Joining: compare both servers before the standby may take the writer's place.

What was acknowledged while the writer was alone was looked at on no other server, and contextCSN
does not tell of an entry that a server has missed. One worker of all compares every entry of both
servers. What the writer has in a newer state is written again. An address that a former writer has
brought back, and nobody has acknowledged, is withdrawn if it was given to another account.
Anything else keeps the standby from joining until somebody decides: an entry that only the standby
has was deleted by the writer, or by a former writer that had no right to; the servers do not tell
which.

Changes go on meanwhile. They are confirmed one by one, as the row says *joining* in all of that
time, and whoever relied on *alone* does not any more when the comparison begins.
"""

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from typing import Protocol

import structlog
from ldap.controls.libldap import AssertionControl

from iredldap.config.ldap import LdapSettings
from iredldap.directory_errors import HasChildren
from iredldap.dit.filters import equals
from iredldap.dit.plan import Delete, Mod, Modify, Op, Operation
from iredldap.errors import NoSuchAccount, PreconditionFailed, Refusal, ServerDown
from iredldap.gateways.cluster.clock import now
from iredldap.gateways.cluster.collisions import collisions
from iredldap.gateways.cluster.comparison import DifferingEntry, Readable, ServerComparer
from iredldap.gateways.cluster.register import WriterRegister
from iredldap.gateways.cluster.rewriting import write_again
from iredldap.gateways.cluster.view import WriterRow
from iredldap.gateways.ldap import requests
from iredldap.gateways.ldap.servers import Connections, DirectoryConnection, Purpose

_PATIENCE = 10.0
"""Seconds in which what is written again must have come to the standby."""

_PAUSE = 0.1

_AGAIN = 5.0
"""Seconds after which servers that differ are compared again; longer where that takes longer."""

_AGAIN_GROWTH = 4.0

_MOST = 1000
"""Entries that are written again; where more are missing, the server wants to be seeded anew."""

_EXAMPLES = 20

log = structlog.get_logger("iredldap.writer")


class Closeable(Readable, Protocol):
    """A server that is read from during a comparison."""

    def close(self) -> None: ...


Opener = Callable[[LdapSettings], Closeable]
"""Opens the one server of some settings."""


class Joining:
    """The comparison, as one worker process takes part in it.

    Args:
        settings: The servers.
        register: Where workers claim it, and note what they have found.
        open_one: Opens one server for reads, past the agreement.
    """

    def __init__(self, settings: LdapSettings, register: WriterRegister, open_one: Opener) -> None:
        # As for the connections of changes: what is silent must not hold the comparison up.
        self._settings = replace(settings, network_timeout=settings.health_timeout)
        self._register = register
        self._open = open_one
        self._pool: Connections | None = None
        self.reset()

    def attach(self, pool: Connections) -> None:
        """Note the pool by which the writer is written to."""
        self._pool = pool

    def reset(self) -> None:
        """Begin anew, after a fork."""
        self._worker = uuid.uuid4().hex
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._row: WriterRow | None = None
        self._again = 0.0
        self.equal: WriterRow | None = None

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        if self._thread:
            self._thread.join(self._settings.health_timeout)

    def compare(self, row: WriterRow) -> None:
        """Compare the servers in a thread; called again and again as long as that is wanted.

        `equal` is the row when they are. Nothing happens while another worker does it, or for some
        seconds after it has found differences.

        Raises:
            ServerDown: If the state database does not respond.
        """
        is_busy = self._thread is not None and self._thread.is_alive()
        is_ours = self._row is not None and self._row.is_same(row)
        if is_busy:
            if is_ours:
                self._register.claim_comparison(row, self._worker)
            return
        if is_ours and now() < self._again:
            # A sign of life: without it, another worker takes this one for dead, and compares at
            # once.
            self._register.claim_comparison(row, self._worker)
            return
        if self._register.claim_comparison(row, self._worker):
            self._row = row
            self._thread = threading.Thread(
                target=self._run, args=(row,), name="joining", daemon=True
            )
            self._thread.start()

    def _run(self, row: WriterRow) -> None:
        began = now()
        log.info("servers are compared", writer=row.uri, epoch=row.epoch)
        try:
            left = self._left(row)
            if left:
                words = [_words(one, row.uri) for one in left[:_EXAMPLES]]
                log.error("servers differ", entries=len(left), examples=words)
                self._register.note_comparison(row, len(left), words)
            elif not self._closing.is_set():
                log.info("servers are equal", seconds=round(now() - began, 1))
                self.equal = row
        except Refusal as ex:
            log.warning("servers were not compared", detail=ex.detail)
        except Exception:
            # The next one may succeed; without it the standby never joins.
            log.exception("servers were not compared")
        self._again = now() + max(_AGAIN, _AGAIN_GROWTH * (now() - began))

    def _left(self, row: WriterRow) -> list[DifferingEntry]:
        """Compare, have replication carry what is missing, and return what still differs."""
        with ExitStack() as stack:
            servers = {
                uri: stack.enter_context(closing(self._open(self._settings.only(uri))))
                for uri in self._settings.uri
            }
            self._withdraw(servers[row.uri], row)
            comparer = ServerComparer(servers, sleep=self._closing.wait)
            found = comparer.compare().differences
            behind = [one for one in found if _is_behind(one, row.uri)]
            others = [one for one in found if not _is_behind(one, row.uri)]
            if not behind or len(behind) > _MOST:
                return [*behind, *others]
            self._write_again(behind, row)
            # What the standby must come to is what the first look has shown.
            first = {one.uuid: one for one in behind}
            left, until = behind, now() + _PATIENCE
            while left and now() < until and not self._closing.wait(_PAUSE):
                left = comparer.left_of(first[one.uuid] for one in left)
            return [*left, *others]

    def _withdraw(self, writer: Readable, row: WriterRow) -> None:
        """Take back addresses that nobody has acknowledged, and others have by now.

        A new account goes as a whole where another one has its name; else only its further
        addresses do. An older account that was given a name of another one is left: which name it
        had is in no server any more.
        """
        for one in [*collisions(writer, self._register.epochs())]:
            entry = one.entry
            operation: Operation | None = None
            if one.has_name and one.is_new:
                operation = Delete(entry.dn)
            elif one.taken:
                values = tuple(address.encode() for address in one.taken)
                operation = Modify(entry.dn, (Mod(Op.DELETE, "shadowAddress", values),))
            if one.has_name and not one.is_new:
                log.error("two accounts have a name: change one of them", dn=entry.dn)
            if operation is None:
                continue
            unchanged = AssertionControl(True, equals("entryCSN", entry.csn or ""))
            try:
                with self._writing(row) as connection, requests.sent():
                    number = requests.send(connection, operation, unchanged)
                    requests.response(connection, number)
            except (NoSuchAccount, PreconditionFailed, HasChildren) as ex:
                log.warning("an address of two accounts", dn=entry.dn, detail=ex.detail)
            else:
                what = "account" if isinstance(operation, Delete) else "addresses"
                log.error(
                    "withdrawn: another account has the address",
                    dn=entry.dn,
                    what=what,
                    addresses=[*one.taken],
                )

    @contextmanager
    def _writing(self, row: WriterRow) -> Iterator[DirectoryConnection]:
        assert self._pool
        with self._pool.connection(Purpose.WRITE) as connection:
            if connection.route.epoch != row.epoch:
                raise ServerDown("another server was made the writer meanwhile")
            yield connection

    def _write_again(self, entries: Sequence[DifferingEntry], row: WriterRow) -> None:
        with self._writing(row) as connection:
            # Parents first: comparisons are sorted so.
            for one in entries:
                entry = one.on[row.uri]
                if entry and entry.csn:
                    write_again(connection, entry.dn, entry.csn)


def _is_behind(one: DifferingEntry, writer: str) -> bool:
    """Return whether the standby lacks what the writer has, and nothing else."""
    state = (entry := one.on[writer]) and entry.csn
    others = [entry for uri, entry in one.on.items() if uri != writer]
    return bool(state) and all(not other or (other.csn or "") <= str(state) for other in others)


def _words(one: DifferingEntry, writer: str) -> str:
    if one.on[writer] is None:
        return f"{one.dn}: only on the standby"
    return (
        f"{one.dn}: {'older or missing on' if _is_behind(one, writer) else 'newer on'} the standby"
    )
