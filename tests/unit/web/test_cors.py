"""What pages of other origins may read of an answer."""

import re
from pathlib import Path
from typing import Any

from iredldap.web import cors
from iredldap.web.openapi.document import document

ROOT = Path(__file__).parents[3]


def headers(described: Any) -> set[str]:
    """All headers that answers are described with."""
    if isinstance(described, list):
        return set().union(*map(headers, described))
    if not isinstance(described, dict):
        return set()
    own = {*described["headers"]} if isinstance(described.get("headers"), dict) else set()
    return own.union(*map(headers, described.values()))


def test_pages_may_read_every_header_of_an_answer() -> None:
    paths = document("iredldap")["paths"]
    answers = [call["responses"] for path in paths.values() for call in path.values()]
    read = {name.strip() for name in cors.SHOWN.split(",")}
    named = headers(answers) - {"Set-Cookie"}

    assert {"ETag", "X-Dry-Run"} <= named
    assert named <= read


def test_so_they_may_those_of_the_table_in_the_reference() -> None:
    """Some answers have headers that no endpoint names, because the state of a server decides."""
    page = (ROOT / "docs" / "api.md").read_text("utf-8")
    table = page.partition("\n## Headers\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.*?) \| (?:answer|both) \|", table, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([\w-]+)`", row)}

    assert {"Warning", "X-Served-By"} <= named
    assert named <= {name.strip() for name in cors.SHOWN.split(",")}
