"""The schema that slapd publishes after loading our files is an iRedMail server's.

`schema_facts.tsv` has a line per definition, `-` standing for nothing:

    attribute  name  oid  equality  ordering  substr  syntax  length  single|multi  sup
    class      name  oid  kind      sup       must    may
"""

from collections.abc import Iterator
from pathlib import Path

import ldap
import pytest
from ldap.schema import AttributeType, ObjectClass, SubSchema

from iredldap.dit.dn_references import ACCOUNT_DNS, MEMBER_DNS
from iredldap.dit.schema import Schema
from iredldap.embedded.ports import free_port
from iredldap.embedded.slapd import Slapd
from tests.support.patience import started

SUFFIX = "dc=example,dc=com"
OURS = ("1.3.6.1.4.1.32349.", "1.3.6.1.4.1.15312.")
KINDS = ("STRUCTURAL", "ABSTRACT", "AUXILIARY")
TREE = b"""\
dn: dc=example,dc=com
objectClass: dcObject
objectClass: organization
dc: example
o: example

dn: cn=vmail,dc=example,dc=com
objectClass: person
objectClass: shadowAccount
cn: vmail
sn: vmail
uid: vmail
userPassword: secret of vmail
"""

FACTS = [
    tuple(line.split("\t"))
    for line in Path(__file__).with_name("schema_facts.tsv").read_text("utf-8").splitlines()
]


_OF_THE_SERVER = ("olc", "monitor")
_NAMED_BY_NOBODY = {"distinguishedName"}
"""Supertype of others: no class has it."""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SubSchema]:
    slapd = Slapd(
        home=tmp_path_factory.mktemp("schema") / "slapd",
        suffix=SUFFIX,
        schema_dir=Path(__file__).resolve().parents[3] / "schema",
        port=free_port(),
    )
    slapd.prepare(TREE)
    started(slapd)
    try:
        connection = ldap.initialize(slapd.uri)
        connection.simple_bind_s(f"cn=vmail,{SUFFIX}", "secret of vmail")
        subschema = connection.read_subschemasubentry_s(
            "cn=Subschema", ["attributeTypes", "objectClasses"]
        )
        connection.unbind_s()
        yield SubSchema(subschema)
    finally:
        slapd.stop()


@pytest.mark.parametrize(
    "fact", [pytest.param(fact, id=fact[1]) for fact in FACTS if fact[0] == "attribute"]
)
def test_attribute_type(published: SubSchema, fact: tuple[str, ...]) -> None:
    """An attribute type has its number, its matching rules, its syntax and its bound."""
    definition = published.get_obj(AttributeType, fact[1])

    assert definition is not None
    assert as_attribute_fact(definition) == folded(fact)


@pytest.mark.parametrize(
    "fact", [pytest.param(fact, id=fact[1]) for fact in FACTS if fact[0] == "class"]
)
def test_object_class(published: SubSchema, fact: tuple[str, ...]) -> None:
    """An object class demands and allows its attributes, and no others."""
    definition = published.get_obj(ObjectClass, fact[1])

    assert definition is not None
    assert as_class_fact(definition) == folded(fact)


def test_what_names_accounts_by_their_dns_is_known(published: SubSchema) -> None:
    """Deletions and renames find all of it."""
    schema = Schema({
        name: [str(published.get_obj(kind, oid)).encode() for oid in published.listall(kind)]
        for name, kind in (("attributeTypes", AttributeType), ("objectClasses", ObjectClass))
    })  # fmt: skip
    named = {
        found.name
        for oid in published.listall(AttributeType)
        if (found := schema.attribute(oid)) and found.is_dn and not found.is_operational
    }
    kept = {name for name in named if not name.startswith(_OF_THE_SERVER)} - _NAMED_BY_NOBODY

    assert kept <= set(ACCOUNT_DNS)
    assert len(kept) > len(MEMBER_DNS)


@pytest.mark.parametrize(("kind", "word"), [(AttributeType, "attribute"), (ObjectClass, "class")])
def test_no_surplus(published: SubSchema, kind: type, word: str) -> None:
    """Below the two numbers that are iRedMail's and Amavis's, nothing else is defined."""
    ours = {oid for oid in published.listall(kind) if oid.startswith(OURS)}

    assert ours == {fact[2] for fact in FACTS if fact[0] == word}


def as_attribute_fact(definition: AttributeType) -> tuple[str, ...]:
    return folded(
        (
            "attribute",
            " ".join(definition.names),
            definition.oid,
            definition.equality or "-",
            definition.ordering or "-",
            definition.substr or "-",
            definition.syntax,
            str(definition.syntax_len or "-"),
            "single" if definition.single_value else "multi",
            " ".join(definition.sup) or "-",
        )
    )


def as_class_fact(definition: ObjectClass) -> tuple[str, ...]:
    return folded(
        (
            "class",
            " ".join(definition.names),
            definition.oid,
            KINDS[definition.kind],
            " ".join(definition.sup) or "-",
            " ".join(definition.must) or "-",
            " ".join(definition.may) or "-",
        )
    )


def folded(fact: tuple[str, ...]) -> tuple[str, ...]:
    """Names without regard to case, lists of names without regard to order."""
    return tuple(" ".join(sorted(column.casefold().split())) for column in fact)
