"""The API as commands call it, and its answers: the same in this process and over HTTP."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from io import SEEK_END, BytesIO
from typing import IO, Any
from urllib.parse import urlencode

Form = Mapping[str, Sequence[str]]
"""Parameters: each name with its values."""

FILE_TYPE = "application/octet-stream"
"""Type of a body that is a file."""

FORM_TYPE = "application/x-www-form-urlencoded"
"""Type of a body that has parameters."""


def _is_stream(headers: Mapping[str, str]) -> bool:
    return headers.get("content-type", "").startswith("application/x-ndjson")


class Unavailable(Exception):
    """The API cannot be reached, or what answers is not one. The text says what to do."""


@dataclass(frozen=True)
class Answer:
    """An answer of the API.

    Args:
        status: The HTTP status.
        headers: By names in lower case.
        body: The envelope as JSON; of a stream its bytes.
        detail: Why it was refused, where this process has refused it.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    detail: str = ""

    @cached_property
    def envelope(self) -> Mapping[str, Any]:
        """The envelope.

        Raises:
            Unavailable: If it is none: another program has answered.
        """
        try:
            found = json.loads(self.body)
        except ValueError:
            found = None
        if not isinstance(found, dict) or not isinstance(found.get("_success"), bool):
            raise Unavailable(
                f"what answers with status {self.status} is not the API: is the URL right, and the"
                " API running?"
            )
        return found

    @property
    def is_done(self) -> bool:
        """Whether the request was carried out, or accepted."""
        return _is_stream(self.headers) or bool(self.envelope["_success"])

    @property
    def data(self) -> Any:
        """The data of a read."""
        return self.envelope.get("_data")

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of a refusal."""
        return tuple(str(self.envelope.get("_msg") or "INTERNAL_ERROR").split(","))


@dataclass(frozen=True)
class Arriving:
    """An answer whose body has not been read; `chunks` is read once.

    The other members are those of `Answer`.
    """

    status: int
    headers: Mapping[str, str]
    chunks: Iterable[bytes] = field(repr=False)
    detail: str = ""

    @property
    def is_stream(self) -> bool:
        """Whether it is a stream of lines: then it was not refused."""
        return _is_stream(self.headers)

    def whole(self) -> Answer:
        """Read the rest of it."""
        return Answer(self.status, self.headers, b"".join(self.chunks), self.detail)


@dataclass(frozen=True)
class Outgoing:
    """A request as it is sent.

    Args:
        method: The method.
        path: From `/api` on, percent-encoded.
        query: The query string.
        body: The body.
        length: Its bytes.
        headers: Those of the caller, and the type of the body.
    """

    method: str
    path: str
    query: str
    body: IO[bytes]
    length: int
    headers: Mapping[str, str]


class Api(ABC):
    """Sends requests to the API."""

    where: str
    """What it is, for messages: a URL, or a configuration file."""

    is_local: bool
    """Whether it is in this process: then no worker carries out jobs for it."""

    @abstractmethod
    def _exchange(self, request: Outgoing) -> AbstractContextManager[Arriving]:
        """Send a request, and return the answer, whose rest is read during the block.

        Raises:
            Unavailable: If there is no answer, also during the block.
        """

    def send(
        self,
        method: str,
        path: str,
        form: Form = {},  # noqa: B006 - read only
        headers: Mapping[str, str] = {},
        file: IO[bytes] | None = None,
    ) -> Answer:
        """Send a request and return the answer, also a refusal; the arguments are those of `open`.

        Raises:
            Unavailable: If there is no answer.
        """
        with self.open(method, path, form, headers, file) as answer:
            return answer.whole()

    @contextmanager
    def open(
        self,
        method: str,
        path: str,
        form: Form = {},  # noqa: B006 - read only
        headers: Mapping[str, str] = {},
        file: IO[bytes] | None = None,
    ) -> Iterator[Arriving]:
        """Send a request; during the block the answer can be read as it arrives.

        Args:
            method: The method.
            path: From `/api` on, percent-encoded.
            form: Parameters: in the query string of a GET, else the body.
            headers: More headers.
            file: The body, from its beginning, with the parameters in the query string.

        Raises:
            Unavailable: If there is no answer.
        """
        sent = urlencode({name: [*values] for name, values in form.items()}, doseq=True)
        in_query = file is not None or method in {"GET", "DELETE"}
        body = file or BytesIO(b"" if in_query else sent.encode("ascii"))
        length = body.seek(0, SEEK_END)
        body.seek(0)
        kind = {"Content-Type": FILE_TYPE if file is not None else FORM_TYPE} if length else {}
        query = sent if in_query else ""
        with self._exchange(
            Outgoing(method, path, query, body, length, {**kind, **headers})
        ) as answer:
            yield answer
