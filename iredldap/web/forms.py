"""Read query string, form, multipart or JSON into one form.

Falcon's own readers are not used for bodies: they refuse raw UTF-8, and read a body without a
type as JSON, while existing clients send forms in both ways.
"""

import io
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from decimal import Decimal, InvalidOperation
from typing import IO, Any
from urllib.parse import parse_qsl

import falcon
from falcon.media import MultipartFormHandler
from gunicorn.http.errors import ParseException

from iredldap.errors import InvalidParameter, MissingParameter
from iredldap.http_errors import BodyTooLarge, RequestTimeout, UnsupportedMediaType

_MOST_FIELDS = 1000
_LONGEST_NUMBER = 308
_PIECE = 256 * 1024
_ITEM = re.compile(r"\[[0-9]{0,9}\]\Z")
_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"
_TOO_LARGE = object()
_UTF8 = {"", "utf-8", "utf8", "us-ascii"}

Form = dict[str, list[str]]


def read(request: falcon.Request, largest: int, known: Collection[str] | None = None) -> Form:
    """Read all parameters of a request; a name in the body wins over the query string.

    Args:
        request: The request.
        largest: Most bytes of a body.
        known: Names of the endpoint's parameters. In JSON, the value of another name may be of any
            type, as in the answer of a read, and counts as empty. None: all names are known.

    Raises:
        BodyTooLarge, UnsupportedMediaType, InvalidParameter: As the body is.
    """
    sent = query(request)
    body = b"".join(_body(request, largest))
    # A body without bytes is none, whatever its type says: clients send a type with every request.
    return sent | _decoded(body, request.content_type or "", known) if body else sent


def query(request: falcon.Request) -> Form:
    """Read the parameters of the query string alone.

    Raises:
        InvalidParameter: If it cannot be read.
    """
    sent = request.env.get("QUERY_STRING", "")
    return _gathered(_pairs(sent.encode("latin-1"))) if sent else {}


def save_file(
    request: falcon.Request,
    largest: int,
    target: IO[bytes],
    refuse: Callable[[str], None] = lambda _: None,
) -> None:
    """Write a file that was sent, as the body or as a part of a multipart form, piece by piece.

    Args:
        request: Its parameters are in the query string. A body with the type of a plain form is the
            file all the same: curl sends any file with that type.
        largest: Most bytes of the body.
        target: File to write to.
        refuse: Called with the name of each part that is no file, to refuse what must not be
            ignored.

    Raises:
        BodyTooLarge: If it is larger.
        InvalidParameter: If the form cannot be read.
        MissingParameter: If there is no file, or an empty one.
    """
    if (request.content_type or "").lower().startswith("multipart/form-data"):
        _save_part(request, largest, target, refuse)
    else:
        target.writelines(_body(request, largest))
    if not target.tell():
        raise MissingParameter("no file was sent, or an empty one", parameter="file")


def _save_part(
    request: falcon.Request, largest: int, target: IO[bytes], refuse: Callable[[str], None]
) -> None:
    """Write the first file of a multipart form."""
    # On disk: the parser of multipart forms needs to seek, and the file may have gigabytes.
    with tempfile.TemporaryFile() as whole:
        whole.writelines(_body(request, largest))
        size = whole.tell()
        whole.seek(0)
        try:
            form: Any = MultipartFormHandler().deserialize(whole, request.content_type, size)
            is_saved = False
            for part in form:
                if not part.filename:
                    refuse(part.name or "")
                elif not is_saved:
                    shutil.copyfileobj(part.stream, target)
                    is_saved = True
        except (falcon.HTTPError, ValueError) as ex:
            raise InvalidParameter(f"the form cannot be read: {ex}") from ex


def _body(request: falcon.Request, largest: int) -> Iterator[bytes]:
    """Yield the body in pieces, so that a large one needs no memory.

    Raises:
        BodyTooLarge: As soon as that is known.
        InvalidParameter: If its chunks are malformed, or it ends early.
        RequestTimeout: If the client sends it too slowly.
    """
    if (request.content_length or 0) > largest:
        raise BodyTooLarge(f"{request.content_length} of at most {largest} bytes")
    chunked = "chunked" in (request.get_header("Transfer-Encoding") or "").lower()
    # The bounded one ends after the announced length, and a chunked body announces none.
    stream = request.stream if chunked else request.bounded_stream
    size = 0
    # One byte more than allowed is read, which tells a body of the largest size from a larger one.
    while piece := _piece(stream, min(_PIECE, largest + 1 - size)):
        size += len(piece)
        if size > largest:
            raise BodyTooLarge(f"more than {largest} bytes")
        yield piece


def _piece(stream: Any, most: int) -> bytes:
    try:
        return bytes(stream.read(most))
    except TimeoutError as ex:
        raise RequestTimeout(str(ex)) from ex
    # Malformed chunks are found by gunicorn while the body is read, and a client that has gone,
    # too.
    except (ParseException, OSError) as ex:
        raise InvalidParameter(f"the body cannot be read: {ex!r}") from ex


def _decoded(body: bytes, content_type: str, known: Collection[str] | None) -> Form:
    name, _, options = content_type.partition(";")
    kind = name.strip().lower() or _FORM
    match kind:
        # Also without a type: existing clients send forms that way.
        case "application/x-www-form-urlencoded":
            if _charset(options) not in _UTF8:
                raise UnsupportedMediaType(f"forms are UTF-8, not {content_type!r}")
            return _gathered(_pairs(body))
        case "multipart/form-data":
            return _gathered(_parts(body, content_type))
        case "application/json":
            return _from_json(body, known)
        case _:
            raise UnsupportedMediaType(f"{kind!r} is not read here")


