"""Row of white- and blacklists: whose mail is always, or never, accepted.

An account has four: for mail in each direction one of each colour. The nearest list that knows an
address decides, whatever its colour: a user's before his domain's before everybody's.

Source: REST API reference, "White/blacklists"; iRedMail's SQL databases, `wblist`.
"""

from enum import Enum

from iredldap.dit import kinds
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


ADDRESSES: Table = (
    Field(
        name="addresses",
        stored_as=Column("mailaddr", "email"),
        kind=kinds.WB_ADDRESSES,
        meaning="Senders of inbound mail, recipients of outbound mail: IP addresses, networks, mail"
        " addresses, `@domain`, `@.domain` (with what is below), `@.` (everybody), `user@*` or"
        " `192.0.2.*`.",
        required=True,
        era="later",
    ),
)
