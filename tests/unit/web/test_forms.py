"""What clients send, read as one form."""

import json
from collections.abc import Mapping
from typing import Any

import falcon
import pytest
from falcon import testing
from hypothesis import given
from hypothesis import strategies as st

from iredldap.errors import InvalidParameter
from iredldap.http_errors import BodyTooLarge, UnsupportedMediaType
from iredldap.web import forms

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
MULTIPART = "multipart/form-data; boundary=B"
LARGEST = 10_000


def request(
    body: bytes = b"",
    content_type: str | None = None,
    query: str = "",
    headers: Mapping[str, str] | None = None,
) -> falcon.Request:
    headers = dict(headers or {})
    if content_type is not None:
        headers["Content-Type"] = content_type
    return testing.create_req(method="POST", body=body, query_string=query, headers=headers)


def parts(*fields: tuple[bytes, bytes]) -> bytes:
    head = b'--B\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    return b"".join(head % field for field in fields) + b"--B--\r\n"


FORMS: list[tuple[str | None, bytes, dict[str, list[str]]]] = [
    (FORM, b"", {}),
    (FORM, b"a=1&b=two+words&c=%C3%A9", {"a": ["1"], "b": ["two words"], "c": ["é"]}),
    (FORM, "c=é&ü=1".encode(), {"c": ["é"], "ü": ["1"]}),
    (FORM, "c=é%C3%A9".encode(), {"c": ["éé"]}),
    (FORM, b"a=&b", {"a": [""], "b": [""]}),
    (FORM, b"a=2&b=x&a=1", {"a": ["2", "1"], "b": ["x"]}),
    (FORM, b"a=1;b=2", {"a": ["1;b=2"]}),
    (FORM, b"a=x=y&&=z", {"a": ["x=y"], "": ["z"]}),
    (FORM, b"a=1,2%2C3", {"a": ["1,2,3"]}),
    (FORM, b"a=%00%0D%0A", {"a": ["\x00\r\n"]}),
    (f"{FORM}; charset=utf-8", "a=é".encode(), {"a": ["é"]}),
    (f"{FORM.upper()};Charset=UTF8", b"a=1", {"a": ["1"]}),
    (f'{FORM}; x=y; charset="utf-8"', b"a=1", {"a": ["1"]}),
    (None, "a=é&b=".encode(), {"a": ["é"], "b": [""]}),
    ("", b"a=1", {"a": ["1"]}),
    (None, b'{"a": 1}', {'{"a": 1}': [""]}),
    (
        MULTIPART,
        parts((b"a", "é\n".encode()), (b"b", b""), (b"a", b"2")),
        {"a": ["é\n", "2"], "b": [""]},
    ),
    (MULTIPART, parts(("ü".encode(), b"1")), {"ü": ["1"]}),
    (MULTIPART.replace("B", '"B"'), parts((b"a", b"1")), {"a": ["1"]}),
    (MULTIPART, b"--B--\r\n", {}),
    (JSON, b"{}", {}),
    (JSON, b' {"a": "x"} ', {"a": ["x"]}),
    (f"{JSON}; charset=utf-8", '{"ü": "é"}'.encode(), {"ü": ["é"]}),
    (JSON, b'{"a": "\\ud83d\\ude00"}', {"a": ["\U0001f600"]}),
    (
        JSON,
        b'{"a": 5, "b": -1, "c": 0, "d": 1.5}',
        {"a": ["5"], "b": ["-1"], "c": ["0"], "d": ["1.5"]},
    ),
    (JSON, b'{"a": true, "b": false}', {"a": ["yes"], "b": ["no"]}),
    (
        JSON,
        b'{"a": ["x", "y"], "b": [], "c": [1, true, ""]}',
        {"a": ["x", "y"], "b": [""], "c": ["1", "yes", ""]},
    ),
    (JSON, b'{"a": "", "b": null}', {"a": [""], "b": []}),
    (JSON, b'{"a": 1, "a": 2}', {"a": ["2"]}),
]


