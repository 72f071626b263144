"""Validate the names of domains and mail addresses, and take them apart.

There are two grammars: a strict one for what is created here, and one for what other tools have
stored, or what lies elsewhere.

Source: RFC 5321 (addresses), RFC 1123 (labels of domains).
"""

import re
from collections.abc import Iterable
from functools import lru_cache

from iredldap.dit.entry import folded
from iredldap.errors import InvalidDomainName, InvalidMail

_LOCAL = re.compile(r"[a-z0-9_#-][a-z0-9_.&#-]*")
_EXTERNAL_LOCAL = re.compile(r"[a-z0-9_#+=/&'-][a-z0-9_.&#+=/'-]*")
_SUBSCRIBER = re.compile(r"[a-z0-9_#-].*@.*\.[a-z0-9-]{2,15}")
_LONGEST_RDN = 245
"""Characters of the first component of a DN that slapd can store (back-mdb, measured).

An entry with a longer one is refused with the result `other`, which does not name the cause.
"""
_LONGEST_ACCOUNT = _LONGEST_RDN - len(r"memberOfGroup=\23")
"""Of an address; the one of a list is also in the name of the entry of its external members."""
_LONGEST_NEW_DOMAIN = _LONGEST_RDN - len("domainName=")
_MOST_DOMAINS = 1024
"""Names in memory: most requests name one of a few."""

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


@lru_cache(_MOST_DOMAINS)
def domain(text: str) -> str:
    """Parse a domain name: lower case, Unicode labels in their ASCII form.

    Raises:
        InvalidDomainName: Unless it has two or more letter-digit-hyphen labels, at most 255
            characters, and a last label that is no number.
    """
    name = text.strip().lower()
    if not name.isascii():
        # Most names need none of its tables, and every start of an export would wait for them.
        import idna  # noqa: PLC0415

        try:
            name = idna.encode(name, uts46=True).decode("ascii")
        except idna.IDNAError as ex:
            raise InvalidDomainName(f"{text!r} is no domain name: {ex}") from ex
    labels = name.split(".")
    if (
        len(name) > 255
        or len(labels) < 2
        or not all(_LABEL.fullmatch(label) for label in labels)
        or len(labels[-1]) < 2
        or labels[-1].isdigit()
    ):
        raise InvalidDomainName(f"{text!r} is no domain name")
    return name


def new_domain(text: str) -> str:
    """Parse the name of a domain to be created here.

    Raises:
        InvalidDomainName: As `domain`, or if it is longer than 234 characters, which is what slapd
            can store.
    """
    name = domain(text)
    if len(name) > _LONGEST_NEW_DOMAIN:
        raise InvalidDomainName(f"{text[:80]!r} is longer than {_LONGEST_NEW_DOMAIN} characters")
    return name


def address(text: str) -> str:
    """Parse any mail address, local or external, into lower case.

    Raises:
        InvalidMail: If it is malformed.
    """
    return _address(text, _EXTERNAL_LOCAL)


def existing_address(text: str) -> str:
    """Parse the address of an account that may exist, made by any tool, into lower case.

    The last ``@`` is the one before the domain.

    Raises:
        InvalidMail: If the directory could not hold it.
    """
    local, at, domain_part = text.strip().rpartition("@")
    if not (local and at and is_storable(local)):
        raise InvalidMail(f"{text[:80]!r} is no mail address")
    try:
        return f"{local.lower()}@{domain(domain_part)}"
    except InvalidDomainName as ex:
        raise InvalidMail(f"{text[:80]!r} is no mail address") from ex


def stored_address(text: str) -> str:
    """Parse the stored address of an existing account into lower case.

    That is an address or, where another tool has made it so, a word without ``@``.

    Raises:
        InvalidMail: If the directory could not hold it.
    """
    word = text.strip()
    return word.lower() if is_storable(word) and "@" not in word else existing_address(word)


def is_storable(text: str) -> bool:
    """Return whether an attribute of addresses could hold a text: ASCII, not too long for a DN."""
    return text.isascii() and text.isprintable() and 0 < len(text) <= _LONGEST_RDN


def new_address(text: str) -> str:
    """Parse the address of an account to be created here into lower case.

    Raises:
        InvalidMail: If it is malformed, longer than 228 characters, which is what slapd can store,
            or holds ``+``, ``=`` or ``/``, which only foreign addresses may.
    """
    mail = _address(text, _LOCAL)
    if len(mail) > _LONGEST_ACCOUNT:
        raise InvalidMail(f"{text[:80]!r} is longer than {_LONGEST_ACCOUNT} characters")
    return mail


def subscriber(text: str) -> str:
    """Parse an address that mlmmjadmin accepts into lower case.

    Raises:
        InvalidMail: If it is malformed, or of a form that mlmmjadmin would pass over.

    Source: mlmmjadmin's pattern of addresses.
    """
    mail = address(text)
    if not _SUBSCRIBER.fullmatch(mail):
        raise InvalidMail(f"{text!r} is no address for mlmmjadmin")
    return mail


def _address(text: str, local_part: re.Pattern[str]) -> str:
    local, at, domain_part = text.strip().rpartition("@")
    # In lower case a few foreign letters are ASCII ones.
    is_ascii, local = local.isascii(), local.lower()
    if (
        not (at and is_ascii)
        # RFC 5321, section 4.5.3.1.1.
        or len(local) > 64
        or not local_part.fullmatch(local)
        or ".." in local
        or local.endswith(".")
    ):
        raise InvalidMail(f"{text!r} is no mail address")
    try:
        return f"{local}@{domain(domain_part)}"
    except InvalidDomainName as ex:
        raise InvalidMail(f"{text!r} is no mail address") from ex


def local_part(mail: str) -> str:
    """Return the local part of an address."""
    return mail.rpartition("@")[0]


def domain_of(mail: str) -> str:
    """Return the domain of an address."""
    return mail.rpartition("@")[2]


def without_extension(mail: str) -> str:
    """Remove the extension behind a ``+`` from the local part of an address.

    Postfix looks an address with such an extension up unchanged, and then without it.
    """
    local, at, domain = mail.rpartition("@")
    return f"{local.partition('+')[0] or local}{at}{domain}"


def domains_of(mails: Iterable[str]) -> frozenset[str]:
    """Return the domains of some addresses, in lower case."""
    return frozenset(domain_of(folded(mail)) for mail in mails)
