"""The database of Amavisd: white- and blacklists and spam policies, read on every message.

The table `users` has a row for each account with a list or a policy of its own, `mailaddr` one for
each address on a list. Every change of an account locks its row of `users` first, so that changes
of one account are serialized.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sql

from iredldap.config.settings import Secret
from iredldap.dit.scopes import EVERYBODY, KeyClass, key_class, wider_keys
from iredldap.dit.wblist import Colour, Direction
from iredldap.gateways.sql.database import Database
from iredldap.gateways.sql.gateway import Gateway
from iredldap.gateways.sql.refusals import Overtaken
from iredldap.gateways.sql.statements import batches, counts, first_row, upsert
from iredldap.gateways.sql.tables import from_script
from iredldap.gateways.tables.amavisd import (
    ADDRESSES,
    DEPENDENTS,
    LISTS,
    NO_POLICY,
    POLICIES,
    USERS,
)
from iredldap.shipped import shipped

Values = Mapping[str, Any]
"""A row by the names of its columns."""

_NAME = "amavisd"

Named = Callable[[sql.Column[Any]], sql.ColumnElement[bool]]
"""Returns the condition for the rows that a column of accounts has."""


class Amavisd(Gateway):
    """White- and blacklists and spam policies.

    Args:
        url: SQLAlchemy URL; read on first use.
    """

    def __init__(self, url: Secret) -> None:
        make = from_script(shipped("schema/amavisd.sqlite.sql"))
        super().__init__(Database(_NAME, url, make, dependents=DEPENDENTS))

    def listed(self, account: str, direction: Direction, colour: Colour) -> list[str]:
        """Read a list, sorted.

        Raises:
            ServerDown: If the database does not respond.
        """
        pairs = LISTS[direction]
        wanted = (
            sql.select(ADDRESSES.c.email)
            .join(pairs.table, pairs.address == ADDRESSES.c.id)
            .join(USERS, pairs.account == USERS.c.id)
            .where(USERS.c.email == account, pairs.table.c.wb == colour.letter)
        )
        return self._database.read(lambda connection: sorted(connection.scalars(wanted)))

    def enlist(
        self, account: str, direction: Direction, colour: Colour, addresses: Sequence[str]
    ) -> None:
        """Add addresses to a list, and remove them from the one of the other colour.

        Raises:
            ServerDown: If that fails.
        """
        pairs = LISTS[direction]

        def work(connection: sql.Connection) -> None:
            # The account's row is locked first by every change of it: two changes of one account
            # wait for one another there, and lock nothing crosswise behind it.
            own = {pairs.account.name: _own(connection, account), "wb": colour.letter}
            # Sorted, so that two clients lock the rows in one order.
            numbers = sorted(_numbered(connection, addresses))
            rows = [{pairs.address.name: number, **own} for number in numbers]
            # The key has no colour: an address that is on the other list moves to this one.
            upsert(connection, pairs.table, rows, ("rid", "sid"), ("wb",))

        self._database.write(work)

    def delist(
        self, account: str, direction: Direction, colour: Colour, addresses: Sequence[str]
    ) -> None:
        """Remove addresses from a list, and from that one only.

        Raises:
            ServerDown: If that fails.
        """
        pairs = LISTS[direction]

        def work(connection: sql.Connection) -> None:
            found = _locked(connection, USERS.c.email, account)
            if not found:
                return
            for batch in batches(sorted(addresses)):
                ids = [row.id for row in _known(connection, batch)]
                gone = sql.and_(pairs.on(found["id"], colour), pairs.address.in_(ids))
                connection.execute(sql.delete(pairs.table).where(gone))
            _drop_idle(connection, found["id"])

        self._database.write(work)

    def clear(self, account: str, direction: Direction, colour: Colour) -> None:
        """Remove all addresses from a list.

        Raises:
            ServerDown: If that fails.
        """
        pairs = LISTS[direction]

        def work(connection: sql.Connection) -> None:
            if found := _locked(connection, USERS.c.email, account):
                connection.execute(sql.delete(pairs.table).where(pairs.on(found["id"], colour)))
                _drop_idle(connection, found["id"])

        self._database.write(work)

    def policy(self, account: str) -> Values:
        """Read the policy of an account; empty: it has none of its own.

        Raises:
            ServerDown: If the database does not respond.
        """
        wanted = sql.select(POLICIES).where(POLICIES.c.policy_name == account)
        return self._database.read(lambda connection: first_row(connection, wanted))

    def change_policy(
        self,
        account: str,
        change: Callable[[Values], Values],
        settle: Callable[[Values, Sequence[Values]], Values] = lambda row, behind: {},
        *,
        narrower: bool = False,
    ) -> None:
        """Change the policy of an account; it is created if there is none.

        Args:
            account: The account's key.
            change: From the row as it is, returns the columns to change; may be called again.
            settle: From the changed row, and the wider policies, the nearest first, returns
                further columns to change.
            narrower: Whether the narrower policies, for which this one is a wider one, are settled
                too.

        Raises:
            ServerDown: If that fails.
        """

        def work(connection: sql.Connection) -> None:
            own = _own(connection, account)
            # By its name, which is the account's: other tools give policies names of their own,
            # which are left alone.
            held = _ensured(connection, POLICIES.c.policy_name, account)
            new = change(held)
            new = {**new, **settle({**held, **new}, _behind(connection, account))}
            _update(connection, held["id"], new)
            _link(connection, own, held["id"])
            for row in _before(connection, account) if narrower else ():
                behind = _behind(connection, row["policy_name"])
                _update(connection, row["id"], settle(row, behind))

        self._database.write(work)

    def drop_policy(self, account: str) -> None:
        """Delete the policy of an account.

        Raises:
            ServerDown: If that fails.
        """

        def work(connection: sql.Connection) -> None:
            found = _locked(connection, USERS.c.email, account)
            connection.execute(sql.delete(POLICIES).where(POLICIES.c.policy_name == account))
            if found:
                # Before the row may be deleted: it stays as long as the account has lists.
                _link(connection, found["id"], NO_POLICY)
                _drop_idle(connection, found["id"])

        self._database.write(work)

    def forget(self, mail: str) -> None:
        """Delete all data of an account that is deleted, so that a later one does not inherit it.

        Raises:
            ServerDown: If that fails.
        """
        self._forget(lambda column: column == mail)

    def count(self, mail: str) -> dict[str, int]:
        """Count what `forget` would delete of each table; tables without any are left out.

        Raises:
            ServerDown: If the database does not respond.
        """
        return self._count(lambda column: column == mail)

    def count_domain(self, name: str) -> dict[str, int]:
        """Count what `forget_domain` would delete, as `count` does."""
        return self._count(_of_domain(name))

    def forget_domain(self, name: str) -> None:
        """Delete all data of a domain that is deleted, and of every account in it.

        Raises:
            ServerDown: If that fails.
        """
        self._forget(_of_domain(name))

    def _count(self, named: Named) -> dict[str, int]:
        if not self._is_in_use:
            return {}
        # Lists name an account by the number of its row.
        accounts = sql.select(USERS.c.id).where(named(USERS.c.email))
        wanted = [
            (USERS, named(USERS.c.email)),
            (POLICIES, named(POLICIES.c.policy_name)),
            *((pairs.table, pairs.account.in_(accounts)) for pairs in LISTS.values()),
        ]
        return self._database.read(lambda connection: counts(connection, wanted))

    def _forget(self, named: Named) -> None:
        if self._is_in_use:
            self._database.write(lambda connection: _forget(connection, named))

    @property
    def _is_in_use(self) -> bool:
        """Whether the database has Amavisd's tables; else there is nothing to delete or move."""
        return bool(self._database.columns(USERS.name))

    def move(self, old: str, new: str) -> None:
        """Rename an address: all its data belongs to the new one.

        Raises:
            ServerDown: If that fails.
        """

        def work(connection: sql.Connection) -> None:
            account = _locked(connection, USERS.c.email, old)
            policy = _locked(connection, POLICIES.c.policy_name, old)
            # Without either it has been done before: rows of the new name came with that, or later,
            # and are kept.
            if account or policy:
                # Another transaction that is about to create a row of this name waits for this one.
                _own(connection, new)
                _forget(connection, lambda column: column == new)
                for column in (USERS.c.email, POLICIES.c.policy_name):
                    rename = sql.update(column.table).where(column == old)
                    connection.execute(rename.values({column.name: new}))

        if self._is_in_use:
            self._database.write(work)


