"""Row of white- and blacklists: whose mail is always, or never, accepted.

An account has four: for mail in each direction one of each colour. The nearest list that knows an
address decides, whatever its colour: a user's before the domain's before everybody's.

Source: REST API reference, "White/blacklists"; iRedMail's SQL databases, `wblist`.
"""

from enum import Enum

from iredldap.dit import kinds, scopes
from iredldap.dit.fields import Column, Field, Table


class Direction(Enum):
    """Of the mail, seen from the account."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class Colour(Enum):
    """Of a list: the word of the API, and the letter in the table."""

    WHITELIST = ("whitelist", "W")
    BLACKLIST = ("blacklist", "B")

    def __init__(self, word: str, letter: str) -> None:
        self.word = word
        self.letter = letter


_ADDRESSES = Field(
    name="addresses",
    stored_as=Column("mailaddr", "email"),
    kind=kinds.WB_ADDRESSES,
    meaning="Senders: IP addresses, networks of version 4 from /8 on, mail addresses, `@domain`,"
    " `@.domain` (with what is below), `@.` (everybody), `user@*` or `192.0.2.*`.",
    required=True,
    era="later",
)

ADDRESSES: Table = (_ADDRESSES,)

RECIPIENTS: Table = (
    _ADDRESSES.but(
        kind=kinds.OUTBOUND_ADDRESSES,
        meaning="Recipients: mail addresses, `@domain`, `@.domain` (with what is below) or `@.`"
        " (everybody).",
    ),
)

ADDED = {Direction.INBOUND: ADDRESSES, Direction.OUTBOUND: RECIPIENTS}
"""What may be put on a list of each direction."""

# Senders of inbound mail are looked up by the client's address too, recipients of outbound mail by
# address and domain alone.
READERS = {
    Direction.INBOUND: scopes.wblist_address,
    Direction.OUTBOUND: scopes.outbound_address,
}

REMOVED: Table = (
    _ADDRESSES.but(
        kind=kinds.WB_DEPARTING, meaning="Addresses to take off the list, as they are stored."
    ),
)
