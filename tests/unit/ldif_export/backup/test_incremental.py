"""What an export of format 1, with one CSN for all servers, is known to have."""

from dataclasses import replace
from datetime import timedelta

import pytest

from ldif_export.backup import incremental
from ldif_export.manifest import ExportMode, Manifest

LAST = "20260102000010.500000Z#000007#001#000003"
EARLIER = Manifest(
    format=1,
    mode="fuzzy",
    suffix="dc=x",
    selections=("all",),
    passwords=True,
    began="2026-01-02T01:00:00+00:00",
    ended="2026-01-02T01:00:05+00:00",
    entries=1,
    kinds={},
    first_csn=LAST,
    last_csn=LAST,
    size=1,
    sha256="",
)


@pytest.mark.parametrize(
    ("mode", "last", "overlap", "known"),
    [
        ("fuzzy", None, 0, ()),
        ("exact", LAST, 300, (LAST,)),
        ("fuzzy", LAST, 0, ("20260102000004.500000Z#000000#001#000000",)),
        ("fuzzy", LAST, 300, ("20260101235504.500000Z#000000#001#000000",)),
    ],
)
def test_known_states(
    mode: ExportMode, last: str | None, overlap: int, known: tuple[str, ...]
) -> None:
    """The last state seen, less the time that the export took, whatever our own clock says."""
    earlier = replace(EARLIER, mode=mode, last_csn=last)

    assert incremental.known_state(earlier, timedelta(seconds=overlap)).csns == known


def test_nothing_is_known_of_other_servers_or_of_lists_that_have_entrycsns() -> None:
    exact = replace(EARLIER, mode="exact")

    assert not incremental.known_state(exact).includes(LAST.replace("#001#", "#002#"))
    assert not incremental.known_state(replace(exact, format=2))
