"""API tokens: their secrets, and what is stored about them.

A secret is `iredldap_`, 43 digits to the base 62 with 256 random bits, and 6 with the CRC-32 of
the rest: programs that search for leaked secrets recognise it. Only its SHA-256 is
stored. The id of a token is the beginning of that digest, so who finds a secret can name the token
without a search: ``printf %s "$secret" | sha256sum | cut -c1-16``.

Source: `docs/decisions/0057-tokens.md`.
"""

import hashlib
import ipaddress
import re
import string
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

PREFIX = "iredldap_"
_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_LENGTH, _CHECKSUM_LENGTH = 43, 6
RANDOM_BYTES = 32
_ID_LENGTH = 16
_SECRET = re.compile(rf"{PREFIX}(?:(?!{PREFIX})[0-9A-Za-z]){{20,}}")
"""Also a secret that was cut off, or has more than its length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """A token as it is stored. Times are seconds since 1970.

    Args:
        id: The first 16 hex digits of `digest`.
        digest: SHA-256 of the secret, in hex.
        admin: Address of the admin that it belongs to.
        account: entryUUID of the admin's entry: a later account of the address is another one.
        is_global: Whether they were a global admin when it was created.
        name: What the admin calls it.
        scopes: What it may do, sorted.
        domains: Domains that it is limited to; none: all that the admin manages.
        networks: Networks from which it may be used; none: any.
        parent: Id of the token that created it; empty: none did.
        created: When it was created.
        expires: When it ends; None: it does not end by itself.
    """

    id: str
    digest: str = field(repr=False)
    admin: str
    account: str
    is_global: bool
    name: str
    scopes: tuple[str, ...]
    domains: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    parent: str = ""
    created: int
    expires: int | None = None

    def is_expired(self, now: float) -> bool:
        """Return whether it has ended at a time, in seconds since 1970."""
        return self.expires is not None and self.expires <= now


def new_secret(random: bytes) -> str:
    """Return the secret of a new token.

    Args:
        random: 32 random bytes.
    """
    # 43 digits of 62 hold 256 bits: all secrets have one length, by which programs that search for
    # leaked ones find them.
    body = PREFIX + _digits(int.from_bytes(random), _LENGTH)
    return body + _digits(zlib.crc32(body.encode()), _CHECKSUM_LENGTH)


def _digits(number: int, length: int) -> str:
    text = ""
    for _ in range(length):
        number, digit = divmod(number, len(_DIGITS))
        text = _DIGITS[digit] + text
    return text


def digest(secret: str) -> str:
    """Return the SHA-256 of a secret, or of whatever a client sent for one, in hex."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def id_of(digest: str) -> str:
    """Return the id of the token whose secret has a digest."""
    return digest[:_ID_LENGTH]


def has_secret(text: str) -> bool:
    """Return whether a text contains what looks like the secret of a token."""
    return _SECRET.search(text) is not None


def redacted(text: str) -> str:
    """Return a text without secrets of tokens, for logs."""
    return _SECRET.sub(f"{PREFIX}…", text)


def wider_in(token: ApiToken, maker: ApiToken) -> tuple[str, ...]:
    """Return the parameters in which a token would reach further than the one that creates it."""
    outer = [ipaddress.ip_network(network) for network in maker.networks]
    inner = [ipaddress.ip_network(network) for network in token.networks]
    is_wider = {
        "scopes": not {*token.scopes} <= {*maker.scopes},
        # No limit is the widest: a token without domains is wider than any that has some.
        "domains": bool(maker.domains)
        and not (token.domains and {*token.domains} <= {*maker.domains}),
        "networks": bool(outer) and not (inner and all(_is_inside(one, outer) for one in inner)),
        "expires": maker.expires is not None
        and (token.expires is None or token.expires > maker.expires),
    }
    return tuple(parameter for parameter, wider in is_wider.items() if wider)


def _is_inside(network: Network, others: Iterable[Network]) -> bool:
    # Of one version, or the library raises.
    return any(
        network.version == other.version and network.subnet_of(other)  # type: ignore[arg-type]
        for other in others
    )


def with_descendants(ids: Iterable[str], parents: Mapping[str, str]) -> set[str]:
    """Return the ids of tokens, and of those that they created, directly or not.

    Args:
        ids: Ids of tokens.
        parents: The parent of each token by its id; empty: a session created it.
    """
    found = set(ids)
    while more := {id_ for id_, parent in parents.items() if parent in found} - found:
        found |= more
    return found
