"""What the server's schema says about an entry, before the server is asked to take it.

Source: RFC 4512; `ldap.schema` of python-ldap.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ldap.schema import AttributeType, ObjectClass, SubSchema

from iredldap.dit import names
from iredldap.dit.plan import Query, Scope
from iredldap.errors import InternalError
from iredldap.gateways.directory import Directory

_DN = "1.3.6.1.4.1.1466.115.121.1.12"
_DN_AND_UID = "1.3.6.1.4.1.1466.115.121.1.34"
_UTF8 = "1.3.6.1.4.1.1466.115.121.1.15"
_BINARY = {f"1.3.6.1.4.1.1466.115.121.1.{number}" for number in (8, 9, 10)}
"""Certificates, which have to be transferred so."""

_USER_APPLICATIONS = 0
_AUXILIARY = 2
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


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is known of an attribute."""

    spelled: str
    oid: str
    syntax: str
    is_operational: bool
    is_single: bool


class Schema:
    """The schema of a server."""

    def __init__(self, found: Mapping[str, Sequence[bytes]]) -> None:
        """Read the attributes of ``cn=subschema``."""
        texts = {name: [value.decode() for value in values] for name, values in found.items()}
        self._schema = SubSchema(texts, check_uniqueness=0)
        self._facts = lru_cache(_MOST_KNOWN)(self._find_facts)
        self._rules = lru_cache(_MOST_KNOWN)(self._find_rules)
        self._settable = lru_cache(_MOST_KNOWN)(self._find_settable)

    def spelled(self, attribute: str) -> str | None:
        """Give an attribute's name, options kept, as the server spells it; None if unknown."""
        facts = self._facts(attribute)
        return facts.spelled if facts else None

    def is_operational(self, attribute: str) -> bool:
        """Whether the server keeps an attribute for itself."""
        facts = self._facts(attribute)
        return facts is not None and facts.is_operational

    def holds_dns(self, attribute: str) -> bool:
        """Whether the values of an attribute are DNs."""
        facts = self._facts(attribute)
        return facts is not None and facts.syntax in {_DN, _DN_AND_UID}

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
            facts = self._facts(name)
            if facts is None:
                yield f"unknown attribute {name}"
                continue
            is_valid = _IS_VALID.get(facts.syntax)
            if is_valid and not all(map(is_valid, values)):
                yield f"{name}: a value that its syntax forbids"
            if len(values) > 1:
                if len(set(values)) < len(values):
                    yield f"{name}: a value twice"
                if facts.is_single:
                    yield f"{name}: more than one value"

    def _find_facts(self, name: str) -> _Facts | None:
        base, semicolon, options = name.partition(";")
        kind = self._schema.get_obj(AttributeType, base)
        if kind is None:
            return None
        return _Facts(
            spelled=f"{_name(kind)}{semicolon}{options}",
            oid=kind.oid,
            syntax=self._syntax(kind),
            is_operational=kind.usage != _USER_APPLICATIONS or bool(kind.no_user_mod),
            is_single=bool(kind.single_value),
        )

    def _syntax(self, kind: AttributeType) -> str:
        """Find an attribute's syntax, which it may have from the one that it is derived of."""
        while not kind.syntax and kind.sup:
            kind = self._schema.get_obj(AttributeType, kind.sup[0])
            if kind is None:
                return ""
        return str(kind.syntax or "")

    def _find_settable(self, classes: tuple[str, ...], once: tuple[str, ...]) -> frozenset[str]:
        auxiliary = [name for name in once if self._is_auxiliary(name)]
        must, may = self._schema.attribute_types([*classes, *auxiliary], raise_keyerror=0)
        # A class may name an attribute that the server does not show.
        kinds = [kind for kind in (*must.values(), *may.values()) if kind]
        return frozenset(
            f"{_name(kind)};binary" if self._syntax(kind) in _BINARY else _name(kind)
            for kind in kinds
            if not self.is_operational(kind.oid)
        )

    def _is_auxiliary(self, name: str) -> bool:
        found = self._schema.get_obj(ObjectClass, name)
        return found is not None and found.kind == _AUXILIARY

    def _find_rules(self, classes: tuple[str, ...], attributes: tuple[str, ...]) -> tuple[str, ...]:
        """Judge names alone; entries of one kind have the same."""
        unknown = [name for name in classes if self._schema.get_obj(ObjectClass, name) is None]
        if unknown:
            return tuple(f"unknown objectClass {name}" for name in unknown)
        if self._schema.get_structural_oc(list(classes)) is None:
            return ("no structural objectClass",)
        must, may = self._schema.attribute_types(list(classes), raise_keyerror=0)
        have = {facts.oid for name in attributes if (facts := self._facts(name))}
        oids = {self._schema.getoid(ObjectClass, name) for name in classes}
        missing = (f"{_name(kind)} is missing" for oid, kind in must.items() if oid not in have)
        if _ANYTHING in oids:
            return tuple(missing)
        strange = (have - set(must.keys())) - set(may.keys())
        extra = (f"{self.spelled(oid)} is not allowed by its classes" for oid in strange)
        return (*missing, *sorted(extra))


def read(directory: Directory) -> Schema:
    """Read the schema of a directory.

    Raises:
        ServerDown: If it does not answer.
        InternalError: If it does not tell its schema.
    """
    wanted = ("attributeTypes", "objectClasses")
    query = Query("cn=subschema", Scope.BASE, "(objectClass=subschema)", wanted)
    found = directory.find(query)
    if not found:
        raise InternalError("the directory does not show cn=subschema")
    return Schema(found[0].attributes)


def _name(kind: AttributeType) -> str:
    return str(kind.names[0] if kind.names else kind.oid)
