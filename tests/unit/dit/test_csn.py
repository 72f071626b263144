"""CSNs compare per server id, never across two of them."""

from datetime import UTC, datetime

import pytest

from iredldap.dit.csn import CsnVector, is_csn, server_id, time


def csn(second: int, sid: int, count: int = 0) -> str:
    return f"202611280412{second:02}.000001Z#{count:06x}#{sid:03x}#000000"


def test_parts_of_a_csn() -> None:
    assert server_id("20261128041222.123456Z#000000#0ff#000000") == 255
    assert time("20261128041222.123456Z#000000#001#000000") == datetime(
        2026, 11, 28, 4, 12, 22, 123456, tzinfo=UTC
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "20261128041222Z",
        "20261128041222.123456Z#000000#01#000000",
        "20261128041222.123456Z#000000#001#000000 ",
        "20261128041222.123456Z#000000#001#000000;",
        "\uff120261128041222.123456Z#000000#001#000000",
    ],
)
def test_what_is_no_csn_is_refused(text: str) -> None:
    assert not is_csn(text)
    for read in (server_id, time, CsnVector().includes):
        with pytest.raises(ValueError, match="no CSN"):
            read(text)
    if text:
        with pytest.raises(ValueError, match="no CSN"):
            CsnVector.of([text])


def test_a_vector_has_the_newest_csn_of_each_server() -> None:
    vector = CsnVector.of([csn(5, 2), csn(1, 1), csn(3, 1), csn(3, 1, 1), csn(2, 1)])
    assert vector.csns == (csn(3, 1, 1), csn(5, 2))
    assert vector.server_ids() == (1, 2)
    assert vector.of_server(2) == csn(5, 2)
    assert vector.of_server(3) is None


def test_the_order_of_values_does_not_matter_for_equality() -> None:
    assert CsnVector.of([csn(5, 2), csn(1, 1)]) == CsnVector.of([csn(1, 1), csn(5, 2)])
    assert CsnVector.of([csn(5, 2)]) != CsnVector.of([csn(5, 1)])
    upper = csn(1, 0xAB).replace("ab", "AB")
    assert CsnVector.of([upper]) == CsnVector.of([csn(1, 0xAB)])


def test_a_change_is_included_when_its_own_server_is_as_far() -> None:
    vector = CsnVector.of([csn(10, 1), csn(2, 2)])
    assert vector.includes(csn(2, 2))
    assert vector.includes(csn(9, 1))
    # Older than the newest CSN of all, and yet not part of the state.
    assert not vector.includes(csn(3, 2))
    assert not vector.includes(csn(1, 3)), "of a server that the vector does not know"


def test_a_state_covers_another_when_it_does_for_each_server() -> None:
    ours = CsnVector.of([csn(10, 1), csn(2, 2)])
    assert ours.covers(ours)
    assert ours.covers(CsnVector.of([csn(9, 1)]))
    assert ours.covers(CsnVector())
    assert not ours.covers(CsnVector.of([csn(1, 1), csn(3, 2)]))
    assert not ours.covers(CsnVector.of([csn(1, 3)]))
    assert not CsnVector()
    assert ours.with_newest([csn(3, 2), csn(1, 1)]).csns == (csn(10, 1), csn(3, 2))


def test_a_cookie_is_read() -> None:
    listed = f"{csn(10, 1)};{csn(2, 2)}"
    assert CsnVector.of_cookie(f"rid=001,sid=002,csn={listed}").csns == (csn(10, 1), csn(2, 2))
    assert CsnVector.of_cookie(f"csn={listed}").csns == (csn(10, 1), csn(2, 2))
    assert CsnVector.of_cookie("rid=000,sid=001") == CsnVector()
    assert CsnVector.of_cookie("") == CsnVector()
    with pytest.raises(ValueError, match="no CSN"):
        CsnVector.of_cookie("rid=000,csn=17")
