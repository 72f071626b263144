"""Read a CSV file as rows of cells, whatever program has written it.

Source: RFC 4180; what Excel and LibreOffice write.
"""

import codecs
import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Literal

from iredldap.dit.imports import ENCODINGS
from iredldap.errors import InvalidFile

_SEPARATORS = (",", ";", "\t", "|")
MOST_COLUMNS = 200
"""Cells of a row: more than any program exports."""

_LONGEST_CELL = 1024 * 1024
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True, slots=True)
class Cells:
    """One row: the line where it begins, from 1, and its cells."""

    line: int
    cells: tuple[str, ...]


def decoded(data: bytes, encoding: str | None = None) -> str:
    """Decode a file: UTF-8 or UTF-16, with or without a mark at its beginning; else as named.

    Raises:
        InvalidFile: If it is of another encoding, which nobody can guess: names would be spoilt.
    """
    for mark, found in _BOMS:
        if data.startswith(mark):
            return _text(data.removeprefix(mark), found)
    guessed = None if encoding else _of_zeros(data)
    if guessed and "\0" in data.decode(guessed, "replace"):
        raise InvalidFile("it is no text")
    return _text(data, encoding or guessed or "utf-8")


def _of_zeros(data: bytes) -> str | None:
    """Return the encoding that the zero bytes of ASCII text in UTF-16 show."""
    head = data[:200]
    if head[1::2].count(0) > len(head) / 4:
        return "utf-16-le"
    return "utf-16-be" if head[::2].count(0) > len(head) / 4 else None


def _text(data: bytes, encoding: str) -> str:
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as ex:
        line = data.count(b"\n", 0, ex.start) + 1
        raise InvalidFile(
            f"line {line} is not {encoding}; name the encoding: {', '.join(ENCODINGS[2:])}",
            parameter="encoding",
        ) from ex
    if "\0" in text:
        raise InvalidFile(f"line {text.count(chr(10), 0, text.index(chr(0))) + 1} has a zero byte")
    return text


def read(text: str) -> Iterator[Cells]:
    """Yield the rows of a table; empty ones, and what Excel puts before them, are left out.

    Raises:
        InvalidFile: If a quoted cell does not end, or a row has too many cells.
    """
    # The mark of UTF-16 in text that was decoded by name.
    text = text.removeprefix("\ufeff")
    separator, skipped = _separator(text)
    try:
        yield from [*_rows(text, separator, skipped, csv.QUOTE_MINIMAL)]
    except InvalidFile:
        # Programs that print tables of a database quote nothing.
        if separator != "\t":
            raise
        yield from _rows(text, separator, skipped, csv.QUOTE_NONE)


def _rows(text: str, separator: str, skipped: int, quoting: Literal[0, 3]) -> Iterator[Cells]:
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=separator,
        strict=True,
        skipinitialspace=True,
        quoting=quoting,
    )
    line = 1
    try:
        for cells in reader:
            begins, line = line, reader.line_num + 1
            if begins > skipped and any(cell.strip() for cell in cells):
                if len(cells) > MOST_COLUMNS:
                    raise InvalidFile(f"line {begins}: more than {MOST_COLUMNS} columns")
                yield Cells(begins, tuple(cell.strip() for cell in cells))
    except csv.Error as ex:
        raise InvalidFile(f"line {line}: {ex}") from ex


def _separator(text: str) -> tuple[str, int]:
    """Return what separates cells, and how many lines say only that (Excel's `sep=;`)."""
    first = text.partition("\n")[0].strip()
    if first.lower().startswith("sep=") and len(first) == len("sep=") + 1:
        return first[-1], 1
    # Only what is outside of quotes: a name may have any of them.
    bare = "".join(first.split('"')[::2])
    return max(_SEPARATORS, key=bare.count), 0


def written(header: tuple[str, ...] | None, rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Yield the lines of a table in the form that `read` takes."""
    for cells in chain([header] if header else [], rows):
        line = io.StringIO(newline="")
        csv.writer(line, lineterminator="\r\n").writerow(cells)
        yield line.getvalue()
