"""Whom a policy is about, and the spelling of addresses by which it is found."""

import ipaddress
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iredldap.dit.scopes import (
    KeyClass,
    PolicyTarget,
    as_sent,
    greylisting_sender,
    key_class,
    lenient,
    malformed_leftovers,
    outbound_address,
    stored_spellings,
    wblist_address,
    wider_keys,
)
from iredldap.errors import InvalidParameter, Malformed, NeverApplies

ARABIC_1 = "\u0661"
KELVIN = "\u212a"


def test_scopes_have_keys() -> None:
    """The key is what iRedAPD and Amavisd look for."""
    for scope, key, mail in (
        (PolicyTarget.everyone(), "@.", None),
        (PolicyTarget.of_domain("a.test"), "@a.test", None),
        (PolicyTarget.of_account("ann@a.test"), "ann@a.test", "ann@a.test"),
    ):
        assert (scope.key, scope.mail) == (key, mail)
        assert key_class(scope.key) == scope.key_class


@pytest.mark.parametrize(
    ("key", "wider"),
    [
        ("ann@a.b.test", ["@a.b.test", "@.a.b.test", "@.b.test", "@.test", "@."]),
        ("@a.b.test", ["@.a.b.test", "@.b.test", "@.test", "@."]),
        ("@.", []),
        ("", []),
    ],
)
def test_wider_keys(key: str, wider: list[str]) -> None:
    """What a reader looks up beside an account's own key, the nearest first."""
    assert wider_keys(key) == wider


CLASSES = [
    ("ann@a.test", KeyClass.EMAIL, 100, 10),
    ("ann@*", KeyClass.WILDCARD_ADDRESS, 90, 7),
    ("192.0.2.1", KeyClass.IP, 80, 9),
    ("::1", KeyClass.IP, 80, 9),
    ("192.0.2.*", KeyClass.WILDCARD_IP, 70, 8),
    ("192.0.2.0/24", KeyClass.CIDR, 70, 7),
    ("2001:db8::/32", KeyClass.CIDR, 70, 7),
    ("@a.test", KeyClass.DOMAIN, 60, 5),
    ("@.a.test", KeyClass.SUBDOMAIN, 50, 3),
    ("@.test", KeyClass.TOP_LEVEL_DOMAIN, 40, 2),
    ("@ip", KeyClass.CATCHALL_IP, 0, 1),
    ("@.", KeyClass.CATCHALL, 0, 0),
]


@pytest.mark.parametrize(("key", "found", "policy", "amavisd"), CLASSES)
def test_priorities(key: str, found: KeyClass, policy: int, amavisd: int) -> None:
    """Each reader has a scale of its own; on both the narrower key wins."""
    assert key_class(key) is found
    assert (found.policy_priority, found.amavisd_priority) == (policy, amavisd)


def test_every_class_is_known() -> None:
    assert {row[1] for row in CLASSES} == set(KeyClass)


COMMON = [
    (" 192.0.2.1 ", "192.0.2.1"),
    ("2001:DB8:0:0::1", "2001:db8::1"),
    ("::ffff:192.0.2.1", "192.0.2.1"),
    ("10.0.0.0/8", "10.0.0.0/8"),
    ("192.0.2.1/32", "192.0.2.1/32"),
    ("2001:db8::1/128", "2001:db8::1"),
    ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
    ("Ann@A.Test", "ann@a.test"),
    ("a/b@a.test", "a/b@a.test"),
    ("ann@Bücher.test", "ann@xn--bcher-kva.test"),
    ("@A.Test", "@a.test"),
    ("@Bücher.test", "@xn--bcher-kva.test"),
    ("@.A.Test", "@.a.test"),
    ("@.Bücher.test", "@.xn--bcher-kva.test"),
    ("@.COM", "@.com"),
    ("@.рф", "@.xn--p1ai"),
    ("@.com\u3002test", "@.com.test"),
    ("@.", "@."),
]
WILDCARDS = [
    ("Ann@*", "ann@*"),
    ("192.168.1.*", "192.168.1.*"),
    ("192.168.*.1", "192.168.*.1"),
    ("192.168.*.*", "192.168.0.0/16"),
    ("10.*.*.*", "10.0.0.0/8"),
]
NETWORKS_V6 = [
    ("2001:DB8:0::/32", "2001:db8::/32"),
    ("2001::/16", "2001::/16"),
    ("2001:db8:1:2:3:4:5:0/112", "2001:db8:1:2:3:4:5::/112"),
    ("2001:db8::1:0/112", "2001:db8:0:0:0:0:1::/112"),
    ("2001:db8:0:0:1::/80", "2001:db8:0:0:1::/80"),
]
UNMATCHED: list[tuple[Callable[[str], str], str]] = [
    *((read, word) for read in (wblist_address, greylisting_sender)
      for word in ("128.0.0.0/7", "0.0.0.0/0", "2000::/3", "::/0")),
    *((wblist_address, word) for word in ("2001:db8::/32", "192.*.2.50", "192.*.2.*")),
    *((greylisting_sender, word) for word in ("2001:db8::ff00/120", "::1:0/112")),
    *((outbound_address, word) for word in
      ("192.0.2.1", "2001:db8::1", "192.0.2.0/24", "192.0.2.*", "ann@*", "0.0.0.0/0")),
]  # fmt: skip


@pytest.mark.parametrize(("text", "key"), COMMON)
@pytest.mark.parametrize("read", [wblist_address, greylisting_sender])
def test_an_address_has_one_spelling(read: Callable[[str], str], text: str, key: str) -> None:
    """That of the look-up: lower case, compressed, names in their ASCII form."""
    assert read(text) == key