@pytest.mark.parametrize(("content_type", "body", "form"), FORMS)
def test_a_body_is_read(content_type: str | None, body: bytes, form: dict[str, list[str]]) -> None:
    """Blank values stay, repeated names are gathered, raw UTF-8 is as good as encoded."""
    assert forms.read(request(body, content_type), LARGEST) == form


JUNK = [
    (FORM, b"a=%FF"),
    (FORM, b"a=%ED%A0%80"),
    (FORM, "a=é".encode("latin-1")),
    (None, b"\xff\xfe"),
    (FORM, b"&".join([b"a=1"] * 1001)),
    (MULTIPART, b""" """),
    (MULTIPART, b"a=1"),
    (MULTIPART, parts((b"a", b"1"))[:-12]),
    (MULTIPART, parts((b"a", b"\xff"))),
    (MULTIPART, parts((b"\xff", b"1"))),
    ("multipart/form-data", parts((b"a", b"1"))),
    ("multipart/form-data; boundary=", parts((b"a", b"1"))),
    (JSON, b" "),
    (JSON, b"{"),
    (JSON, b"a=1"),
    (JSON, b'{"a": "\xff"}'),
    (JSON, b'\xef\xbb\xbf{"a": "x"}'),
    (JSON, b"[]"),
    (JSON, b'"a"'),
    (JSON, b"null"),
    (JSON, b'{"a": {"b": 1}}'),
    (JSON, b'{"a": [["b"]]}'),
    (JSON, b'{"a": [null]}'),
    (JSON, b'{"a": NaN}'),
    (JSON, b'{"a": -Infinity}'),
    (JSON, b'{"a": ' + b"9" * 5000 + b"}"),
    (JSON, b"[" * 9000),
    (JSON, b'{"a":' * 1500),
    (JSON, b'{"a": "\\ud83d"}'),
    (JSON, b'{"a": ["x", "\\ude00\\ud83d"]}'),
    pytest.param(JSON, b'{"\\ud83d": "x"}'),
    pytest.param(JSON, b'{"a": 1e999}'),
]


NUMBERS = [
    ("1.0", "1"),
    ("1e2", "100"),
    ("-1E+2", "-100"),
    ("12.50", "12.5"),
    ("0.5", "0.5"),
    ("5e-1", "0.5"),
    ("-0", "0"),
    ("-0.0", "0"),
    ("0e999", "0"),
    ("1e22", "1" + "0" * 22),
    ("12345678901234567890.1", "12345678901234567890.1"),
    ("9" * 308, "9" * 308),
]


@pytest.mark.parametrize(("number", "text"), NUMBERS)
def test_a_number_is_read_as_a_form_would_have_it(number: str, text: str) -> None:
    """Without an exponent, a whole one without a point, and none loses digits."""
    assert forms.read(request(f'{{"a": {number}}}'.encode(), JSON), LARGEST) == {"a": [text]}


@pytest.mark.parametrize(
    "number",
    ["9" * 309, "-" + "9" * 309, "9" * 4300, "9" * 4301, "1e308", "1e400", "-1e400", "1e-400",
     "1e99999999999999999999", "1e-99999999999999999999", "0." + "3" * 400],
)  # fmt: skip
@pytest.mark.parametrize("body", ['{"a": %s}', '{"a": ["x", %s]}'])
def test_a_number_that_nobody_means_is_refused(number: str, body: str) -> None:
    """It is named, like any other value that is none."""
    with pytest.raises(InvalidParameter) as caught:
        forms.read(request((body % number).encode(), JSON), 10**6)
    assert caught.value.parameters == ("a",)


@pytest.mark.parametrize(("content_type", "body"), JUNK)
def test_junk_is_refused(content_type: str | None, body: bytes) -> None:
    """Nothing of a body that cannot be read to its end is used."""
    with pytest.raises(InvalidParameter):
        forms.read(request(body, content_type), LARGEST)


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/octet-stream",
        "application/json-patch+json",
        "multipart/mixed; boundary=B",
        f"{FORM}; charset=iso-8859-1",
        f"{FORM}; charset=utf-16",
        "junk",
    ],
)
def test_other_types_are_refused(content_type: str) -> None:
    """Rather than guessed at."""
    with pytest.raises(UnsupportedMediaType):
        forms.read(request(b"a=1", content_type), LARGEST)


