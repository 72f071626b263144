"""Rules for new passwords, and the forms of their hashes."""

import base64
import hashlib
import re

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iredldap.dit import passwords
from iredldap.dit.passwords import Policy
from iredldap.errors import InvalidPasswordScheme

MAIL = "ann@a.test"
STRICT = Policy(letter=True, uppercase=True, digit=True, special=True)
ALL = ["PW_NO_LETTER", "PW_NO_UPPERCASE", "PW_NO_DIGIT_NUMBER", "PW_NO_SPECIAL_CHAR"]

RULES = [
    ("password_for_zhb", Policy(), []),
    ("", STRICT, ["PW_EMPTY"]),
    ("1234567", Policy(), ["PW_SHORTER_THAN_MIN_LENGTH"]),
    ("12345678", Policy(), []),
    ("123", Policy(shortest=0), []),
    ("123456789", Policy(longest=8), ["PW_GREATER_THAN_MAX_LENGTH"]),
    ("12345678", Policy(longest=8), []),
    ("12345678" * 100, Policy(longest=0), []),
    ("pässword", Policy(), ["PW_NON_ASCII"]),
    ("tab\tinside", Policy(), ["PW_NON_ASCII"]),
    ("del\x7finside", Policy(), ["PW_NON_ASCII"]),
    ("two words", Policy(), []),
    ("~~~~~~~~", Policy(), []),
    ("|" * 8, STRICT, ALL),
    ("Abcdef1!", STRICT, []),
    ("Äbcdefg\u0661!", STRICT, ["PW_NON_ASCII"]),
    ("abcdefgh", STRICT, ALL[1:]),
    ("12345678", STRICT, [ALL[0], ALL[1], ALL[3]]),
    ("ANN@a.test", Policy(), ["PW_IS_ADDRESS"]),
    ("x@y", Policy(), ["PW_SHORTER_THAN_MIN_LENGTH"]),
    ("ä", STRICT, ["PW_NON_ASCII", "PW_SHORTER_THAN_MIN_LENGTH", *ALL[1:]]),
]


@pytest.mark.parametrize(("password", "policy", "rules"), RULES)
def test_every_broken_rule_is_named(password: str, policy: Policy, rules: list[str]) -> None:
    """All of them at once, in the order of the reference; an empty one breaks only one."""
    refusals = passwords.check(password, policy, MAIL)
    assert [code for refusal in refusals for code in refusal.codes] == rules


@pytest.mark.parametrize("char", list("#$%&*+-,.:;!=<>'\"?@[]/(){}_`~^\\"))
def test_what_a_special_character_is(char: str) -> None:
    """The list of the reference."""
    assert passwords.check(f"Abcdefg1{char}", STRICT, MAIL) == []


@pytest.mark.parametrize("policy", [Policy(), STRICT])
def test_no_refusal_holds_the_password(policy: Policy) -> None:
    """Its text goes to the log."""
    refusals = passwords.check("s€cret", policy, MAIL)
    assert refusals
    assert not any("s€cret" in str(refusal) + refusal.detail for refusal in refusals)


@pytest.mark.parametrize(("scheme", "name"), [("SSHA", "sha1"), ("SSHA512", "sha512")])
def test_salted_hashes(scheme: str, name: str) -> None:
    """The digest of password and salt, and behind it the salt of 8 bytes."""
    stored = passwords.hashed("pass word", scheme, b"0123456789abcdef")
    raw = base64.b64decode(stored.removeprefix(f"{{{scheme}}}"))
    assert raw == hashlib.new(name, b"pass word01234567").digest() + b"01234567"
    assert passwords.with_verified_scheme(stored, [scheme]) == stored


def test_bcrypt_is_stored_as_crypt() -> None:
    """It is verified by libc, under the prefix that slapd knows."""
    stored = passwords.hashed("pass word", "BCRYPT", bytes(range(16)), 4)
    assert re.fullmatch(r"\{CRYPT\}\$2b\$04\$[./0-9A-Za-z]{53}", stored)
    assert bcrypt.checkpw(b"pass word", stored.removeprefix("{CRYPT}").encode())
    assert passwords.with_verified_scheme(stored, ["CRYPT"]) == stored
    assert stored == passwords.hashed("pass word", "BCRYPT", bytes(range(16)), 4)


