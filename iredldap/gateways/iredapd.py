"""The database of iRedAPD: throttling and greylisting, which it reads on every message."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sql

from iredldap.config.settings import Secret
from iredldap.dit.mail_names import domain_of
from iredldap.dit.scopes import EVERYBODY, KeyClass, key_class
from iredldap.errors import NeverApplies
from iredldap.gateways.sql.database import Database
from iredldap.gateways.sql.gateway import Gateway
from iredldap.gateways.sql.statements import (
    Edit,
    change_list,
    counts,
    delete_values,
    first_row,
    move_rows,
    reserve,
    upsert,
)
from iredldap.gateways.sql.tables import from_script, most_of
from iredldap.gateways.tables.iredapd import (
    ACCOUNT_COLUMNS,
    COUNTED,
    COUNTED_IN,
    COUNTERS,
    DEPENDENTS,
    GREYLISTING,
    METRICS,
    NARROW,
    RESOLVED,
    SPF_DOMAINS,
    THROTTLES,
    TRIPLETS,
    WHITELISTS,
    AccountColumn,
)
from iredldap.shipped import shipped

Values = Mapping[str, Any]
"""A row by the names of its columns."""

Condition = sql.ColumnElement[bool]

_UNSET = -1

Named = Callable[[sql.Column[Any]], Condition]
"""Returns the condition for the rows that a column of accounts has."""


class Iredapd(Gateway):
    """Throttles and greylisting. Accounts are given by their keys, as `dit.scopes` builds them.

    Args:
        url: SQLAlchemy URL; read on first use.
    """

    def __init__(self, url: Secret) -> None:
        make = from_script(shipped("schema/iredapd.sqlite.sql"))
        super().__init__(Database("iredapd", url, make, dependents=DEPENDENTS))

    def throttle(self, account: str, kind: str) -> Values:
        """Read a throttle; empty: none is set, or only one without a period, which is ignored.

        Raises:
            ServerDown: If the database does not respond.
        """
        columns = [c for c in THROTTLES.c if c.name != "max_rcpts" or self._limits_recipients]
        # PostgreSQL has no unique key here: there may be a second row.
        wanted = (
            sql.select(*columns)
            .where(_own(account, kind), THROTTLES.c.period != 0)
            .order_by(THROTTLES.c.priority.desc(), THROTTLES.c.id)
        )
        return self._database.read(lambda connection: first_row(connection, wanted))

    def set_throttle(self, account: str, kind: str, values: Values) -> None:
        """Set the period and the limits of a throttle; counters and other columns are kept.

        Raises:
            NeverApplies: If a limit is larger than its counter can hold: iRedAPD fails to write
                it, and the other counter of the row is not updated either from then on.
            ServerDown: If that fails.
        """
        self._refuse_uncounted(values)
        # With the priority: some releases of iRedAdmin have written that of Amavisd's scale.
        row = {"account": account, "kind": kind, "priority": _priority(account), **values}

        def work(connection: sql.Connection) -> None:
            # In PostgreSQL no unique key keeps two clients from adding the same row.
            reserve(connection, account, kind)
            _put_throttle(connection, row)
            _raise_users(connection, THROTTLES, account, THROTTLES.c.kind == kind)

        self._database.write(work)

    def _refuse_uncounted(self, values: Values) -> None:
        limits = {
            name: counter for name, counter in COUNTED_IN.items() if values.get(name, 0) >= NARROW
        }
        if not limits:
            return
        # Only for limits that a narrow counter could not hold: it costs a query of the columns.
        most = self._database.read(lambda connection: most_of(connection, COUNTERS.name))
        for name, (column, passes) in limits.items():
            if column in most and values[name] + passes > most[column]:
                raise NeverApplies(f"{column} counts up to {most[column]}", parameter=name)

    def remove_throttle(self, account: str, kind: str) -> None:
        """Delete a throttle and its counters; if there is none, that is no error.

        A row with a limit of recipients, which the API does not manage, is kept.

        Raises:
            ServerDown: If that fails.
        """
        own = _own(account, kind)
        gone = own
        if self._limits_recipients:
            needed = sql.and_(THROTTLES.c.max_rcpts > _UNSET, THROTTLES.c.period != 0)
            gone = sql.and_(own, sql.not_(needed))
        unset = dict.fromkeys(METRICS, _UNSET)

        def work(connection: sql.Connection) -> None:
            reserve(connection, account, kind)
            # Before the row: counters name it by its number, which no row would have afterwards.
            _drop_counters(connection, own)
            connection.execute(sql.delete(THROTTLES).where(gone))
            # What is left is a row with a limit of recipients; its other limits end.
            connection.execute(sql.update(THROTTLES).where(own).values(unset))

        self._database.write(work)

    def greylisting(self, account: str) -> Values:
        """Read whether an account greylists all senders; empty: it has no setting of its own.

        Raises:
            ServerDown: If the database does not respond.
        """
        wanted = sql.select(GREYLISTING).where(_towards_all(account))
        return self._database.read(lambda connection: first_row(connection, wanted))

    def greylistings(self) -> Sequence[Values]:
        """Read all settings of greylisting, in the order in which iRedAPD evaluates them.

        Raises:
            ServerDown: If the database does not respond.
        """
        table = GREYLISTING.c
        order = (table.priority.desc(), table.account, table.sender_priority.desc(), table.sender)
        wanted = sql.select(GREYLISTING).order_by(*order)
        return self._database.read(lambda c: [dict(row) for row in c.execute(wanted).mappings()])

    def set_greylisting(self, account: str, active: int) -> None:
        """Set whether an account greylists all senders; its settings for single senders are kept.

        Raises:
            ServerDown: If that fails.
        """
        priority = {"priority": _priority(account)}
        others = {"sender_priority": KeyClass.CATCHALL.policy_priority, "active": active}
        row = {"account": account, "sender": EVERYBODY, **priority, **others}

        def work(connection: sql.Connection) -> None:
            upsert(connection, GREYLISTING, [row], ("account", "sender"), (*priority, *others))
            own = sql.update(GREYLISTING).where(GREYLISTING.c.account == account)
            # The other rows of the account follow: iRedAPD reads them in the order of priorities.
            connection.execute(own.values(priority))
            _raise_users(connection, GREYLISTING, account)

        self._database.write(work)

    def drop_greylisting(self, account: str) -> None:
        """Delete an account's setting for all senders; if there is none, that is no error.

        Raises:
            ServerDown: If that fails.
        """
        gone = sql.delete(GREYLISTING).where(_towards_all(account))
        self._database.write(lambda connection: connection.execute(gone))

    def exempt(self, account: str) -> list[str]:
        """Read the senders that an account exempts from greylisting, sorted.

        Raises:
            ServerDown: If the database does not respond.
        """
        wanted = sql.select(WHITELISTS.c.sender).where(WHITELISTS.c.account == account)
        return self._database.read(lambda connection: sorted(connection.scalars(wanted)))

    def change_exempt(self, account: str, edit: Edit) -> None:
        """Change the senders that an account exempts.

        The comment by which iRedAPD's own scripts mark their rows is removed, so that they do not
        delete these again.

        Raises:
            ServerDown: If that fails.
        """
        owner = {"account": account}
        self._database.write(
            lambda connection: change_list(connection, WHITELISTS.c.sender, owner, edit, comment="")
        )

    def spf_domains(self) -> list[str]:
        """Read the domains whose hosts are exempt from greylisting, sorted.

        Raises:
            ServerDown: If the database does not respond.
        """
        wanted = sql.select(SPF_DOMAINS.c.domain)
        return self._database.read(lambda connection: sorted(connection.scalars(wanted)))

    def change_spf_domains(self, edit: Edit) -> None:
        """Change the domains whose hosts are exempt.

        Addresses that were resolved for a removed domain are deleted with it; no other program
        does.

        Raises:
            ServerDown: If that fails.
        """
        # Older releases have only the first table, and keep resolved addresses in it.
        present = [table for table in (WHITELISTS, RESOLVED) if self._has(table)]

        def work(connection: sql.Connection) -> None:
            gone = change_list(connection, SPF_DOMAINS.c.domain, {}, edit)
            # By this comment iRedAPD's job marks the addresses that it has resolved for a domain.
            comments = [f"AUTO-UPDATE: {name}" for name in gone]
            for table in present:
                delete_values(connection, table.c.comment, comments)

        self._database.write(work)

    def forget(self, mail: str) -> None:
        """Delete all data of an account that is deleted, so that a later one does not inherit it.

        Raises:
            ServerDown: If that fails.
        """
        self._forget(_of(mail))

    def count(self, mail: str) -> dict[str, int]:
        """Count what `forget` would delete of each table; tables without any are left out.

        Raises:
            ServerDown: If the database does not respond.
        """
        return self._count(_of(mail))

    def count_domain(self, name: str) -> dict[str, int]:
        """Count what `forget_domain` would delete, as `count` does."""
        return self._count(_of_domain(name))

    def forget_domain(self, name: str) -> None:
        """Delete all data of a domain that is deleted, and of every account in it.

        Raises:
            ServerDown: If that fails.
        """
        self._forget(_of_domain(name))

    def move(self, old: str, new: str) -> None:
        """Rename an address: all its data belongs to the new one.

        Data of a table whose columns are too short for the new one is deleted.

        Raises:
            ServerDown: If that fails.
        """
        places = self._account_columns()
        moving = [place for place in places if len(new) <= place.width]
        # MariaDB would cut the longer name or refuse it, by its mode; cut, the row is another
        # account's.
        ending = [place for place in places if len(new) > place.width]

        def work(connection: sql.Connection) -> None:
            _clear(connection, ending, lambda column: column == old)
            # Counters of throttles that the moved ones replace would be counted on.
            if {place.table for place in moving} >= COUNTED:
                _drop_counters(connection, _in_the_way(connection, old, new))
            for place in moving:
                values = {place.name: new}
                if place.table is TRIPLETS:
                    # A column that repeats a part of the address.
                    values["rcpt_domain"] = domain_of(new)
                move_rows(connection, place.column, place.key, old, values)

        self._database.write(work)

    def _count(self, named: Named) -> dict[str, int]:
        conditions: dict[sql.Table, list[Condition]] = {}
        for place in self._account_columns():
            conditions.setdefault(place.table, []).append(named(place.column))
        wanted = [(table, sql.or_(*found)) for table, found in conditions.items()]
        return self._database.read(lambda connection: counts(connection, wanted))

    def _forget(self, named: Named) -> None:
        places = self._account_columns()
        self._database.write(lambda connection: _clear(connection, places, named))

    def _account_columns(self) -> list[AccountColumn]:
        """Return those that this release of iRedAPD has."""
        return [place for place in ACCOUNT_COLUMNS if self._has(place.table)]

    def _has(self, table: sql.Table) -> bool:
        return bool(self._database.columns(table.name))

    @property
    def _limits_recipients(self) -> bool:
        return "max_rcpts" in self._database.columns(THROTTLES.name)


def _own(account: str, kind: str) -> Condition:
    return sql.and_(THROTTLES.c.account == account, THROTTLES.c.kind == kind)


def _towards_all(account: str) -> Condition:
    return sql.and_(GREYLISTING.c.account == account, GREYLISTING.c.sender == EVERYBODY)


def _of(mail: str) -> Named:
    return lambda column: column == mail


def _of_domain(name: str) -> Named:
    return lambda column: sql.or_(column == f"@.{name}", _within(column, name))


def _within(column: sql.Column[Any], name: str) -> Condition:
    """Return the condition for a domain and every address in it."""
    return column.endswith(f"@{name}", autoescape=True)


def _priority(account: str) -> int:
    return key_class(account).policy_priority


def _put_throttle(connection: sql.Connection, row: Values) -> None:
    key = ("account", "kind")
    if connection.dialect.name != "postgresql":
        upsert(connection, THROTTLES, [row], key, [name for name in row if name not in key])
        return
    # PostgreSQL has no unique key here, and there may be several rows: all are updated.
    own = _own(row["account"], row["kind"])
    # Counted are the rows found, also those that had these values already.
    if not connection.execute(sql.update(THROTTLES).where(own).values(row)).rowcount:
        connection.execute(sql.insert(THROTTLES).values(row))


def _raise_users(
    connection: sql.Connection, table: sql.Table, account: str, *conditions: Condition
) -> None:
    """Raise the priority of users' settings above that of their domain, which has just been set.

    Some releases of iRedAdmin wrote Amavisd's priorities here, the highest of which is below that
    of a domain on this scale.
    """
    if key_class(account) is not KeyClass.DOMAIN:
        return
    users = sql.and_(_within(table.c.account, domain_of(account)), table.c.account != account)
    wrong = table.c.priority == KeyClass.EMAIL.amavisd_priority
    raised = sql.update(table).where(users, wrong, *conditions)
    connection.execute(raised.values(priority=KeyClass.EMAIL.policy_priority))


def _drop_counters(connection: sql.Connection, throttles: Condition) -> None:
    """Delete the counters of some throttles, whose rows stay locked until the transaction ends."""
    # Sorted, as all that locks several rows: two clients take them in one order.
    wanted = sql.select(THROTTLES.c.id).where(throttles).order_by(THROTTLES.c.id)
    delete_values(connection, COUNTERS.c.tid, connection.scalars(wanted.with_for_update()).all())


def _in_the_way(connection: sql.Connection, old: str, new: str) -> Condition:
    """Return the condition for throttles of the new name that those of the old one replace."""
    kinds = connection.scalars(sql.select(THROTTLES.c.kind).where(THROTTLES.c.account == old))
    return sql.and_(THROTTLES.c.account == new, THROTTLES.c.kind.in_(kinds.all()))


def _clear(
    connection: sql.Connection,
    places: Collection[AccountColumn],
    named: Callable[[sql.Column[Any]], Condition],
) -> None:
    if {place.table for place in places} >= COUNTED:
        _drop_counters(connection, named(THROTTLES.c.account))
    for place in places:
        connection.execute(sql.delete(place.table).where(named(place.column)))
