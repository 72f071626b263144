"""The schema of a server as a value: what it knows, and what it would say about an entry.

`gateways.directory.Directory.schema` reads it. Source: RFC 4512; `ldap.schema` of python-ldap.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

from ldap.schema import AttributeType, MatchingRule, SubSchema
from ldap.schema import ObjectClass as PublishedClass

from iredldap.dit import names
from iredldap.dit.plan import Query, Scope

SUBSCHEMA = Query(
    "cn=subschema",
    Scope.BASE,
    "(objectClass=subschema)",
    ("attributeTypes", "matchingRules", "objectClasses"),
)
"""Finds what a server tells about its schema."""

_DN = "1.3.6.1.4.1.1466.115.121.1.12"
_DN_AND_UID = "1.3.6.1.4.1.1466.115.121.1.34"
_UTF8 = "1.3.6.1.4.1.1466.115.121.1.15"
_BINARY = {f"1.3.6.1.4.1.1466.115.121.1.{number}" for number in (8, 9, 10)}
"""Certificates, which have to be transferred so."""

_USER_APPLICATIONS = 0
_ANYTHING = "1.3.6.1.4.1.1466.101.120.111"
"""The class extensibleObject."""

_MOST_KNOWN = 1000


def _is_utf8(value: bytes) -> bool:
    try:
        return bool(value.decode())
    except UnicodeDecodeError:
        return False


_IS_VALID: dict[str, Callable[[bytes], bool]] = {
    _DN: lambda value: _is_utf8(value) and bool(names.components(value.decode())),
    _UTF8: _is_utf8,
    "1.3.6.1.4.1.1466.115.121.1.7": {b"TRUE", b"FALSE"}.__contains__,
    "1.3.6.1.4.1.1466.115.121.1.26": bytes.isascii,
    "1.3.6.1.4.1.1466.115.121.1.27": lambda value: bool(re.fullmatch(rb"0|-?[1-9][0-9]*", value)),
    "1.3.6.1.4.1.1466.115.121.1.50": lambda value: bool(value) and value.isascii(),
}
"""What a value has to be by its syntax; others are left to the server."""


class Kind(IntEnum):
    """What an object class is for; the numbers are python-ldap's."""

    STRUCTURAL = 0
    ABSTRACT = 1
    AUXILIARY = 2


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute, with what it has from those that it is derived of.

    `name` is the first of its names, `syntax` an OID, `equality` and `substrings` the names of
    matching rules (their OIDs where the server gives no name); empty: none.
    """

    name: str
    oid: str
    syntax: str
    equality: str
    substrings: str
    is_operational: bool
    is_single: bool

    @property
    def is_dn(self) -> bool:
        """Whether its values are DNs."""
        return self.syntax in {_DN, _DN_AND_UID}

    @property
    def is_binary(self) -> bool:
        """Whether it is transferred with the option ``;binary`` only."""
        return self.syntax in _BINARY


@dataclass(frozen=True, slots=True)
class ObjectClass:
    """An object class. `must` and `may` are OIDs, those of the classes above it among them."""

    name: str
    oid: str
    kind: Kind
    above: tuple[str, ...]
    must: frozenset[str]
    may: frozenset[str]


class Schema:
    """The schema of a server."""

    def __init__(self, found: Mapping[str, Sequence[bytes]]) -> None:
        """Read the attributes of ``cn=subschema``, as `SUBSCHEMA` asks for them."""
        texts = {name: [value.decode() for value in values] for name, values in found.items()}
        self._schema = SubSchema(texts, check_uniqueness=0)
        self.attribute = lru_cache(_MOST_KNOWN)(self._find_attribute)
        self.object_class = lru_cache(_MOST_KNOWN)(self._find_class)
        self._rules = lru_cache(_MOST_KNOWN)(self._find_rules)
        self._settable = lru_cache(_MOST_KNOWN)(self._find_settable)

    def spelled(self, attribute: str) -> str | None:
        """Give an attribute's name, options kept, as the server spells it; None if unknown."""
        found = self.attribute(attribute)
        if found is None:
            return None
        _, semicolon, options = attribute.partition(";")
        return f"{found.name}{semicolon}{options}"

    def is_operational(self, attribute: str) -> bool:
        """Whether the server keeps an attribute for itself."""
        found = self.attribute(attribute)
        return found is not None and found.is_operational

    def holds_dns(self, attribute: str) -> bool:
        """Whether the values of an attribute are DNs."""
        found = self.attribute(attribute)
        return found is not None and found.is_dn

    def holds(self, classes: Iterable[str], attribute: str) -> bool:
        """Whether an entry of these classes may have an attribute; unknown classes allow none."""
        found = self.attribute(attribute)
        return found is not None and any(
            known.oid == _ANYTHING or found.oid in known.must or found.oid in known.may
            for known in map(self.object_class, classes)
            if known
        )

    def settable(self, classes: Iterable[str], once: Iterable[str] = ()) -> frozenset[str]:
        """Name the attributes that an entry may have, or may have had; no operational ones.

        Args:
            classes: Of the entry.
            once: Classes that it may have had; the auxiliary ones among them count, for a
                structural class never changes.
        """
        return self._settable(tuple(classes), tuple(once))

    def faults(self, attributes: Mapping[str, Sequence[bytes]]) -> list[str]:
        """Say why the server would not take an entry.

        Args:
            attributes: Names as `spelled` gives them.
        """
        by_name = {name.lower(): values for name, values in attributes.items()}
        classes = tuple(v.decode("utf-8", "replace") for v in by_name.get("objectclass", ()))
        found = self._rules(classes, tuple(attributes))
        return [*found, *self._values(attributes)]

    def _values(self, attributes: Mapping[str, Sequence[bytes]]) -> Iterable[str]:
        for name, values in attributes.items():
            known = self.attribute(name)
            if known is None:
                yield f"unknown attribute {name}"
                continue
            is_valid = _IS_VALID.get(known.syntax)
            if is_valid and not all(map(is_valid, values)):
                yield f"{name}: a value that its syntax forbids"
            if len(values) > 1:
                if len(set(values)) < len(values):
                    yield f"{name}: a value twice"
                if known.is_single:
                    yield f"{name}: more than one value"

    def _find_attribute(self, name: str) -> Attribute | None:
        """Find an attribute by one of its names or its OID, whatever options follow it."""
        kind = self._schema.get_obj(AttributeType, name.partition(";")[0])
        if kind is None:
            return None
        return Attribute(
            name=_name(kind),
            oid=kind.oid,
            syntax=self._inherited(kind, "syntax"),
            equality=self._rule(self._inherited(kind, "equality")),
            substrings=self._rule(self._inherited(kind, "substr")),
            is_operational=kind.usage != _USER_APPLICATIONS or bool(kind.no_user_mod),
            is_single=bool(kind.single_value),
        )

    def _find_class(self, name: str) -> ObjectClass | None:
        """Find an object class by one of its names or its OID."""
        found = self._schema.get_obj(PublishedClass, name)
        if found is None:
            return None
        must, may = self._schema.attribute_types([name], raise_keyerror=0)
        return ObjectClass(
            name=_name(found),
            oid=found.oid,
            kind=Kind(found.kind),
            above=tuple(found.sup),
            must=frozenset(must.keys()),
            may=frozenset(may.keys()),
        )

    def _inherited(self, kind: AttributeType, what: str) -> str:
        """Find what an attribute may have from the one that it is derived of."""
        while not getattr(kind, what) and kind.sup:
            kind = self._schema.get_obj(AttributeType, kind.sup[0])
            if kind is None:
                return ""
        return str(getattr(kind, what) or "")

    def _rule(self, name: str) -> str:
        rule = self._schema.get_obj(MatchingRule, name) if name else None
        return _name(rule) if rule else name

    def _find_settable(self, classes: tuple[str, ...], once: tuple[str, ...]) -> frozenset[str]:
        auxiliary = [name for name in once if self._is_auxiliary(name)]
        must, may = self._schema.attribute_types([*classes, *auxiliary], raise_keyerror=0)
        # A class may name an attribute that the server does not show.
        kinds = [kind for kind in (*must.values(), *may.values()) if kind]
        return frozenset(
            f"{known.name};binary" if known.is_binary else known.name
            for kind in kinds
            if (known := self.attribute(kind.oid)) and not known.is_operational
        )

    def _is_auxiliary(self, name: str) -> bool:
        found = self.object_class(name)
        return found is not None and found.kind is Kind.AUXILIARY

    def _find_rules(self, classes: tuple[str, ...], attributes: tuple[str, ...]) -> tuple[str, ...]:
        """Judge names alone; entries of one kind have the same."""
        unknown = [name for name in classes if self.object_class(name) is None]
        if unknown:
            return tuple(f"unknown objectClass {name}" for name in unknown)
        if self._schema.get_structural_oc(list(classes)) is None:
            return ("no structural objectClass",)
        must, may = self._schema.attribute_types(list(classes), raise_keyerror=0)
        have = {known.oid for name in attributes if (known := self.attribute(name))}
        oids = {self._schema.getoid(PublishedClass, name) for name in classes}
        missing = (f"{_name(kind)} is missing" for oid, kind in must.items() if oid not in have)
        if _ANYTHING in oids:
            return tuple(missing)
        strange = (have - set(must.keys())) - set(may.keys())
        extra = (f"{self.spelled(oid)} is not allowed by its classes" for oid in strange)
        return (*missing, *sorted(extra))


def _name(kind: AttributeType | MatchingRule | PublishedClass) -> str:
    return str(kind.names[0] if kind.names else kind.oid)
