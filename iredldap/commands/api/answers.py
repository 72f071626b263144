"""The API as commands call it, and its answers: the same in this process and over HTTP."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

Form = Mapping[str, Sequence[str]]
"""Parameters: each name with its values."""

FILE_TYPE = "application/octet-stream"
"""Type of a body that is a file."""


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
        is_stream = self.headers.get("content-type", "").startswith("application/x-ndjson")
        return is_stream or bool(self.envelope["_success"])

    @property
    def data(self) -> Any:
        """The data of a read."""
        return self.envelope.get("_data")

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of a refusal."""
        return tuple(str(self.envelope.get("_msg") or "INTERNAL_ERROR").split(","))


class Api(Protocol):
    """Sends requests to the API."""

    where: str
    """What it is, for messages: a URL, or a configuration file."""

    is_local: bool
    """Whether it is in this process: then no worker carries out jobs for it."""

    def send(
        self,
        method: str,
        path: str,
        form: Form = ...,
        headers: Mapping[str, str] = ...,
        file: bytes | None = ...,
    ) -> Answer:
        """Send a request and return the answer, also a refusal.

        Args:
            method: The method.
            path: From `/api` on, percent-encoded.
            form: Parameters: in the query string of a GET, else the body.
            headers: More headers.
            file: The body, with the parameters in the query string.

        Raises:
            Unavailable: If there is no answer.
        """
