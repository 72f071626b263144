"""Tags, lengths and messages: written and read again, and refused where they are none."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from iredldap.errors import InternalError
from ldif_export.protocol import ber, filters, messages
from ldif_export.protocol.ber import OCTETS, SEQUENCE, SET, MalformedReply, encoded, encoded_number
from tests.unit.ldif_export.readers import server

contents = st.one_of(
    st.binary(max_size=300), st.sampled_from([127, 128, 255, 256, 65535, 65536]).map(bytes)
)


def long_form(tag: int, content: bytes, size: int) -> bytes:
    """Write an element with a length of so many bytes, needed or not."""
    return bytes((tag, 0x80 | size)) + len(content).to_bytes(size, "big") + content


@given(st.sampled_from([OCTETS, SEQUENCE, SET, 0x64]), contents)
def test_an_element_reads_as_it_was_written(tag: int, content: bytes) -> None:
    """In its shortest form and in every longer one."""
    for data in (encoded(tag, content), *(long_form(tag, content, n) for n in (3, 4, 8))):
        found = ber.element(b"?" + data, 1, len(data) + 1)
        assert found.tag == tag
        assert (b"?" + data)[found.start : found.end] == content
        assert ber.header(data, 0, len(data)) == (tag, found.start - 1, found.end - 1)


@given(st.integers(-(2**63), 2**63 - 1))
@example(0)
@example(-1)
@example(127)
@example(128)
@example(-128)
@example(-129)
def test_a_number_reads_as_it_was_written(value: int) -> None:
    """Negative ones too."""
    data = encoded_number(value)
    assert ber.number(ber.INTEGER, data, 0, len(data)) == (value, len(data))


@given(contents, st.data())
def test_what_has_not_arrived_is_awaited(content: bytes, data: st.DataObject) -> None:
    """As many bytes are said to be missing as are, once the length is known; never too many."""
    whole = encoded(SEQUENCE, content)
    there = data.draw(st.integers(0, len(whole)))
    missing = messages.missing_bytes(whole[:there], 0)
    assert missing in {1, len(whole) - there}
    assert (missing == 0) == (there == len(whole))


@pytest.mark.parametrize(
    "data",
    [
        b"\x30\x80\x00\x00",
        b"\x30\xff\x00",
        b"\x30\x89" + bytes(9),
        b"\x30\x84\x10\x00\x00\x01",
        b"\x30\x88\x7f" + bytes(7),
        b"\x02\x01\x01",
        b"HTTP/1.1 400 Bad Request",
    ],
)
def test_what_is_no_message_is_not_awaited(data: bytes) -> None:
    """Lengths that LDAP does not have, those beyond all reason, and other protocols."""
    with pytest.raises(MalformedReply):
        messages.missing_bytes(data, 0)


def test_the_largest_message_is_awaited() -> None:
    """A value of many megabytes is no reason to refuse."""
    head = b"\x30\x84" + messages.LARGEST_MESSAGE.to_bytes(4, "big")
    assert messages.missing_bytes(head, 0) == messages.LARGEST_MESSAGE


def test_an_error_of_the_server_is_our_failure() -> None:
    """It is answered like everything nobody foresaw."""
    assert issubclass(MalformedReply, InternalError)


@given(st.integers(0, 127), st.binary(max_size=20), st.binary(max_size=300))
def test_a_message_reads_as_it_was_written(number: int, controls: bytes, content: bytes) -> None:
    """Its number, its operation, and whatever stands behind."""
    said = encoded(messages.SEARCH_ENTRY, content)
    data = server.message(said, number, encoded(0xA0, controls))
    found = messages.message(data, 0)
    assert (found.number, found.operation, found.after) == (number, 0x64, len(data))
    assert data[found.start : found.end] == content


@given(st.text("abc;-", max_size=9), st.lists(contents, max_size=3))
def test_an_attribute_reads_as_it_was_written(name: str, values: list[bytes]) -> None:
    """Without values too."""
    assert messages.attribute(server.attribute(name, values)) == (name.encode(), values)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_message_or_an_error(data: bytes) -> None:
    """Nothing else is raised."""
    for read in (
        lambda: messages.missing_bytes(data, 0),
        lambda: messages.head(data, messages.message(data, 0)),
        lambda: messages.result(data, messages.message(data, 0)),
        lambda: messages.attribute(data),
    ):
        try:
            read()
        except MalformedReply:
            continue


@given(st.data())
def test_a_damaged_attribute_is_an_attribute_or_an_error(data: st.DataObject) -> None:
    """One wrong byte anywhere."""
    whole = bytearray(server.attribute("description", [b"one", b"", b"x" * 200]))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] = data.draw(st.integers(0, 255))
    try:
        messages.attribute(bytes(whole))
    except MalformedReply:
        return


def test_a_search_says_all_that_it_has_to() -> None:
    """Byte by byte, as `ldapsearch -z max` sends it."""
    said = messages.search(2, "o=x", 2, filters.encode("(cn=*)"), ("*", "entryCSN"))
    assert said == bytes.fromhex(
        "304c 020102 632a 04036f3d78 0a0102 0a0100 02047fffffff 020100 010100 8702636e"
        "300d 04012a 0408656e74727943534e"
        "a01b 3019 0417"
    ) + (b"2.16.840.1.113730.3.4.2")


def test_other_requests_say_what_they_have_to() -> None:
    """Byte by byte."""
    assert messages.simple_bind(1, "o=x", "p") == bytes.fromhex(
        "3010 020101 600b 020103 04036f3d78 800170"
    )
    assert messages.external_bind(1) == (
        bytes.fromhex("3018 020101 6013 020103 0400 a30c 0408") + b"EXTERNAL" + b"\x04\x00"
    )
    assert messages.start_tls(1) == bytes.fromhex("301d 020101 7718 8016") + (
        b"1.3.6.1.4.1.1466.20037"
    )
    assert messages.abandon(3, 2) == bytes.fromhex("3006 020103 500102")
    assert messages.unbind(4) == bytes.fromhex("3005 020104 4200")


FILTERS = [
    ("(cn=x)", "a3 07 0402636e 040178"),
    ("(cn=)", "a3 06 0402636e 0400"),
    ("(cn;lang-de=x)", "a3 0f 040a636e3b6c616e672d6465 040178"),
    ("(cn=\\2a\\28\\29\\5c\\00)", "a3 0b 0402636e 04052a28295c00"),
    ("(cn=ü)", "a3 08 0402636e 0402c3bc"),
    ("(cn=*)", "87 02636e"),
    ("(cn=a*)", "a4 09 0402636e 3003 800161"),
    ("(cn=a*b**c)", "a4 0f 0402636e 3009 800161 810162 820163"),
    ("(cn=*b)", "a4 09 0402636e 3003 820162"),
    ("(cn>=x)", "a5 07 0402636e 040178"),
    ("(cn<=x)", "a6 07 0402636e 040178"),
    ("(cn~=x)", "a8 07 0402636e 040178"),
    ("(!(cn=*))", "a2 04 8702636e"),
    ("(&)", "a0 00"),
    ("(&(cn=*)(|(sn=*)(cn=x)))", "a0 13 8702636e a1 0d 8702736e a307 0402636e 040178"),
]


@pytest.mark.parametrize(("text", "written"), FILTERS)
def test_a_filter_is_what_the_directory_reads(text: str, written: str) -> None:
    """Every kind but extensible matches."""
    assert filters.encode(text) == bytes.fromhex(written)


@pytest.mark.parametrize(
    "text",
    [
        *("", "cn=x", "(cn=x", "(cn=x))", "(cn)", "(=x)", "(cn=x)(cn=y)", "(cn=a(b)", "(!cn=x)"),
        *("(cn=\\)", "(cn=\\4)", "(cn=\\xy)", "(cn=\0)", "(cn:=x)", "(c n=x)", "(&cn=x)"),
        "(!" * 1000 + "(cn=x)" + ")" * 1000,
    ],
)
def test_what_is_no_filter_is_refused(text: str) -> None:
    """Nothing is searched for that was not meant."""
    with pytest.raises(filters.UnsupportedFilter):
        filters.encode(text)


@given(st.text(max_size=30))
def test_any_text_is_a_filter_or_an_error(text: str) -> None:
    """Nothing else is raised."""
    for one in (text, f"({text})", f"(cn={text})"):
        try:
            filters.encode(one)
        except filters.UnsupportedFilter:
            continue