@pytest.mark.parametrize("content_type", ["text/plain", JSON, MULTIPART, "multipart/form-data"])
def test_without_a_body_its_type_does_not_matter(content_type: str) -> None:
    """Clients send one with every request."""
    assert forms.read(request(b"", content_type, "a=1"), LARGEST) == {"a": ["1"]}


@pytest.mark.parametrize(
    ("query", "form"),
    [
        ("", {}),
        ("a=1&a=2&b=", {"a": ["1", "2"], "b": [""]}),
        ("a=%C3%A9&b=x+y", {"a": ["é"], "b": ["x y"]}),
    ],
)
def test_a_query_string_is_a_form(query: str, form: dict[str, list[str]]) -> None:
    """On any method."""
    assert forms.read(request(query=query), LARGEST) == form


def test_raw_utf8_in_a_query_string_is_read() -> None:
    """WSGI hands it over as Latin-1."""
    raw = request()
    raw.env["QUERY_STRING"] = "a=é".encode().decode("latin-1")
    assert forms.read(raw, LARGEST) == {"a": ["é"]}
    raw.env["QUERY_STRING"] = "a=é"
    with pytest.raises(InvalidParameter):
        forms.read(raw, LARGEST)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (FORM, b"a=9"),
        (JSON, b'{"a": 9}'),
        (MULTIPART, parts((b"a", b"9"))),
    ],
)
def test_the_body_wins_over_the_query_string(content_type: str, body: bytes) -> None:
    """Name by name, all its values."""
    query = "a=1&a=2&b=3"
    assert forms.read(request(body, content_type, query), LARGEST) == {"a": ["9"], "b": ["3"]}


def test_a_body_may_be_as_large_as_configured() -> None:
    """And not a byte larger."""
    assert forms.read(request(b"a=12345678"), 10) == {"a": ["12345678"]}
    with pytest.raises(BodyTooLarge):
        forms.read(request(b"a=123456789"), 10)


class Endless:
    """A body without announced length."""

    def __init__(self) -> None:
        self.taken = 0

    def read(self, size: int) -> bytes:
        assert size >= 0
        self.taken += size
        return b"a" * size


def chunked(stream: Any) -> falcon.Request:
    raw = request(headers={"Transfer-Encoding": "Chunked"})
    environ = {k: v for k, v in raw.env.items() if k != "CONTENT_LENGTH"}
    return falcon.Request(environ | {"wsgi.input": stream})


def test_a_body_without_length_is_cut_off_at_the_limit() -> None:
    """No more is taken than shows that it is too large."""
    stream = Endless()
    with pytest.raises(BodyTooLarge):
        forms.read(chunked(stream), 1000)
    assert stream.taken == 1001


def test_a_body_in_chunks_is_read() -> None:
    """The server in front has put them together."""
    stream = request(b"a=1&b=2").stream
    assert forms.read(chunked(stream), LARGEST) == {"a": ["1"], "b": ["2"]}


def test_a_body_announced_too_large_is_not_read() -> None:
    """Its length is enough."""
    stream = Endless()
    environ = request(b"x").env | {"CONTENT_LENGTH": "1001", "wsgi.input": stream}
    with pytest.raises(BodyTooLarge):
        forms.read(falcon.Request(environ), 1000)
    assert stream.taken == 0


texts = st.text(max_size=10)


@given(st.dictionaries(texts, st.lists(texts, min_size=1, max_size=3), max_size=4))
def test_json_and_form_say_the_same(form: dict[str, list[str]]) -> None:
    """Whatever the texts are."""
    encoded = json.dumps(form).encode()
    raw = json.dumps(form, ensure_ascii=False).encode()
    assert forms.read(request(encoded, JSON), 10**6) == form
    assert forms.read(request(raw, JSON), 10**6) == form
    pairs = [(name, value) for name, values in form.items() for value in values]
    query = falcon.uri.encode_value
    body = "&".join(f"{query(name)}={query(value)}" for name, value in pairs).encode()
    assert forms.read(request(body, FORM), 10**6) == form


