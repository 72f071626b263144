"""Kinds of parameters: from text to stored values, and how the kind looks as a JSON schema.

One kind for each type of the contract; where a unit or a form of storage differs, one more.
Units live here and nowhere else: megabytes in the API, bytes in the directory.
"""

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from iredldap.dit import clashes, names, scopes
from iredldap.errors import InvalidDomainName, InvalidMail, InvalidParameter, Refusal

LANGUAGES = (
    "bg_BG", "cs_CZ", "da_DK", "de_DE", "en_US", "es_ES", "fi_FI", "fr_FR", "hu_HU", "it_IT",
    "ja_JP", "ko_KR", "lv_LV", "nl_NL", "pl_PL", "pt_BR", "ro_RO", "ru_RU", "sl_SI", "sv_SE",
    "zh_CN", "zh_TW",
)  # fmt: skip

LONGEST_PATH = 255
"""Characters that the table of deleted mailboxes holds of a path."""

BLANKS = " \t\r\n\v\f"
"""What is taken off a password at either end: what a form or an editor leaves there, and no other
characters that look like blanks."""

_MEGABYTE = 1024 * 1024
_MOST_MEGABYTES = (2**63 - 1) // _MEGABYTE
_LARGEST_MAILBOX = 16 * _MEGABYTE
"""Megabytes, 16 TB: no mail server has more; what is larger was meant as bytes."""
_MOST = 2**31 - 1
_MOST_SECONDS = 2**32 - 1
_MOST_BYTES = 2**63 - 1

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


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text says: values as they are stored, and what was dropped of it.

    `odd` are values that no new entry may have, and that one may have all the same: other tools
    write what they like. Whoever knows the entry decides; see `fields.settled`.
    """

    values: tuple[str, ...]
    dropped: tuple[str, ...] = ()
    odd: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of the contract, how its text is read, and its JSON schema.

    `read` gets a text that is not blank, and raises a `Malformed` for one it does not
    understand. `many` says that the text is a list, in which `separator` stands between items.
    """

    type: str
    read: Callable[[str], Reading]
    schema: Mapping[str, object] = field(default_factory=lambda: {"type": "string"})
    many: bool = False
    choices: tuple[str, ...] = ()
    secret: bool = False
    present: bool = False
    """Acts by being there, whatever its value."""
    separator: str = ","
    domain: Callable[[str], str] | None = None
    """Gives the mail domain that a value mentions, or an empty text; None: no value does."""
    otherwise: Callable[[str], str] | None = None
    """Reads an odd value that does not stand in the entry."""
    refusal: Callable[..., Refusal] = InvalidParameter
    """Of a request of which nothing but odd values that do not stand is left."""


def _one(read: Callable[[str], str]) -> Callable[[str], Reading]:
    return lambda text: Reading((read(text),))


def up_to(longest: int, kind: Kind) -> Kind:
    """Give a kind an upper length; what is longer is refused.

    Args:
        longest: Most characters of a value; of a list all values together, with their separators.
        kind: The kind without it.
    """

    def read(value: str) -> Reading:
        reading = kind.read(value)
        if len(kind.separator.join(reading.values)) > longest:
            raise InvalidParameter(f"{value[:80]!r} is longer than {longest} characters")
        return reading

    return replace(kind, read=read, schema={**kind.schema, "maxLength": longest})


def text(value: str) -> str:
    """Read free text: blanks around it go, control characters are refused."""
    stripped = value.strip()
    if any(unicodedata.category(char) in {"Cc", "Cs"} for char in stripped):
        raise InvalidParameter("control characters in a text")
    return stripped


def whole_number(value: str, *, least: int = 0, most: int = _MOST) -> int:
    """Read a whole number of decimal digits.

    Raises:
        InvalidParameter: If it is none, or out of bounds.
    """
    stripped = value.strip()
    digits = stripped.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 19:
        raise InvalidParameter(f"{value[:40]!r} is no whole number")
    number = int(stripped)
    if not least <= number <= most:
        raise InvalidParameter(f"{number} is not between {least} and {most}")
    return number