def _of_domain(name: str) -> Named:
    suffix = f"@{name}"

    def within(column: sql.Column[Any]) -> sql.ColumnElement[bool]:
        # LIKE does not work on binary columns in some builds of SQLite.
        end = sql.func.substr(column, sql.func.length(column) - (len(suffix) - 1))
        return sql.or_(column == f"@.{name}", end == sql.literal(suffix, column.type))

    return within


def _locked(connection: sql.Connection, column: sql.Column[Any], name: str) -> Values:
    """Lock and read the row of a name; empty: there is none."""
    wanted = sql.select(column.table).where(column == name).with_for_update()
    return first_row(connection, wanted)


def _ensured(
    connection: sql.Connection, column: sql.Column[Any], name: str, **others: object
) -> Values:
    """Lock and read the row of a name; it is created if there is none."""
    found = _locked(connection, column, name)
    if not found:
        upsert(connection, column.table, [{column.name: name, **others}], (column.name,))
        found = _locked(connection, column, name)
    if not found:
        detail = f"another client created and deleted {name}"
        raise Overtaken(detail, report={"database": _NAME})
    return found


def _own(connection: sql.Connection, account: str) -> int:
    """Lock the row of an account, which is created if there is none; return its id."""
    priority = key_class(account).amavisd_priority
    found = _ensured(connection, USERS.c.email, account, priority=priority, policy_id=NO_POLICY)
    # By this priority Amavisd chooses among the rows of an address, whoever has added them.
    if found["priority"] != priority:
        row = sql.update(USERS).where(USERS.c.id == found["id"])
        connection.execute(row.values(priority=priority))
    return int(found["id"])


