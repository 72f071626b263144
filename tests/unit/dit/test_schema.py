"""The schema of a server as a value."""

from iredldap.dit.schema import AttributeDefinition, ClassKind, Schema

UTF8 = "1.3.6.1.4.1.1466.115.121.1.15"
DN = "1.3.6.1.4.1.1466.115.121.1.12"

SCHEMA = Schema({
    "attributeTypes": [
        b"( 2.5.4.0 NAME 'objectClass' SYNTAX 1.3.6.1.4.1.1466.115.121.1.38 )",
        f"( 2.5.4.41 NAME 'name' EQUALITY 2.5.13.2 SYNTAX {UTF8} )".encode(),
        b"( 2.5.4.4 NAME ( 'sn' 'surname' ) SUP name )",
        f"( 1.9.1 NAME 'boss' EQUALITY distinguishedNameMatch SYNTAX {DN} SINGLE-VALUE )".encode(),
        b"( 1.9.2 NAME 'cACertificate' SYNTAX 1.3.6.1.4.1.1466.115.121.1.8 )",
        f"( 1.9.3 NAME 'entryDN' SYNTAX {DN} NO-USER-MODIFICATION )".encode(),
        b"( 1.9.4 NAME 'unplaced' SUP name )",
    ],
    "matchingRules": [f"( 2.5.13.2 NAME 'caseIgnoreMatch' SYNTAX {UTF8} )".encode()],
    "objectClasses": [
        b"( 2.5.6.0 NAME 'top' ABSTRACT MUST objectClass )",
        b"( 2.5.6.6 NAME 'person' SUP top STRUCTURAL MUST sn )",
        b"( 1.9.5 NAME 'employee' SUP person STRUCTURAL MAY ( boss $ notShown ) )",
        b"( 1.9.6 NAME 'keyHolder' AUXILIARY MAY cACertificate )",
        b"( 1.3.6.1.4.1.1466.101.120.111 NAME 'extensibleObject' SUP top AUXILIARY )",
    ],
})  # fmt: skip


def test_an_attribute_has_what_it_is_derived_of() -> None:
    assert SCHEMA.attribute("SURNAME;lang-en") == AttributeDefinition(
        name="sn",
        oid="2.5.4.4",
        syntax=UTF8,
        equality="caseIgnoreMatch",
        substrings="",
        is_operational=False,
        is_single=False,
    )


def test_an_attribute_says_what_its_values_are() -> None:
    boss = SCHEMA.attribute("boss")
    certificate = SCHEMA.attribute("cACertificate")

    assert boss
    assert (boss.is_dn, boss.is_single, boss.equality) == (True, True, "distinguishedNameMatch")
    assert certificate
    assert certificate.is_binary
    assert SCHEMA.is_operational("entryDN")


def test_what_is_unknown_is_none() -> None:
    assert SCHEMA.attribute("notShown") is None
    assert SCHEMA.object_class("notThere") is None


def test_a_class_has_what_those_above_it_have() -> None:
    employee = SCHEMA.object_class("EMPLOYEE")
    assert employee

    assert (employee.kind, employee.above) == (ClassKind.STRUCTURAL, ("person",))
    assert employee.must == {"2.5.4.0", "2.5.4.4"}
    assert employee.may >= {"1.9.1"}


def test_an_entry_holds_what_any_of_its_classes_allows() -> None:
    classes = ("employee", "keyHolder", "notThere")

    assert all(SCHEMA.holds(classes, name) for name in ("surname", "boss", "cACertificate;binary"))
    assert not any(SCHEMA.holds(classes, name) for name in ("unplaced", "notShown"))
    assert SCHEMA.holds((*classes, "extensibleObject"), "unplaced")
    assert not SCHEMA.holds(("extensibleObject",), "notShown")


def test_the_states_of_entries_are_the_servers_own() -> None:
    """Also where the server does not tell so, as slapd 2.4."""
    assert SCHEMA.spelled("entrycsn") == "entryCSN"
    assert all(map(SCHEMA.is_operational, ("entryCSN", "contextCSN")))