def test_bcrypt_takes_72_bytes_into_account() -> None:
    """A longer password would be cut without a word."""
    assert [passwords.longest_for(s) for s in ("BCRYPT", "SSHA", "SSHA512")] == [72, 0, 0]


VERIFIED = ("SSHA512", "SHA512", "SSHA", "SHA", "SMD5", "MD5", "CRYPT")
SHA = base64.b64encode(bytes(20)).decode()
SSHA = base64.b64encode(bytes(28)).decode()
SHA512 = base64.b64encode(bytes(64)).decode()
SSHA512 = base64.b64encode(bytes(72)).decode()
MD5 = base64.b64encode(bytes(16)).decode()
MD5_CRYPT = "$1$salt$" + "c" * 22
BCRYPT = "$10$" + "a" * 53
SHA512_CRYPT = "$6$salt$" + "b" * 86
YESCRYPT = "$y$j9T$abcdefgh$" + "d" * 43

NORMALISED = [
    ("{SHA}" + SHA, "{SHA}" + SHA),
    ("{ssha}" + SSHA, "{SSHA}" + SSHA),
    ("{SHA512}" + SHA512, "{SHA512}" + SHA512),
    ("{Ssha512}" + SSHA512, "{SSHA512}" + SSHA512),
    ("{MD5}" + MD5, "{MD5}" + MD5),
    ("{SMD5}" + SHA, "{SMD5}" + SHA),
    ("{CRYPT}$2a" + BCRYPT, "{CRYPT}$2a" + BCRYPT),
    ("{CRYPT}$2y" + BCRYPT, "{CRYPT}$2y" + BCRYPT),
    ("{BLF-CRYPT}$2b" + BCRYPT, "{CRYPT}$2b" + BCRYPT),
    ("{BCRYPT}$2b" + BCRYPT, "{CRYPT}$2b" + BCRYPT),
    ("{SHA512-CRYPT}" + SHA512_CRYPT, "{CRYPT}" + SHA512_CRYPT),
    ("{SHA512-CRYPT}$6$rounds=5000$salt$" + "b" * 86, "{CRYPT}$6$rounds=5000$salt$" + "b" * 86),
    ("{SHA256-CRYPT}$5$salt$" + "b" * 43, "{CRYPT}$5$salt$" + "b" * 43),
    ("{crypt}" + MD5_CRYPT, "{CRYPT}" + MD5_CRYPT),
    ("{CRYPT}" + YESCRYPT, "{CRYPT}" + YESCRYPT),
    ("{CRYPT}abiQ6Ep3EYTHc", "{CRYPT}abiQ6Ep3EYTHc"),
]


@pytest.mark.parametrize(("given_hash", "stored"), NORMALISED)
def test_a_hash_is_stored_as_the_directory_verifies_it(given_hash: str, stored: str) -> None:
    """Dovecot's spellings never match in slapd, its own do; nothing else of a hash changes."""
    assert passwords.with_verified_scheme(given_hash, VERIFIED) == stored


