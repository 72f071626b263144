"""The database of Amavisd: white- and blacklists and spam policies, read on every message.

Its table `users` has a row for each account with a list or a policy of its own, `mailaddr` one for
each address on a list. Whatever changes an account locks its row of `users` first, so that changes
of one account come one after another.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sql

from iredldap.config.settings import Secret
from iredldap.dit.scopes import EVERYBODY, KeyClass, key_class, wider_keys
from iredldap.dit.wblist import Colour, Direction
from iredldap.gateways.sql.database import Database, Overtaken
from iredldap.gateways.sql.statements import batches, upsert
from iredldap.gateways.sql.tables import from_script
from iredldap.shipped import shipped

Values = Mapping[str, Any]
"""A row by the names of its columns."""

_NAME = "amavisd"


class _Octets(sql.TypeDecorator[str]):
    """Text in a binary column, compared byte by byte."""

    impl = sql.LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sql.Dialect) -> bytes | None:
        return None if value is None else value.encode()

    def process_result_value(self, value: bytes | None, dialect: sql.Dialect) -> str | None:
        return None if value is None else value.decode(errors="replace")


_METADATA = sql.MetaData()
_USERS = sql.Table(
    "users",
    _METADATA,
    sql.Column("id", sql.Integer, primary_key=True),
    sql.Column("priority", sql.Integer),
    sql.Column("policy_id", sql.Integer),
    sql.Column("email", _Octets),
)
_ADDRESSES = sql.Table(
    "mailaddr",
    _METADATA,
    sql.Column("id", sql.Integer, primary_key=True),
    sql.Column("priority", sql.Integer),
    sql.Column("email", _Octets),
)
_TEXTS = (
    "bypass_spam_checks", "spam_lover", "spam_quarantine_to", "spam_subject_tag2",
    "bypass_virus_checks", "virus_lover", "virus_quarantine_to",
    "bypass_banned_checks", "banned_files_lover", "banned_quarantine_to", "banned_rulenames",
    "bypass_header_checks", "bad_header_lover", "bad_header_quarantine_to",
)  # fmt: skip
_SCORES = ("spam_tag_level", "spam_tag2_level", "spam_kill_level")
_POLICIES = sql.Table(
    "policy",
    _METADATA,
    sql.Column("id", sql.Integer, primary_key=True),
    sql.Column("policy_name", sql.String(255)),
    *(sql.Column(name, sql.String(64)) for name in _TEXTS),
    *(sql.Column(name, sql.Float) for name in _SCORES),
)
_NO_POLICY = 0
"""Said explicitly: a new row of `users` would get the global policy, at its own priority."""


@dataclass(frozen=True)
class _Pairs:
    """A table of pairs: a row of `users`, one of `mailaddr`, and the colour."""

    table: sql.Table
    account: sql.Column[int]
    address: sql.Column[int]

    @classmethod
    def of(cls, name: str, account: str, address: str) -> "_Pairs":
        numbers = (sql.Column(column, sql.Integer, primary_key=True) for column in ("rid", "sid"))
        table = sql.Table(name, _METADATA, *numbers, sql.Column("wb", sql.String(10)))
        return cls(table, table.c[account], table.c[address])

    def on(self, account: int, colour: Colour) -> sql.ColumnElement[bool]:
        """Condition for the pairs of one list."""
        return sql.and_(self.account == account, self.table.c.wb == colour.letter)


_PAIRS = {
    Direction.INBOUND: _Pairs.of("wblist", account="rid", address="sid"),
    Direction.OUTBOUND: _Pairs.of("outbound_wblist", account="sid", address="rid"),
}


class Amavisd:
    """Its tables.

    Args:
        url: SQLAlchemy URL; read on first use.
    """

    def __init__(self, url: Secret) -> None:
        self._database = Database(_NAME, url, from_script(shipped("schema/amavisd.sqlite.sql")))

    def ask(self) -> None:
        """See whether it answers.

        Raises:
            ServerDown: If it does not.
        """
        self._database.ask()

    def close(self) -> None:
        self._database.close()

    def listed(self, account: str, direction: Direction, colour: Colour) -> list[str]:
        """Read a list, sorted.

        Raises:
            ServerDown: If the database does not answer.
        """
        pairs = _PAIRS[direction]
        wanted = (
            sql.select(_ADDRESSES.c.email)
            .join(pairs.table, pairs.address == _ADDRESSES.c.id)
            .join(_USERS, pairs.account == _USERS.c.id)
            .where(_USERS.c.email == account, pairs.table.c.wb == colour.letter)
        )
        return self._database.read(lambda connection: sorted(connection.scalars(wanted)))

    def enlist(
        self, account: str, direction: Direction, colour: Colour, addresses: Sequence[str]
    ) -> None:
        """Put addresses on a list, and take them off the one of the other colour.

        Raises:
            ServerDown: If that fails.
        """
        pairs = _PAIRS[direction]

        def work(connection: sql.Connection) -> None:
            own = {pairs.account.name: _own(connection, account), "wb": colour.letter}
            numbers = sorted(_numbered(connection, addresses))
            rows = [{pairs.address.name: number, **own} for number in numbers]
            upsert(connection, pairs.table, rows, ("rid", "sid"), ("wb",))

        self._database.write(work)

    def delist(
        self, account: str, direction: Direction, colour: Colour, addresses: Sequence[str]
    ) -> None:
        """Take addresses off a list, and off that one only.

        Raises:
            ServerDown: If that fails.
        """
        pairs = _PAIRS[direction]

        def work(connection: sql.Connection) -> None:
            found = _locked(connection, _USERS.c.email, account)
            if not found:
                return
            for batch in batches(sorted(addresses)):
                ids = [row.id for row in _known(connection, batch)]
                gone = sql.and_(pairs.on(found["id"], colour), pairs.address.in_(ids))
                connection.execute(sql.delete(pairs.table).where(gone))
            _drop_idle(connection, found["id"])

        self._database.write(work)

    def clear(self, account: str, direction: Direction, colour: Colour) -> None:
        """Empty a list.

        Raises:
            ServerDown: If that fails.
        """
        pairs = _PAIRS[direction]

        def work(connection: sql.Connection) -> None:
            if found := _locked(connection, _USERS.c.email, account):
                connection.execute(sql.delete(pairs.table).where(pairs.on(found["id"], colour)))
                _drop_idle(connection, found["id"])

        self._database.write(work)

    def policy(self, account: str) -> Values:
        """Read the policy of an account; empty: it has none of its own.

        Raises:
            ServerDown: If the database does not answer.
        """
        wanted = sql.select(_POLICIES).where(_POLICIES.c.policy_name == account)
        return self._database.read(lambda connection: _first(connection, wanted))

    def change_policy(
        self,
        account: str,
        change: Callable[[Values], Values],
        settle: Callable[[Values, Sequence[Values]], Values] = lambda row, behind: {},
        *,
        narrower: bool = False,
    ) -> None:
        """Change the policy of an account, made if there is none.

        Args:
            account: Whose.
            change: From what it is to the columns that shall be different; may be asked again.
            settle: From what it then is, and the policies behind it, the nearest first, to what
                else must be different.
            narrower: Whether the policies that this one stands behind are settled too.

        Raises:
            ServerDown: If that fails.
        """

        def work(connection: sql.Connection) -> None:
            own = _own(connection, account)
            held = _ensured(connection, _POLICIES.c.policy_name, account)
            new = change(held)
            new = {**new, **settle({**held, **new}, _behind(connection, account))}
            _update(connection, held["id"], new)
            _link(connection, own, held["id"])
            for row in _before(connection, account) if narrower else ():
                behind = _behind(connection, row["policy_name"])
                _update(connection, row["id"], settle(row, behind))

        self._database.write(work)

    def drop_policy(self, account: str) -> None:
        """Drop the policy of an account, which may be named by another's row, but is not its own.

        Raises:
            ServerDown: If that fails.
        """

        def work(connection: sql.Connection) -> None:
            found = _locked(connection, _USERS.c.email, account)
            connection.execute(sql.delete(_POLICIES).where(_POLICIES.c.policy_name == account))
            if found:
                _link(connection, found["id"], _NO_POLICY)
                _drop_idle(connection, found["id"])

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
        suffix = f"@{name}"

        def within(column: sql.Column[str]) -> sql.ColumnElement[bool]:
            # LIKE is deaf to binary columns in some builds of SQLite.
            end = sql.func.substr(column, sql.func.length(column) - (len(suffix) - 1))
            return sql.or_(column == f"@.{name}", end == sql.literal(suffix, column.type))

        self._forget(within)

    def _forget(self, named: Callable[[sql.Column[Any]], sql.ColumnElement[bool]]) -> None:
        if self._is_in_use:
            self._database.write(lambda connection: _forget(connection, named))

    @property
    def _is_in_use(self) -> bool:
        """A database without tables of Amavisd knows nothing that could go or move."""
        return bool(self._database.columns(_USERS.name))

    def move(self, old: str, new: str) -> None:
        """Let everything that is known of an address be known of another one.

        Raises:
            ServerDown: If that fails.
        """

        def work(connection: sql.Connection) -> None:
            account = _locked(connection, _USERS.c.email, old)
            policy = _locked(connection, _POLICIES.c.policy_name, old)
            # Without either it has been done before: what stands there came with it, or later.
            if account or policy:
                # Whoever else is about to make a row of this name waits for ours.
                _own(connection, new)
                _forget(connection, lambda column: column == new)
                for column in (_USERS.c.email, _POLICIES.c.policy_name):
                    rename = sql.update(column.table).where(column == old)
                    connection.execute(rename.values({column.name: new}))

        if self._is_in_use:
            self._database.write(work)


def _locked(connection: sql.Connection, column: sql.Column[Any], name: str) -> Values:
    """Lock the row of a name; empty: there is none."""
    wanted = sql.select(column.table).where(column == name).with_for_update()
    return _first(connection, wanted)


def _first(connection: sql.Connection, wanted: sql.Select[Any]) -> Values:
    found = connection.execute(wanted).mappings().first()
    return dict(found) if found else {}


def _ensured(
    connection: sql.Connection, column: sql.Column[Any], name: str, **others: object
) -> Values:
    """Lock the row of a name, made if there is none."""
    found = _locked(connection, column, name)
    if not found:
        upsert(connection, column.table, [{column.name: name, **others}], (column.name,))
        found = _locked(connection, column, name)
    if not found:
        detail = f"somebody else made and removed {name}"
        raise Overtaken(detail, report={"database": _NAME})
    return found


def _own(connection: sql.Connection, account: str) -> int:
    """Lock the row of an account, made if there is none; give its id."""
    priority = key_class(account).amavisd_priority
    found = _ensured(connection, _USERS.c.email, account, priority=priority, policy_id=_NO_POLICY)
    if found["priority"] != priority:
        row = sql.update(_USERS).where(_USERS.c.id == found["id"])
        connection.execute(row.values(priority=priority))
    return int(found["id"])


def _update(connection: sql.Connection, policy: int, new: Values) -> None:
    if new:
        row = sql.update(_POLICIES).where(_POLICIES.c.id == policy)
        connection.execute(row.values(dict(new)))


def _behind(connection: sql.Connection, account: str) -> list[Values]:
    """Read the policies that Amavisd looks at after that of an account, the nearest first."""
    wanted = (
        sql.select(_POLICIES)
        .join(_USERS, _USERS.c.policy_id == _POLICIES.c.id)
        .where(_USERS.c.email.in_(wider_keys(account)))
        .order_by(_USERS.c.priority.desc())
    )
    return [dict(row) for row in connection.execute(wanted).mappings()]


def _before(connection: sql.Connection, account: str) -> list[Values]:
    """Lock the policies behind which that of an account stands."""
    if key_class(account) is KeyClass.EMAIL:
        return []
    name = _POLICIES.c.policy_name
    inside = sql.true() if account == EVERYBODY else name.endswith(account, autoescape=True)
    wanted = sql.select(_POLICIES).where(inside, name != account).order_by(name).with_for_update()
    found = connection.execute(wanted).mappings()
    return [dict(row) for row in found if account in wider_keys(row["policy_name"] or "")]


def _link(connection: sql.Connection, account: int, policy: int) -> None:
    row = sql.update(_USERS).where(_USERS.c.id == account)
    connection.execute(row.values(policy_id=policy))


def _drop_idle(connection: sql.Connection, account: int) -> None:
    """Remove the row of an account that has neither a policy nor lists: nobody else does."""
    lists = [sql.exists().where(pairs.account == account) for pairs in _PAIRS.values()]
    idle = sql.and_(
        _USERS.c.id == account,
        _USERS.c.policy_id == _NO_POLICY,
        *(sql.not_(some) for some in lists),
    )
    connection.execute(sql.delete(_USERS).where(idle))


def _numbered(connection: sql.Connection, addresses: Sequence[str]) -> Iterator[int]:
    """Give the ids of addresses, of which each gets a row with the priority of its kind.

    The rows stay locked: a daily job removes those that no list names. They are locked in order,
    and new ones made only where there are none, because each attempt would use up an id.
    """
    for batch in batches(sorted(addresses)):
        found = {row.email: row.priority for row in _known(connection, batch)}
        wanted = {address: key_class(address).amavisd_priority for address in batch}
        rows = [
            {"email": address, "priority": priority}
            for address, priority in wanted.items()
            if found.get(address) != priority
        ]
        upsert(connection, _ADDRESSES, rows, ("email",), ("priority",))
        yield from (row.id for row in _known(connection, batch))


def _known(connection: sql.Connection, addresses: Sequence[str]) -> Sequence[sql.Row[Any]]:
    """Lock the rows of addresses that have one."""
    wanted = sql.select(_ADDRESSES).where(_ADDRESSES.c.email.in_(addresses))
    in_order = wanted.order_by(_ADDRESSES.c.email).with_for_update()
    return connection.execute(in_order).all()


def _forget(
    connection: sql.Connection, named: Callable[[sql.Column[Any]], sql.ColumnElement[bool]]
) -> None:
    """Remove accounts with their lists and policies; addresses stay, for the lists of others."""
    wanted = sql.select(_USERS.c.id).where(named(_USERS.c.email)).order_by(_USERS.c.email)
    for batch in batches(connection.scalars(wanted.with_for_update()).all()):
        for pairs in _PAIRS.values():
            connection.execute(sql.delete(pairs.table).where(pairs.account.in_(batch)))
        connection.execute(sql.delete(_USERS).where(_USERS.c.id.in_(batch)))
    connection.execute(sql.delete(_POLICIES).where(named(_POLICIES.c.policy_name)))
