"""Check values by the syntax of their attribute, as slapd does.

Source: RFC 4517; where OpenLDAP 2.5 takes more or less, what it does (tried on each syntax).
"""

import re
from collections.abc import Callable, Iterator, Sequence

from iredldap.dit import matching, names
from iredldap.dit.matching import EqualityOf

_OID = "1.3.6.1.4.1.1466.115.121.1."
DN = _OID + "12"
_IA5 = _OID + "26"
DN_AND_UID = _OID + "34"
OBJECT_IDENTIFIER = _OID + "38"
BINARY = frozenset({_OID + "8", _OID + "9", _OID + "10", _OID + "49", "1.2.840.113549.1.8.1.1"})
"""Certificates, their lists and pairs, and keys: transferred with the option ``;binary`` only."""

_NEVER = frozenset(_OID + str(number) for number in (13, 19, 21, 23, 25, 42, 43, 51))
"""Syntaxes that slapd knows by name only: it takes no value of theirs."""

# As OpenLDAP counts the bytes of a character: up to six, and halves of pairs pass for characters.
_UTF8 = re.compile(
    rb"(?:[\x00-\x7f]|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xef][\x80-\xbf]{2}"
    rb"|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf7][\x80-\xbf]{3}|\xf8[\x88-\xbf][\x80-\xbf]{3}"
    rb"|[\xf9-\xfb][\x80-\xbf]{4}|\xfc[\x84-\xbf][\x80-\xbf]{4}|\xfd[\x80-\xbf]{5})*"
)
# RFC 4517, 3.2: PrintableCharacter.
_PRINTABLE = rb"[A-Za-z0-9'()+,\-./:=? ]"
_METHODS = rb"(?:any|mhs|physical|telex|teletex|g3fax|g4fax|ia5|videotex|telephone)"
_TIME = re.compile(rb"\d{10}(?:\d\d(\d\d)?)?(?:[.,]\d+)?(?:Z|[+-](?:[01]\d|2[0-3])(?:[0-5]\d)?)")
_UID = re.compile(rb"(.*)#'[01]*'B", re.DOTALL)
_SEQUENCE, _INTEGER, _BITS, _VERSION = 0x30, 0x02, 0x03, 0xA0

Check = Callable[[bytes], bool]


def _matches(pattern: bytes) -> Check:
    found = re.compile(pattern, re.DOTALL)
    return lambda value: found.fullmatch(value) is not None


def _is_text(value: bytes) -> bool:
    return bool(value) and _UTF8.fullmatch(value) is not None


def _is_address(value: bytes) -> bool:
    """Return lines between dollar signs, in which those and backslashes are in hexadecimal."""
    return _UTF8.fullmatch(value) is not None and not re.search(rb"\\(?!24|5[Cc])", value)


def _is_time(value: bytes) -> bool:
    found = _TIME.fullmatch(value)
    # A leap second is one.
    return (
        found is not None
        and (found[1] or b"0") <= b"60"
        and matching.normalized_time(value) is not None
    )


def _is_certificate(value: bytes) -> bool:
    parts = _inside(value, _SEQUENCE)
    # The outer frame and the order of the fields, which is what slapd looks at; whether it is a
    # certificate that holds is not its business.
    if parts is None or [tag for tag, _ in parts[:3]] != [_SEQUENCE, _SEQUENCE, _BITS]:
        return False
    fields = _elements(parts[0][1])
    if fields and fields[0][0] == _VERSION:
        fields = fields[1:]
    wanted = [_INTEGER, *[_SEQUENCE] * 5]
    return fields is not None and [tag for tag, _ in fields[: len(wanted)]] == wanted


def _inside(value: bytes, tag: int) -> list[tuple[int, bytes]] | None:
    found = _elements(value)
    return _elements(found[0][1]) if found and len(found) == 1 and found[0][0] == tag else None


def _elements(value: bytes) -> list[tuple[int, bytes]] | None:
    """Parse DER; None: it is malformed."""
    found = []
    at = 0
    while at < len(value):
        if at + 2 > len(value):
            return None
        tag, size, start = value[at], value[at + 1], at + 2
        if size & 0x80:
            start += size & 0x7F
            size = int.from_bytes(value[at + 2 : start], "big")
        if start + size > len(value):
            return None
        found.append((tag, value[start : start + size]))
        at = start + size
    return found


