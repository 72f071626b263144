"""From the bytes of an entry to LDIF, in every way that there is."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from iredldap.ldif import writer
from ldif_export.protocol import messages
from ldif_export.protocol.ber import MalformedReply, element
from ldif_export.readers import attribute_cache
from ldif_export.readers.attribute_cache import AttributeCache, EntryBuffer
from ldif_export.readers.base import Batch
from tests.unit.ldif_export.readers.server import Entry, attribute, entry

NUMBER = 7
VALUES = (
    *(b"", b"Ada", b" Ada", b"Ada ", b":Ada", b"<Ada", b"#Ada", b"A da", b"\tAda", b"A\x00da"),
    *(b"A\nda", b"A\rda", "Zoë".encode(), b"\xff\xfe", b"a:b<c", b"x" * 55, b"x" * 56, b"x" * 57),
    *(b"x" * 66, b"x" * 67, b"x" * 115, b"x" * 116, b"x" * 117, b"x y" * 38, b"\xc3\xa9" * 50),
    *(b"x" * 127, b"x" * 300, b"x y" * 400, bytes(range(256)) * 300, b"%b %d"),
)
NAMES = ("cn", "cn;lang-de", "userPassword", "description", "1.2.3", "x" * 73, "x" * 75, "x" * 90)

values = st.one_of(
    st.sampled_from(VALUES), st.binary(max_size=300), st.text(max_size=60).map(str.encode)
)
entries = st.tuples(
    st.text(max_size=200),
    st.dictionaries(st.sampled_from(NAMES), st.lists(values, max_size=3), max_size=4),
)
alike = st.tuples(
    st.text("ab ,=ü", max_size=80), st.dictionaries(st.sampled_from(NAMES), st.tuples(values))
).map(lambda one: (one[0], {name: list(several) for name, several in one[1].items()}))


def read(cache: AttributeCache, data: bytes, *, marked: bool = False) -> EntryBuffer:
    """Write messages as the reader does: fast where it can be, slowly else."""
    found = EntryBuffer(seen=[] if marked else None)
    at = 0
    while at < len(data):
        at = cache.entries(data, at, NUMBER, found)
        if at < len(data):
            message = messages.message(data, at)
            cache.entry(data, messages.head(data, message), found)
            at = message.after
    return found


def written(cache: AttributeCache, data: bytes) -> bytes:
    return b"".join(read(cache, data).parts)


def said(*several: Entry) -> bytes:
    return b"".join(entry(*one, number=NUMBER) for one in several)


def expected(*several: Entry) -> bytes:
    return b"".join(writer.record(*one) for one in several)


def everything(_name: str) -> bool:
    return True


@pytest.mark.parametrize("most", [0, 1, 1500])
@given(st.lists(entries, max_size=4), st.lists(alike, max_size=4))
def test_entries_are_written_as_the_writer_does(
    most: int, several: list[Entry], single: list[Entry]
) -> None:
    """The first time, when they are remembered, and when memory is full."""
    cache = AttributeCache(everything, most_blocks=most)
    together = [*several, *single]
    for _ in range(3):
        assert written(cache, said(*together)) == expected(*together)


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("name", NAMES)
def test_a_value_that_varies_is_written_as_the_writer_does(name: str, value: bytes) -> None:
    """Another value of the same length was there before, and is not mistaken for this one."""
    cache = AttributeCache(everything, most_blocks=0)
    for one in (b"y" * len(value), value, b"y" * len(value), value, b"z " * (len(value) // 2)):
        assert written(cache, said(("o=x", {name: [one]}))) == expected(("o=x", {name: [one]}))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("letter", [b"x", b"\xfc", b":"])
def test_a_value_is_folded_as_the_writer_does(name: str, letter: bytes) -> None:
    """Of every length at which it fits into one line, two or three, or just does not."""
    cache = AttributeCache(everything, most_blocks=0)
    for size in range(1, 240):
        one: Entry = ("o=x", {name: [letter * size]})
        for _ in range(2):
            assert written(cache, said(one)) == expected(one)


@pytest.mark.parametrize("size", [1, 68, 69, 72, 73, 140, 144, 145, 147, 148, 200, 70_000])
@pytest.mark.parametrize("letter", ["x", "ü", " "])
def test_a_dn_is_written_as_the_writer_does(size: int, letter: str) -> None:
    """Of every length at which folding changes, plain and not."""
    one = ("o=" + letter * size, {"o": [b"x"]})
    assert written(AttributeCache(everything), said(one)) == expected(one)


def test_an_entry_without_attributes_is_a_dn() -> None:
    """Nothing that may be read is left."""
    assert written(AttributeCache(everything), said(("o=x", {}), ("", {}))) == b"dn: o=x\n\ndn:\n\n"


@given(st.lists(alike, min_size=1, max_size=3), st.booleans())
def test_what_is_not_kept_is_left_out(several: list[Entry], repeats: bool) -> None:
    """However often it comes, and whatever its value is."""
    cache = AttributeCache(lambda name: name != "cn", most_blocks=1500 if repeats else 0)
    kept = [
        (dn, {name: held for name, held in attributes.items() if name != "cn"})
        for dn, attributes in several
    ]
    for _ in range(3):
        assert written(cache, said(*several)) == expected(*kept)


@pytest.mark.parametrize("size", [0, 300])
@pytest.mark.parametrize("most", [0, 1500])
def test_what_is_watched_comes_with_its_entry(most: int, size: int) -> None:
    """Its values, options or not, as often as they come; kept or not; in both ways of writing."""
    cache = AttributeCache(lambda name: name != "entryCSN", frozenset({"cn", "entrycsn"}), most)
    more = {"description": [b"d" * size]}
    several: list[Entry] = [
        ("o=a", {"cn": [b"x", b"y"], "CN;lang-de": [b"z"], "entryCSN": [b"1"], **more}),
        ("o=b", {"entryCSN": [b"2"], **more}),
        ("o=c", {"cn": [b"x"], **more}),
        ("o=d", more),
    ]
    for _ in range(3):
        found = read(cache, said(*several), marked=True)
        assert found.seen == [
            {"cn": [b"x", b"y", b"z"], "entrycsn": [b"1"]},
            {"entrycsn": [b"2"]},
            {"cn": [b"x"]},
            {},
        ]
        assert b"entryCSN" not in b"".join(found.parts)


def test_what_nobody_takes_is_not_kept() -> None:
    """Watched or not."""
    cache = AttributeCache(everything, frozenset({"cn"}))
    for n in range(100):
        read(cache, said(("o=x", {"cn": [b"%d" % n], "description": [b"d" * 300]})))
    assert cache._seen == {"cn": [b"99"]}


def test_entries_can_be_distinguished() -> None:
    """Each is found again among the pieces, in both ways of writing."""
    several: list[Entry] = [(f"o={n}", {"cn": [b"x" * 50 * n]}) for n in range(9)]
    found = read(AttributeCache(everything), said(*several), marked=True)
    assert found.seen == [{}] * 9
    apart = [*Batch(found.parts, found.dns).split()]
    assert [record.text for record in apart] == [expected(one) for one in several]
    assert [record.dn for record in apart] == [dn for dn, _ in several]


@pytest.mark.parametrize("size", [200, 300, 70_000])
def test_the_fast_way_takes_what_slapd_sends(size: int) -> None:
    """Of the entries that fit, every one; none of another search, and none that is not whole."""
    several: list[Entry] = [("o=x", {"cn": [b"x" * size]})] * 3
    data = said(*several)
    found = EntryBuffer()
    one = len(data) // 3
    fits = 256 < size < 65_000
    assert AttributeCache(everything).entries(data, 0, NUMBER, found) == (len(data) if fits else 0)
    assert AttributeCache(everything).entries(data, 0, NUMBER + 1, found) == 0
    assert AttributeCache(everything).entries(data[:-1], 0, NUMBER, found) == (
        2 * one if fits else 0
    )


@pytest.mark.parametrize("name", ["", "c n", "cn\n", "cn:", "größe"])
def test_a_name_can_not_bring_lines_of_its_own(name: str) -> None:
    """What is no attribute description is refused."""
    with pytest.raises(MalformedReply):
        written(AttributeCache(everything), said(("o=x", {name: [b"x"]})))


def test_a_dn_that_is_no_text_is_refused() -> None:
    """It would be base64, and mean nothing."""
    data = said(("o=xyz", {"cn": [b"x"]})).replace(b"o=xyz", b"o=\xff\xfez")
    with pytest.raises(MalformedReply):
        written(AttributeCache(everything), data)


def reference(data: bytes) -> bytes:
    """Write messages by the plain functions alone."""
    text = b""
    at = 0
    while at < len(data):
        message = messages.message(data, at)
        dn, start, end = messages.head(data, message)
        parts = [writer.dn_line(dn.decode())]
        while start < end:
            after = element(data, start, end).end
            name, held = messages.attribute(data[start:after])
            parts += [writer.attribute(name.decode("ascii"), value) for value in held]
            start = after
        text += b"".join(parts) + b"\n"
        at = message.after
    return text


ORDINARY: list[Entry] = [
    (f"mail=u{n}@a.test,ou=Users,o=x", {
        "objectClass": [b"inetOrgPerson", b"mailUser"],
        "mail": [f"u{n}@a.test".encode()],
        "userPassword": [b"{SSHA512}" + b"%096d" % n],
        "enabledService": [b"service%d" % service for service in range(34)],
        "homeDirectory": [b"/var/vmail/vmail1/a.test/u/%d-2026.01.02.03.04.05/x" % n],
    })
    for n in range(10, 13)
]  # fmt: skip


@settings(max_examples=400)
@given(st.data())
def test_a_damaged_entry_is_refused_or_read_as_it_stands(data: st.DataObject) -> None:
    """One wrong byte anywhere: fast and plain reading agree on what that means."""
    most, samples = data.draw(st.sampled_from([(0, 64), (2, 64), (1500, 64), (1500, 2)]))
    cache = AttributeCache(everything, most_blocks=most, samples=samples)
    whole = bytearray(said(*ORDINARY))
    assert written(cache, bytes(whole)) == written(cache, bytes(whole)) == reference(bytes(whole))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] = data.draw(st.integers(0, 255))
    try:
        plain = reference(bytes(whole))
    except (MalformedReply, ValueError):
        with pytest.raises(MalformedReply):
            written(cache, bytes(whole))
    else:
        assert written(cache, bytes(whole)) == plain


@settings(max_examples=400)
@given(st.data())
def test_damaged_attributes_are_refused_or_read_as_they_stand(data: st.DataObject) -> None:
    """The same where only what is inside an entry is damaged, in several places."""
    most, samples = data.draw(st.sampled_from([(0, 64), (2, 64), (1500, 64), (1500, 2)]))
    cache = AttributeCache(everything, most_blocks=most, samples=samples)
    written(cache, said(*ORDINARY, *ORDINARY))
    listed = bytearray(b"".join(attribute(*one) for one in ORDINARY[0][1].items()))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(listed) - 1))
        listed[at] = data.draw(st.one_of(st.integers(0, 255), st.sampled_from([4, 48, 49, 128])))
    whole = said(ORDINARY[0])
    prefix = whole[: len(whole) - len(listed)]
    damaged = prefix + bytes(listed)
    try:
        plain = reference(damaged)
    except (MalformedReply, ValueError):
        with pytest.raises(MalformedReply):
            written(cache, damaged)
    else:
        assert written(cache, damaged) == plain


def test_memory_is_bounded() -> None:
    """Names, blocks and starts: neither many nor large ones are remembered for ever."""
    cache = AttributeCache(everything)
    for n in range(3000):
        few: Entry = (f"o={n}", {"cn": [b"%06d" % n], "description": [b"%d" % n * 900]})
        many: Entry = (f"o={n}", {f"x-{n}": [b"x"], f"y-{n}": [b"y" * (n % 100)]})
        written(cache, said(few, many))
    assert (
        sum(map(len, [*cache._blocks, *cache._blocks.values()])) < 2 * attribute_cache._MOST_BYTES
    )
    assert len(cache._attributes) == attribute_cache._MOST_NAMES
    assert len(cache._blocks) < 1500 + 300 + 2 * attribute_cache._MOST_NAMES
    assert len(cache._lines) < 128 * attribute_cache._MOST_NAMES


@example([b"secret"])
@given(st.lists(st.binary(min_size=1, max_size=100), min_size=1, max_size=3))
def test_passwords_are_not_remembered(held: list[bytes]) -> None:
    """Neither as keys nor as text."""
    cache = AttributeCache(everything)
    for _ in range(2):
        written(cache, said(("o=x", {"userPassword": held})))
    assert not cache._blocks
    assert not cache._samples
