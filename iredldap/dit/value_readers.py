"""Read the text of one value into the form that is stored.

Every function raises `InvalidParameter` for a text that is no value of its kind.
"""

import ipaddress
import re
import unicodedata

from iredldap.dit import clashes, names
from iredldap.errors import InvalidParameter

_MOST = 2**31 - 1
MOST_BYTES = 2**63 - 1
_ACTIVE = {"active", "enable", "enabled", "yes", "on", "1"}
_DISABLED = {"disabled", "disable", "no", "off", "0"}
_YES = {"yes", "true", "on", "1"}
_NO = {"no", "false", "off", "0"}
_TRANSPORT = re.compile(r"[A-Za-z0-9_-]*(?::[!-~]*)?")
# Of a transport that connects: "[host]:port", or "host:port", whose port may be a service's name.
_HOP_PORT = re.compile(r"(?:inet:)?(?:\[[^\]]*\]|[A-Za-z0-9._-]*):(?P<port>[A-Za-z0-9-]*)")
_UNCONNECTED = {"discard", "error", "retry"}
_HOST_PORT = re.compile(r"(?P<open>\[)?(?P<host>[^\[\]]+?)(?(open)\])(?::(?P<port>[0-9]{1,5}))?")
_HOST_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_LABEL = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_DECIMAL = re.compile(r"-?[0-9]{1,4}(?:\.[0-9]{1,2})?")
_PHONE = re.compile(r"[A-Za-z0-9'()+,./:? -]{1,64}")
_FOLDER = re.compile(r"[A-Za-z0-9]{1,20}")
_PATH = re.compile(r"(?:/[\w.@#&+=~-]+)+/?", re.ASCII)


def text(value: str) -> str:
    """Read free text: blanks around it go, control characters are refused."""
    stripped = value.strip()
    # A line break in a name would begin another line in whatever prints it; halves of surrogate
    # pairs cannot be encoded.
    # What is printable has none.
    if not stripped.isprintable() and any(
        unicodedata.category(char) in {"Cc", "Cs"} for char in stripped
    ):
        raise InvalidParameter("control characters in a text")
    return stripped


def whole_number(value: str, *, least: int = 0, most: int = _MOST) -> int:
    """Read a whole number of decimal digits.

    Raises:
        InvalidParameter: If it is none, or out of bounds.
    """
    stripped = value.strip()
    digits = stripped.removeprefix("-")
    # Unicode has digits that Python reads and other programs do not; a long text of digits would
    # take time to convert.
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 19:
        raise InvalidParameter(f"{value[:40]!r} is no whole number")
    number = int(stripped)
    if not least <= number <= most:
        raise InvalidParameter(f"{number} is not between {least} and {most}")
    return number


def metric(value: str) -> str:
    return str(whole_number(value, least=-1, most=MOST_BYTES))


def decimal(value: str) -> str:
    """Read a decimal number from -9999.99 to 9999.99, with at most two digits behind the point.

    A column of single precision gives back no more than these six digits unchanged.

    Raises:
        InvalidParameter: If it is none.
    """
    word = value.strip()
    if not _DECIMAL.fullmatch(word):
        raise InvalidParameter(f"{value[:40]!r} is no decimal number")
    return f"{float(word) + 0.0:g}"  # There is no minus zero.


def yes_no(value: str) -> str:
    """Read yes or no in any of their spellings."""
    word = value.strip().lower()
    if word not in _YES | _NO:
        raise InvalidParameter(f"{value[:40]!r} is neither yes nor no")
    return "yes" if word in _YES else "no"


def status(value: str) -> str:
    """Read an account status in any of its spellings."""
    word = value.strip().lower()
    if word not in _ACTIVE | _DISABLED:
        raise InvalidParameter(f"{value[:40]!r} is neither active nor disabled")
    return "active" if word in _ACTIVE else "disabled"


