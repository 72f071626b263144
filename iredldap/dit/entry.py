"""An entry as read from the directory."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Attributes = Mapping[str, list[bytes]]


def folded(text: str) -> str:
    """Fold an address, a name or a word into the form in which the directory takes equal ones.

    It regards neither case nor blanks at either end, and takes several blanks for one. Other tools
    store both, and Postfix, whose searches the directory answers, finds what they have stored.

    Source: RFC 4518, caseIgnoreIA5Match.
    """
    text = text.lower()
    return " ".join(filter(None, text.split(" "))) if " " in text else text


@dataclass(frozen=True, slots=True)
class Entry:
    """DN and attributes, these under the names of the schema."""

    dn: str
    attributes: Attributes

    def values(self, name: str) -> list[bytes]:
        # By exact name: slapd returns attributes in the spelling of its schema. Options
        # (`cn;lang-de`) are other attributes.
        return self.attributes.get(name, [])

    def texts(self, name: str) -> list[str]:
        # Values of foreign tools need not be UTF-8 where the syntax does not demand it: a listing
        # must not fail for one of them.
        return [value.decode("utf-8", "replace") for value in self.values(name)]

    def text(self, name: str) -> str | None:
        """Return the first value, or None."""
        values = self.values(name)
        return values[0].decode("utf-8", "replace") if values else None

    def folded(self, name: str) -> str:
        """Return the first value as `lowered` has it; empty, if there is none."""
        return folded(self.text(name) or "")

    def lowered(self, name: str) -> set[str]:
        """Return the values in the form in which equal ones are the same, as `folded` gives it."""
        return {folded(text) for text in self.texts(name)}

    def has(self, name: str, value: str) -> bool:
        # Values that are there are nearly always written as they are asked for.
        return value.encode() in self.values(name) or folded(value) in self.lowered(name)

    @property
    def csn(self) -> str | None:
        """Return the state of the entry: every change gives a new one."""
        return self.text("entryCSN")

    @property
    def is_active(self) -> bool:
        """Return whether the account or domain is switched on; a missing status means off."""
        # `domainStatus` marks the accounts of a disabled domain; the filters of Postfix and Dovecot
        # exclude it.
        return self.has("accountStatus", "active") and not self.has("domainStatus", "disabled")


def distinct(values: Iterable[str]) -> tuple[str, ...]:
    """Remove repeated texts; the directory takes no two that it compares as equal."""
    found: dict[str, str] = {}
    for value in values:
        # The first spelling stays.
        found.setdefault(folded(value), value)
    return tuple(found.values())


def encoded(values: Iterable[str]) -> tuple[bytes, ...]:
    """Encode texts as the directory stores them."""
    return tuple(map(str.encode, values))
