"""The target of a policy, and the keys by which iRedAPD and Amavisd find addresses in SQL.

Both make every key of an address that could be stored, look all of them up at once, and let the
row of the highest priority win. Each has a scale of its own.

Source: iRedMail's SQL databases, account keys and priorities; the scale of iRedAPD is that of its
releases from 5.9.3 on.
"""

import ipaddress
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from enum import Enum

from iredldap.dit import mail_names
from iredldap.errors import InvalidParameter, Malformed, NeverApplies

EVERYBODY = "@."
"""Key of everybody."""

_WIDEST = 8
"""Length of the prefix of the widest network of version 4 that is found: its first number is."""

_WIDEST_V6 = 16
"""The same of version 6, where it is found at all."""

_MAPPED = 96
"""Length of the prefix of addresses of version 4 that are written as ones of version 6."""

_LONGEST_ADDRESS = 255
_LONGEST_SENDER = 100


class KeyClass(Enum):
    """The class of a key, with its priority in tables of iRedAPD and in those of Amavisd.

    iRedAPD's own scripts give networks 0, and it looks only at those that have 70.
    """

    # The reader takes the row of highest priority first, and stops at it: a wrong number lets a
    # domain's rule override an account's.
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
_OF_CLIENTS = {KeyClass.IP, KeyClass.CIDR, KeyClass.WILDCARD_IP, KeyClass.WILDCARD_ADDRESS}
"""Of a machine that sends, or for senders alone."""
# What iRedAPD's plug-in for greylisting makes of the sender and the client, tried with iRedAPD 6.1.
_GREYLISTING = _WBLIST - {KeyClass.WILDCARD_ADDRESS, KeyClass.WILDCARD_IP}


@dataclass(frozen=True, slots=True)
class PolicyTarget:
    """The target of a policy: everybody, a domain or an account.

    Names must have been read by `names` before.
    """

    key: str
    key_class: KeyClass

    @classmethod
    def everyone(cls) -> "PolicyTarget":
        return cls(EVERYBODY, KeyClass.CATCHALL)

    @classmethod
    def of_domain(cls, name: str) -> "PolicyTarget":
        return cls(f"@{name}", KeyClass.DOMAIN)

    @classmethod
    def of_account(cls, mail: str) -> "PolicyTarget":
        return cls(mail, KeyClass.EMAIL)

    @property
    def mail(self) -> str | None:
        """Return the address of the account, if it is about one."""
        return self.key if self.key_class is KeyClass.EMAIL else None

    def refuse_extension(self) -> None:
        """Refuse an account with an extension, which iRedAPD takes off before it looks.

        Raises:
            NeverApplies: If it has one.
        """
        if "+" in mail_names.local_part(self.key):
            raise NeverApplies(
                f"{self.key[:80]!r}: iRedAPD looks for the address without extension"
            )


def key_class(key: str) -> KeyClass:
    """Return the class of a key.

    Raises:
        Malformed: If it is none.
    """
    return _read(key)[0]


def wider_keys(key: str) -> list[str]:
    """Return the keys that are looked up for an address or a domain beside its own.

    Args:
        key: One of an address or a domain; that of everybody has none, and what is no key neither.
    """
    _, at, name = key.rpartition("@")
    if not at or name.startswith(".") or not name:
        return []
    labels = name.split(".")
    below = [f"@.{'.'.join(labels[start:])}" for start in range(len(labels))]
    # Of a domain not its own key, which is the first.
    # From the narrowest to the widest, as both readers sort them.
    return [f"@{name}", *below, EVERYBODY][key.startswith("@") :]


