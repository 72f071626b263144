"""Hold what operations need beside the request in one value, which is passed first."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from iredldap.config.sections import Config
from iredldap.dit.fields import Parsed
from iredldap.dit.plan import Plan
from iredldap.gateways.directory import Directory
from iredldap.operations.login import Caller
from iredldap.operations.mail_databases import Records

PathVariables = Mapping[str, str]
"""Values of the variables in the path of an endpoint, read: `domain`, `mail`, `new_mail`, …"""


@dataclass(frozen=True)
class Context:
    """What a plan or an answer depends on beside the request.

    Args:
        directory: The directory.
        config: The configuration in effect.
        caller: Who asks, with their rights.
        records: The databases beside the directory, subscribable lists, and turns.
        now: Local time with its offset: one moment for all that the request writes.
        salt: Returns 16 random bytes.
    """

    directory: Directory
    config: Config
    caller: Caller
    records: Records
    now: datetime = field(default_factory=lambda: datetime.now().astimezone())
    salt: Callable[[], bytes] = lambda: os.urandom(16)


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