_CHECKS: dict[str, Check] = {
    _OID + "6": _matches(rb"'[01]*'B"),
    _OID + "7": {b"TRUE", b"FALSE"}.__contains__,
    _OID + "8": _is_certificate,
    _OID + "9": lambda value: _inside(value, _SEQUENCE) is not None,
    _OID + "11": _matches(_PRINTABLE + rb"{2}"),
    _OID + "14": _matches(_METHODS + rb"(?: *\$ *" + _METHODS + rb")*"),
    _OID + "15": _is_text,
    _OID + "22": _matches(_PRINTABLE + rb"+(?:\$" + _PRINTABLE + rb"+)*"),
    _OID + "24": _is_time,
    _IA5: bytes.isascii,
    _OID + "27": _matches(rb"0|-?[1-9][0-9]*"),
    _OID + "36": _matches(rb"[0-9 ]+"),
    OBJECT_IDENTIFIER: _matches(rb"[0-2](?:\.(?:0|[1-9][0-9]*))+"),
    _OID + "41": _is_address,
    _OID + "44": _matches(_PRINTABLE + rb"+"),
    _OID + "50": _matches(_PRINTABLE + rb"+"),
    _OID + "52": _matches(_PRINTABLE + rb"+(?:\$" + _PRINTABLE + rb"+)*"),
    "1.3.6.1.1.1.0.0": _matches(rb"\([\x21-\x2b\x2d-\x7e]*(?:,[\x21-\x2b\x2d-\x7e]*){2}\)"),
    "1.3.6.1.1.1.0.1": _matches(rb"[^=\x80-\xff]+=[^:\x80-\xff]+:[^\x80-\xff]+"),
}


def is_valid(
    syntax: str, value: bytes, equality_of: EqualityOf, syntax_of: Callable[[str], str]
) -> bool:
    """Return whether a value is one of its syntax; of unknown syntaxes all are.

    Args:
        syntax: OID.
        value: As it is stored or sent.
        equality_of: Returns the rules of the attributes that a DN names.
        syntax_of: Gives the syntax of such an attribute, nothing for one that is unknown.
    """
    if syntax == DN_AND_UID:
        found = _UID.fullmatch(value)
        return is_valid(DN, found[1] if found else value, equality_of, syntax_of)
    if syntax == DN:
        return not value or _is_dn(value, equality_of, syntax_of)
    check = _CHECKS.get(syntax)
    return syntax not in _NEVER and (check is None or check(value))


def _is_dn(value: bytes, equality_of: EqualityOf, syntax_of: Callable[[str], str]) -> bool:
    try:
        parts = names.parsed_dn(value.decode())
    except UnicodeDecodeError:
        return False
    # slapd refuses a DN with an attribute that its schema does not know, also as a mere value.
    return bool(parts) and all(is_rdn(part, equality_of, syntax_of) for part in parts)


def is_rdn(
    part: Sequence[tuple[str, str]], equality_of: EqualityOf, syntax_of: Callable[[str], str]
) -> bool:
    """Return whether slapd accepts a DN component: known attributes, once each, valid values."""
    kinds = [equality_of(attribute).name for attribute, _ in part]
    # An IA5 text of blanks, or that begins with NUL, is none to the parser of DNs alone.
    return len(set(kinds)) == len(kinds) and all(
        bool(value)
        and bool(syntax := syntax_of(attribute))
        and (syntax != _IA5 or (value.strip(" ") and not value.startswith("\0")))
        and is_valid(syntax, value.encode("utf-8", "surrogateescape"), equality_of, syntax_of)
        for attribute, value in part
    )


def odd_options(options: str, *, binary: bool) -> Iterator[str]:
    """Name the options of an attribute description that slapd does not take as it is shipped.

    Args:
        options: The text behind the attribute's name, such as ``;binary;lang-de``.
        binary: Whether the attribute is transferred with ``;binary``.
    """
    found = options.lower().split(";")[1:]
    if binary and "binary" not in found:
        yield "needs the option ;binary"
    for option in found:
        if option == "binary":
            if not binary or found.count(option) > 1:
                yield "the option ;binary is not for it"
        # RFC 3866. slapd takes other options only where its configuration lists them.
        elif not re.fullmatch(r"lang-[a-z0-9-]*[a-z0-9]", option):
            yield f"unknown option ;{option}"
