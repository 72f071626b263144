"""From which state on an increment looks for changes."""

from dataclasses import replace
from datetime import timedelta

import pytest

from ldif_export.backup import incremental
from ldif_export.manifest import ExportMode, Manifest

LAST = "20260102000010.500000Z#000007#001#000003"
EARLIER = Manifest(
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
    ("mode", "last", "overlap", "state"),
    [
        ("fuzzy", None, 0, None),
        ("exact", LAST, 300, LAST),
        ("fuzzy", LAST, 0, "20260102000004.500000Z#000000#000#000000"),
        ("fuzzy", LAST, 300, "20260101235504.500000Z#000000#000#000000"),
    ],
)
def test_safe_states(mode: ExportMode, last: str | None, overlap: int, state: str | None) -> None:
    """The last state seen, less the time that the export took, whatever our own clock says."""
    earlier = replace(EARLIER, mode=mode, last_csn=last)

    assert incremental.safe_state(earlier, timedelta(seconds=overlap)) == state
