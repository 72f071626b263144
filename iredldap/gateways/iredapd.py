"""The database of iRedAPD: throttling and greylisting, which it reads on every message."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import sqlalchemy as sql

from iredldap.config.settings import Secret
from iredldap.dit.names import domain_of
from iredldap.dit.scopes import EVERYBODY, KeyClass, key_class
from iredldap.errors import NeverApplies
from iredldap.gateways.sql.database import Database
from iredldap.gateways.sql.statements import batches, move_rows, upsert
from iredldap.gateways.sql.tables import from_script, most_of
from iredldap.shipped import shipped

Values = Mapping[str, Any]
"""A row by the names of its columns."""

Condition = sql.ColumnElement[bool]

GREYLISTING_WIDTH = 100
"""Characters of an account or sender in MariaDB; PostgreSQL would take more."""

_UNSET = -1

_METADATA = sql.MetaData()


def _table(name: str, texts: Iterable[str], numbers: Iterable[str] = ()) -> sql.Table:
    columns = [sql.Column(column, sql.String) for column in texts]
    counts = [sql.Column(column, sql.BigInteger) for column in numbers]
    return sql.Table(name, _METADATA, *columns, *counts)


_METRICS = ("msg_size", "max_msgs", "max_quota")
_THROTTLES = _table(
    "throttle", ("account", "kind"), ("id", "priority", "period", *_METRICS, "max_rcpts")
)
_COUNTERS = _table("throttle_tracking", ("account",), ("tid",))
_COUNTED = {_THROTTLES, _COUNTERS}
_COUNTED_IN = {"max_msgs": ("cur_msgs", 0), "max_quota": ("cur_quota", 1)}
"""Columns in which limits are counted, and by how much a count must pass one before it refuses."""

_NARROW = 2**15
"""What a column of any type can count."""
_GREYLISTING = _table(
    "greylisting", ("account", "sender"), ("priority", "sender_priority", "active")
)
_WHITELISTS = _table("greylisting_whitelists", ("account", "sender", "comment"))
_RESOLVED = _table("greylisting_whitelist_domain_spf", ("account", "sender", "comment"))
_SPF_DOMAINS = _table("greylisting_whitelist_domains", ("domain",))
_TRIPLETS = _table("greylisting_tracking", ("sender", "recipient", "client_address", "rcpt_domain"))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where accounts are named, and what tells several rows of one apart."""

    table: sql.Table
    name: str
    key: tuple[str, ...]
    width: int = 255

    @property
    def column(self) -> sql.Column[Any]:
        return self.table.c[self.name]


