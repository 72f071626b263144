"""An entry as read from the directory."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Attributes = Mapping[str, list[bytes]]


@dataclass(frozen=True, slots=True)
class Entry:
    """DN and attributes, these under the names of the schema."""

    dn: str
    attributes: Attributes

    def values(self, name: str) -> list[bytes]:
        return self.attributes.get(name, [])

    def texts(self, name: str) -> list[str]:
        return [value.decode("utf-8", "replace") for value in self.values(name)]

    def text(self, name: str) -> str | None:
        """The first value, or None."""
        return next(iter(self.texts(name)), None)

    def lowered(self, name: str) -> set[str]:
        """The values without regard to case, as the directory compares them."""
        return {text.lower() for text in self.texts(name)}

    def has(self, name: str, value: str) -> bool:
        return value.lower() in self.lowered(name)

    @property
    def csn(self) -> str | None:
        """State of the entry: every change gives a new one."""
        return self.text("entryCSN")

    @property
    def is_active(self) -> bool:
        """Whether the account or domain is switched on; a missing status means off."""
        return self.has("accountStatus", "active") and not self.has("domainStatus", "disabled")


def distinct(values: Iterable[str]) -> tuple[str, ...]:
    """Texts without repeats; the directory takes no two that differ in letter case alone."""
    found: dict[str, str] = {}
    for value in values:
        found.setdefault(value.lower(), value)
    return tuple(found.values())


def encoded(values: Iterable[str]) -> tuple[bytes, ...]:
    """Texts as the directory stores them."""
    return tuple(value.encode() for value in values)
