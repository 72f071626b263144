"""Match the addresses of clients with networks."""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MOST_READ = 1024
"""Addresses in memory of a worker: each request looks at that of its client four times."""


def parse(items: Iterable[str]) -> tuple[Network, ...]:
    """Return the networks of addresses and networks (CIDR) that have been checked."""
    return tuple(ipaddress.ip_network(item, strict=False) for item in items)


def within(address: str, networks: Iterable[Network]) -> bool:
    """Return whether an address lies in one of some networks; what is no address does not."""
    plain = _read(address)
    if plain is None:
        return False
    return any(plain.version == network.version and plain in network for network in networks)


@lru_cache(_MOST_READ)
def _read(address: str) -> Address | None:
    """Return an address, that of IPv4 where it is mapped into IPv6; None: it is none."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return None
    return getattr(known, "ipv4_mapped", None) or known