def wblist_address(text: str) -> str:
    """Read a sender of a white- or blacklist, in the spelling in which it is looked up.

    It is an IP address, a network without host bits, an e-mail address, ``@domain``,
    ``@.domain`` (with what is below), ``@.``, ``user@*`` or ``192.168.1.*``.

    An e-mail address with ``+extension`` is refused: iRedAPD takes extensions off before it looks,
    so the entry would never match, and without its extension it would match more than was meant.

    Raises:
        NeverApplies: If it is one that no look-up finds: a network of version 6, one that is wider
            than /8, a wildcard before the last two numbers.
        Malformed: If it is none of them.
    """
    found, key = _one_of(_WBLIST, text, _LONGEST_ADDRESS)
    if found is KeyClass.WILDCARD_IP:
        found, key = _of_wildcards(key)
    if found is KeyClass.CIDR:
        _refuse_wide(key)
        if ":" in key:
            raise NeverApplies(f"{key}: networks of version 6 are not looked up")
    return key


def outbound_address(text: str) -> str:
    """Read a recipient of a white- or blacklist, in the spelling in which it is looked up.

    Raises:
        NeverApplies: If it is one of a machine, or ``user@*``: recipients are looked up by their
            addresses and domains alone.
        Malformed: As `wblist_address`.
    """
    found, key = _one_of(_WBLIST, text, _LONGEST_ADDRESS)
    if found in _OF_CLIENTS:
        raise NeverApplies(f"{key}: recipients are looked up by address and domain alone")
    return key


def greylisting_sender(text: str) -> str:
    """Read a sender that greylisting makes an exception for, in the spelling of the look-up.

    As in a white- or blacklist, but without wildcards, which greylisting never matches, and of at
    most 100 characters. Networks of version 6 are found if they are spelt with ``::`` at the end.

    Raises:
        NeverApplies: If it is a network that is wider than /8, or /16 of version 6, or one of
            version 6 that cannot be spelt so.
        Malformed: If it is none.
    """
    found, key = _one_of(_GREYLISTING, text, _LONGEST_SENDER)
    if found is KeyClass.CIDR:
        _refuse_wide(key)
        if ":" in key:
            return _ending_in_zeros(key)
    return key


Read = Callable[[str], str]


def lenient(read: Read) -> Read:
    """Return a reader that keeps as it is what is never looked up: it may be stored already."""

    def word(text: str) -> str:
        try:
            return read(text)
        except NeverApplies:
            return text.strip()

    return word


def as_sent(read: Read) -> Read:
    """Return a reader that keeps as it is whatever is no address: others may have stored it.

    Raises:
        InvalidParameter: If no column would hold it.
    """

    def word(text: str) -> str:
        try:
            return read(text)
        except Malformed:
            stripped = text.strip()
            if len(stripped) > _LONGEST_ADDRESS or not stripped.isprintable():
                raise InvalidParameter(f"{text[:80]!r} is no address") from None
            return stripped

    return word


def stored_spellings(read: Read, values: Iterable[str], stored: Iterable[str]) -> list[str]:
    """Return what is stored of some addresses, in any spelling, and the addresses themselves."""
    wanted = set(values)
    kept = as_sent(read)
    return [*wanted, *(word for word in stored if word not in wanted and kept(word) in wanted)]


def refuse_new(read: Read, values: Iterable[str], stored: Callable[[], Collection[str]]) -> None:
    """Refuse addresses that are never looked up, unless they are stored already.

    Args:
        read: Reads an address.
        values: What shall be stored.
        stored: Gives what is; not asked if all of them are looked up.

    Raises:
        NeverApplies: If there is one.
    """
    held: Collection[str] | None = None
    for value in values:
        try:
            read(value)
        except NeverApplies:
            # Read once, and only if there is such an address at all.
            held = stored() if held is None else held
            if value not in held:
                raise


def malformed_leftovers(read: Read, values: Iterable[str], stored: Collection[str]) -> list[str]:
    """Return those of some addresses that shall go which are none, and not stored either."""
    return [value for value in values if value not in stored and not _is_address(read, value)]


def _is_address(read: Read, text: str) -> bool:
    try:
        read(text)
    except NeverApplies:
        return True
    except Malformed:
        return False
    return True


def _one_of(known: Collection[KeyClass], text: str, most: int) -> tuple[KeyClass, str]:
    found, key = _read(text)
    if found not in known or len(key) > most or "+" in mail_names.local_part(key):
        raise InvalidParameter(f"{text[:80]!r} is no address that is looked up")
    return found, key