@pytest.mark.parametrize(
    "text",
    [
        "", "secret", SHA512_CRYPT, "{}", "{SSHA}", "{CRYPT}", "{SSHA}" + SHA, "{SHA}" + SSHA,
        "{SHA}" + SHA[:-1], "{SSHA}not base64!", "{SSHA}" + SSHA + "\n", " {SHA}" + SHA,
        "{SSHA} " + SSHA, "{PLAIN}secret", "{CLEARTEXT}secret", "{PLAIN-MD5}" + "d" * 32,
        "{CRAM-MD5}" + "d" * 64, "{NTLM}" + "d" * 32, "{ARGON2ID}$argon2id$v=19$m=1,t=1,p=1$a$b",
        "{PBKDF2}$1$a$5000$b", "{SSHA256}" + base64.b64encode(bytes(40)).decode(),
        "{SHA512-CRYPT}x", "{CRYPT}" + "a" * 14,
        "{CRYPT}$2b$04$short", "{CRYPT}$6$salt$" + "b" * 85, "{CRYPT}$6$sa:lt$" + "b" * 86,
        "{CRYPT}$9$xxxxxxxx", "{CRYPT}$2x" + BCRYPT, "{CRYPT}$1$toolongsalt$" + "c" * 22,
        "{CRYPT}*0", "{CRYPT}!locked", "{CRYPT}$argon2id$v=19$m=1,t=1,p=1$a$b",
        "{SSHA}{SSHA}" + SSHA, "{SSHA\u00e4}" + SSHA, "{CRYPT}" + SHA512_CRYPT + "\x00",
    ],
)  # fmt: skip
def test_what_the_directory_cannot_verify_is_no_hash(text: str) -> None:
    """A hash without prefix would be clear text to it; with a malformed one nobody logs in."""
    with pytest.raises(InvalidPasswordScheme) as refused:
        passwords.with_verified_scheme(text, VERIFIED)
    assert refused.value.parameter == "password_hash"


@pytest.mark.parametrize("text", ["{SSHA512}" + SSHA512, "{BLF-CRYPT}$2b" + BCRYPT])
def test_only_schemes_of_this_directory_count(text: str) -> None:
    """Without pw-sha2, {SSHA512} logs nobody in."""
    with pytest.raises(InvalidPasswordScheme):
        passwords.with_verified_scheme(text, ["SSHA", "SHA"])


def test_a_refused_hash_is_not_in_the_message() -> None:
    """It may be a password sent in the wrong parameter."""
    with pytest.raises(InvalidPasswordScheme) as refused:
        passwords.with_verified_scheme("hunter2!", VERIFIED)
    assert "hunter2" not in str(refused.value)


@given(st.text(max_size=30), st.sampled_from(["", "{SSHA}", "{CRYPT}", "{CRYPT}$6$"]))
def test_any_text_is_a_hash_or_refused(text: str, prefix: str) -> None:
    """What is taken is printable ASCII with the prefix of a verified scheme."""
    try:
        stored = passwords.with_verified_scheme(prefix + text, VERIFIED)
    except InvalidPasswordScheme:
        return
    assert re.fullmatch(r"\{(SSHA|SSHA512|CRYPT|SHA|SHA512|MD5|SMD5)\}[!-~]+", stored)
    assert passwords.with_verified_scheme(stored, VERIFIED) == stored


def test_an_overlong_password_breaks_a_rule() -> None:
    """In bytes, whatever the rules are: no directory would be asked about it."""
    fits, too_long = "a" * passwords.LONGEST, "a" * (passwords.LONGEST + 1)
    assert passwords.check(fits, Policy(), "u@a.test") == []
    (refusal,) = passwords.check(too_long, Policy(), "u@a.test")
    assert refusal.codes == ("PW_GREATER_THAN_MAX_LENGTH",)
    codes = [r.codes[0] for r in passwords.check("\N{EURO SIGN}" * 342, Policy(), "u@a.test")]
    assert codes == ["PW_NON_ASCII", "PW_GREATER_THAN_MAX_LENGTH"]


@pytest.mark.parametrize(
    ("password", "asked"),
    [
        ("", False),
        ("a", True),
        ("a" * 1024, True),
        ("a" * 1025, False),
        ("\N{EURO SIGN}" * 341, True),
        ("\N{EURO SIGN}" * 342, False),
        ("a\0b", False),
    ],
)
def test_what_a_directory_is_asked_about(password: str, asked: bool) -> None:
    """Nothing that a bind or crypt() would take for something else."""
    assert passwords.may_be_one(password) is asked


def test_a_password_is_cut_by_bytes_for_bcrypt() -> None:
    """Which itself refuses longer ones, in some of its versions."""
    euros = "\N{EURO SIGN}" * 72
    assert passwords.hashed(euros, "BCRYPT", bytes(16), 4) == passwords.hashed(
        euros[:24], "BCRYPT", bytes(16), 4
    )