def _charset(options: str) -> str:
    for option in options.split(";"):
        key, _, value = option.partition("=")
        if key.strip().lower() == "charset":
            return value.strip().strip('"').lower()
    return ""


def _pairs(raw: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            raw.decode("utf-8"),
            # An empty value is sent on purpose: it removes what is stored.
            keep_blank_values=True,
            errors="strict",
            # Each field costs time before any right is checked.
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError as ex:
        raise InvalidParameter(f"the form cannot be read: {ex}") from ex


def _parts(body: bytes, content_type: str) -> list[tuple[str, str]]:
    try:
        reader = MultipartFormHandler()
        reader.parse_options.max_body_part_count = _MOST_FIELDS
        # The body is in memory already, so no part needs a limit of its own.
        reader.parse_options.max_body_part_buffer_size = len(body)
        form: Any = reader.deserialize(io.BytesIO(body), content_type, len(body))
        return [(part.name or "", part.get_data().decode("utf-8")) for part in form]
    except (falcon.HTTPError, ValueError) as ex:
        raise InvalidParameter(f"the form cannot be read: {ex}") from ex


def _gathered(pairs: Iterable[tuple[str, str]]) -> Form:
    """Collect repeated names; items of an array in PHP's notation are repetitions too."""
    form: Form = {}
    for name, value in pairs:
        # ``name[]`` and ``name[0]`` are the name: clients in PHP send arrays so.
        form.setdefault(_ITEM.sub("", name), []).append(value)
    return form


def _from_json(body: bytes, known: Collection[str] | None) -> Form:
    try:
        document = json.loads(
            body.decode("utf-8"),
            parse_constant=_no_constant,
            parse_int=_number,
            parse_float=_number,
        )
        document_is_object = isinstance(document, dict)
    # Deeply nested brackets exhaust the stack of the parser before they are found to be of no use.
    except (ValueError, RecursionError) as ex:
        raise InvalidParameter(f"the JSON cannot be read: {ex}") from ex
    if not document_is_object:
        raise InvalidParameter("the JSON is no object")
    return {
        _text("", name): _texts(name, value) if known is None or name in known else [""]
        for name, value in document.items()
    }


def _texts(name: str, value: object) -> list[str]:
    # No value, which a form cannot say: it clears, but is no flag.
    if value is None:
        return []
    if isinstance(value, list):
        return [_text(name, item) for item in value] or [""]
    return [_text(name, value)]


def _text(name: str, value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case str():
            # JSON can spell half a surrogate pair, which no other program could store or read.
            if any("\ud800" <= char <= "\udfff" for char in value):
                raise InvalidParameter("half a character", parameter=name or None)
            return value
        case _:
            raise InvalidParameter("neither text, number nor yes/no", parameter=name)


def _number(word: str) -> object:
    """Return a JSON number without exponent and trailing zeros: ``1e2`` is ``100``.

    No text but `_TOO_LARGE`: one that is too long, or beyond what programs can store.
    """
    if len(word) > _LONGEST_NUMBER:
        return _TOO_LARGE
    # Not by way of a float, which would lose digits.
    try:
        number = Decimal(word)
    except InvalidOperation:
        return _TOO_LARGE
    if not number:
        return "0"
    # Written out, it may be long all the same.
    if abs(number.adjusted()) >= _LONGEST_NUMBER:
        return _TOO_LARGE
    digits = f"{number:f}"
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is no number")


def states(header: str | None, *, weakly: bool = False) -> tuple[str, ...]:
    """Read `If-Match` or `If-None-Match`: the states named, or ``*``.

    A weak tag is equal to no state, unless they are compared weakly (RFC 9110, 8.8.3.2).
    """
    if not header:
        return ()
    words = (word.strip() for word in header.split(","))
    if weakly:
        words = (word.removeprefix("W/") for word in words)
    return tuple(
        # A weak tag keeps its mark, so that it differs from all states; `"*"` in quotes is an odd
        # `*`.
        word if word[:2] in {"*", "W/", '"*'} else word.strip('"')
        for word in words
        if word
    )


def is_strict(request: falcon.Request) -> bool:
    """Return whether the client prefers a refusal of what would be ignored."""
    return _prefers(request, "handling=strict")


def is_asynchronous(request: falcon.Request) -> bool:
    """Return whether the client prefers not to wait for a change."""
    return _prefers(request, "respond-async")


def _prefers(request: falcon.Request, preference: str) -> bool:
    """Return whether a preference is sent (RFC 7240), with any parameters."""
    preferences = request.get_header("Prefer")
    if not preferences:
        return False
    return any(
        # Quotes and blanks around the equals sign are allowed there.
        re.sub(r'[\s"]', "", word.split(";")[0]).removesuffix("=") == preference
        for word in preferences.lower().split(",")
    )


def wants(request: falcon.Request, media: str) -> bool:
    """Return whether `Accept` names a media type, and JSON neither with more weight nor before it.

    A range such as ``*/*`` names none: browsers, and libraries for programs, send it with all.
    """
    weights: dict[str, float] = {}
    for word in (request.get_header("Accept") or "").lower().split(","):
        name, *options = (part.strip() for part in word.split(";"))
        weight = next((option[2:] for option in options if option.startswith("q=")), "1")
        # What cannot be read counts as not sent.
        known = re.fullmatch(r"[01](\.[0-9]{0,3})?", weight)
        weights.setdefault(name, float(weight) if known else 1)
    best = max(weights.get(name, 0) for name in (media, _JSON))
    return (
        best > 0 and next(n for n in weights if n in {media, _JSON} and weights[n] == best) == media
    )
