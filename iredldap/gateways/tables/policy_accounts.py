"""Statements that find the accounts that have policies."""

from typing import Any

import sqlalchemy as sql

from iredldap.dit.scopes import EVERYBODY
from iredldap.dit.wblist import Colour, Direction
from iredldap.gateways.tables.amavisd import LISTS, POLICIES, USERS
from iredldap.gateways.tables.iredapd import GREYLISTING, THROTTLES, WHITELISTS

Accounts = sql.Select[Any]
"""Finds accounts, for `Gateway.accounts`."""


def throttled(kind: str) -> Accounts:
    """Find the accounts that have an inbound or outbound throttle."""
    table = THROTTLES.c
    return sql.select(table.account).where(table.kind == kind, table.period != 0)


def greylisted() -> Accounts:
    """Find the accounts that have a setting of greylisting for all senders."""
    return sql.select(GREYLISTING.c.account).where(GREYLISTING.c.sender == EVERYBODY)


def exempting() -> Accounts:
    """Find the accounts that exempt senders from greylisting."""
    return sql.select(WHITELISTS.c.account)


def listing(direction: Direction, colour: Colour) -> Accounts:
    """Find the accounts that have a white- or blacklist."""
    pairs = LISTS[direction]
    return (
        sql.select(USERS.c.email)
        .join(pairs.table, pairs.account == USERS.c.id)
        .where(pairs.table.c.wb == colour.letter)
    )


def with_spam_policies() -> Accounts:
    """Find the accounts that have a spam policy; other tools give policies other names."""
    return sql.select(POLICIES.c.policy_name).where(POLICIES.c.policy_name.is_not(None))
