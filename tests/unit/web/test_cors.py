"""What pages of other origins may read of an answer."""

from typing import Any

from iredldap.web import cors
from iredldap.web.openapi.document import document


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
