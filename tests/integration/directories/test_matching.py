"""Our notion of equal values beside slapd's own."""

from collections.abc import Callable, Iterator
from typing import Any

import ldap
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap.controls import LDAPControl

from iredldap.dit import matching
from tests.support.examples import examples
from tests.support.exported import TREE, connected, running

# Judges an addition as if it were one, and adds nothing. But back-mdb keeps an attribute in mind
# that it sees so for the first time, and can not read the entries that are stored with it later:
# the directory is thrown away.
NO_OP = LDAPControl("1.3.6.1.4.1.4203.666.5.2", True)
_WOULD_BE_DONE = 16654

RULES = {
    "title": "caseIgnoreMatch",
    "labeledURI": "caseExactMatch",
    "mailForwardingAddress": "caseIgnoreIA5Match",
    "memberUid": "caseExactIA5Match",
    "telephoneNumber": "telephoneNumberMatch",
    "x121Address": "numericStringMatch",
    "postalAddress": "caseIgnoreListMatch",
    "seeAlso": "distinguishedNameMatch",
    "uniqueMember": "uniqueMemberMatch",
    "otherMailbox": "",
}
ODD = (
    *("'01'B", "#'01'B", "é", "e\u0301", "\u0327", "\u3000", "\u00a0", "ﬁ", "Σ", "ς", "İ", "ẞ"),
    *("cn=", "CN = ", "commonName=", "sn=", "uid=", "homeDirectory=", "\\20", "\\2c", "\\24", "\t"),
    *("\u1100", "\u1161", "가", "\uf900", "豈", "\U0001d60f", "Ⅷ"),
)
PIECES = st.lists(st.sampled_from([*"aAbB0  -+=,;$#\\", *ODD]), min_size=1, max_size=6)
SPELLED: dict[str, Callable[[str], str]] = {
    "small": str.lower,
    "swapped": str.swapcase,
    "wide": lambda text: f" {text.replace(' ', '  ')} ",
    "named": lambda text: text.replace("cn=", "commonName="),
}


class Judge:
    """What slapd says of the values of an entry, which it never gets."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.dn = f"cn=nobody,{TREE.base}"

    def takes(self, attribute: str, *values: str) -> bool:
        classes = [b"applicationProcess", b"extensibleObject"]
        found = [value.encode() for value in values]
        wanted = [("objectClass", classes), ("cn", [b"nobody"]), (attribute, found)]
        try:
            self.connection.result4(self.connection.add_ext(self.dn, wanted, [NO_OP]))
        except (ldap.TYPE_OR_VALUE_EXISTS, ldap.INVALID_SYNTAX):
            return False
        except ldap.LDAPError as ex:
            if ex.args[0]["result"] != _WOULD_BE_DONE:
                raise
            return True
        raise AssertionError("slapd has added the entry")


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    with running(tmp_path_factory.mktemp("matching"), ()) as server, connected(server) as found:
        yield Judge(found)


@examples(500)
@given(
    attribute=st.sampled_from(sorted(RULES)),
    pieces=PIECES,
    others=PIECES | st.sampled_from(sorted(SPELLED)),
)
def test_slapd_takes_two_values_together_unless_they_are_equal(
    judge: Judge, attribute: str, pieces: list[str], others: list[str] | str
) -> None:
    one = "".join(pieces)
    other = SPELLED[others](one) if isinstance(others, str) else "".join(others)
    if judge.takes(attribute, one) and judge.takes(attribute, other):
        equal = matching.has_duplicates(RULES[attribute], [one.encode(), other.encode()])
        assert judge.takes(attribute, one, other) != equal
