"""Hold what operations need beside the request in one value, which is passed first."""

import os
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Protocol

from iredldap.config.sections import Config
from iredldap.dit.change_log import LoggedChange, Touched
from iredldap.dit.fields import Parsed
from iredldap.dit.plan import Plan
from iredldap.errors import PermissionDenied
from iredldap.gateways.directory import Directory
from iredldap.operations.login import Caller
from iredldap.operations.outside_systems import OutsideSystems

PathVariables = Mapping[str, str]
"""Values of the variables in the path of an endpoint, read: `domain`, `mail`, `new_mail`, …"""


class LoggedChanges(Protocol):
    """The change log, as an undo reads it."""

    def change(self, number: str) -> LoggedChange | None:
        """Read a change by its id."""

    def touched(self, number: str) -> Iterable[Touched]:
        """Read what a change has touched, in order, with those secrets that can be opened."""

    def undone_by(self, number: str) -> Iterable[LoggedChange]:
        """Read the changes that have undone another one."""

    def undos_after(self, number: str) -> Iterable[LoggedChange]:
        """Read the undos since a change."""

    def broke_off(self, endpoint: str, path: PathVariables) -> bool:
        """Return whether the last change by an endpoint of what a path names did not end well."""

    def permit(self, caller: Caller, change: LoggedChange) -> None:
        """Refuse a caller who may not make such a change.

        Raises:
            PermissionDenied: If so.
        """


class _NoChanges:
    """A log without changes."""

    def change(self, number: str) -> LoggedChange | None:
        return None

    def touched(self, number: str) -> Iterable[Touched]:
        return ()

    def undone_by(self, number: str) -> Iterable[LoggedChange]:
        return ()

    def undos_after(self, number: str) -> Iterable[LoggedChange]:
        return ()

    def broke_off(self, endpoint: str, path: PathVariables) -> bool:
        return False

    def permit(self, caller: Caller, change: LoggedChange) -> None:
        raise PermissionDenied(change.id)


@dataclass(frozen=True)
class Context:
    """What a plan or an answer depends on beside the request.

    Args:
        directory: The directory.
        config: The configuration in effect.
        caller: Who asks, with their rights.
        outside: The databases beside the directory, subscribable lists, and turns.
        changes: The change log.
        salt: Returns 16 random bytes.
        coming: Addresses of accounts that the same client is about to make: others may refer to
            them already.
    """

    directory: Directory
    config: Config
    caller: Caller
    outside: OutsideSystems
    changes: LoggedChanges = field(default_factory=_NoChanges)
    salt: Callable[[], bytes] = lambda: os.urandom(16)
    coming: AbstractSet[str] = frozenset()

    @cached_property
    def now(self) -> datetime:
        """Return the local time with its offset: one moment for all that the request writes."""
        return datetime.now().astimezone()


@dataclass(frozen=True)
class Shown:
    """An answer to a read.

    Args:
        data: What is shown, as JSON has it.
        state: entryCSN of the entry that is shown, for the entity tag; None: it has none.
        cacheable: Whether the same state of the entry is the same answer.
    """

    data: object
    state: str | None = None
    cacheable: bool = True


Read = Callable[[Context, PathVariables, Parsed], Shown]
"""Answers a read."""

Operation = Callable[[Context, PathVariables, Parsed], Plan]
"""Makes the plan of a change."""
