"""A directory whose writes are reported to a recorder, with the values before and after.

The values come with the write itself, by the pre-read and post-read controls: no other write can be
between. Of a server without the former they are read before the write.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

import ldap

from iredldap.dit.entry import Attributes
from iredldap.dit.plan import Operation
from iredldap.dit.touched import read_after, read_before, touched_by
from iredldap.errors import Refusal
from iredldap.gateways.directory import Directory
from iredldap.gateways.ldap import requests
from iredldap.gateways.ldap.errors import Unanswered
from iredldap.gateways.ldap.read_entry import POST_READ, PRE_READ, ReadControl, ReadWithWrite
from iredldap.gateways.ldap.requests import WINDOW, InFlight
from iredldap.gateways.ldap.servers import DirectoryConnection
from iredldap.gateways.recorder import Recorder

_BATCH = 100
"""Writes of a sweep that are announced together; in SQLite that takes 3 us of each."""


class RecordedDirectory(Directory):
    """The same directory as another one, and its connections; each write is recorded.

    Args:
        directory: The other one.
        recorder: What gets the writes.
    """

    def __init__(self, directory: Directory, recorder: Recorder) -> None:
        # Not `super().__init__`: pool, schema and what is known of the servers are shared.
        self.__dict__.update(directory.__dict__)
        self.recorder = recorder

    def write(self, operation: Operation) -> str | None:
        self.recorder.announce(operation)
        try:
            first = self._read_first(operation)
            done = self._written(operation, _send)
        except Unanswered:
            # The caller finds out whether it was carried out.
            raise
        except Refusal:
            self.recorder.dismiss(operation)
            raise
        self._record(operation, first, done)
        return done.state

    def pipeline(
        self,
        operations: Iterable[Operation],
        window: int = WINDOW,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> Iterator[tuple[Operation, Refusal | None]]:
        first: dict[int, Attributes | None] = {}
        # By identity, as the recorder has them.
        unsent: dict[int, Operation] = {}

        def announced() -> Iterator[Operation]:
            # Announced before they are sent, so that what a killed process had sent is known;
            # together, because each announcement is stored.
            for batch in _batches(operations):
                self.recorder.announce_several(batch)
                unsent.update((id(operation), operation) for operation in batch)
                for operation in batch:
                    if is_stopped():
                        return
                    yield operation

        def send(connection: DirectoryConnection, operation: Operation) -> InFlight:
            before = self._read_first(operation)
            try:
                number = _send(connection, operation)
            except ldap.LDAPError:
                # It may be on its way.
                del unsent[id(operation)]
                raise
            del unsent[id(operation)]
            first[number] = before
            return InFlight(number, operation)

        def judge(one: InFlight, done: ReadWithWrite | Refusal) -> ReadWithWrite | Refusal:
            before = first.pop(one.number)
            if isinstance(done, Refusal):
                self.recorder.dismiss(one.operation)
            else:
                self._record(one.operation, before, done)
            return done

        try:
            yield from self._pipelined(announced(), send, judge, window)
        finally:
            # However it ends: what was only announced is not looked for in the directory.
            for operation in unsent.values():
                self.recorder.dismiss(operation)

    def _record(self, operation: Operation, first: Attributes | None, done: ReadWithWrite) -> None:
        before = done.before or first
        self.recorder.record(operation, touched_by(operation, before, done.after))

    def _read_first(self, operation: Operation) -> Attributes | None:
        """Read what the write itself will not return."""
        wanted = read_before(operation)
        if not wanted or PRE_READ in self.controls():
            return None
        entry = self.read(operation.dn, wanted)
        return entry.attributes if entry else None


def _batches(operations: Iterable[Operation]) -> Iterator[list[Operation]]:
    """Yield operations in batches; those taken before a refusal come before it, too."""
    batch: list[Operation] = []
    failure: Refusal | None = None
    try:
        for operation in operations:
            batch.append(operation)
            if len(batch) == _BATCH:
                yield batch
                batch = []
    except Refusal as ex:
        failure = ex
    if batch:
        yield batch
    if failure:
        raise failure


def _send(connection: DirectoryConnection, operation: Operation) -> int:
    wanted = ((PRE_READ, read_before(operation)), (POST_READ, read_after(operation)))
    controls = (_control(oid, names) for oid, names in wanted if names)
    return requests.send(connection, operation, *controls, return_state=False)


@lru_cache(64)
def _control(oid: str, names: tuple[str, ...]) -> ReadControl:
    """Return a control; most writes need one of a few, and encoding it takes time."""
    return ReadControl(oid, names)
