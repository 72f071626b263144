"""The schema of a server as a value: its definitions, and the errors that it finds in an entry.

`gateways.directory.Directory.schema` reads it. Source: RFC 4512; `ldap.schema` of python-ldap.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

from ldap.schema import AttributeType, MatchingRule, SubSchema
from ldap.schema import ObjectClass as PublishedClass

from iredldap.dit import matching, names, syntaxes
from iredldap.dit.plan import Query, Scope

SUBSCHEMA = Query(
    "cn=subschema",
    Scope.BASE,
    "(objectClass=subschema)",
    ("attributeTypes", "matchingRules", "objectClasses"),
)
"""Query for the definitions of a server's schema."""

# Without them a plan that asserts a state would look as if it named an unknown attribute.
_HIDDEN = tuple(
    f"( 1.3.6.1.4.1.4203.666.1.{number} NAME '{name}' EQUALITY CSNMatch ORDERING CSNOrderingMatch"
    f" SYNTAX 1.3.6.1.4.1.4203.666.11.2.1{{64}}{single} NO-USER-MODIFICATION USAGE {usage} )"
    for number, name, single, usage in (
        (7, "entryCSN", " SINGLE-VALUE", "directoryOperation"),
        (25, "contextCSN", "", "dSAOperation"),
    )
)
"""Attributes that slapd 2.4 has, and does not publish."""

_USER_APPLICATIONS = 0
_OBJECT_CLASS = "2.5.4.0"
_ANYTHING = "1.3.6.1.4.1.1466.101.120.111"
"""The class extensibleObject."""
_REFERENCE = "2.16.840.1.113730.3.1.34"
"""The attribute ref: operational by the standards, but set by clients that add a referral."""
_OF_ONE_CLASS = {_REFERENCE: "2.16.840.1.113730.3.2.6", "2.5.4.1": "2.5.6.1"}
"""Attributes of referral objects and aliases, which even extensibleObject does not allow."""
_DYNAMIC = "1.3.6.1.4.1.1466.101.119.2"
"""The class dynamicObject, which slapd takes with an overlay only."""

_MOST_KNOWN = 1000

_LONGEST_RDNS = 490
"""Bytes of the first component of a DN, as it is written and as it is compared, that back-mdb can
store (measured): a key has 511, and both are in it."""


class ClassKind(IntEnum):
    """The kind of an object class; the numbers are python-ldap's."""

    STRUCTURAL = 0
    ABSTRACT = 1
    AUXILIARY = 2


@dataclass(frozen=True, slots=True)
class AttributeDefinition:
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
        """Return whether its values are DNs."""
        return self.syntax in {syntaxes.DN, syntaxes.DN_AND_UID}

    @property
    def is_binary(self) -> bool:
        """Return whether it is transferred with the option ``;binary`` only."""
        return self.syntax in syntaxes.BINARY


@dataclass(frozen=True, slots=True)
class ObjectClass:
    """An object class. `must` and `may` are OIDs, those of the classes above it among them."""

    name: str
    oid: str
    kind: ClassKind
    above: tuple[str, ...]
    must: frozenset[str]
    may: frozenset[str]