def transport(value: str) -> str:
    """Read a Postfix transport: a service, a next hop, or both, in printable ASCII."""
    word = value.strip()
    # A blank would end the transport in a table of Postfix, and what follows would be the next hop.
    if not _TRANSPORT.fullmatch(word) or word == ":":
        raise InvalidParameter(f"{value[:80]!r} is no Postfix transport")
    name, _, hops = word.partition(":")
    # What follows these is a text, and what follows "unix:" a path.
    if name.lower() not in _UNCONNECTED and not hops.startswith("unix:"):
        # Postfix 3.5 and later take several next hops.
        for hop in hops.split(","):
            port = _HOP_PORT.fullmatch(hop)
            if port and not _is_port(port["port"]):
                raise InvalidParameter(f"{value[:80]!r}: no such port")
    return word


def _is_port(word: str) -> bool:
    """Return whether a TCP port has this number or, as far as one can see, this name."""
    # Which names of services there are depends on the mail server, whose list is not here.
    return 0 < int(word) < 65536 if word.isdigit() and len(word) <= 19 else word[:1].isalpha()


def host(value: str) -> str:
    """Read a host name or address, with optional square brackets and port, kept as given."""
    word = value.strip()
    parts = _HOST_PORT.fullmatch(word)
    if not parts or not (_is_address(parts["host"]) or _is_host_name(parts["host"])):
        raise InvalidParameter(f"{value[:80]!r} is no host")
    # Its last group could be the port.
    if ":" in parts["host"] and not parts["open"]:
        raise InvalidParameter(f"{value[:80]!r}: an IPv6 address needs square brackets")
    if parts["port"] and not _is_port(parts["port"]):
        raise InvalidParameter(f"{value[:80]!r}: no such port")
    return word


def _is_address(word: str) -> bool:
    read = ipaddress.IPv6Address if ":" in word else ipaddress.IPv4Address
    try:
        # Postfix writes addresses of version 6 with this prefix.
        read(word.lower().removeprefix("ipv6:"))
    except ValueError:
        return False
    return "%" not in word  # What follows may be any text; Postfix knows no zones anyway.


def _is_host_name(word: str) -> bool:
    labels = word.split(".")
    return (
        len(word) <= 255
        and all(_HOST_LABEL.fullmatch(label) for label in labels)
        # Else an address with a mistake in it, such as 192.0.2.256, would be a host name.
        and not labels[-1].isdigit()
    )


def relay(value: str) -> str:
    """Read a next hop for outgoing mail: ``host``, ``[host]:port``, or one behind a transport."""
    word = value.strip()
    try:
        return host(word)
    except InvalidParameter:
        transport_name, _, hop = word.partition(":")
        if not _LABEL.fullmatch(transport_name):
            raise
        host(hop)
    return word


def label(value: str) -> str:
    """Read the name of a service or rule: letters, digits, hyphen, underscore, dot."""
    word = value.strip()
    if not _LABEL.fullmatch(word):
        raise InvalidParameter(f"{value[:80]!r} is no name of a service or rule")
    return word


def phone(value: str) -> str:
    """Read a telephone number, in the characters that the directory takes for one."""
    word = value.strip()
    # slapd takes no value of which nothing is left by its rule, such as a single dash.
    if not _PHONE.fullmatch(word) or not comparable_phone(word):
        raise InvalidParameter(f"{value[:40]!r} is no telephone number")
    return word


def comparable_phone(value: str) -> str:
    """Return a telephone number as the directory compares it."""
    return clashes.normalized_value("telephoneNumber", value).decode().strip()


def mailbox_path(value: str) -> str:
    """Read an absolute directory, in lower case as Dovecot reads it, with a slash at its end."""
    word = value.strip()
    # A job of iRedMail's removes directories by this path: it must not lead out of its own.
    if not _PATH.fullmatch(word) or {".", ".."} & set(word.split("/")):
        raise InvalidParameter(f"{value[:80]!r} is no absolute path")
    return word.lower().rstrip("/") + "/"


def mailbox_folder(value: str) -> str:
    """Read a folder name: 1 to 20 letters or digits, letter case kept."""
    word = value.strip()
    # It is part of Dovecot's mail location, in which colons and slashes have a meaning.
    if not _FOLDER.fullmatch(word):
        raise InvalidParameter(f"{value[:40]!r}: 1 to 20 letters or digits")
    return word


def dn(value: str) -> str:
    """Read a DN, kept as given."""
    word = value.strip()
    if not names.is_dn(word):
        raise InvalidParameter(f"{value[:80]!r} is no DN")
    return word