def _update(connection: sql.Connection, policy: int, new: Values) -> None:
    if new:
        row = sql.update(POLICIES).where(POLICIES.c.id == policy)
        connection.execute(row.values(dict(new)))


def _behind(connection: sql.Connection, account: str) -> list[Values]:
    """Read the policies that Amavisd reads after that of an account, the nearest first."""
    wanted = (
        sql.select(POLICIES)
        .join(USERS, USERS.c.policy_id == POLICIES.c.id)
        .where(USERS.c.email.in_(wider_keys(account)))
        .order_by(USERS.c.priority.desc())
    )
    return [dict(row) for row in connection.execute(wanted).mappings()]


def _before(connection: sql.Connection, account: str) -> list[Values]:
    """Lock and read the policies that Amavisd reads before that of an account."""
    if key_class(account) is KeyClass.EMAIL:
        return []
    # Policies that other tools have named otherwise are not ours to settle.
    name = POLICIES.c.policy_name
    inside = sql.true() if account == EVERYBODY else name.endswith(account, autoescape=True)
    wanted = sql.select(POLICIES).where(inside, name != account).order_by(name).with_for_update()
    found = connection.execute(wanted).mappings()
    return [dict(row) for row in found if account in wider_keys(row["policy_name"] or "")]


def _link(connection: sql.Connection, account: int, policy: int) -> None:
    row = sql.update(USERS).where(USERS.c.id == account)
    connection.execute(row.values(policy_id=policy))


def _drop_idle(connection: sql.Connection, account: int) -> None:
    """Delete the row of an account that has neither a policy nor lists; no other program does."""
    lists = [sql.exists().where(pairs.account == account) for pairs in LISTS.values()]
    idle = sql.and_(
        USERS.c.id == account,
        USERS.c.policy_id == NO_POLICY,
        *(sql.not_(some) for some in lists),
    )
    connection.execute(sql.delete(USERS).where(idle))


def _numbered(connection: sql.Connection, addresses: Sequence[str]) -> Iterator[int]:
    """Yield the ids of addresses; each gets a row with the priority of its kind.

    The rows stay locked: a daily job deletes those that are on no list. They are locked in order,
    and only missing ones are inserted, because each attempt to insert would use up an id.
    """
    for batch in batches(sorted(addresses)):
        found = {row.email: row.priority for row in _known(connection, batch)}
        wanted = {address: key_class(address).amavisd_priority for address in batch}
        rows = [
            {"email": address, "priority": priority}
            for address, priority in wanted.items()
            if found.get(address) != priority
        ]
        upsert(connection, ADDRESSES, rows, ("email",), ("priority",))
        yield from (row.id for row in _known(connection, batch))


def _known(connection: sql.Connection, addresses: Sequence[str]) -> Sequence[sql.Row[Any]]:
    """Lock and read the rows of addresses that have one."""
    wanted = sql.select(ADDRESSES).where(ADDRESSES.c.email.in_(addresses))
    in_order = wanted.order_by(ADDRESSES.c.email).with_for_update()
    return connection.execute(in_order).all()


def _forget(connection: sql.Connection, named: Named) -> None:
    """Delete accounts with their lists and policies, but not addresses, which others may list."""
    wanted = sql.select(USERS.c.id).where(named(USERS.c.email)).order_by(USERS.c.email)
    for batch in batches(connection.scalars(wanted.with_for_update()).all()):
        for pairs in LISTS.values():
            connection.execute(sql.delete(pairs.table).where(pairs.account.in_(batch)))
        connection.execute(sql.delete(USERS).where(USERS.c.id.in_(batch)))
    connection.execute(sql.delete(POLICIES).where(named(POLICIES.c.policy_name)))
