"""Rows of the parameters of a new API token.

An item of a list that cannot be read refuses the request: what a token may do is not guessed.

Source: `docs/decisions/0057-tokens.md`.
"""

import ipaddress
from collections.abc import Callable
from datetime import UTC, datetime

from iredldap.dit import kinds, mail_names, token_scopes
from iredldap.dit.fields import Elsewhere, Field, Table
from iredldap.dit.kinds import Kind, Reading
from iredldap.errors import InvalidDomainName, InvalidParameter, Refusal

MOST_DOMAINS = 100
"""Domains of a token, which are found by one search."""

_STATE = Elsewhere("the state database")


def _each(
    read: Callable[[str], str], refusal: type[Refusal], most: int
) -> Callable[[str], Reading]:
    """Make a reader of items, separated by commas, that refuses all for one that is malformed."""

    def read_list(value: str) -> Reading:
        items = {read(item) for part in value.split(",") if (item := part.strip())}
        if not 0 < len(items) <= most:
            raise refusal(f"{len(items)} items, of at most {most}")
        return Reading(tuple(sorted(items)))

    return read_list


def scope(text: str) -> str:
    """Read a scope.

    Raises:
        InvalidParameter: If there is no such scope.
    """
    word = text.strip().lower()
    if word not in token_scopes.SCOPES:
        raise InvalidParameter(f"{text[:40]!r} is no scope", parameter="scopes")
    return word


def network(text: str) -> str:
    """Read an address or a network, as it is stored.

    Raises:
        InvalidParameter: If it is neither.
    """
    try:
        return str(ipaddress.ip_network(text.strip(), strict=False))
    except ValueError as ex:
        raise InvalidParameter(f"{text[:60]!r} is no network", parameter="networks") from ex


def moment(text: str) -> str:
    """Read a date, or a time with an offset (RFC 3339), as seconds since 1970.

    A date is its beginning in UTC, as is a time without an offset.

    Raises:
        InvalidParameter: If it is neither.
    """
    try:
        read = datetime.fromisoformat(text.strip())
        read = read if read.tzinfo else read.replace(tzinfo=UTC)
        return str(int(read.timestamp()))
    except (ValueError, OverflowError) as ex:
        raise InvalidParameter(f"{text[:40]!r} is no time", parameter="expires") from ex


SCOPES = Kind(
    "csv_scopes",
    _each(scope, InvalidParameter, len(token_scopes.SCOPES)),
    many=True,
    choices=token_scopes.SCOPES,
)
DOMAINS = Kind(
    "csv_domains",
    _each(mail_names.domain, InvalidDomainName, MOST_DOMAINS),
    many=True,
    domain=str.lower,
)
NETWORKS = Kind("csv_networks", _each(network, InvalidParameter, 100), many=True)
TIME = Kind("date_time", lambda text: Reading((moment(text),)), {"type": "string"})

_EMPTY = "refused"
"""A limit must not vanish because a script had no value for it."""

CREATE: Table = (
    Field(
        name="name",
        stored_as=_STATE,
        kind=kinds.up_to(100, kinds.TEXT),
        meaning="What the token is for; lists and logs show it.",
        required=True,
        era="ours",
    ),
    Field(
        name="scopes",
        stored_as=_STATE,
        kind=SCOPES,
        meaning="What it may do.",
        default=token_scopes.DEFAULT,
        era="ours",
    ),
    Field(
        name="domains",
        stored_as=_STATE,
        kind=DOMAINS,
        meaning="Domains that it is limited to, by their own names: it then has the rights of a"
        " normal admin of these, and creates and deletes no domains. Not sent: all that the admin"
        " manages.",
        empty=_EMPTY,
        era="ours",
    ),
    Field(
        name="networks",
        stored_as=_STATE,
        kind=NETWORKS,
        meaning="Addresses and networks (CIDR) from which it may be used. Not sent: from any.",
        empty=_EMPTY,
        era="ours",
    ),
    Field(
        name="expires",
        stored_as=_STATE,
        kind=TIME,
        meaning="When it ends: a date, or a time as RFC 3339 has it, in UTC unless an offset is"
        " given. Not sent: as late as `tokens.max_days` allows.",
        empty=_EMPTY,
        era="ours",
    ),
)
