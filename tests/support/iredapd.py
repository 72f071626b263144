"""What iRedAPD makes of its database, at every message, said in our own words.

Names of senders and recipients come to it in any letter case and with extensions.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sql

from tests.support.amavisd import keys
from tests.support.databases import connected, execute

METRICS = ("msg_size", "max_msgs", "max_quota", "max_rcpts")
STRANGER = "198.51.100.7"
"""A client that nobody knows."""


@dataclass(frozen=True)
class Limit:
    """A limit, the row it comes from, and the period of that row."""

    value: int
    period: int
    throttle: int


@dataclass(frozen=True)
class Reader:
    """The daemon, on one database."""

    url: str

    def limits(self, kind: str, mail: str, client: str = STRANGER) -> dict[str, int]:
        """What a user may send or receive; what is not limited is left out."""
        return {name: limit.value for name, limit in self._limits(kind, mail, client).items()}

    def accepts(self, kind: str, mail: str, size: int = 1, recipients: int = 1) -> bool:
        """Judge a message by its end, and count it if it passes."""
        limits = self._limits(kind, mail, STRANGER)
        account = _bare(mail)
        for name, measured in (("msg_size", size), ("max_rcpts", recipients)):
            if name in limits and measured > limits[name].value:
                return False
        for name in ("max_msgs", "max_quota"):
            if name in limits and self._is_full(name, limits[name], account, recipients):
                return False
        counted = {limits[name] for name in ("max_msgs", "max_quota") if name in limits}
        for throttle, period in sorted({(limit.throttle, limit.period) for limit in counted}):
            # A count that its column does not hold is lost, and the message passes.
            with suppress(sql.exc.DataError):
                self._count(throttle, period, account, size, recipients)
        return True

    def defers(self, recipient: str, sender: str, client: str = STRANGER) -> bool:
        """Return whether an unknown sender is deferred at the first attempt."""
        with connected(self.url) as connection:
            local, senders = keys(_bare(recipient)), {*keys(_bare(sender)), client}
            for table in ("greylisting_whitelists", "greylisting_whitelist_domain_spf"):
                exempt = _of_accounts(connection, f"SELECT sender FROM {table}", local)
                if any(word in senders or _exempts(word, client) for (word,) in exempt):
                    return False
            settings = _of_accounts(
                connection,
                "SELECT sender, sender_priority, active FROM greylisting",
                local,
                "priority DESC, sender_priority DESC",
            )
        for word, priority, active in settings:
            network = priority == 70 and "." in client and "/" in word
            if word in senders or (network and _holds(word, client)):
                return bool(active)
        return False

    def _limits(self, kind: str, mail: str, client: str) -> dict[str, Limit]:
        """Of each limit the first row that sets it; one without a period sets nothing."""
        network, _, _ = client.rpartition(".")
        names = [*keys(_bare(mail)), client, "@ip", f"{network}.*"]
        with connected(self.url) as connection:
            rows = _of_accounts(
                connection,
                f"SELECT id, kind, period, {', '.join(METRICS)} FROM throttle",
                names,
                "priority DESC",
            )
        found: dict[str, Limit] = {}
        for number, of_kind, period, *values in rows:
            if of_kind == kind and period:
                for name, value in zip(METRICS, values, strict=True):
                    if value >= 0:
                        found.setdefault(name, Limit(value, period, number))
        return {name: limit for name, limit in found.items() if limit.value}

    def _is_full(self, name: str, limit: Limit, account: str, recipients: int) -> bool:
        messages, size = self._counted(limit.throttle, account)
        if name == "max_msgs":
            return messages + recipients > limit.value
        return size > limit.value

    def _counted(self, throttle: int, account: str) -> tuple[int, int]:
        statement = (
            "SELECT cur_msgs, cur_quota FROM throttle_tracking"
            " WHERE tid = :throttle AND account = :account"
        )
        with connected(self.url) as connection:
            found = connection.execute(
                sql.text(statement), {"throttle": throttle, "account": account}
            ).first()
        return (found[0], found[1]) if found else (0, 0)

    def _count(self, throttle: int, period: int, account: str, size: int, number: int) -> None:
        row = {"throttle": throttle, "account": account, "size": size, "number": number}
        updated = execute(
            self.url,
            "UPDATE throttle_tracking SET cur_msgs = cur_msgs + :number,"
            " cur_quota = cur_quota + :size WHERE tid = :throttle AND account = :account",
            **row,
        )
        if not updated:
            execute(
                self.url,
                "INSERT INTO throttle_tracking (tid, account, period, cur_msgs, cur_quota)"
                " VALUES (:throttle, :account, :period, :number, :size)",
                **row,
                period=period,
            )


def _bare(mail: str) -> str:
    """An address in lower case, without extension."""
    local, at, domain = mail.lower().rpartition("@")
    return f"{local.partition('+')[0]}{at}{domain}"


def _exempts(word: str, client: str) -> bool:
    """Whether a whitelist names a network around a client, in a form that is looked at."""
    address, _, length = word.partition("/")
    if not length:
        return False
    if ":" in word:
        alike = address.endswith("::") and address.partition(":")[0] == client.partition(":")[0]
    else:
        alike = address.partition(".")[0] == client.partition(".")[0]
    return alike and _holds(word, client)


def _holds(network: str, client: str) -> bool:
    try:
        return ipaddress.ip_address(client) in ipaddress.ip_network(network)
    except ValueError:
        return False


def _of_accounts(
    connection: sql.Connection, select: str, accounts: Iterable[str], order: str = "id"
) -> Sequence[Any]:
    """Rows of some accounts, which a table names in lower case or is deaf to case."""
    values = {f"key{number}": key for number, key in enumerate(accounts)}
    places = ", ".join(f":{name}" for name in values)
    statement = sql.text(f"{select} WHERE account IN ({places}) ORDER BY {order}")
    return connection.execute(statement, values).all()