class Schema:
    """The schema of a server."""

    def __init__(self, found: Mapping[str, Sequence[bytes]]) -> None:
        """Read the attributes of ``cn=subschema``, as `SUBSCHEMA` asks for them."""
        texts = {name.lower(): [v.decode() for v in values] for name, values in found.items()}
        # First: definitions that the server itself publishes replace them.
        texts["attributetypes"] = [*_HIDDEN, *texts.get("attributetypes", ())]
        self._schema = SubSchema(texts, check_uniqueness=0)
        self.attribute = lru_cache(_MOST_KNOWN)(self._find_attribute)
        self.object_class = lru_cache(_MOST_KNOWN)(self._find_class)
        self.equality_of = lru_cache(_MOST_KNOWN)(self._find_equality)
        """Returns the equality rule of an attribute; unknown ones are compared by their bytes."""
        self._rules = lru_cache(_MOST_KNOWN)(self._find_rules)
        self._settable = lru_cache(_MOST_KNOWN)(self._find_settable)

    def spelled(self, attribute: str) -> str | None:
        """Return an attribute's name, options kept, as the server spells it; None if unknown."""
        found = self.attribute(attribute)
        if found is None:
            return None
        _, semicolon, options = attribute.partition(";")
        return f"{found.name}{semicolon}{options}"

    def is_operational(self, attribute: str) -> bool:
        """Return whether the server keeps an attribute for itself."""
        found = self.attribute(attribute)
        return found is not None and found.is_operational

    def holds_dns(self, attribute: str) -> bool:
        """Return whether the values of an attribute are DNs."""
        found = self.attribute(attribute)
        return found is not None and found.is_dn

    def holds(self, classes: Iterable[str], attribute: str) -> bool:
        """Return whether entries of these classes may have an attribute; unknown ones may not."""
        found = self.attribute(attribute)
        return found is not None and any(
            # By OID: a class may name an attribute by another of its names.
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

    def _find_equality(self, attribute: str) -> matching.Equality:
        found = self.attribute(attribute)
        name = found.name if found else attribute.partition(";")[0]
        return matching.Equality(name.lower(), found.equality if found else "")

    def faults(self, attributes: Mapping[str, Sequence[bytes]], dn: str = "") -> list[str]:
        """Return the reasons for which the server would refuse an entry.

        Args:
            attributes: Names as `spelled` gives them.
            dn: Of the entry, to judge its first component, too. slapd adds the values of that
                which an entry lacks itself; `completed` does as well.
        """
        by_name = {name.lower(): values for name, values in attributes.items()}
        # The rules depend on names only, so entries of one kind are judged by one cached result.
        classes = tuple(v.decode("utf-8", "replace") for v in by_name.get("objectclass", ()))
        found = self._rules(classes, tuple(attributes))
        return [*found, *self._values(attributes), *(self._naming(dn) if dn else ())]

    def is_dn(self, dn: str) -> bool:
        """Return whether the server accepts a DN: known attributes, each with a valid value."""
        return syntaxes.is_valid(syntaxes.DN, dn.encode(), self.equality_of, self._syntax_of)

    def completed(
        self, dn: str, attributes: Mapping[str, Sequence[bytes]]
    ) -> dict[str, list[bytes]]:
        """Add the values of an entry's own name that it lacks, as slapd does with a new entry."""
        made = {name: [*values] for name, values in attributes.items()}
        for attribute, value in next(iter(names.parsed_dn(dn)), ()):
            equality = self.equality_of(attribute)
            own = value.encode("utf-8", "surrogateescape")
            # The entry may have the attribute by another of its names than the DN.
            name = next((n for n in made if n.lower() == equality.name), None)
            form = matching.normalized(equality.rule, own, self.equality_of)
            if name is None:
                made[self.spelled(attribute.partition(";")[0]) or attribute] = [own]
            elif all(
                matching.normalized(equality.rule, v, self.equality_of) != form for v in made[name]
            ):
                made[name].append(own)
        return made

    def _naming(self, dn: str) -> Iterable[str]:
        rdn, *_ = names.parsed_dn(dn) or ((),)
        if not rdn or not syntaxes.is_rdn(rdn, self.equality_of, self._syntax_of):
            yield f"{names.rdn(dn) if rdn else dn}: no name that it can have"
            return
        for attribute, _ in rdn:
            known = self.attribute(attribute)
            if known and not known.equality:
                yield f"{known.name}: no attribute to be named by"
        written = [(a.partition(";")[0], v.encode("utf-8", "surrogateescape")) for a, v in rdn]
        compared = [
            (equality.name, matching.normalized(equality.rule, value, self.equality_of))
            for attribute, value in written
            if (equality := self.equality_of(attribute))
        ]
        # back-mdb stores both forms of a name in one key.
        if _rdn_size(written) + _rdn_size(compared) > _LONGEST_RDNS:
            yield "a name longer than the directory can store"

    def _syntax_of(self, attribute: str) -> str:
        found = self.attribute(attribute)
        # What no rule compares has a syntax all the same.
        return found.syntax if found else ""

    def _values(self, attributes: Mapping[str, Sequence[bytes]]) -> Iterable[str]:
        for name, values in attributes.items():
            known = self.attribute(name)
            if known is None:
                yield f"unknown attribute {name}"
                continue
            options = name.partition(";")[1] + name.partition(";")[2]
            for odd in syntaxes.odd_options(options, binary=known.is_binary):
                yield f"{name}: {odd}"
            if not self._are_valid(known, values):
                yield f"{name}: a value that its syntax forbids"
            if len(values) > 1:
                if self._are_twice(known, values):
                    yield f"{name}: a value twice"
                if known.is_single:
                    yield f"{name}: more than one value"

    def _are_valid(self, known: AttributeDefinition, values: Sequence[bytes]) -> bool:
        if known.oid == _OBJECT_CLASS:
            # Unknown classes are named one by one.
            return True
        return all(
            syntaxes.is_valid(known.syntax, value, self.equality_of, self._syntax_of)
            for value in values
        )

    def _are_twice(self, known: AttributeDefinition, values: Sequence[bytes]) -> bool:
        if known.oid == _OBJECT_CLASS:
            classes = [self.object_class(value.decode("utf-8", "replace")) for value in values]
            return len({found.oid for found in classes if found}) < len([*filter(None, classes)])
        return matching.has_duplicates(known.equality, values, self.equality_of)

    def _find_attribute(self, name: str) -> AttributeDefinition | None:
        """Find an attribute by one of its names or its OID, whatever options follow it."""
        kind = self._schema.get_obj(AttributeType, name.partition(";")[0])
        if kind is None:
            return None
        return AttributeDefinition(
            name=_name(kind),
            oid=kind.oid,
            syntax=self._inherited(kind, "syntax"),
            equality=self._rule(self._inherited(kind, "equality")),
            substrings=self._rule(self._inherited(kind, "substr")),
            is_operational=bool(kind.no_user_mod)
            or (kind.usage != _USER_APPLICATIONS and kind.oid != _REFERENCE),
            is_single=bool(kind.single_value),
        )

    def _find_class(self, name: str) -> ObjectClass | None:
        """Find an object class by one of its names or its OID."""
        found = self._schema.get_obj(PublishedClass, name) if name == name.strip() else None
        if found is None:
            return None
        must, may = self._schema.attribute_types([name], raise_keyerror=0)
        return ObjectClass(
            name=_name(found),
            oid=found.oid,
            kind=ClassKind(found.kind),
            above=tuple(found.sup),
            must=frozenset(must.keys()),
            may=frozenset(may.keys()),
        )

    def _inherited(self, kind: AttributeType, what: str) -> str:
        """Find what an attribute may have from the one that it is derived of."""
        # A derived attribute leaves out what it shares with the one above.
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
        return found is not None and found.kind is ClassKind.AUXILIARY

    def _find_rules(self, classes: tuple[str, ...], attributes: tuple[str, ...]) -> tuple[str, ...]:
        """Judge names alone; entries of one kind have the same."""
        unknown = [name for name in classes if self.object_class(name) is None]
        # Alone: without the class it is not known which attributes are allowed.
        if unknown:
            return tuple(f"unknown objectClass {name}" for name in unknown)
        known = [*filter(None, map(self.object_class, classes))]
        if wrong := self._chain(known):
            return (wrong,)
        must, may = self._schema.attribute_types(list(classes), raise_keyerror=0)
        have = {found.oid for name in attributes if (found := self.attribute(name))}
        oids = {its.oid for its in known}
        missing = tuple(
            f"{_name(kind)} is missing" for oid, kind in must.items() if oid not in have
        )
        strange = set() if _ANYTHING in oids else (have - set(must.keys())) - set(may.keys())
        extra = (
            f"{found.name} is not allowed by its classes"
            for oid in strange
            if (found := self.attribute(oid)) and not found.is_operational
        )
        foreign = (
            f"{found.name} is for an entry of another objectClass only"
            for attribute, its_class in _OF_ONE_CLASS.items()
            if attribute in have and its_class not in oids and (found := self.attribute(attribute))
        )
        return (*missing, *sorted(extra), *foreign)

    def _chain(self, classes: Sequence[ObjectClass]) -> str:
        """Return the error in the classes of an entry; empty: there is none."""
        structural = [found for found in classes if found.kind is ClassKind.STRUCTURAL]
        if not structural:
            return "no structural objectClass"
        above = {found.oid: self._above(found) for found in classes}
        lowest = max(structural, key=lambda found: len(above[found.oid]))
        if foreign := [found for found in structural if found.oid not in above[lowest.oid]]:
            both = f"{lowest.name}, {foreign[0].name}"
            return f"structural objectClasses that exclude each other: {both}"
        for found in classes:
            others = (other for other in classes if other.oid != found.oid)
            if found.kind is ClassKind.ABSTRACT and not any(
                found.oid in above[o.oid] for o in others
            ):
                return f"the abstract objectClass {found.name} alone"
            if found.oid == _DYNAMIC:
                return f"the objectClass {found.name} is not supported"
        return ""

    def _above(self, found: ObjectClass) -> frozenset[str]:
        """Return the OIDs of a class and all above it."""
        parents = filter(None, map(self.object_class, found.above))
        return frozenset({found.oid}).union(*map(self._above, parents))


def _rdn_size(parts: Sequence[tuple[str, bytes]]) -> int:
    return sum(len(name) + len(value) + 2 for name, value in parts) - 1


def _name(kind: AttributeType | MatchingRule | PublishedClass) -> str:
    return str(kind.names[0] if kind.names else kind.oid)
