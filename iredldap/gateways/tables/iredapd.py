"""Tables of iRedAPD's database."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sql

from iredldap.gateways.sql.recording import TRANSIENT
from iredldap.gateways.sql.revert import Dependent

GREYLISTING_WIDTH = 100
"""Maximum length of an account or sender in MariaDB; PostgreSQL would accept more."""

_METADATA = sql.MetaData()


def _table(
    name: str, texts: Iterable[str], numbers: Iterable[str] = (), *, transient: bool = False
) -> sql.Table:
    columns = [sql.Column(column, sql.String) for column in texts]
    counts = [sql.Column(column, sql.BigInteger) for column in numbers]
    return sql.Table(name, _METADATA, *columns, *counts, info={TRANSIENT: transient})


METRICS = ("msg_size", "max_msgs", "max_quota")
THROTTLES = _table(
    "throttle", ("account", "kind"), ("id", "priority", "period", *METRICS, "max_rcpts")
)
COUNTERS = _table("throttle_tracking", ("account",), ("tid",))
COUNTED = {THROTTLES, COUNTERS}
COUNTED_IN = {"max_msgs": ("cur_msgs", 0), "max_quota": ("cur_quota", 1)}
"""The counter of each limit, and by how much it must exceed the limit before iRedAPD refuses."""

NARROW = 2**15
"""Limits below this fit into a counter of any type."""
GREYLISTING = _table(
    "greylisting", ("account", "sender"), ("priority", "sender_priority", "active")
)
WHITELISTS = _table("greylisting_whitelists", ("account", "sender", "comment"))
RESOLVED = _table("greylisting_whitelist_domain_spf", ("account", "sender", "comment"))
SPF_DOMAINS = _table("greylisting_whitelist_domains", ("domain",))
TRIPLETS = _table(
    "greylisting_tracking", ("sender", "recipient", "client_address", "rcpt_domain"), transient=True
)
DEPENDENTS = {THROTTLES.name: (Dependent(COUNTERS.name, "tid", goes_along=True),)}


@dataclass(frozen=True, slots=True)
class AccountColumn:
    """A column with the names of accounts, and the other columns of the key."""

    table: sql.Table
    name: str
    key: tuple[str, ...]
    width: int = 255

    @property
    def column(self) -> sql.Column[Any]:
        return self.table.c[self.name]


# Counters before throttles, to which they refer.
ACCOUNT_COLUMNS = (
    AccountColumn(COUNTERS, "account", ("tid",)),
    AccountColumn(THROTTLES, "account", ("kind",)),
    AccountColumn(GREYLISTING, "account", ("sender",), GREYLISTING_WIDTH),
    AccountColumn(WHITELISTS, "account", ("sender",), GREYLISTING_WIDTH),
    AccountColumn(TRIPLETS, "recipient", ("sender", "client_address")),
)
