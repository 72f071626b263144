"""Secrets of tokens, and the bounds of one token by another."""

import hashlib
import re
import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iredldap.dit import api_tokens
from iredldap.dit.api_tokens import ApiToken

MAKER = ApiToken(
    id="a" * 16,
    digest="a" * 64,
    admin="ann@a.test",
    account="1",
    is_global=False,
    name="maker",
    scopes=("tokens:create", "users:read"),
    domains=("a.test", "b.test"),
    networks=("10.0.0.0/8", "2001:db8::/32"),
    created=0,
    expires=100,
)
FREE = replace(MAKER, domains=(), networks=(), expires=None)


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_a_secret_has_all_of_the_random_bits(one: bytes, other: bytes) -> None:
    """Two secrets are the same only if their random bytes are; all have the same length."""
    first, second = api_tokens.new_secret(one), api_tokens.new_secret(other)
    assert (first == second) == (one == other)
    assert len(first) == len(second) == 58


@given(st.binary(min_size=32, max_size=32))
def test_a_secret_is_recognised(random: bytes) -> None:
    """By its form and its checksum, without asking anyone."""
    secret = api_tokens.new_secret(random)
    assert re.fullmatch("iredldap_[0-9A-Za-z]{49}", secret)
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    checksum = 0
    for digit in secret[-6:]:
        checksum = checksum * 62 + digits.index(digit)
    assert checksum == zlib.crc32(secret[:-6].encode())


def test_the_id_is_the_beginning_of_the_digest() -> None:
    """So who has found a secret can name its token."""
    secret = api_tokens.new_secret(bytes(range(32)))
    digest = hashlib.sha256(secret.encode()).hexdigest()
    assert api_tokens.digest(secret) == digest
    assert api_tokens.id_of(digest) == digest[:16]


def test_a_text_that_no_encoding_holds_has_a_digest() -> None:
    """Clients send what they like."""
    assert api_tokens.digest("\udcff") != api_tokens.digest("\xff")


@pytest.mark.parametrize("around", ["{}", "?x={}&y=1", "/a/{}/b", '{{"k": "{}"}}', "{0}{0}"])
def test_secrets_are_redacted(around: str) -> None:
    secret = api_tokens.new_secret(bytes(range(32)))
    text = around.format(secret)
    assert api_tokens.has_secret(text)
    assert secret[9:40] not in api_tokens.redacted(text)
    plain = "iredldap_state is no secret"
    assert not api_tokens.has_secret(plain)
    assert api_tokens.redacted(plain) == plain


@pytest.mark.parametrize(
    ("changes", "wider"),
    [
        ({}, ()),
        ({"scopes": ("users:read",)}, ()),
        ({"scopes": ("users:read", "users:update")}, ("scopes",)),
        ({"domains": ("a.test",)}, ()),
        ({"domains": ()}, ("domains",)),
        ({"domains": ("a.test", "c.test")}, ("domains",)),
        ({"networks": ("10.1.0.0/16", "2001:db8::1/128")}, ()),
        ({"networks": ()}, ("networks",)),
        ({"networks": ("0.0.0.0/0",)}, ("networks",)),
        ({"networks": ("10.1.0.0/16", "192.0.2.1/32")}, ("networks",)),
        ({"expires": 99}, ()),
        ({"expires": 101}, ("expires",)),
        ({"expires": None}, ("expires",)),
        ({"domains": (), "expires": None}, ("domains", "expires")),
    ],
)
def test_what_is_wider(changes: dict[str, object], wider: tuple[str, ...]) -> None:
    token = replace(MAKER, **changes)  # type: ignore[arg-type]
    assert api_tokens.wider_in(token, MAKER) == wider
    assert api_tokens.wider_in(token, FREE) == (("scopes",) if "scopes" in wider else ())


def test_descendants() -> None:
    parents = {"a": "", "b": "a", "c": "b", "d": "", "e": "d"}
    assert api_tokens.with_descendants(["a"], parents) == {"a", "b", "c"}
    assert api_tokens.with_descendants(["c", "d"], parents) == {"c", "d", "e"}
