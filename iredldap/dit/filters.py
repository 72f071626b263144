"""Build LDAP search filters, every value escaped.

No other module puts a value into a filter: a name that comes from a client could otherwise widen a
search.

Source: RFC 4515.
"""

import re
from collections.abc import Iterator

_SPECIAL = re.compile(r"[\\*()\0]")


def hex_escaped(found: re.Match[str]) -> str:
    """Return a matched character as a backslash and two hexadecimal digits, as DNs have it too."""
    return f"\\{ord(found[0]):02x}"


def _escaped(value: str) -> str:
    return _SPECIAL.sub(hex_escaped, value)


def equals(attribute: str, value: str) -> str:
    return f"({attribute}={_escaped(value)})"


def domain_filter(name: str, *attributes: str) -> str:
    """Return the filter for domains that have a name in one of some attributes."""
    return every(
        equals("objectClass", "mailDomain"), either(*(equals(a, name) for a in attributes))
    )


def at_least(attribute: str, value: str) -> str:
    return f"({attribute}>={_escaped(value)})"


def at_most(attribute: str, value: str) -> str:
    return f"({attribute}<={_escaped(value)})"


def begins_with(attribute: str, head: str) -> str:
    return f"({attribute}={_escaped(head)}*)"


def ends_with(attribute: str, tail: str) -> str:
    return f"({attribute}=*{_escaped(tail)})"


def contains(attribute: str, part: str) -> str:
    return f"({attribute}=*{_escaped(part)}*)"


def present(attribute: str) -> str:
    return f"({attribute}=*)"


def every(*terms: str) -> str:
    return f"(&{''.join(terms)})"


def either(*terms: str) -> str:
    return f"(|{''.join(terms)})"


def alternatives(filter_: str) -> Iterator[str]:
    """Yield the terms of which one has to hold, also of a choice within a choice.

    Args:
        filter_: A filter as it is made here, with parentheses in values escaped.
    """
    if not filter_.startswith("(|"):
        yield filter_
        return
    depth = begin = 0
    for at, sign in enumerate(filter_[2:-1], 2):
        if sign == "(":
            begin = begin if depth else at
            depth += 1
        elif sign == ")":
            depth -= 1
            if not depth:
                yield from alternatives(filter_[begin : at + 1])


def negated(term: str) -> str:
    return f"(!{term})"
