"""Parse DNs and build them, every value escaped.

No other module puts a value into a DN: a name that comes from a client could otherwise leave its
branch of the tree. `filters` does the same for search filters.

Source: RFC 4514 (DNs), iRedMail's tree.
"""

import re
from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from iredldap.dit.filters import hex_escaped
from iredldap.dit.mail_names import domain_of

CONTAINERS = ("Users", "Groups", "Aliases", "Externals")

_CONTROL = re.compile(r"[\0-\x1f\x7f]")
_DN_SPECIAL = re.compile(r'[\\,+"<>;=]|^[ #]| \Z')
_PLAIN_RDN = re.compile(r"[A-Za-z][A-Za-z0-9-]*=([A-Za-z0-9._@-]+),")
_DN_ESCAPE = re.compile(r"\\.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Tree:
    """iRedMail's tree below one suffix; every method gives a DN.

    Names must have been read by `mail_names.domain`, `new_address` or `address` before.
    """

    suffix: str

    @property
    def base(self) -> str:
        """Return the parent of all domains."""
        return f"o=domains,{self.suffix}"

    @property
    def admin_base(self) -> str:
        """Return the parent of all standalone admins."""
        return f"o=domainAdmins,{self.suffix}"

    def domain(self, name: str) -> str:
        return f"domainName={_escaped(name)},{self.base}"

    def container(self, domain_name: str, unit: str) -> str:
        return container(self.domain(domain_name), unit)

    def user(self, mail: str) -> str:
        return self.account("Users", mail)

    def maillist(self, mail: str) -> str:
        return self.account("Groups", mail)

    def alias(self, mail: str) -> str:
        return self.account("Aliases", mail)

    def externals(self, list_mail: str) -> str:
        """Return the DN of the entry that holds the external members of a list."""
        return externals(self.domain(domain_of(list_mail)), list_mail)

    def catchall(self, domain_name: str) -> str:
        return self.account("Users", f"@{domain_name}")

    def admin(self, mail: str) -> str:
        return f"mail={_escaped(mail)},{self.admin_base}"

    def account(self, unit: str, mail: str) -> str:
        """Return the DN of an account in a container, as iRedMail's own tools name it."""
        return account_in(self.domain(domain_of(mail)), unit, mail)


def container(home: str, unit: str) -> str:
    """Return the DN of a container of a domain, whose own DN is `home`."""
    return f"ou={unit},{home}"


def account_in(home: str, unit: str, mail: str) -> str:
    """Return the DN of a new account in a domain, whose own DN is `home`."""
    return f"mail={_escaped(mail)},{container(home, unit)}"


def externals(home: str, list_mail: str) -> str:
    """Return the DN of the entry for external members of a list; `home` is the domain's DN."""
    return f"memberOfGroup={_escaped(list_mail)},{container(home, 'Externals')}"


def _escaped(value: str) -> str:
    # libldap takes a line break at either end of a value for a blank around it.
    return _CONTROL.sub(hex_escaped, _DN_SPECIAL.sub(r"\\\g<0>", value))


def sibling_dn(dn: str, attribute: str, value: str) -> str:
    """Return the DN of an entry with this name below the same parent as another one."""
    return f"{attribute}={_escaped(value)},{parent(dn)}"


def is_dn(text: str) -> bool:
    """Return whether a text is a DN of at least one component."""
    from ldap.dn import is_dn  # noqa: PLC0415

    return bool(text) and bool(is_dn(text))


def _parsed(dn: str) -> list[list[tuple[str, str, Any]]]:
    # Loading the LDAP library takes longer than many an export, which only builds DNs.
    from ldap.dn import str2dn  # noqa: PLC0415

    parts: list[list[tuple[str, str, Any]]] = str2dn(dn)
    return parts


def _exploded(dn: str) -> list[str]:
    from ldap.dn import explode_dn  # noqa: PLC0415

    parts: list[str] = explode_dn(dn)
    return parts


def rdn_value(dn: str) -> str:
    """Return the value of the first component of a DN, unescaped."""
    # A listing of ten thousand entries avoids the library.
    plain = _PLAIN_RDN.match(dn)
    return plain[1] if plain else str(_parsed(dn)[0][0][1])


def named_by(dn: str, attribute: str) -> str | None:
    """Return the value of the first component of a DN, if this attribute is its only one."""
    if dn.partition("=")[0].lower() != attribute.lower():
        return None
    plain = _PLAIN_RDN.match(dn)
    if plain:
        return plain[1]
    first = _parsed(dn)[0]
    return str(first[0][1]) if len(first) == 1 else None


def is_named(dn: str, attribute: str, value: str) -> bool:
    """Return whether the first component of a DN is this attribute with this value alone."""
    named = named_by(dn, attribute)
    return named is not None and named.lower() == value.lower()


def rdn(dn: str) -> str:
    """Return the first component of a DN, escaped as it was."""
    return _exploded(dn)[0]


def parent(dn: str) -> str:
    """Return the DN of the parent: all components but the first."""
    return ",".join(_exploded(dn)[1:])


Components = tuple[tuple[tuple[str, str], ...], ...]
"""Parts of a DN: of each its attributes and values."""

_FEW_DNS = 16
"""DNs in memory: the checks of one entry parse its DN several times, and that of its caller."""


@lru_cache(_FEW_DNS)
def parsed_dn(dn: str) -> Components:
    """Return parts of a DN as they are written, but unescaped; () for what is no DN.

    A value in BER (``#0401…``) is none that slapd takes.
    """
    from ldap import AVA_BINARY, DECODING_ERROR  # noqa: PLC0415

    try:
        parts = _parsed(dn)
    except (DECODING_ERROR, UnicodeError):
        return ()
    # libldap decodes it, slapd refuses it.
    if any(flags & AVA_BINARY for part in parts for _, _, flags in part):
        return ()
    return tuple([tuple([(attribute, value) for attribute, value, _ in p]) for p in parts])


@lru_cache(_FEW_DNS)
def components(dn: str) -> Components:
    """Return parts of a DN without regard to case, spacing or escaping; () for what is no DN."""
    # Sorted: the values of a multi-valued component have no order.
    return tuple([tuple(sorted([(a.lower(), v.lower()) for a, v in p])) for p in parsed_dn(dn)])


def key(dn: str) -> Hashable:
    """Return what all spellings of a DN have in common, for sets and mappings.

    Of a text that is no DN it is the text.
    """
    return components(dn) or dn


def same_dn(one: str, other: str) -> bool:
    """Return whether two DNs name the same entry."""
    return components(one) == components(other)


def is_within(dn: str, above: str) -> bool:
    """Return whether a DN names an entry or one below it."""
    parts = components(above)
    # By components: an escaped comma may be part of a value.
    return components(dn)[-len(parts) :] == parts


def depth(dn: str) -> int:
    """Count the components of a DN as a server writes it: parents have fewer than children."""
    return _DN_ESCAPE.sub("", dn).count(",") + 1


def renamed_dn(dn: str, old: str, new: str) -> str:
    """Return the name that an entry has after it, or one above it, was renamed; else its own."""
    if not is_within(dn, old):
        return dn
    return ",".join((*_exploded(dn)[: -len(components(old))], new))


def domain_name_in(dn: str) -> str | None:
    """Return the name of the mail domain that a DN lies in, where the DN has it; else None.

    A domain that another tool named by other attributes alone (``cn=Firm,o=domains,…``) has its
    name in its entry only: `finders.domain_name` reads it there.
    """
    parts = parsed_dn(dn)
    at = _domain_at(parts)
    named = parts[at] if at is not None else ()
    return next((v.lower() for name, v in named if name.lower() == "domainname"), None)


def domain_dn(dn: str) -> str | None:
    """Return the DN of the mail domain below `o=domains` that a DN is in or names, or None."""
    at = _domain_at(parsed_dn(dn))
    return None if at is None else ",".join(_exploded(dn)[at:])


def _domain_at(parts: Components) -> int | None:
    """Return which component of a DN is that of its mail domain."""
    for number in range(len(parts) - 1, 0, -1):
        ((attribute, value), *others) = parts[number]
        if not others and attribute.lower() == "o" and value.lower() == "domains":
            return number - 1
    return None
