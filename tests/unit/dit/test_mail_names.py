"""Domain names and addresses of mail: what is new is judged, what is stored is read."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from iredldap.dit import mail_names
from iredldap.errors import InvalidDomainName, InvalidMail

KELVIN = "\u212a"

DOMAINS = [
    ("a.test", "a.test"),
    (" A.Test\n", "a.test"),
    ("x-1.example.co", "x-1.example.co"),
    ("bücher.test", "xn--bcher-kva.test"),
    ("BÜCHER.Test", "xn--bcher-kva.test"),
    ("xn--bcher-kva.test", "xn--bcher-kva.test"),
    ("a\u3002test", "a.test"),
    (f"{KELVIN}.test", "k.test"),
    ("a.1b", "a.1b"),
    (f"{'a' * 63}.test", f"{'a' * 63}.test"),
    (f"{'a.' * 125}abcde", f"{'a.' * 125}abcde"),
]
NO_DOMAINS = [
    "", "test", ".test", "a.test.", "a..test", "-a.test", "a-.test", "a_b.test", "a b.test",
    "a.t", "1.2.3.44", "a@b.test", "a.test,o=x", "a*.test", "a.test\x00", "xn--.test",
    "\ud800.test", "\u0661.\u0662", f"{'a' * 64}.test", f"{'a.' * 125}abcdef", "ü.", "🎉" * 300,
]  # fmt: skip

ACCOUNTS = [
    ("ann@a.test", "ann@a.test"),
    (" Ann.B@A.Test ", "ann.b@a.test"),
    ("#x_1-y&z@a.test", "#x_1-y&z@a.test"),
    ("-@a.test", "-@a.test"),
    ("ann@bücher.test", "ann@xn--bcher-kva.test"),
    (f"{'a' * 64}@a.test", f"{'a' * 64}@a.test"),
]
ONLY_FOREIGN = ["ann+x@a.test", "a=b@a.test", "a/b@a.test", "+1@a.test"]
NO_ADDRESSES = [
    "", "@", "ann", "@a.test", "ann@", "ann@test", "a@b@c.test", ".ann@a.test", "ann.@a.test",
    "a..b@a.test", "a b@a.test", "ann,o=x@a.test", "*@a.test", '"a"@a.test', "a\x00@a.test",
    "ä@a.test", f"{KELVIN}ate@a.test", "a\ud800@a.test", "a%b@a.test", "a~b@a.test", "a(b@a.test",
    f"{'a' * 65}@a.test", "ann@1.2.3.4", "ann@[1.2.3.4]",
]  # fmt: skip


@pytest.mark.parametrize(("text", "name"), DOMAINS)
def test_a_domain_is_read_in_its_ascii_form(text: str, name: str) -> None:
    """Lower case, no blanks around it, Unicode labels converted."""
    assert mail_names.domain(text) == name


@pytest.mark.parametrize("text", NO_DOMAINS)
def test_a_domain_is_letters_digits_and_hyphens(text: str) -> None:
    """At least two labels, at most 255 characters, the last label no number."""
    with pytest.raises(InvalidDomainName):
        mail_names.domain(text)


@pytest.mark.parametrize(("text", "mail"), ACCOUNTS)
def test_what_may_be_an_account_is_an_address(text: str, mail: str) -> None:
    """The grammar of new accounts lies within that of all addresses."""
    assert mail_names.new_address(text) == mail_names.address(text) == mail


@pytest.mark.parametrize("text", ONLY_FOREIGN)
def test_only_foreign_addresses_hold_plus_equals_and_slash(text: str) -> None:
    """They can be forwarded to, but no account is made of them."""
    assert mail_names.address(text) == text
    with pytest.raises(InvalidMail):
        mail_names.new_address(text)


@pytest.mark.parametrize("text", NO_ADDRESSES)
def test_what_is_no_address_is_no_account_either(text: str) -> None:
    """ASCII, no dots at the ends or in pairs, at most 64 characters before the ``@``."""
    for read in (mail_names.address, mail_names.new_address):
        with pytest.raises(InvalidMail):
            read(text)


ELSEWHERE = re.compile(r"[a-z0-9_.&#+=/'-]{1,64}")
HERE = re.compile(r"[a-z0-9_.&#-]{1,64}")
DOMAIN = re.compile(r"(?!.*(?:^|\.)-)(?!.*-(?:\.|$))[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})+")
MAILISH = st.text("aZ9._-+=/&# @ü\u212a\n", max_size=12)


@given(st.one_of(st.text(max_size=12), MAILISH, MAILISH.map(lambda t: f"{t}.test")))
def test_a_domain_read_again_is_the_same(text: str) -> None:
    """Reading gives the grammar and nothing else, and is idempotent."""
    try:
        name = mail_names.domain(text)
    except InvalidDomainName:
        return
    assert DOMAIN.fullmatch(name)
    assert len(name) <= 255
    assert mail_names.domain(name) == name


@example("'@a.test")
@given(st.one_of(st.text(max_size=12), MAILISH).map(lambda t: f"{t}@a.test"))
def test_an_address_read_again_is_the_same(text: str) -> None:
    """Reading gives the grammar and nothing else, and is idempotent."""
    for read, grammar in ((mail_names.address, ELSEWHERE), (mail_names.new_address, HERE)):
        try:
            mail = read(text)
        except InvalidMail:
            continue
        assert grammar.fullmatch(mail_names.local_part(mail))
        assert mail_names.domain_of(mail) == "a.test"
        assert read(mail) == mail
