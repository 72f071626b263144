"""LDIF text, byte by byte."""

import io

import ldif
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iredldap.ldif import writer

VALUES = [
    ("cn", b"", b"cn:\n"),
    ("cn", b"Ada", b"cn: Ada\n"),
    ("cn", b" Ada", b"cn:: IEFkYQ==\n"),
    ("cn", b"Ada ", b"cn:: QWRhIA==\n"),
    ("cn", b":Ada", b"cn:: OkFkYQ==\n"),
    ("cn", b"<Ada", b"cn:: PEFkYQ==\n"),
    ("cn", b"A:d<a b", b"cn: A:d<a b\n"),
    ("cn", b"#Ada", b"cn: #Ada\n"),
    ("cn", b"A\tda\x7f.", b"cn: A\tda\x7f.\n"),
    ("cn", b"\tAda", b"cn:: CUFkYQ==\n"),
    ("cn", b"Ada\x0c", b"cn:: QWRhDA==\n"),
    ("cn", b"A\x00da", b"cn:: QQBkYQ==\n"),
    ("cn", b"A\nda", b"cn:: QQpkYQ==\n"),
    ("cn", b"A\rda", b"cn:: QQ1kYQ==\n"),
    ("cn", b"Ada\n", b"cn:: QWRhCg==\n"),
    ("cn", "Zoë".encode(), b"cn:: Wm/Dqw==\n"),
    ("cn;lang-nl", b"Ada", b"cn;lang-nl: Ada\n"),
    ("1.2.3", b"Ada", b"1.2.3: Ada\n"),
    ("userPassword", b"{SSHA}x", b"userPassword:: e1NTSEF9eA==\n"),
    ("USERPASSWORD", b"{SSHA}x", b"USERPASSWORD:: e1NTSEF9eA==\n"),
    ("userPassword;x-old", b"{SSHA}x", b"userPassword;x-old:: e1NTSEF9eA==\n"),
    ("cn", b"a" * 72, b"cn: " + b"a" * 72 + b"\n"),
    ("cn", b"a" * 73, b"cn: " + b"a" * 72 + b"\n a\n"),
    ("cn", b"a" * 148, b"cn: " + b"a" * 72 + b"\n " + b"a" * 75 + b"\n a\n"),
]

names = st.from_regex(r"[a-z][a-zA-Z0-9]{0,12}(;lang-[a-z]{2})?", fullmatch=True).filter(
    lambda name: name.lower() not in {"dn", "version", "changetype", "control"}
)
values = st.lists(st.binary(max_size=200), min_size=1, max_size=4)
entries = st.dictionaries(names, values, min_size=1, max_size=5)
dns = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=120).map(
    lambda text: "cn=" + text.encode().hex() + ",o=x" + text.replace(",", "").replace("\\", "")
)


def parsed(text: bytes) -> list[tuple[str, dict[str, list[bytes]]]]:
    reader = ldif.LDIFRecordList(io.BytesIO(text))
    reader.parse()
    return list(reader.all_records)


@pytest.mark.parametrize(("name", "value", "line"), VALUES)
def test_a_value_is_base64_only_where_it_has_to_be(name: str, value: bytes, line: bytes) -> None:
    """Base64 is for what is no SAFE-STRING, for what readers trim and for passwords."""
    assert writer.attribute(name, value) == line


@pytest.mark.parametrize("name", ["", "c n", "cn\n", "cn:", "-", "größe"])
def test_a_name_can_not_bring_lines_of_its_own(name: str) -> None:
    """What is no attribute description is refused."""
    with pytest.raises(ValueError, match="not an attribute description"):
        writer.attribute(name, b"x")


def test_a_record_keeps_the_order_and_ends_with_an_empty_line() -> None:
    """Attributes and values stand as they are stored."""
    written = writer.record("o=x", {"o": [b"x"], "cn": [b"b", b"a"], "B": [], "a": [b"1"]})
    assert written == b"dn: o=x\no: x\ncn: b\ncn: a\na: 1\n\n"


