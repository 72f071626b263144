"""Values are equal where the directory takes them for equal."""

import pytest

from iredldap.dit import matching

EQUAL = [
    ("caseIgnoreMatch", " a  B ", "A b"),
    ("caseIgnoreMatch", "É", "e\u0301"),
    ("caseIgnoreMatch", "a\u00a0b", "a b"),
    ("caseIgnoreMatch", "\uff21", "a"),
    ("caseIgnoreMatch", " ", "   "),
    ("2.5.13.2", "Ann", "ANN"),
    ("caseExactMatch", "a  b", "a b"),
    ("caseIgnoreIA5Match", "ann@a.test ", "ANN@a.test"),
    ("telephoneNumberMatch", "+1 555-1", "+15551"),
    ("numericStringMatch", "1 2", "12"),
    ("caseIgnoreListMatch", "a $  b", "A$B"),
    ("distinguishedNameMatch", "cn=A , o=X", "commonName=a,O=x"),
    ("distinguishedNameMatch", "cn=a+sn=b", "sn=B+cn=A"),
    ("distinguishedNameMatch", r"cn=a\20", "cn=a"),
    ("uniqueMemberMatch", "cn=a#'01'B", "CN=A#'01'B"),
    ("generalizedTimeMatch", "20240101010000+0100", "2024010100Z"),
    ("generalizedTimeMatch", "20240101000000.50Z", "20240101000000,5Z"),
    ("objectIdentifierMatch", "Person", "person"),
    ("UUIDMatch", "A0", "a0"),
]
DIFFERENT = [
    ("caseIgnoreMatch", "a\tb", "a b"),
    ("caseIgnoreMatch", "ß", "ss"),
    ("caseIgnoreMatch", "\u03c3", "\u03c2"),
    ("caseExactMatch", "a", "A"),
    ("caseExactIA5Match", "/a", "/A"),
    ("telephoneNumberMatch", "+1x", "+1X"),
    ("distinguishedNameMatch", "homeDirectory=/a", "homeDirectory=/A"),
    ("distinguishedNameMatch", "cn=a", "cn=a,o=x"),
    ("uniqueMemberMatch", "cn=a#'01'B", "cn=a#'1'B"),
    ("octetStringMatch", "a", "a "),
    ("integerMatch", "1", "2"),
    ("", "a", "A"),
]


@pytest.mark.parametrize(("rule", "one", "other"), EQUAL)
def test_equal_values_have_one_normal_form(rule: str, one: str, other: str) -> None:
    assert matching.has_duplicates(rule, [one.encode(), other.encode()])
    assert matching.has_duplicates(rule, [one.encode(), b"1", other.encode()])


@pytest.mark.parametrize(("rule", "one", "other"), DIFFERENT)
def test_values_that_the_rule_keeps_apart_stay_apart(rule: str, one: str, other: str) -> None:
    assert not matching.has_duplicates(rule, [one.encode(), other.encode()])


@pytest.mark.parametrize("rule", sorted({rule for rule, _, _ in EQUAL}))
def test_a_value_that_its_syntax_forbids_is_equal_to_itself_alone(rule: str) -> None:
    """No rule fails on what stands in a file."""
    assert matching.has_duplicates(rule, [b"\xff\xfe", b"\xff\xfe"])
    assert not matching.has_duplicates(rule, [b"\xff\xfe", b"\xff"])
    assert matching.normalized(rule, b"") in {b"", b" "}


def test_an_attribute_has_one_kind_by_all_its_names() -> None:
    assert (
        matching.standard_equality("commonName")
        == matching.standard_equality("CN")
        == matching.standard_equality("2.5.4.3")
    )
    assert matching.standard_equality("mobile").rule == "telephoneNumberMatch"


def test_a_dn_is_one_however_it_is_spelled() -> None:
    spelled = matching.normalized_components(r"MAIL = ann\40a.test , ou=Users,  O=x")
    assert spelled == matching.normalized_components(
        "mail=Ann@a.test,organizationalUnitName=USERS,o=X"
    )
    assert matching.normalized_components("no dn") == []
    assert matching.normalized_components(r"cn=\ff") == []
