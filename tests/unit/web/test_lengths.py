"""The length of values: every row of every endpoint has an upper one."""

import pytest

from iredldap.dit.fields import Field
from iredldap.dit.form_parser import parse
from iredldap.errors import Refusal
from iredldap.web.endpoints.index import ENDPOINTS

_NATURAL = 320
"""Characters of the longest address; names of services, domains and headers are shorter."""

_HEADER_LINE = 998
_LONG = 70_000
_A = "a" * _LONG
CANDIDATES = [
    _A,
    "\N{LATIN SMALL LETTER E WITH ACUTE}" * _LONG,
    "1" * _LONG,
    f"{'a' * 64}@{_A}.test",
    f"{_A}@a.test",
    f"@{_A}.test",
    "a." * _LONG + "test",
    f"/{_A}/",
    f"/a{'/a' * _LONG}/",
    f"smtp:[{_A}]:25",
    f"[{'a.' * _LONG}test]:25",
    f"{{SSHA512}}{_A}",
    f"{{CRYPT}}$y${_A}${'a' * 43}",
    f"cn={_A}",
    f"X-A: {_A}",
    f"{_A}: b",
    "2001:db8::" + "1" * _LONG,
    f"1.2.3.4/{'1' * _LONG}",
    " " * _LONG,
    f"x{' ' * _LONG}",
    "a\n" * _LONG,
]
ROWS = {(row.name, id(row.kind)): row for endpoint in ENDPOINTS for row in endpoint.table}


def accepted(row: Field, text: str) -> tuple[str, ...]:
    """Values that a row makes of a text; none if it refuses it."""
    alone = row.but(required=False, required_with=(), conflicts_with=())
    try:
        parsed = parse((alone,), {row.name: [text]})
    except Refusal:
        return ()
    return tuple(value for change in parsed.changes for value in change.values)


@pytest.mark.parametrize("row", ROWS.values(), ids=lambda row: f"{row.name}-{row.kind.type}")
def test_no_value_is_longer_than_said(row: Field) -> None:
    """Refused or dropped; of passwords the rules for passwords tell."""
    if row.kind.type == "password":
        return
    most = row.kind.longest
    if row.kind.type == "csv_headers":
        most = _HEADER_LINE
    for candidate in CANDIDATES:
        values = accepted(row, candidate)
        joined = row.kind.separator.join(values)
        longest = len(joined) if row.kind.longest else max(map(len, values), default=0)
        assert longest <= (most or _NATURAL), candidate[:40]


@pytest.mark.parametrize(
    "row",
    [row for row in ROWS.values() if row.kind.longest],
    ids=lambda row: f"{row.name}-{row.kind.type}",
)
def test_a_value_may_be_as_long_as_said(row: Field) -> None:
    """And not by one character longer."""
    most = row.kind.longest
    assert most
    word = filling(row, most)
    assert len(word) == most
    assert "".join(accepted(row, word))
    assert not accepted(row, filling(row, most + 1))


def filling(row: Field, length: int) -> str:
    """A good value of this length."""
    match row.kind.type:
        case "transport":
            return f"smtp:x/{'a' * (length - 7)}"
        case "ip_or_host" | "relay":
            labels = ".".join(["a" * 50] * 4)
            host = f"{'b' * (length - len(labels) - 4)}.{labels}"
            return f"{host}:25"
        case "path":
            return f"/{'a' * (length - 2)}/"
        case "csv_strings":
            return ",".join(["a" * 31, "b" * (length - 32)])
        case _ if row.name == "old_suffix":
            return f"cn={'a' * (length - 3)}"
        case _:
            return "a" * length
