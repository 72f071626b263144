"""From text to stored values, kind by kind."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iredldap.dit import kinds
from iredldap.dit.kinds import Kind, Reading
from iredldap.errors import InvalidDomainName, InvalidMail, InvalidParameter, Malformed

MOST_MB = 16 * 1024 * 1024
ARABIC_25 = "\u0662\u0665"

READ = [
    (kinds.TEXT, " Größe, GmbH ", "Größe, GmbH"),
    (kinds.TEXT, "\U0001f600", "\U0001f600"),
    (kinds.STATUS, "Active", "active"),
    *((kinds.STATUS, word, "active") for word in ("enable", "enabled", "YES", "on", " 1 ")),
    *((kinds.STATUS, word, "disabled") for word in ("disabled", "Disable", "no", "OFF", "0")),
    *((kinds.YES_NO, word, "yes") for word in ("yes", "True", "ON", "1")),
    *((kinds.YES_NO, word, "no") for word in ("no", "False", "off", " 0")),
    (kinds.MEGABYTES, "0", "0"),
    (kinds.MEGABYTES, " 0100 ", "100"),
    (kinds.MEGABYTES, "-0", "0"),
    (kinds.MEGABYTES, str(MOST_MB), str(MOST_MB)),
    (kinds.MEGABYTES_AS_BYTES, "1", "1048576"),
    (kinds.MEGABYTES_AS_BYTES, str(MOST_MB), str(MOST_MB * 1024 * 1024)),
    (kinds.DOMAIN_QUOTA, "2048", "2048:MB"),
    (kinds.DOMAIN_QUOTA, "0", "0"),
    (kinds.COUNT, "2147483647", "2147483647"),
    (kinds.LIMIT, "-1", "-1"),
    (kinds.LIMIT, "0", "0"),
    (kinds.SECONDS, "0", "0"),
    (kinds.SECONDS, "4294967295", "4294967295"),
    *(
        (kind, word, word)
        for kind in (kinds.THROTTLE_BYTES, kinds.THROTTLE_COUNT)
        for word in ("-1", "0", str(2**63 - 1))
    ),
    (kinds.DECIMAL, " 6.30 ", "6.3"),
    (kinds.DECIMAL, "006", "6"),
    (kinds.DECIMAL, "-0.00", "0"),
    (kinds.DECIMAL, "-9999.99", "-9999.99"),
    (kinds.DECIMAL, "0.01", "0.01"),
    (kinds.LANGUAGE, "de_DE", "de_DE"),
    (kinds.LANGUAGE, " zh_tw ", "zh_TW"),
    *(
        (kinds.TRANSPORT, word, word)
        for word in (
            "dovecot",
            "lmtp:unix:private/dovecot-lmtp",
            "lmtp:inet:127.0.0.1:24",
            "relay:[mx.a.test]:25",
            "smtp:",
            ":[mx.a.test]",
            "mlmmj:a.test/list",
            "smtp:[mx.a.test]:submission",
            "smtp:[2001:db8::1]:65535",
            "smtp:mx.a.test:1,[mx.b.test]:25",
            "error:5.1.1:99999",
            "lmtp:unix:/run/lmtp:99999",
        )
    ),
    *(
        (kinds.HOST, word, word)
        for word in (
            "mx.a.test",
            "localhost",
            "MX-1.A.test:2525",
            "[mx.a.test]",
            "[mx.a.test]:25",
            "192.0.2.7",
            "[192.0.2.7]:25",
            "[2001:db8::1]",
            "[IPv6:2001:db8::1]:65535",
            "1a.test",
        )
    ),
    (kinds.ADDRESS, " Ann@A.Test", "ann@a.test"),
    (kinds.MAILBOX_FORMAT, "MDBOX", "mdbox"),
    (kinds.MAILBOX_FOLDER, "Maildir2", "Maildir2"),
    (kinds.MAILBOX_PATH, "/Var/vmail/A.test/ann", "/var/vmail/a.test/ann/"),
    (kinds.MAILBOX_PATH, "/x/", "/x/"),
    (kinds.PASSWORD, "  two  words ", "two  words"),
    (kinds.PASSWORD_HASH, " {SSHA}x ", "{SSHA}x"),
]


@pytest.mark.parametrize(("kind", "text", "stored"), READ)
def test_a_value_is_read_as_it_is_stored(kind: Kind, text: str, stored: str) -> None:
    """Spellings, units and blanks end here."""
    assert kind.read(text) == Reading((stored,))


REFUSED = [
    *((kinds.TEXT, word) for word in ("bell\a", "two\nlines", "a\x00b", "del\x7f", "\ud83d")),
    *((kinds.STATUS, word) for word in ("enabling", "2", "activ", "true")),
    *((kinds.YES_NO, word) for word in ("y", "2", "oui", "yes,no", "-1")),
    *(
        (kind, word)
        for kind in (
            kinds.MEGABYTES, kinds.DOMAIN_QUOTA, kinds.COUNT, kinds.LIMIT, kinds.SECONDS,
            kinds.THROTTLE_BYTES, kinds.THROTTLE_COUNT,
        )
        for word in (
            "-2", "1.0", "1e3", "0x8", "1_000", "+1", "--1", "-", "1 000", "1,5", "2 GB", "many",
            "yes", "inf", "\u0661", "\u00b2", "9" * 5000,
        )
    ),
    *((kind, "-1") for kind in (kinds.MEGABYTES, kinds.DOMAIN_QUOTA, kinds.COUNT, kinds.SECONDS)),
    *((kind, "2147483648") for kind in (kinds.COUNT, kinds.LIMIT)),
    (kinds.SECONDS, "4294967296"),
    *((kind, str(2**63)) for kind in (kinds.THROTTLE_BYTES, kinds.THROTTLE_COUNT)),
    *(
        (kinds.DECIMAL, word)
        for word in (
            "nan", "inf", "-Infinity", "1e3", "0x1p3", "1_0", "+1", "--1", "-", ".5", "5.", "1,5",
            "6.311", "10000", "-10000", "9" * 5000, "5 points", ARABIC_25, "1\n2",
        )
    ),
    *((kind, str(MOST_MB + 1)) for kind in (kinds.MEGABYTES, kinds.MEGABYTES_AS_BYTES)),
    *((kind, "8796093022208") for kind in (kinds.DOMAIN_QUOTA, kinds.QUOTA_IN_UNIT)),
    *(
        (kinds.TRANSPORT, word)
        for word in (
            "two words", ":", "smtp:a\nb", "smtp:ü", "[mx.test]", "a;b", "smtp:\x00",
            "relay:[mx.test]:99999", "relay:[mx.test]:0", "relay:[mx.test]:", "smtp:mx.test:65536",
            "lmtp:inet:127.0.0.1:70000", "smtp:[2001:db8::1]:100000", ":[mx.test]:99999",
            "smtp::99999", "smtp:[a.test]:25,[b.test]:99999", "smtp:[a.test]:" + "9" * 5000,
        )
    ),
    *(
        (kinds.HOST, word)
        for word in (
            "two hosts", "::1", "2001:db8::1", "[a", "a]", "[]", "a:", "a:0", "a:65536", "a:b",
            "a..b", "-a.test", "a_b", "256.1.1.1", "[ipv6:1.2.3.4]", "a@b", "mx.test:25:25",
            f"mx.test:{ARABIC_25}", f"{ARABIC_25}.1.1.1", "[fe80::1%eth0]", "[fe80::1%a\nb c]",
            "a" * 64, ".".join(["a" * 50] * 6), "bücher.test", "a/b", "a,b",
        )
    ),
    *((kinds.MAILBOX_FORMAT, word) for word in ("mbox", "maildir,mdbox")),
    *((kinds.MAILBOX_FOLDER, word) for word in ("../Mail", "a.b", "a" * 21, "Bücher", "a\n\nb")),
    *(
        (kinds.MAILBOX_PATH, word)
        for word in (
            "x/y", "/", "//x", "/x//y", "/x/../y", "/x/.", "/x/ y", "/x\n/y", "/ü", "/x\x00",
            "/" + "x" * 512,
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text"), REFUSED)
def test_what_is_not_of_the_kind_is_refused(kind: Kind, text: str) -> None:
    """Nothing is guessed; only spellings that the contract knows are read."""
    with pytest.raises(InvalidParameter):
        kind.read(text)


@pytest.mark.parametrize("text", ["xx_YY", "en-US", "english", "en_US.UTF-8"])
def test_an_unknown_language_is_dropped(text: str) -> None:
    """The contract ignores it; the answer names it."""
    assert kinds.LANGUAGE.read(text) == Reading((), (text,))


LISTS = [
    (kinds.ADDRESSES, "b@x.test, A@x.test", Reading(("b@x.test", "a@x.test"))),
    (kinds.ADDRESSES, ",a@x.test,, ,A@X.test,", Reading(("a@x.test",))),
    (kinds.ADDRESSES, "a@x.test,nobody,@x.test", Reading(("a@x.test",), (), ("nobody", "@x.test"))),
    (
        kinds.ADDRESSES,
        "a@x.test,n\xf6@x.test,A..B@x",
        Reading(("a@x.test",), ("n\xf6@x.test",), ("a..b@x",)),
    ),
    (kinds.ADDRESSES, "O'Neil@x.test", Reading(("o'neil@x.test",))),
    (kinds.ADDRESSES, "a+b@x.test", Reading(("a+b@x.test",))),
    (kinds.DOMAINS, "B.test,ü.test,b.test,-", Reading(("b.test", "xn--tda.test"), ("-",))),
    (kinds.RULE_NAMES, "X, two words,A-b_c.1", Reading(("X", "A-b_c.1"), ("two words",))),
    (kinds.RULE_NAMES, "A" * 30 + "," + "B" * 33, Reading(("A" * 30, "B" * 33))),
    (kinds.WB_ADDRESSES, "::1,@A.test,@a.test,1.*", Reading(("::1", "@a.test"), ("1.*",))),
    (kinds.GREYLISTING_SENDERS, "@., @com, a@*", Reading(("@.",), ("@com", "a@*"))),
]


@pytest.mark.parametrize(("kind", "text", "reading"), LISTS)
def test_a_list_keeps_its_order_without_repeats(kind: Kind, text: str, reading: Reading) -> None:
    """Blanks go, repeats count once, malformed items are dropped and told."""
    assert kind.read(text) == reading


@pytest.mark.parametrize(
    ("kind", "refusal"),
    [
        (kinds.DOMAINS, InvalidDomainName),
        (kinds.RULE_NAMES, InvalidParameter),
        (kinds.WB_ADDRESSES, InvalidParameter),
        (kinds.GREYLISTING_SENDERS, InvalidParameter),
    ],
)
def test_a_list_of_which_nothing_is_left_is_refused(kind: Kind, refusal: type[Malformed]) -> None:
    """It is not taken for an empty one, which would remove everything."""
    with pytest.raises(refusal):
        kind.read("some nonsense, more nonsense")


@pytest.mark.parametrize("kind", [kinds.ADDRESS, kinds.ADDRESSES, kinds.ACCOUNTS])
def test_what_no_directory_holds_is_no_odd_address(kind: Kind) -> None:
    """It is refused at once."""
    with pytest.raises(InvalidMail):
        kind.read("n\xf6body")
    assert kind.read("some nonsense") == Reading((), (), ("some nonsense",))


def test_a_size_by_the_name_of_the_answer_may_be_bytes() -> None:
    """What does not stand there is in MB, and no number that bytes could be."""
    kind = kinds.MEGABYTES_OR_STORED_BYTES
    assert kind.read("104857600") == Reading((), (), ("104857600",))
    assert kind.otherwise is not None
    assert kind.otherwise("1048575") == str(1048575 * 1024 * 1024)
    with pytest.raises(InvalidParameter):
        kind.otherwise("1048576")


def test_a_no_break_space_is_no_blank_of_a_password() -> None:
    assert kinds.PASSWORD.read(" \t\u00a0x y\u00a0\r\n") == Reading(("\u00a0x y\u00a0",))


def test_rules_fit_their_column() -> None:
    """Together, with the commas between them."""
    with pytest.raises(InvalidParameter):
        kinds.RULE_NAMES.read("A" * 30 + "," + "B" * 34)


def test_a_flag_acts_by_being_there() -> None:
    """Whatever its value."""
    assert {kinds.PRESENCE.read(text) for text in ("", "no", "yes")} == {Reading(("yes",))}


def test_secrets_are_marked() -> None:
    """The kinds that no log and no message may show."""
    every = [kind for kind in vars(kinds).values() if isinstance(kind, Kind)]
    secrets = [kinds.PASSWORD, kinds.NEW_PASSWORD, kinds.PASSWORD_HASH]
    assert [kind for kind in every if kind.secret] == secrets


def test_numbers_that_are_dialled_alike_are_one() -> None:
    """The directory ignores blanks and hyphens, and refuses two that differ in nothing else."""
    assert kinds.STRINGS.read("+49-1, +49 1,+491, +49 2").values == ("+49-1", "+49 2")
    with pytest.raises(InvalidParameter):
        kinds.STRINGS.read(" - , --")
    assert kinds.STRINGS.read("-, 1").dropped == ("-",)


def test_addresses_of_accounts_hold_less_than_foreign_ones() -> None:
    assert kinds.ACCOUNTS.read("A@x.test,a+b@x.test,a@x.test") == Reading(
        ("a@x.test",), (), ("a+b@x.test",)
    )


EVERY_KIND = [
    kind for kind in vars(kinds).values() if isinstance(kind, Kind) and not kind.present
]  # fmt: skip


@given(st.text(min_size=1, max_size=20).filter(str.strip))
def test_any_text_is_read_or_refused(text: str) -> None:
    """A kind knows no other fault, and what it stores is no blank."""
    for kind in EVERY_KIND:
        try:
            reading = kind.read(text)
        except Malformed:
            continue
        blanks = kinds.BLANKS if kind.secret else None
        assert all(value == value.strip(blanks) != "" for value in reading.values)


@given(st.from_regex(r"[\[\]A-Za-z0-9:.%\s\u0661-]{1,16}", fullmatch=True))
def test_a_host_is_printable_ascii(text: str) -> None:
    """It is stored behind ``relay:``, where a blank or a line break would do harm."""
    try:
        (host,) = kinds.HOST.read(text).values
    except Malformed:
        return
    assert host.isascii()
    assert not any(char.isspace() for char in host)
    assert kinds.TRANSPORT.read(f"relay:{host}") == Reading((f"relay:{host}",))