# What refers to throttles goes before them.
_PLACES = (
    _Place(_COUNTERS, "account", ("tid",)),
    _Place(_THROTTLES, "account", ("kind",)),
    _Place(_GREYLISTING, "account", ("sender",), GREYLISTING_WIDTH),
    _Place(_WHITELISTS, "account", ("sender",), GREYLISTING_WIDTH),
    _Place(_TRIPLETS, "recipient", ("sender", "client_address")),
)


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of a list: what goes and what comes; if it `replaces`, all the rest goes too."""

    added: Sequence[str] = ()
    removed: Sequence[str] = ()
    replaces: bool = False


class Iredapd:
    """Its tables. Accounts are named by their keys, as `dit.scopes` makes them.

    Args:
        url: SQLAlchemy URL; read on first use.
    """

    def __init__(self, url: Secret) -> None:
        self._database = Database("iredapd", url, from_script(shipped("schema/iredapd.sqlite.sql")))

    def ask(self) -> None:
        """See whether it answers.

        Raises:
            ServerDown: If it does not.
        """
        self._database.ask()

    def close(self) -> None:
        self._database.close()

    def throttle(self, account: str, kind: str) -> Values:
        """Read a throttle; empty: none is set, or only one without a period, which nobody heeds.

        Raises:
            ServerDown: If the database does not answer.
        """
        columns = [c for c in _THROTTLES.c if c.name != "max_rcpts" or self._limits_recipients]
        # PostgreSQL keeps nobody from adding a second one.
        wanted = (
            sql.select(*columns)
            .where(_own(account, kind), _THROTTLES.c.period != 0)
            .order_by(_THROTTLES.c.priority.desc(), _THROTTLES.c.id)
        )
        return self._database.read(lambda connection: _first(connection, wanted))

    def set_throttle(self, account: str, kind: str, values: Values) -> None:
        """Set the period and the limits of a throttle; counters go on, other columns stay.

        Raises:
            NeverApplies: If the counter of a limit ends before it: iRedAPD cannot write more into
                it, and the other one of the row stands still from then on.
            ServerDown: If that fails.
        """
        self._refuse_uncounted(values)
        row = {"account": account, "kind": kind, "priority": _priority(account), **values}

        def work(connection: sql.Connection) -> None:
            _reserve(connection, account, kind)
            _put_throttle(connection, row)
            _raise_users(connection, _THROTTLES, account, _THROTTLES.c.kind == kind)

        self._database.write(work)

    def _refuse_uncounted(self, values: Values) -> None:
        limits = {
            name: counter for name, counter in _COUNTED_IN.items() if values.get(name, 0) >= _NARROW
        }
        if not limits:
            return
        most = self._database.read(lambda connection: most_of(connection, _COUNTERS.name))
        for name, (column, passes) in limits.items():
            if column in most and values[name] + passes > most[column]:
                raise NeverApplies(f"{column} counts up to {most[column]}", parameter=name)

    def remove_throttle(self, account: str, kind: str) -> None:
        """Remove a throttle and what was counted for it; none is no error.

        A limit of recipients, which is not ours, keeps its row.

        Raises:
            ServerDown: If that fails.
        """
        own = _own(account, kind)
        gone = own
        if self._limits_recipients:
            needed = sql.and_(_THROTTLES.c.max_rcpts > _UNSET, _THROTTLES.c.period != 0)
            gone = sql.and_(own, sql.not_(needed))
        unset = dict.fromkeys(_METRICS, _UNSET)

        def work(connection: sql.Connection) -> None:
            _reserve(connection, account, kind)
            _drop_counters(connection, own)
            connection.execute(sql.delete(_THROTTLES).where(gone))
            connection.execute(sql.update(_THROTTLES).where(own).values(unset))

        self._database.write(work)

    def greylisting(self, account: str) -> Values:
        """Read whether an account greylists strangers; empty: it has no setting of its own.

        Raises:
            ServerDown: If the database does not answer.
        """
        wanted = sql.select(_GREYLISTING).where(_towards_all(account))
        return self._database.read(lambda connection: _first(connection, wanted))

    def greylistings(self) -> Sequence[Values]:
        """Read all settings of greylisting, in the order in which they are looked at.

        Raises:
            ServerDown: If the database does not answer.
        """
        table = _GREYLISTING.c
        order = (table.priority.desc(), table.account, table.sender_priority.desc(), table.sender)
        wanted = sql.select(_GREYLISTING).order_by(*order)
        return self._database.read(lambda c: [dict(row) for row in c.execute(wanted).mappings()])

    def set_greylisting(self, account: str, active: int) -> None:
        """Say whether an account greylists strangers; what it says of some senders stays.

        Raises:
            ServerDown: If that fails.
        """
        priority = {"priority": _priority(account)}
        others = {"sender_priority": KeyClass.CATCHALL.policy_priority, "active": active}
        row = {"account": account, "sender": EVERYBODY, **priority, **others}

        def work(connection: sql.Connection) -> None:
            upsert(connection, _GREYLISTING, [row], ("account", "sender"), (*priority, *others))
            own = sql.update(_GREYLISTING).where(_GREYLISTING.c.account == account)
            connection.execute(own.values(priority))
            _raise_users(connection, _GREYLISTING, account)

        self._database.write(work)

    def drop_greylisting(self, account: str) -> None:
        """Take away what an account says of all senders; nothing said is no error.

        Raises:
            ServerDown: If that fails.
        """
        gone = sql.delete(_GREYLISTING).where(_towards_all(account))
        self._database.write(lambda connection: connection.execute(gone))

    def exempt(self, account: str) -> list[str]:
        """Read the senders that an account exempts from greylisting, sorted.

        Raises:
            ServerDown: If the database does not answer.
        """
        wanted = sql.select(_WHITELISTS.c.sender).where(_WHITELISTS.c.account == account)
        return self._database.read(lambda connection: sorted(connection.scalars(wanted)))

    def change_exempt(self, account: str, edit: Edit) -> None:
        """Change the senders that an account exempts; from now on they are nobody else's.

        iRedAPD's own scripts mark theirs by a comment, and remove them again.

        Raises:
            ServerDown: If that fails.
        """
        owner = {"account": account}
        self._database.write(
            lambda connection: _change(connection, _WHITELISTS.c.sender, owner, edit, comment="")
        )

    def spf_domains(self) -> list[str]:
        """Read the domains whose hosts are exempt from greylisting, sorted.

        Raises:
            ServerDown: If the database does not answer.
        """
        wanted = sql.select(_SPF_DOMAINS.c.domain)
        return self._database.read(lambda connection: sorted(connection.scalars(wanted)))

    def change_spf_domains(self, edit: Edit) -> None:
        """Change the domains whose hosts are exempt.

        What was resolved for one that goes, goes with it: nobody else looks after that.

        Raises:
            ServerDown: If that fails.
        """
        # Older releases have only the first, and put there what is resolved.
        present = [table for table in (_WHITELISTS, _RESOLVED) if self._has(table)]

        def work(connection: sql.Connection) -> None:
            gone = _change(connection, _SPF_DOMAINS.c.domain, {}, edit)
            comments = [f"AUTO-UPDATE: {name}" for name in gone]
            for table in present:
                _delete(connection, table.c.comment, comments)

        self._database.write(work)

    def forget(self, mail: str) -> None:
        """Forget an account that is going: what a later one of this address must not inherit.

        Raises:
            ServerDown: If that fails.
        """
        self._forget(lambda column: column == mail)

    def forget_domain(self, name: str) -> None:
        """Forget a domain that is going, and every account in it.

        Raises:
            ServerDown: If that fails.
        """
        self._forget(lambda column: sql.or_(column == f"@.{name}", _within(column, name)))

    def move(self, old: str, new: str) -> None:
        """Let everything that is known of an address be known of another one.

        What a table has no room for under the new one is forgotten.

        Raises:
            ServerDown: If that fails.
        """
        places = self._places()
        moving = [place for place in places if len(new) <= place.width]
        ending = [place for place in places if len(new) > place.width]

        def work(connection: sql.Connection) -> None:
            _clear(connection, ending, lambda column: column == old)
            if {place.table for place in moving} >= _COUNTED:
                _drop_counters(connection, _in_the_way(connection, old, new))
            for place in moving:
                values = {place.name: new}
                if place.table is _TRIPLETS:
                    values["rcpt_domain"] = domain_of(new)
                move_rows(connection, place.column, place.key, old, values)

        self._database.write(work)

    def _forget(self, named: Callable[[sql.Column[Any]], Condition]) -> None:
        places = self._places()
        self._database.write(lambda connection: _clear(connection, places, named))

    def _places(self) -> list[_Place]:
        """Those that this release of iRedAPD has."""
        return [place for place in _PLACES if self._has(place.table)]

    def _has(self, table: sql.Table) -> bool:
        return bool(self._database.columns(table.name))

    @property
    def _limits_recipients(self) -> bool:
        return "max_rcpts" in self._database.columns(_THROTTLES.name)


def _first(connection: sql.Connection, wanted: sql.Select[Any]) -> Values:
    found = connection.execute(wanted).mappings().first()
    return dict(found) if found else {}


def _own(account: str, kind: str) -> Condition:
    return sql.and_(_THROTTLES.c.account == account, _THROTTLES.c.kind == kind)


def _towards_all(account: str) -> Condition:
    return sql.and_(_GREYLISTING.c.account == account, _GREYLISTING.c.sender == EVERYBODY)


def _within(column: sql.Column[Any], name: str) -> Condition:
    """Condition for a domain and every address in it."""
    return column.endswith(f"@{name}", autoescape=True)


def _priority(account: str) -> int:
    return key_class(account).policy_priority


def _reserve(connection: sql.Connection, *words: str) -> None:
    """Keep others from what no lock on a row protects, while there may be no row.

    MariaDB locks what it looks for, and SQLite has one writer.
    """
    if connection.dialect.name == "postgresql":
        numbers = (sql.func.hashtext(word) for word in words)
        connection.execute(sql.select(sql.func.pg_advisory_xact_lock(*numbers)))


def _put_throttle(connection: sql.Connection, row: Values) -> None:
    key = ("account", "kind")
    if connection.dialect.name != "postgresql":
        upsert(connection, _THROTTLES, [row], key, [name for name in row if name not in key])
        return
    # No key there is unique, and nothing has kept others from adding a second row before.
    own = _own(row["account"], row["kind"])
    if not connection.execute(sql.update(_THROTTLES).where(own).values(row)).rowcount:
        connection.execute(sql.insert(_THROTTLES).values(row))


def _raise_users(
    connection: sql.Connection, table: sql.Table, account: str, *conditions: Condition
) -> None:
    """Keep the settings of users before the one of their domain, which has just been set.

    Releases of iRedAdmin wrote Amavisd's priorities here, of which the highest is below that of a
    domain on this scale.
    """
    if key_class(account) is not KeyClass.DOMAIN:
        return
    users = sql.and_(_within(table.c.account, domain_of(account)), table.c.account != account)
    wrong = table.c.priority == KeyClass.EMAIL.amavisd_priority
    raised = sql.update(table).where(users, wrong, *conditions)
    connection.execute(raised.values(priority=KeyClass.EMAIL.policy_priority))


def _drop_counters(connection: sql.Connection, throttles: Condition) -> None:
    """Remove what was counted for some throttles; until the end nothing more can be."""
    wanted = sql.select(_THROTTLES.c.id).where(throttles).order_by(_THROTTLES.c.id)
    _delete(connection, _COUNTERS.c.tid, connection.scalars(wanted.with_for_update()).all())


def _in_the_way(connection: sql.Connection, old: str, new: str) -> Condition:
    """Condition for throttles of a new name that give way to those of an old one."""
    kinds = connection.scalars(sql.select(_THROTTLES.c.kind).where(_THROTTLES.c.account == old))
    return sql.and_(_THROTTLES.c.account == new, _THROTTLES.c.kind.in_(kinds.all()))


def _clear(
    connection: sql.Connection,
    places: Collection[_Place],
    named: Callable[[sql.Column[Any]], Condition],
) -> None:
    if {place.table for place in places} >= _COUNTED:
        _drop_counters(connection, named(_THROTTLES.c.account))
    for place in places:
        connection.execute(sql.delete(place.table).where(named(place.column)))


def _change(
    connection: sql.Connection,
    column: sql.Column[Any],
    owner: Mapping[str, str],
    edit: Edit,
    **others: str,
) -> list[str]:
    """Change a list; give what is no longer on it.

    Args:
        connection: In a transaction.
        column: Holds the values.
        owner: Whose list it is, by the name of the column; a table may be one list.
        edit: The change.
        others: What else a row has, new or not.
    """
    _reserve(connection, column.table.name, owner.get("account", ""))
    gone = sorted(set(edit.removed) - set(edit.added))
    rows = [{column.name: value, **owner, **others} for value in sorted(edit.added)]
    upsert(connection, column.table, rows, (*owner, column.name), (column.name, *others))
    if edit.replaces:
        # Afterwards: two clients who replace the same list then wait for one another.
        own = [column.table.c[name] == value for name, value in owner.items()]
        held = connection.scalars(sql.select(column).where(*own).with_for_update())
        gone += sorted(set(held) - set(edit.added))
    _delete(connection, column, gone, owner)
    return gone


def _delete(
    connection: sql.Connection,
    column: sql.Column[Any],
    values: Sequence[Any],
    owner: Mapping[str, str] = MappingProxyType({}),
) -> None:
    table = column.table
    own = [table.c[name] == value for name, value in owner.items()]
    for batch in batches(values):
        connection.execute(sql.delete(table).where(column.in_(batch), *own))