@given(st.binary(max_size=40), st.sampled_from([FORM, JSON, MULTIPART, None]))
def test_any_bytes_are_read_or_refused(body: bytes, content_type: str | None) -> None:
    """There is no other fault."""
    try:
        form = forms.read(request(body, content_type), LARGEST)
    except InvalidParameter:
        return
    assert all(form.values())


@pytest.mark.parametrize(
    ("header", "states"),
    [
        (None, ()),
        ("", ()),
        (" , ", ()),
        ("*", ("*",)),
        ('"20260101#0"', ("20260101#0",)),
        ('"a", "b" ,c', ("a", "b", "c")),
        ('W/"a"', ('W/"a"',)),
        ('""', ("",)),
        pytest.param('"*"', ('"*"',)),
    ],
)
def test_conditions_name_states(header: str | None, states: tuple[str, ...]) -> None:
    """A weak tag is equal to no state; one without quotes is forgiven."""
    assert forms.states(header) == states


@pytest.mark.parametrize(
    ("header", "strict"),
    [
        (None, False),
        ("", False),
        ("handling=strict", True),
        ("Handling = Strict", True),
        ('handling="strict"', True),
        ("respond-async, handling=strict; x=y", True),
        ("handling=lenient", False),
        ("handling", False),
        ("xhandling=strict", False),
        ("respond-async; handling=strict", False),
    ],
)
def test_a_client_may_prefer_strictness(header: str | None, strict: bool) -> None:
    """RFC 7240; any other preference is none of ours."""
    headers = {"Prefer": header} if header is not None else {}
    assert forms.is_strict(request(headers=headers)) is strict


@pytest.mark.parametrize(
    ("header", "asynchronous"),
    [
        (None, False),
        ("respond-async", True),
        ("Respond-Async", True),
        ('respond-async=""; x=y', True),
        ("handling=strict, respond-async", True),
        ("respond-async=no", False),
        ("wait=10", False),
        ("wait=10; respond-async", False),
    ],
)
def test_a_client_may_prefer_not_to_wait(header: str | None, asynchronous: bool) -> None:
    """RFC 7240, where an empty value is none, and what follows a semicolon is a parameter."""
    headers = {"Prefer": header} if header is not None else {}
    assert forms.is_asynchronous(request(headers=headers)) is asynchronous


@pytest.mark.parametrize("anything", ['{"b": [1]}', "null", "[null]", "[[1], {}]", "1e999", '"x"'])
def test_json_under_an_unknown_name_is_not_read(anything: str) -> None:
    """Answers have objects; under a name that means something one is refused."""
    body = f'{{"a": 1, "other": {anything}}}'.encode()
    assert forms.read(request(body, JSON), LARGEST, {"a"}) == {"a": ["1"], "other": [""]}
    if anything not in {'"x"', "null"}:
        with pytest.raises(InvalidParameter) as caught:
            forms.read(request(body, JSON), LARGEST, {"a", "other"})
        assert caught.value.parameter == "other"


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (None, False),
        ("*/*", False),
        ("text/html,application/xhtml+xml,*/*;q=0.8", False),
        ("text/ldif", True),
        ("TEXT/LDIF; charset=utf-8", True),
        ("text/ldif, */*", True),
        ("text/ldif, application/json", True),
        ("application/json, text/ldif", False),
        # As generated clients have it that can read both.
        ("application/json, text/ldif;q=0.9", False),
        ("application/json;q=0.5, text/ldif;q=0.9", True),
        ("text/ldif;q=0", False),
        ("text/ldif;q=high", True),
    ],
)
def test_another_form_of_the_answer_is_wanted(accept: str | None, wanted: bool) -> None:
    """By its name, and not where JSON is named before it or with more weight."""
    headers = {"Accept": accept} if accept else {}

    assert forms.wants(testing.create_req(headers=headers), "text/ldif") is wanted
