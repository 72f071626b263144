"""Names, DNs and filters: what comes from a client stays one value."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from ldap.dn import escape_dn_chars, str2dn
from ldap.filter import escape_filter_chars

from iredldap.dit import filters, mail_names, names
from iredldap.dit.names import Tree

TREE = Tree("dc=example,dc=org")
BASE = "o=domains,dc=example,dc=org"


def test_where_the_accounts_lie() -> None:
    """One place for each kind, as iRedMail has it."""
    home = f"domainName=a.test,{BASE}"
    assert TREE.domain("a.test") == home
    assert TREE.container("a.test", "Groups") == f"ou=Groups,{home}"
    assert TREE.user("u@a.test") == f"mail=u@a.test,ou=Users,{home}"
    assert TREE.maillist("l@a.test") == f"mail=l@a.test,ou=Groups,{home}"
    assert TREE.alias("l@a.test") == f"mail=l@a.test,ou=Aliases,{home}"
    assert TREE.externals("l@a.test") == f"memberOfGroup=l@a.test,ou=Externals,{home}"
    assert TREE.catchall("a.test") == f"mail=@a.test,ou=Users,{home}"
    assert TREE.admin("u@a.test") == "mail=u@a.test,o=domainAdmins,dc=example,dc=org"


@given(st.text(max_size=20))
@example("\r")
@example("\n@\n")
@example(" # ")
@example("a,o=admins@b,dc=x")
@example("\\2c\x00+x=y;z")
def test_any_text_stays_one_value_in_its_branch(text: str) -> None:
    """Whatever a name holds, the DN reads back as that name in that branch."""
    home = [[("domainName", text)], *_parts(BASE)]
    mail_home = [[("domainName", mail_names.domain_of(text))], *_parts(BASE)]

    assert _parts(TREE.domain(text)) == home
    assert _parts(TREE.container(text, "Users")) == [[("ou", "Users")], *home]
    assert _parts(TREE.catchall(text))[0] == [("mail", f"@{text}")]
    assert _parts(TREE.admin(text)) == [[("mail", text)], *_parts(TREE.admin_base)]
    assert _parts(TREE.externals(text))[0] == [("memberOfGroup", text)]
    for dn, unit in (
        (TREE.user(text), "Users"),
        (TREE.maillist(text), "Groups"),
        (TREE.alias(text), "Aliases"),
    ):
        assert _parts(dn) == [[("mail", text)], [("ou", unit)], *mail_home]
        assert names.rdn_value(dn) == text
        assert names.depth(dn) == 6
        assert names.domain_name_in(dn) == mail_names.domain_of(text).lower()


@given(st.text(max_size=20))
@example(" # \\")
@example("#\0")
@example("(*)\\")
def test_values_are_escaped_as_python_ldap_does(text: str) -> None:
    """Ours differ in control characters of a DN alone, which libldap reads better in hex."""
    if not re.search(r"[\x01-\x1f\x7f]", text):
        assert TREE.admin(text) == f"mail={escape_dn_chars(text)},{TREE.admin_base}"
    assert filters.equals("cn", text) == f"(cn={escape_filter_chars(text)})"


def _parts(dn: str) -> list[list[tuple[str, str]]]:
    return [[(name, value) for name, value, _ in part] for part in str2dn(dn)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("mail=u\\+x@a.test,o=x", "MAIL=u\\2Bx@A.test, O=X"),
        ("a=1+b=2,o=x", "b=2+a=1,o=x"),
        ('o="a,b"', "o=a\\2Cb"),
    ],
)
def test_dns_are_compared_as_the_directory_does(one: str, other: str) -> None:
    """Neither letter case nor spacing, order or escaping make two of one."""
    assert names.components(one) == names.components(other) != ()


@pytest.mark.parametrize("text", ["", "no dn", "a=b,,", "ü", "\x00"])
def test_what_is_no_dn_has_no_components(text: str) -> None:
    """Stored values may be anything."""
    assert names.components(text) == ()


def test_a_dn_without_a_domain_is_in_none() -> None:
    """Standalone admins lie beside the domains."""
    for dn in (TREE.admin("u@a.test"), TREE.base, "dc=x"):
        assert (names.domain_name_in(dn), names.domain_dn(dn)) == (None, None)


@pytest.mark.parametrize(
    ("rdn", "name"),
    [
        ("domainName=A.test", "a.test"),
        ("cn=Firm+domainName=a.test", "a.test"),
        ("cn=Firm", None),
        (r"cn=Firm\, o=domains", None),
    ],
)
def test_a_domain_is_what_stands_below_all_domains(rdn: str, name: str | None) -> None:
    """Whatever it is called, and whatever is called after a domain further down."""
    home = f"{rdn},{BASE}"
    for dn in (home, f"mail=u@b.test,ou=Users,{home}", f"cn=x,domainName=b.test,o=domains,{home}"):
        assert names.domain_name_in(dn) == name
        assert names.same_dn(names.domain_dn(dn) or "", home)


@given(st.text(max_size=20))
@example("*)(objectClass=*")
@example("\\2a\x00()")
def test_any_text_in_a_filter_stays_one_value(text: str) -> None:
    """What a client sends neither ends a term nor matches more than itself."""
    for term, pattern in (
        (filters.equals("mail", text), r"\(mail=(.*)\)"),
        (filters.ends_with("mail", text), r"\(mail=\*(.*)\)"),
    ):
        found = re.fullmatch(pattern, term, re.DOTALL)
        assert found
        assert not set("*()\x00") & set(found[1])
        assert _unescaped(found[1]) == text


def _unescaped(value: str) -> str:
    assert not re.search(r"\\(?![0-9a-f]{2})", value)
    return re.sub(r"\\([0-9a-f]{2})", lambda code: chr(int(code[1], 16)), value)


def test_terms_are_joined() -> None:
    """Prefix notation, as RFC 4515 has it."""
    one, two = filters.equals("a", "1"), filters.present("b")
    assert filters.every(one, two) == "(&(a=1)(b=*))"
    assert filters.either(one, filters.negated(two)) == "(|(a=1)(!(b=*)))"
