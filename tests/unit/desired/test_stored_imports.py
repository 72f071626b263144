"""Imports that are stored: how often their reports are."""

import base64
import json
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, cast

import pytest

from iredldap.desired import imports
from iredldap.desired.batches import ROWS as TOGETHER
from iredldap.desired.batches import Batches
from iredldap.desired.rows import Outcome, UserRow
from iredldap.errors import InvalidMail

ROWS = 5_000


def test_a_report_is_stored_more_rarely_the_larger_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written for a file of refused rows grows with the file, not with its square."""

    def refused(_: Batches, rows: Sequence[UserRow], *__: Any) -> Iterator[list[Outcome]]:
        for start in range(0, len(rows), TOGETHER):
            part = rows[start : start + TOGETHER]
            yield [Outcome(row, "refused", row.refusal) for row in part]

    monkeypatch.setattr(imports, "_expecting", refused)
    why = [[*InvalidMail("x").codes], ["address"], "no address"]
    rows = [{"line": n, "mail": "", "cells": [""], "refusal": why} for n in range(2, ROWS + 2)]
    written = {"columns": ["address"], "preset": None, "left_out": [], "has_header": True}
    packed = zlib.compress(json.dumps(written | {"rows": rows}).encode())
    stored: list[tuple[int, int, str]] = []
    report = imports.run_stored(
        base64.b64encode(packed).decode(),
        cast("Batches", None),
        "",
        lambda *reached: stored.append(reached),
        has_details=True,
    )
    assert report["refused"] == ROWS
    assert stored[-1][:2] == (ROWS, ROWS)
    sizes = [len(reached) for _, _, reached in stored]
    assert sum(sizes) < 10 * sizes[-1]