def _metric(value: str) -> str:
    return str(whole_number(value, least=-1, most=_MOST_BYTES))


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
    if not _TRANSPORT.fullmatch(word) or word == ":":
        raise InvalidParameter(f"{value[:80]!r} is no Postfix transport")
    name, _, hops = word.partition(":")
    # What follows these is a text, and what follows "unix:" a path.
    if name.lower() not in _UNCONNECTED and not hops.startswith("unix:"):
        for hop in hops.split(","):
            port = _HOP_PORT.fullmatch(hop)
            if port and not _is_port(port["port"]):
                raise InvalidParameter(f"{value[:80]!r}: no such port")
    return word


def _is_port(word: str) -> bool:
    """Whether a TCP port has this number or, as far as one can see, this name."""
    return 0 < int(word) < 65536 if word.isdigit() and len(word) <= 19 else word[:1].isalpha()


def host(value: str) -> str:
    """Read a host name or address, with optional square brackets and port, kept as given."""
    word = value.strip()
    parts = _HOST_PORT.fullmatch(word)
    if not parts or not (_is_address(parts["host"]) or _is_host_name(parts["host"])):
        raise InvalidParameter(f"{value[:80]!r} is no host")
    if ":" in parts["host"] and not parts["open"]:
        raise InvalidParameter(f"{value[:80]!r}: an IPv6 address stands in square brackets")
    if parts["port"] and not _is_port(parts["port"]):
        raise InvalidParameter(f"{value[:80]!r}: no such port")
    return word


def _is_address(word: str) -> bool:
    read = ipaddress.IPv6Address if ":" in word else ipaddress.IPv4Address
    try:
        read(word.lower().removeprefix("ipv6:"))
    except ValueError:
        return False
    return "%" not in word  # What follows may be any text; Postfix knows no zones anyway.


