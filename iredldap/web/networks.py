"""Match the addresses of clients with networks."""

import ipaddress
from collections.abc import Iterable

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse(items: Iterable[str]) -> tuple[Network, ...]:
    """Return the networks of addresses and networks (CIDR) that have been checked."""
    return tuple(ipaddress.ip_network(item, strict=False) for item in items)


def within(address: str, networks: Iterable[Network]) -> bool:
    """Return whether an address lies in one of some networks; what is no address does not."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return False
    plain = getattr(known, "ipv4_mapped", None) or known
    return any(plain.version == network.version and plain in network for network in networks)