def _refuse_wide(network: str) -> None:
    length = int(network.partition("/")[2])
    if length < (_WIDEST_V6 if ":" in network else _WIDEST):
        raise NeverApplies(f"{network}: so wide a network is not looked up")


def _of_wildcards(key: str) -> tuple[KeyClass, str]:
    """Convert wildcards at the end to a network, except a single one, which is looked up itself."""
    numbers = key.split(".")
    fixed = [number for number in numbers if number != "*"]
    # Two wildcards or more at the end are a network, which iRedAPD does look up.
    if key == ".".join([*fixed, *["*"] * (4 - len(fixed))]) and len(fixed) < len(numbers) - 1:
        return KeyClass.CIDR, ".".join([*fixed, *["0"] * (4 - len(fixed))]) + f"/{8 * len(fixed)}"
    if "*" in numbers[:2] or len(fixed) < len(numbers) - 1:
        raise NeverApplies(f"{key}: wildcards are looked up in the last two numbers alone")
    return KeyClass.WILDCARD_IP, key


def _ending_in_zeros(network: str) -> str:
    """Spell a network of version 6 with ``::`` at its end, as iRedAPD looks for it."""
    whole = ipaddress.IPv6Network(network)
    address = str(whole.network_address)
    if not address.endswith("::"):
        groups = [f"{int(group, 16):x}" for group in whole.network_address.exploded.split(":")]
        if groups[-1] != "0":
            raise NeverApplies(f"{network}: networks below the last group are not looked up")
        address = re.sub(r"(:0)+$", "", ":".join(groups)) + "::"
        if groups[0] == "0":
            raise NeverApplies(f"{network}: is not looked up by its first group")
    return f"{address}/{whole.prefixlen}"


def _read(text: str) -> tuple[KeyClass, str]:
    """Return the class of a key and its one spelling: lower case, names in their ASCII form."""
    word = text.strip()
    if word.startswith("@"):
        return _pattern(word)
    if word.endswith("@*"):
        local = mail_names.local_part(mail_names.address(f"{word[:-1]}any.test"))
        return KeyClass.WILDCARD_ADDRESS, f"{local}@*"
    if "@" in word:
        return KeyClass.EMAIL, mail_names.address(word)
    return _network(word)


def _pattern(word: str) -> tuple[KeyClass, str]:
    if word == EVERYBODY:
        return KeyClass.CATCHALL, word
    if word.lower() == "@ip":
        return KeyClass.CATCHALL_IP, "@ip"
    if not word.startswith("@."):
        return KeyClass.DOMAIN, f"@{mail_names.domain(word[1:])}"
    # A top-level domain alone is no domain name.
    # With a label in front, so that one grammar judges all names; it is cut off again.
    below = mail_names.domain(f"any{word[1:]}").removeprefix("any")
    is_top = below.count(".") == 1
    return KeyClass.TOP_LEVEL_DOMAIN if is_top else KeyClass.SUBDOMAIN, f"@{below}"


def _network(word: str) -> tuple[KeyClass, str]:
    if "%" in word:
        raise InvalidParameter(f"{word[:80]!r}: a zone means nothing to other machines")
    try:
        if "/" in word:
            return _cidr(word)
        if "*" in word:
            return KeyClass.WILDCARD_IP, _wildcard(word)
        return KeyClass.IP, _ip(word)
    except ValueError as ex:
        raise InvalidParameter(f"{word[:80]!r}: {ex}") from ex


def _cidr(word: str) -> tuple[KeyClass, str]:
    network = ipaddress.ip_network(word)
    if isinstance(network, ipaddress.IPv6Network):
        # Postfix gives the address of a client of version 4 as such, also on a socket of version 6.
        mapped = network.network_address.ipv4_mapped
        if mapped and network.prefixlen >= _MAPPED:
            return KeyClass.CIDR, f"{mapped}/{network.prefixlen - _MAPPED}"
        if network.prefixlen == network.max_prefixlen:
            return KeyClass.IP, str(network.network_address)
    return KeyClass.CIDR, str(network)


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