def _is_host_name(word: str) -> bool:
    labels = word.split(".")
    return (
        len(word) <= 255
        and all(_HOST_LABEL.fullmatch(label) for label in labels)
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
    if not _PHONE.fullmatch(word) or not _dialled(word):
        raise InvalidParameter(f"{value[:40]!r} is no telephone number")
    return word


def _dialled(value: str) -> str:
    """A telephone number as the directory compares it."""
    return clashes.form("telephoneNumber", value).decode().strip()


def mailbox_path(value: str) -> str:
    """Read an absolute directory, in lower case as Dovecot reads it, with a slash at its end."""
    word = value.strip()
    if not _PATH.fullmatch(word) or {".", ".."} & set(word.split("/")):
        raise InvalidParameter(f"{value[:80]!r} is no absolute path")
    return word.lower().rstrip("/") + "/"


def mailbox_folder(value: str) -> str:
    """Read a folder name: 1 to 20 letters or digits, letter case kept."""
    word = value.strip()
    if not _FOLDER.fullmatch(word):
        raise InvalidParameter(f"{value[:40]!r}: 1 to 20 letters or digits")
    return word


def dn(value: str) -> str:
    """Read a DN, kept as given."""
    word = value.strip()
    if not names.is_dn(word):
        raise InvalidParameter(f"{value[:80]!r} is no DN")
    return word


def _address(value: str) -> Reading:
    """Read an address; one that no new entry may have is odd."""
    try:
        return Reading((names.address(value),))
    except InvalidMail:
        word = value.strip().lower()
        if not names.is_storable(word):
            raise
        return Reading((), odd=(word,))


def _bytes_unless_ambiguous(value: str) -> str:
    """Convert megabytes to bytes.

    Raises:
        InvalidParameter: If it would be a mailbox of a terabyte or more: the same number of bytes
            is one of a megabyte or more, and may have been copied from an answer.
    """
    return str(whole_number(value, most=_MEGABYTE - 1) * _MEGABYTE)


def _language(value: str) -> Reading:
    word = value.strip()
    known = {language.lower(): language for language in LANGUAGES}.get(word.lower())
    return Reading((known,)) if known else Reading((), (word,))


def listed(
    read: Callable[[str], str],
    nothing_valid: type[Refusal],
    same: Callable[[str], str] = str,
    separator: str = ",",
    *,
    may_stand: bool = False,
) -> Callable[[str], Reading]:
    """Make a reader of items, separated by commas as a rule, that drops malformed ones and repeats.

    A list of which nothing is left is refused rather than taken for an empty one. Items of which
    `same` makes the same are repeats. With `may_stand` a malformed one that the directory could
    hold is odd.
    """

    def read_list(value: str) -> Reading:
        kept: dict[str, str] = {}
        dropped = []
        odd: dict[str, None] = {}
        for item in filter(None, (part.strip() for part in value.split(separator))):
            try:
                word = read(item)
                kept.setdefault(same(word), word)
            except Refusal:
                if may_stand and names.is_storable(item):
                    odd[item.lower()] = None
                else:
                    dropped.append(item)
        if dropped and not kept and not odd:
            raise nothing_valid(f"nothing valid in {value[:80]!r}")
        return Reading(tuple(kept.values()), tuple(dropped), tuple(odd))

    return read_list


def profiles(*words: str) -> Kind:
    """Make a kind that takes some of some words, separated by commas."""
    read = choice(*words).read
    return Kind(
        "csv_profiles",
        listed(lambda item: read(item).values[0], InvalidParameter),
        {**_LIST, "examples": list(words)},
        many=True,
        choices=words,
    )


def choice(*words: str, also: Mapping[str, str] = MappingProxyType({})) -> Kind:
    """Make a kind that takes one of some words, in any letter case.

    Args:
        words: The words.
        also: Older spellings.
    """
    known = {word.lower(): word for word in words} | dict(also)

    def read(value: str) -> str:
        found = known.get(value.strip().lower())
        if found is None:
            raise InvalidParameter(f"{value[:40]!r} is none of {', '.join(words)}")
        return found

    return Kind("enum", _one(read), {"type": "string", "enum": list(words)}, choices=words)


def _addresses(type_: str, read: scopes.Read) -> Kind:
    """Make a kind of addresses that are looked up; an operation refuses new ones that never are."""
    return Kind(type_, listed(scopes.lenient(read), InvalidParameter), _LIST, many=True)


def _departing(kind: Kind, read: scopes.Read) -> Kind:
    """Make a kind of the same addresses that shall go, and of whatever else may be stored."""
    return replace(kind, read=listed(scopes.as_sent(read), InvalidParameter))


_NUMBER: Mapping[str, object] = {"type": "integer", "minimum": 0}
_FROM_MINUS_ONE: Mapping[str, object] = {"type": "integer", "minimum": -1}
_LIST: Mapping[str, object] = {"type": "string", "description": "Separated by commas."}

TEXT = up_to(1024, Kind("string", _one(text)))
STATUS = Kind(
    "enum",
    _one(status),
    {"type": "string", "enum": ["active", "disabled"]},
    choices=("active", "disabled"),
)
YES_NO = Kind("bool_yes_no", _one(yes_no), {"type": "string", "enum": ["yes", "no"]})
PRESENCE = Kind("flag_presence", lambda _: Reading(("yes",)), {"type": "string"}, present=True)
_MAILBOX: Mapping[str, object] = {**_NUMBER, "maximum": _LARGEST_MAILBOX}
MEGABYTES = Kind(
    "int_mb", _one(lambda value: str(whole_number(value, most=_LARGEST_MAILBOX))), _MAILBOX
)
MEGABYTES_AS_BYTES = Kind(
    "int_mb",
    _one(lambda value: str(whole_number(value, most=_LARGEST_MAILBOX) * _MEGABYTE)),
    _MAILBOX,
)
MEGABYTES_OR_STORED_BYTES = Kind(
    "int_mb",
    lambda value: Reading((), odd=(str(whole_number(value, least=-1, most=_MOST_BYTES)),)),
    _NUMBER,
    otherwise=_bytes_unless_ambiguous,
)
"""A size under the name that answers have it by, where it is in bytes: what stands there stays."""
DOMAIN_QUOTA = Kind(
    "int_mb",
    _one(lambda value: f"{megabytes}:MB" if (megabytes := int(_mb(value))) else "0"),
    _NUMBER,
)
COUNT = Kind("int_count", _one(lambda value: str(whole_number(value))), _NUMBER)
LIMIT = Kind("int_limit", _one(lambda value: str(whole_number(value, least=-1))), _FROM_MINUS_ONE)
MOST_DOMAINS = Kind(
    "int_count", _one(lambda value: str(max(whole_number(value, least=-1), 0))), _FROM_MINUS_ONE
)
QUOTA_IN_UNIT = Kind(
    "int_quota_unit", _one(lambda value: str(whole_number(value, most=_MOST_MEGABYTES))), _NUMBER
)
SECONDS = Kind(
    "int_seconds", _one(lambda value: str(whole_number(value, most=_MOST_SECONDS))), _NUMBER
)
THROTTLE_BYTES = Kind("int_bytes", _one(_metric), _FROM_MINUS_ONE)
THROTTLE_COUNT = Kind("int_count", _one(_metric), _FROM_MINUS_ONE)
DECIMAL = Kind("float", _one(decimal), {"type": "number", "minimum": -9999.99, "maximum": 9999.99})
LANGUAGE = Kind("lang", _language, {"type": "string", "enum": list(LANGUAGES)})
TRANSPORT = up_to(255, Kind("transport", _one(transport)))
HOST = up_to(255, Kind("ip_or_host", _one(host)))
ADDRESS = Kind(
    "email",
    _address,
    {"type": "string", "format": "email"},
    domain=names.domain_of,
    refusal=InvalidMail,
)
ADDRESSES = Kind(
    "csv_emails",
    listed(names.address, InvalidMail, may_stand=True),
    _LIST,
    many=True,
    domain=names.domain_of,
    refusal=InvalidMail,
)
ACCOUNTS = replace(ADDRESSES, read=listed(names.account, InvalidMail, may_stand=True))
DOMAINS = Kind(
    "csv_domains", listed(names.domain, InvalidDomainName), _LIST, many=True, domain=str.lower
)
PASSWORD = Kind(
    "password", _one(lambda value: value.strip(BLANKS)), {"type": "string", "format": "password"},
    secret=True,
)  # fmt: skip
NEW_PASSWORD = replace(PASSWORD, present=True)
"""An empty one is refused, and not taken for one that was not sent."""
PASSWORD_HASH = up_to(
    512,
    Kind("password_hash", _one(lambda value: value.strip()), {"type": "string"}, secret=True),
)
RELAY = up_to(255, Kind("relay", _one(relay)))
SERVICES = Kind("csv_services", listed(label, InvalidParameter), _LIST, many=True)
STRINGS = Kind("csv_strings", listed(phone, InvalidParameter, _dialled), _LIST, many=True)
ATTRIBUTES = Kind("csv_strings", listed(label, InvalidParameter, str.lower), _LIST, many=True)
RULE_NAMES = up_to(64, Kind("csv_strings", listed(label, InvalidParameter), _LIST, many=True))
WB_ADDRESSES = _addresses("csv_wb_addresses", scopes.wblist_address)
OUTBOUND_ADDRESSES = _addresses("csv_wb_addresses", scopes.outbound_address)
WB_DEPARTING = _departing(WB_ADDRESSES, scopes.wblist_address)
GREYLISTING_SENDERS = _addresses("csv_gl_senders", scopes.greylisting_sender)
GREYLISTING_DEPARTING = _departing(GREYLISTING_SENDERS, scopes.greylisting_sender)
POLICIES = (
    "public", "domain", "subdomain", "membersonly", "moderatorsonly", "membersandmoderatorsonly",
)  # fmt: skip
OLDER_POLICIES = {"allowedonly": "moderatorsonly"}
POLICY = choice(*POLICIES, also=OLDER_POLICIES)
DN = up_to(500, Kind("string", _one(dn), {"type": "string"}))
MAILBOX_FORMAT = choice("maildir", "mdbox", "sdbox")
MAILBOX_FOLDER = Kind(
    "string", _one(mailbox_folder), {"type": "string", "pattern": "^[A-Za-z0-9]{1,20}$"}
)
MAILBOX_PATH = up_to(
    LONGEST_PATH, Kind("path", _one(mailbox_path), {"type": "string", "pattern": "^/"})
)


def _mb(value: str) -> str:
    return str(whole_number(value, most=_MOST_MEGABYTES))


def bytes_of(megabytes: int) -> int:
    """Convert a mailbox size from the API's unit to the directory's."""
    return megabytes * _MEGABYTE


def megabytes_of(size: int) -> int:
    """Convert a mailbox size from the directory's unit to the API's, rounded up."""
    return -(-size // _MEGABYTE)
