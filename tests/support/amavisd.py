"""What the readers of the database `amavisd` make of it, at every message, said in our own words.

Two of them look: Amavisd itself, for lists and policies, and the plugin amavisd_wblist of iRedAPD,
for lists, before the message is taken.
"""

import ipaddress
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sql
from sqlalchemy.pool import NullPool

KINDS = ("spam", "virus", "banned", "bad_header")

# What iRedMail writes into amavisd.conf; nothing is delivered that is unwanted.
CONFIGURED: dict[str, Any] = {
    **{f"{kind}_lover": False for kind in ("spam", "virus", "banned_files", "bad_header")},
    **{f"bypass_{kind}_checks": False for kind in ("spam", "virus", "banned", "header")},
    "spam_quarantine_to": "spam-quarantine",
    "virus_quarantine_to": "virus-quarantine",
    "banned_quarantine_to": "banned-quarantine",
    "bad_header_quarantine_to": "bad-header-quarantine",
    "spam_tag_level": 2.0,
    "spam_tag2_level": 6.2,
    "spam_kill_level": 6.9,
    "spam_subject_tag2": "[SPAM] ",
    "banned_rulenames": "DEFAULT",
}
_FLAGS = {"Y": True, "1": True, "N": False, "0": False}


@dataclass(frozen=True)
class Fate:
    """What becomes of an unwanted message that was looked into."""

    delivered: bool
    quarantined: bool

    @property
    def lost(self) -> bool:
        return not (self.delivered or self.quarantined)


DELIVERED = Fate(delivered=True, quarantined=False)
QUARANTINED = Fate(delivered=False, quarantined=True)


@dataclass(frozen=True)
class Readers:
    """Both, on one database."""

    connection: sql.Connection

    @classmethod
    @contextmanager
    def of(cls, url: str) -> "Iterator[Readers]":
        """Let them connect; each look finds what is there now."""
        engine = sql.create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            yield cls(connection)

    def inbound(self, sender: str, recipient: str, client: str = "198.51.100.7") -> str | None:
        """What the lists say of a message that comes in: W, B or nothing.

        The two readers agree, unless an address of the network decides: only iRedAPD knows those.
        """
        plugin = _plugin(self.connection, "wblist", recipient, sender, client)
        if plugin == _plugin(self.connection, "wblist", recipient, sender):
            assert _amavisd(self.connection, recipient, sender) == plugin
        return plugin

    def outbound(self, sender: str, recipient: str) -> str | None:
        """What the lists say of a message of a sender who has logged in."""
        return _plugin(self.connection, "outbound_wblist", sender, recipient)

    def policy(self, recipient: str) -> dict[str, Any]:
        """Each field of the policy for a recipient, from the nearest one that says something."""
        fields = CONFIGURED.copy()
        select = f"SELECT {', '.join(fields)} FROM users LEFT JOIN policy ON policy.id = policy_id"
        order = "users.priority DESC"
        found = _by_key(self.connection, select, "users.email", keys(recipient), order)
        for row in reversed(found):
            said = zip(CONFIGURED, row, strict=True)
            fields |= {name: value for name, value in said if value is not None}
        return {
            name: _FLAGS.get(value, value) if isinstance(CONFIGURED[name], bool) else value
            for name, value in fields.items()
        }

    def fate(self, recipient: str, kind: str) -> Fate:
        """What becomes of an unwanted message, also if its check is made for somebody else."""
        policy = self.policy(recipient)
        lover = "banned_files_lover" if kind == "banned" else f"{kind}_lover"
        return Fate(policy[lover], bool(policy[f"{kind}_quarantine_to"]))


def _plugin(
    connection: sql.Connection, table: str, local: str, remote: str, client: str = ""
) -> str | None:
    """The first pair: of the most special local key, with the most special remote one."""
    own, other = ("rid", "sid") if table == "wblist" else ("sid", "rid")
    order = "priority DESC"
    accounts = _by_key(connection, "SELECT id FROM users", "email", keys(local), order)
    remotes = [*keys(remote), *([f"{remote.rpartition('@')[0]}@*"] if client else ())]
    remotes += _wildcards(client) if client else ()
    addresses = _by_key(connection, "SELECT id FROM mailaddr", "email", remotes, order)
    pairs = {
        (account, address): str(colour)
        for account, address, colour in connection.execute(
            sql.text(f"SELECT {own}, {other}, wb FROM {table}")
        )
    }
    for (account,) in accounts:
        for (address,) in [*addresses, *_networks(connection, client)]:
            if (account, address) in pairs:
                return pairs[account, address]
    return None


def _wildcards(client: str) -> list[str]:
    """A client, and of one of version 4 the wildcards that are looked up by default."""
    if ":" in client:
        return [client]
    first, second, third, fourth = client.split(".")
    return [client, f"{first}.{second}.{third}.*", f"{first}.{second}.*.{fourth}"]


def _networks(connection: sql.Connection, client: str) -> list[tuple[int]]:
    """Those around a client of version 4 with its first number; others are never looked at."""
    found = connection.execute(sql.text("SELECT id, email FROM mailaddr"))
    known = {number: bytes(email).decode() for number, email in found}
    return [
        (number,)
        for number, address in known.items()
        if client and "/" in address and ":" not in address + client
        if address.partition(".")[0] == client.partition(".")[0]
        if ipaddress.IPv4Address(client) in ipaddress.IPv4Network(address)
    ]


def _amavisd(connection: sql.Connection, recipient: str, sender: str) -> str | None:
    order = "priority DESC"
    users = _by_key(connection, "SELECT id FROM users", "email", keys(recipient), order)
    for (account,) in users:
        select = f"SELECT wb FROM wblist JOIN mailaddr ON sid = id AND rid = {account}"
        for (colour,) in _by_key(connection, select, "email", keys(sender), order):
            return str(colour)
    return None


def _by_key(
    connection: sql.Connection, select: str, column: str, wanted: Iterable[str], order: str
) -> list[Any]:
    """Look up keys in a binary column, which nothing but bytes is equal to."""
    values = {f"key{number}": key.encode() for number, key in enumerate(wanted)}
    places = ", ".join(f":{name}" for name in values)
    statement = sql.text(f"{select} WHERE {column} IN ({places}) ORDER BY {order}")
    return list(connection.execute(statement, values))


def keys(mail: str) -> list[str]:
    """Under what a reader looks for an address, from the most special to everybody."""
    local, _, domain = mail.rpartition("@")
    labels = domain.split(".")
    wider = (".".join(labels[number:]) for number in range(len(labels)))
    return [f"{local}@{domain}", f"@{domain}", *(f"@.{name}" for name in wider), "@."]