def test_a_name_beyond_ascii_makes_a_base64_dn() -> None:
    """The DN follows the rules of the values."""
    assert writer.dn_line("cn=Zoë") == b"dn:: Y249Wm/Dqw==\n"
    assert writer.dn_line("") == b"dn:\n"


@given(dns, entries)
def test_what_is_written_is_read_back(dn: str, entry: dict[str, list[bytes]]) -> None:
    """Any bytes survive, read by another implementation."""
    text = writer.VERSION + writer.comment("x") + b"\n" + writer.record(dn, entry)
    assert parsed(text) == [(dn, entry)]


@given(dns, entries)
def test_no_line_is_longer_than_76_columns(dn: str, entry: dict[str, list[bytes]]) -> None:
    """Folding counts the blank that a continued line begins with."""
    assert max(map(len, writer.record(dn, entry).split(b"\n"))) <= 76


@given(st.lists(entries, max_size=8))
def test_remembering_changes_no_byte(several: list[dict[str, list[bytes]]]) -> None:
    """A formatter that has seen much writes the same as one that has seen nothing."""
    formatter = writer.Formatter()
    for entry in several * 2:
        assert formatter.record("o=x", entry) == writer.record("o=x", entry)


def test_values_are_not_mistaken_for_one_another() -> None:
    """What is remembered tells one value of two from two values."""
    formatter = writer.Formatter()
    for values in ([b"a\0b"], [b"a", b"b"], [b"a\nb"], [b"ab"], [b"b", b"a"]):
        assert formatter.record("o=x", {"cn": values}) == writer.record("o=x", {"cn": values})


def test_what_varies_is_not_remembered_for_ever() -> None:
    """Memory stays bounded; repeating attributes stay remembered, passwords never are."""
    formatter = writer.Formatter()
    for number in range(4000):
        entry = {"mail": [b"%d" % number], "c": [b"x"], "userPassword": [b"{SSHA}"]}
        formatter.record("o=x", entry)
    kept = {name: len(memo._blocks) for name, memo in formatter._caches.items()}
    assert kept == {"mail": 0, "c": 1, "userPassword": 0}


def test_names_without_number_are_not_remembered_either() -> None:
    """Attribute options are free text: a directory of them does not fill the memory."""
    formatter = writer.Formatter()
    for number in range(500):
        formatter.record("o=x", {f"cn;x-{number}": [b"x"]})
    assert len(formatter._caches) <= 64


def test_a_comment_is_readable() -> None:
    """Each line of the text is a line of the comment."""
    assert writer.comment("two\nlines, Zoë") == b"# two\n" + "# lines, Zoë\n".encode()
    assert writer.comment("") == b"#\n"


def test_a_long_comment_is_cut_between_characters() -> None:
    """No line is longer than 76 bytes, and each is valid UTF-8."""
    lines = writer.comment("é" * 100).splitlines()
    assert all(len(line) <= 76 and line.decode().startswith("# é") for line in lines)
    assert "".join(line.decode()[2:] for line in lines) == "é" * 100


@given(st.text())
def test_no_text_breaks_out_of_a_comment(text: str) -> None:
    """Whatever a comment quotes, every reader sees comments only."""
    written = writer.comment(text)
    assert written.endswith(b"\n")
    for line in written.decode().splitlines():
        assert line.startswith("#")
        assert line.isprintable()


@pytest.mark.parametrize("break_", ["\n", "\r", "\r\n", "\x0b", "\x85", "\u2028", "\x00"])
def test_line_breaks_of_every_kind_stay_inside_a_comment(break_: str) -> None:
    """A reader may know more line breaks than LDIF does."""
    written = writer.comment(f"x{break_}dn: o=x{break_} y").decode()
    assert all(line.startswith("# ") for line in written.splitlines())
