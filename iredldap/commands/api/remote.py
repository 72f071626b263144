"""Call the API of another machine, over HTTP with a token."""

import ipaddress
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPMessage
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

import click

from iredldap.commands.api.answers import FILE_TYPE, Api, Arriving, Outgoing, Unavailable

_SECONDS = 120.0
_OF_FILES = 3600.0
"""Seconds for which an answer to a file is waited for: what it asks for is done before."""

_PART = 64 * 1024
_PREFIX = "/iredadmin/api"


class _NoRedirects(HTTPRedirectHandler):
    """Follows no redirect: the token is for one server, and a change must not become a GET."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        fp.close()
        raise Unavailable(f"{req.full_url} redirects to {newurl}: use that one as --url")


class RemoteApi(Api):
    """The API at a URL.

    Args:
        url: As `iredldap dev` prints it; without a path `/iredadmin/api` is added.
        token: The secret of a token.
        ca_file: CA certificates to trust; empty: the system's.
        settings: File that may name it.

    Raises:
        click.UsageError: If it is no such URL.
    """

    is_local = False

    def __init__(self, url: str, token: str, ca_file: str = "", settings: str = "") -> None:
        self._settings = settings
        self.where = url
        self._base = _base(url)
        if not token.isascii() or not token.isprintable() or " " in token:
            raise click.UsageError("the token is none: it has other characters than `token create`")
        self._token = token
        try:
            context = ssl.create_default_context(cafile=ca_file or None)
        except (OSError, ssl.SSLError) as ex:
            raise click.UsageError(f"ca_file: {ca_file}: {ex}") from ex
        self._opener = build_opener(_NoRedirects(), HTTPSHandler(context=context))

    @contextmanager
    def _exchange(self, request: Outgoing) -> Iterator[Arriving]:
        query = f"?{request.query}" if request.query else ""
        # Without its length a body would be sent in chunks, which the API does not take.
        sized = {"Content-Length": str(request.length)} if request.length else {}
        sent = Request(  # noqa: S310 - the scheme was checked
            f"{self._base}{request.path}{query}",
            data=request.body if request.length else None,
            headers={"Authorization": f"Bearer {self._token}", **sized, **request.headers},
            method=request.method,
        )
        patience = _OF_FILES if request.headers.get("Content-Type") == FILE_TYPE else _SECONDS
        with self._opened(sent, patience) as answer:
            headers = {name.lower(): value for name, value in answer.headers.items()}
            yield Arriving(answer.status, headers, self._read(answer))

    def _opened(self, sent: Request, patience: float) -> Any:
        try:
            return self._opener.open(sent, timeout=patience)
        except HTTPError as ex:
            # A refusal is an answer.
            return ex
        except URLError as ex:
            is_distrust = isinstance(ex.reason, ssl.SSLCertVerificationError)
            remedy = f"\nthe CA to trust is ca_file in {self._settings}" if is_distrust else ""
            raise self._unavailable(f"{ex.reason}{remedy}") from ex
        except (HTTPException, OSError) as ex:
            raise self._unavailable(ex) from ex

    def _read(self, answer: IO[bytes]) -> Iterator[bytes]:
        while True:
            try:
                part = answer.read(_PART)
            except (HTTPException, OSError) as ex:
                raise self._unavailable(f"the answer broke off: {ex}") from ex
            if not part:
                return
            yield part

    def _unavailable(self, reason: object) -> Unavailable:
        return Unavailable(f"{self.where} does not answer: {reason}")


def _base(url: str) -> str:
    """Return the URL of the API without the `/api` that paths begin with."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as ex:
        raise click.UsageError(f"--url: {url!r}: {ex}") from ex
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise click.UsageError(f"--url: {url!r} does not begin with https:// or http://")
    if parts.scheme == "http" and not _is_this_machine(parts.hostname):
        click.echo(f"beware: {url} is without TLS, so others can read the token", err=True)
    path = parts.path.rstrip("/") or _PREFIX
    return f"{parts.scheme}://{parts.netloc}{path.removesuffix('/api')}"


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
