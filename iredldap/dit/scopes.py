"""Whom a policy is about, and the keys by which iRedAPD and Amavisd find addresses in SQL.

Both make every key of an address that could be stored, look all of them up at once, and let the
row of the highest priority win. Each has a scale of its own.

Source: iRedMail's SQL databases, account keys and priorities; the scale of iRedAPD is that of its
releases from 5.9.3 on.
"""

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from iredldap.dit import names
from iredldap.errors import InvalidParameter

EVERYBODY = "@."
"""Key of everybody."""

_LONGEST_ADDRESS = 255
_LONGEST_SENDER = 100


class KeyClass(Enum):
    """What a key stands for, with its priority in tables of iRedAPD and in those of Amavisd.

    iRedAPD's own scripts give networks 0, and it looks only at those that have 70.
    """

    EMAIL = (100, 10)
    WILDCARD_ADDRESS = (90, 7)
    IP = (80, 9)
    WILDCARD_IP = (70, 8)
    CIDR = (70, 7)
    DOMAIN = (60, 5)
    SUBDOMAIN = (50, 3)
    TOP_LEVEL_DOMAIN = (40, 2)
    CATCHALL_IP = (0, 1)
    CATCHALL = (0, 0)

    def __init__(self, policy_priority: int, amavisd_priority: int) -> None:
        self.policy_priority = policy_priority
        self.amavisd_priority = amavisd_priority


_WBLIST = set(KeyClass) - {KeyClass.CATCHALL_IP}
_GREYLISTING = _WBLIST - {KeyClass.WILDCARD_ADDRESS, KeyClass.WILDCARD_IP}


@dataclass(frozen=True, slots=True)
class Scope:
    """Whom a policy is about. Names must have been read by `names` before."""

    key: str
    key_class: KeyClass

    @classmethod
    def everyone(cls) -> "Scope":
        return cls(EVERYBODY, KeyClass.CATCHALL)

    @classmethod
    def of_domain(cls, name: str) -> "Scope":
        return cls(f"@{name}", KeyClass.DOMAIN)

    @classmethod
    def of_account(cls, mail: str) -> "Scope":
        return cls(mail, KeyClass.EMAIL)

    @property
    def mail(self) -> str | None:
        """Address of the account, if it is about one."""
        return self.key if self.key_class is KeyClass.EMAIL else None


def key_class(key: str) -> KeyClass:
    """Say what a key stands for.

    Raises:
        Malformed: If it is none.
    """
    return _read(key)[0]


def wblist_address(text: str) -> str:
    """Read an address of a white- or blacklist, in the spelling in which it is looked up.

    It is an IP address, a network without host bits, an e-mail address, ``@domain``,
    ``@.domain`` (with what is below), ``@.``, ``user@*`` or ``192.168.1.*``.

    An e-mail address with ``+extension`` is refused: iRedAPD takes extensions off before it looks,
    so the entry would never match, and without its extension it would say more than was meant.

    Raises:
        Malformed: If it is none of them.
    """
    return _one_of(_WBLIST, text, _LONGEST_ADDRESS)


def greylisting_sender(text: str) -> str:
    """Read a sender that greylisting makes an exception for, in the spelling of the look-up.

    As in a white- or blacklist, but without wildcards, which greylisting never matches, and of at
    most 100 characters.

    Raises:
        Malformed: If it is none.
    """
    return _one_of(_GREYLISTING, text, _LONGEST_SENDER)


def _one_of(known: Collection[KeyClass], text: str, most: int) -> str:
    found, key = _read(text)
    if found not in known or len(key) > most or "+" in names.local_part(key):
        raise InvalidParameter(f"{text[:80]!r} is no address that is looked up")
    return key


def _read(text: str) -> tuple[KeyClass, str]:
    """Give the class of a key and its one spelling: lower case, names in their ASCII form."""
    word = text.strip()
    if word.startswith("@"):
        return _pattern(word)
    if word.endswith("@*"):
        local = names.local_part(names.address(f"{word[:-1]}any.test"))
        return KeyClass.WILDCARD_ADDRESS, f"{local}@*"
    if "@" in word:
        return KeyClass.EMAIL, names.address(word)
    return _network(word)


def _pattern(word: str) -> tuple[KeyClass, str]:
    if word == EVERYBODY:
        return KeyClass.CATCHALL, word
    if word.lower() == "@ip":
        return KeyClass.CATCHALL_IP, "@ip"
    if not word.startswith("@."):
        return KeyClass.DOMAIN, f"@{names.domain(word[1:])}"
    # A top-level domain alone is no domain name.
    below = names.domain(f"any{word[1:]}").removeprefix("any")
    is_top = below.count(".") == 1
    return KeyClass.TOP_LEVEL_DOMAIN if is_top else KeyClass.SUBDOMAIN, f"@{below}"


def _network(word: str) -> tuple[KeyClass, str]:
    if "%" in word:
        raise InvalidParameter(f"{word[:80]!r}: a zone means nothing to other machines")
    try:
        if "/" in word:
            return KeyClass.CIDR, str(ipaddress.ip_network(word))
        if "*" in word:
            return KeyClass.WILDCARD_IP, _wildcard(word)
        return KeyClass.IP, _ip(word)
    except ValueError as ex:
        raise InvalidParameter(f"{word[:80]!r}: {ex}") from ex


def _ip(word: str) -> str:
    address = ipaddress.ip_address(word)
    # Postfix never shows an address of version 4 as one of version 6.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _wildcard(word: str) -> str:
    first, *others = word.split(".")
    numbers = (first, *("0" if part == "*" else part for part in others))
    ipaddress.IPv4Address(".".join(numbers))
    return word
