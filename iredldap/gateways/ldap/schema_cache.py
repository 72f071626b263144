"""The schema of the server, read once and kept for some minutes."""

import threading
import time
from collections.abc import Callable

from iredldap.dit.entry import Attributes, Entry
from iredldap.dit.plan import Query
from iredldap.dit.schema import SUBSCHEMA, Schema
from iredldap.errors import InternalError

_KEPT = 300.0
"""Seconds for which the schema is not read again; a server loads a new one when it restarts."""


class SchemaCache:
    """The schema, shared by all threads.

    Args:
        find: Searches the directory.
    """

    def __init__(self, find: Callable[[Query], list[Entry]]) -> None:
        self._find = find
        self._kept: tuple[float, Attributes, Schema] | None = None
        self._lock = threading.Lock()

    def schema(self) -> Schema:
        """Return the schema; see `Directory.schema`."""
        kept = self._kept
        if kept and time.monotonic() < kept[0]:
            return kept[2]
        # One thread reads it again; the others go on with an expired one, if there is one.
        if not self._lock.acquire(blocking=kept is None):
            assert kept
            return kept[2]
        try:
            # Another thread may have read it while this one waited for the lock.
            if self._kept is kept:
                return self._read()
            assert self._kept
            return self._kept[2]
        finally:
            self._lock.release()

    def has_changed(self) -> bool:
        """Read the schema again; return whether it differs; see `Directory.has_new_schema`."""
        with self._lock:
            known = self._kept
            schema = self._read()
            return known is not None and known[2] is not schema

    def _read(self) -> Schema:
        found = self._find(SUBSCHEMA)
        if not found:
            raise InternalError(f"the directory does not show {SUBSCHEMA.base}")
        text = found[0].attributes
        # Parsing takes 25 to 50 ms, in which no other thread gets far: not for the same text.
        is_known = self._kept is not None and self._kept[1] == text
        schema = self._kept[2] if self._kept and is_known else Schema(text)
        self._kept = time.monotonic() + _KEPT, text, schema
        return schema
