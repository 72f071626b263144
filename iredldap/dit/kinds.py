"""Kinds of parameters: how text becomes stored values, and the JSON schema of each.

One kind for each type of the contract; where a unit or a form of storage differs, one more.
Units live here and nowhere else: megabytes in the API, bytes in the directory.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from iredldap.dit import mail_names, scopes, settings
from iredldap.dit.value_readers import (
    MOST_BYTES,
    comparable_phone,
    decimal,
    dn,
    host,
    label,
    mailbox_folder,
    mailbox_path,
    metric,
    phone,
    relay,
    status,
    text,
    transport,
    whole_number,
    yes_no,
)
from iredldap.errors import InvalidDomainName, InvalidMail, InvalidParameter, Refusal

LANGUAGES = (
    "bg_BG", "cs_CZ", "da_DK", "de_DE", "en_US", "es_ES", "fi_FI", "fr_FR", "hu_HU", "it_IT",
    "ja_JP", "ko_KR", "lv_LV", "nl_NL", "pl_PL", "pt_BR", "ro_RO", "ru_RU", "sl_SI", "sv_SE",
    "zh_CN", "zh_TW",
)  # fmt: skip

LONGEST_PATH = 255
"""Characters that the table of deleted mailboxes holds of a path."""

BLANKS = " \t\r\n\v\f"
"""Characters stripped from both ends of a password: what a form or an editor leaves there, and no
other characters that look like blanks."""

_MEGABYTE = 1024 * 1024
_MOST_MEGABYTES = (2**63 - 1) // _MEGABYTE
_LARGEST_MAILBOX = 16 * _MEGABYTE
"""Megabytes, 16 TB: no mail server has more; what is larger was meant as bytes."""
# What MariaDB has for the `period` of a throttle, an unsigned INT; PostgreSQL has more.
_MOST_SECONDS = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Reading:
    """The values that a text holds, as they are stored, and what was dropped of it.

    `odd` are values that no new entry may have, and that one may have all the same: other tools
    write what they like. Who knows the entry decides; see `form_parser.settled`.
    """

    values: tuple[str, ...]
    dropped: tuple[str, ...] = ()
    odd: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of the contract, how its text is read, and the JSON schema of a value.

    `read` gets a text that is not blank, and raises a `Malformed` for one it does not
    understand. `many` says that the text is a list, with `separator` between its items.
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
    """Reads an odd value that the entry does not have."""
    refusal: Callable[..., Refusal] = InvalidParameter
    """Raised if nothing but odd values that the entry does not have is left."""
    longest: int | None = None
    """Most characters of a value; of a list of all values together, with their separators."""
    from_stored: Callable[[str], str] = str
    """Gives the text of a request for a stored value, and raises a `Malformed` where none is it."""

    def as_json(self, text: str) -> str | int | float:
        """Return the text of a value as JSON has it: a number where the schema says so."""
        match self.schema.get("type"):
            case "integer":
                return int(text)
            case "number":
                return float(text)
            case _:
                return text


def _one(read: Callable[[str], str]) -> Callable[[str], Reading]:
    return lambda text: Reading((read(text),))


def up_to(longest: int, kind: Kind) -> Kind:
    """Limit the length of a kind's values; longer ones are refused.

    Args:
        longest: Most characters of a value; of a list all values together, with their separators.
        kind: The kind without it.
    """

    def read(value: str) -> Reading:
        reading = kind.read(value)
        # Measured after reading, as it will be stored: blanks around a value do not count.
        if len(kind.separator.join(reading.values)) > longest:
            raise InvalidParameter(f"{value[:80]!r} is longer than {longest} characters")
        return reading

    return replace(kind, read=read, longest=longest)


def _address(value: str) -> Reading:
    """Read an address; one that no new entry may have is odd."""
    try:
        return Reading((mail_names.address(value),))
    except InvalidMail:
        word = value.strip().lower()
        if not mail_names.is_storable(word):
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
    # Dropped and not refused, as the reference has it: panels send the language of their own page.
    return Reading((known,)) if known else Reading((), (word,))


def listed(
    read: Callable[[str], str],
    nothing_valid: type[Refusal],
    same: Callable[[str], str] = str,
    separator: str = ",",
    *,
    may_be_stored: bool = False,
) -> Callable[[str], Reading]:
    """Make a reader of items, separated by commas as a rule, that drops malformed ones and repeats.

    A list of which nothing is left is refused rather than taken for an empty one. Items of which
    `same` makes the same are repeats. With `may_be_stored` a malformed one that the directory could
    hold is odd.
    """

    def read_list(value: str) -> Reading:
        kept: dict[str, str] = {}
        dropped = []
        odd: dict[str, None] = {}
        for item in filter(None, (part.strip() for part in value.split(separator))):
            try:
                word = read(item)
                # The first spelling stays, and so does the order, which matters in some lists.
                kept.setdefault(same(word), word)
            except Refusal:
                if may_be_stored and mail_names.is_storable(item):
                    odd[item.lower()] = None
                else:
                    dropped.append(item)
        # Nothing but separators is an empty list on purpose; nothing but mistakes is none.
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
        {"type": "string", "enum": list(words)},
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
        # In the spelling of the row, whatever was sent: programs compare some of these exactly.
        found = known.get(value.strip().lower())
        if found is None:
            raise InvalidParameter(f"{value[:40]!r} is none of {', '.join(words)}")
        return found

    return Kind("enum", _one(read), {"type": "string", "enum": list(words)}, choices=words)


def _addresses(type_: str, read: scopes.Read) -> Kind:
    """Make a kind of addresses that are looked up; an operation refuses new ones that never are."""
    return Kind(type_, listed(scopes.lenient(read), InvalidParameter), many=True)


def _departing(kind: Kind, read: scopes.Read) -> Kind:
    """Make a kind of the same addresses that shall go, and of whatever else may be stored."""
    return replace(kind, read=listed(scopes.as_sent(read), InvalidParameter))


_NUMBER: Mapping[str, object] = {"type": "integer", "minimum": 0}
_FROM_MINUS_ONE: Mapping[str, object] = {"type": "integer", "minimum": -1}

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
    from_stored=lambda stored: str(_whole_megabytes(stored)),
)
MEGABYTES_OR_STORED_BYTES = Kind(
    "int_mb",
    lambda value: Reading((), odd=(str(whole_number(value, least=-1, most=MOST_BYTES)),)),
    _NUMBER,
    otherwise=_bytes_unless_ambiguous,
)
"""A size under the name that answers have it by, where it is in bytes: the stored value stays."""
# Stored with its unit, which panels print: iRedAdmin reads `<number>:<unit>` (MB, GB, TB).
DOMAIN_QUOTA = Kind(
    "int_mb",
    _one(lambda value: f"{megabytes}:MB" if (megabytes := int(_mb(value))) else "0"),
    _NUMBER,
    from_stored=lambda stored: str(settings.domain_quota({"domainQuota": stored})),
)
COUNT = Kind("int_count", _one(lambda value: str(whole_number(value))), _NUMBER)
LIMIT = Kind("int_limit", _one(lambda value: str(whole_number(value, least=-1))), _FROM_MINUS_ONE)
# -1 is read as 0: of `maxDomains` both mean that no domain may be created.
MOST_DOMAINS = Kind(
    "int_count", _one(lambda value: str(max(whole_number(value, least=-1), 0))), _FROM_MINUS_ONE
)
QUOTA_IN_UNIT = Kind(
    "int_quota_unit", _one(lambda value: str(whole_number(value, most=_MOST_MEGABYTES))), _NUMBER
)
SECONDS = Kind(
    "int_seconds", _one(lambda value: str(whole_number(value, most=_MOST_SECONDS))), _NUMBER
)
THROTTLE_BYTES = Kind("int_bytes", _one(metric), _FROM_MINUS_ONE)
THROTTLE_COUNT = Kind("int_count", _one(metric), _FROM_MINUS_ONE)
DECIMAL = Kind("float", _one(decimal), {"type": "number", "minimum": -9999.99, "maximum": 9999.99})
LANGUAGE = Kind("lang", _language, {"type": "string", "enum": list(LANGUAGES)})
TRANSPORT = up_to(255, Kind("transport", _one(transport)))
HOST = up_to(255, Kind("ip_or_host", _one(host)))
ADDRESS = Kind(
    "email",
    _address,
    {"type": "string", "format": "email"},
    domain=mail_names.domain_of,
    refusal=InvalidMail,
)
ADDRESSES = Kind(
    "csv_emails",
    listed(mail_names.address, InvalidMail, may_be_stored=True),
    many=True,
    domain=mail_names.domain_of,
    refusal=InvalidMail,
)
# Addresses of our own accounts, so the grammar for new ones: it knows no extensions behind a `+`.
ACCOUNTS = replace(ADDRESSES, read=listed(mail_names.new_address, InvalidMail, may_be_stored=True))
DOMAINS = Kind(
    "csv_domains", listed(mail_names.domain, InvalidDomainName), many=True, domain=str.lower
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
SERVICES = Kind("csv_services", listed(label, InvalidParameter), many=True)
STRINGS = Kind("csv_strings", listed(phone, InvalidParameter, comparable_phone), many=True)
ATTRIBUTES = Kind("csv_strings", listed(label, InvalidParameter, str.lower), many=True)
# The column `banned_rulenames` of Amavisd's table `policy` has 64 characters.
RULE_NAMES = up_to(64, Kind("csv_strings", listed(label, InvalidParameter), many=True))
WB_ADDRESSES = _addresses("csv_wb_addresses", scopes.wblist_address)
OUTBOUND_ADDRESSES = _addresses("csv_wb_addresses", scopes.outbound_address)
WB_DEPARTING = _departing(WB_ADDRESSES, scopes.wblist_address)
GREYLISTING_SENDERS = _addresses("csv_gl_senders", scopes.greylisting_sender)
GREYLISTING_DEPARTING = _departing(GREYLISTING_SENDERS, scopes.greylisting_sender)
POLICIES = (
    "public", "domain", "subdomain", "membersonly", "moderatorsonly", "membersandmoderatorsonly",
)  # fmt: skip
# iRedAPD still takes the older name; the newer one is stored.
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


def _whole_megabytes(stored: str) -> int:
    """Convert a stored size in bytes to megabytes; other tools store -1 for no limit.

    Raises:
        InvalidParameter: If it is no whole number of them.
    """
    megabytes, rest = divmod(max(whole_number(stored, least=-1, most=MOST_BYTES), 0), _MEGABYTE)
    if rest:
        raise InvalidParameter(f"{stored} bytes are no whole megabytes")
    return megabytes


def bytes_of(megabytes: int) -> int:
    """Convert a mailbox size from the API's unit to the directory's."""
    return megabytes * _MEGABYTE