@pytest.mark.parametrize(("text", "key"), WILDCARDS)
def test_wildcards_are_for_white_and_blacklists(text: str, key: str) -> None:
    """Greylisting never matches one."""
    assert wblist_address(text) == key
    with pytest.raises(Malformed):
        greylisting_sender(text)


@pytest.mark.parametrize(("text", "key"), NETWORKS_V6)
def test_a_network_of_version_6_has_zeros_at_its_end(text: str, key: str) -> None:
    """Otherwise iRedAPD does not take it for one; it is the same network."""
    assert greylisting_sender(text) == key
    assert ipaddress.ip_network(key) == ipaddress.ip_network(text)
    assert key.partition("/")[0].endswith("::")


@pytest.mark.parametrize(
    ("read", "text"), UNMATCHED, ids=[f"{r.__name__}-{text}" for r, text in UNMATCHED]
)
def test_what_is_never_looked_up_has_a_code_of_its_own(
    read: Callable[[str], str], text: str
) -> None:
    with pytest.raises(NeverApplies):
        read(text)
    assert lenient(read)(text) == text


@pytest.mark.parametrize("text", ["Ann@A.Test", "@.a.test", "@.com", "@."])
def test_recipients_are_read_as_senders_are(text: str) -> None:
    assert outbound_address(text) == wblist_address(text)


def test_what_goes_may_be_stored_in_any_spelling() -> None:
    """Others have written it; what is nobody's spelling is found by its exact value."""
    stored = ["2001:DB8::1", "Ann@A.Test", "example.org", "192.168.*.*", "bob@a.test"]
    sent = ("2001:db8:0::1", "ann@a.test", "a.test", "example.org", "192.168.*.*")
    values = [as_sent(wblist_address)(word) for word in sent]

    assert set(stored) - set(stored_spellings(wblist_address, values, stored)) == {"bob@a.test"}
    assert malformed_leftovers(wblist_address, values, stored) == ["a.test"]
    for word in ("a" * 256, "a\0b"):
        with pytest.raises(InvalidParameter):
            as_sent(wblist_address)(word)


MALFORMED = [
    "", "a.test", "com", "@com", "@", "@@", "@.@", "@..", "@.a..test", "@..com", "@. com", "@*",
    "@.*", "*@a.test", "*", "@ip", "@1.2.3.4", "@.1", "ann", "ann@", "ann@com", "ann@@a.test",
    "ann@.a.test", "an n@a.test", "ann@a.test@*", "ünn@a.test", "ünn@*", "@*", "ann+news@a.test",
    "ann+news@*", "+@a.test", f"{KELVIN}@a.test",
    "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", f"{ARABIC_1}.2.3.4", "1.2.3.4:25", "[1.2.3.4]",
    "::g", "1::2::3", ":", "fe80::1%eth0", "fe80::%eth0/64", "1.2.3.5/24", "2001:db8::1/32",
    "1.2.3.0/33", "::/129", "1.2.3.0/", "/24", "1.2.3.0/-1", "1.2.3.0/x", f"1.2.3.0/{ARABIC_1}",
    "*.*.*.*", "*.1.2.3", "1.*", "1.2.3*", "1.2.3.**", "1.2.3.256*", "1.2.3.4*", "256.1.1.*",
    "2001:db8::*", "1.2.*.0/24",
]  # fmt: skip


@pytest.mark.parametrize("text", MALFORMED)
@pytest.mark.parametrize("read", [wblist_address, greylisting_sender])
def test_what_no_reader_would_find_is_refused(read: Callable[[str], str], text: str) -> None:
    """A domain has a dot, a network no host bits, a mail address no extension."""
    with pytest.raises(Malformed):
        read(text)


@pytest.mark.parametrize(("read", "longest"), [(wblist_address, 255), (greylisting_sender, 100)])
def test_an_address_fits_its_column(read: Callable[[str], str], longest: int) -> None:
    """MariaDB would cut the rest off, or refuse the row."""
    labels = ".".join(["b" * 9] * 30)
    fitting = f"aaaaa@{labels[: longest - 11]}.test"

    assert read(fitting) == fitting
    assert len(fitting) == longest
    with pytest.raises(Malformed):
        read(f"x{fitting}")


ADDRESSES = st.one_of(
    st.ip_addresses().map(str),
    st.builds("{}/{}".format, st.ip_addresses(), st.integers(0, 128)),
    st.builds("{}@{}".format, st.from_regex(r"[A-Za-z0-9.+*]{0,5}", fullmatch=True), st.just("*")),
    st.builds(
        "{}{}".format,
        st.sampled_from(["@", "@.", "ann@", "Ü@", ""]),
        st.from_regex(r"[A-Za-zßİ\u212a\u3002.*-]{0,12}", fullmatch=True),
    ),
    st.from_regex(r"[0-9*./:%a-f]{1,20}", fullmatch=True),
    st.text(max_size=20),
)


@given(ADDRESSES)
def test_the_spelling_of_a_spelling_is_the_same(text: str) -> None:
    """And of the same class, in lower-case ASCII without blanks or commas, or it is refused."""
    for read in (wblist_address, greylisting_sender):
        try:
            key = read(text)
        except Malformed:
            continue
        assert read(key) == key
        assert key_class(key) is key_class(text)
        assert key.isascii()
        assert key == key.lower()
        assert not any(char.isspace() or char == "," for char in key)
