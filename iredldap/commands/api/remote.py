"""Call the API of another machine, over HTTP with a token."""

import ipaddress
import ssl
from collections.abc import Mapping
from http.client import HTTPException, HTTPMessage
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

import click

from iredldap.commands.api.answers import FILE_TYPE, Answer, Form, Unavailable

_SECONDS = 120.0
_PREFIX = "/iredadmin/api"


class _NoRedirects(HTTPRedirectHandler):
    """Follows no redirect: the token is for one server, and a change must not become a GET."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        fp.close()
        raise Unavailable(f"{req.full_url} redirects to {newurl}: use that one as --url")


class RemoteApi:
    """The API at a URL.

    Args:
        url: As `iredldap dev` prints it; without a path `/iredadmin/api` is added.
        token: The secret of a token.
        ca_file: CA certificates to trust; empty: the system's.

    Raises:
        click.UsageError: If it is no such URL.
    """

    is_local = False

    def __init__(self, url: str, token: str, ca_file: str = "") -> None:
        self.where = url
        self._base = _base(url)
        self._token = token
        try:
            context = ssl.create_default_context(cafile=ca_file or None)
        except (OSError, ssl.SSLError) as ex:
            raise click.UsageError(f"ca_file: {ca_file}: {ex}") from ex
        self._opener = build_opener(_NoRedirects(), HTTPSHandler(context=context))

    def send(
        self,
        method: str,
        path: str,
        form: Form = {},  # noqa: B006 - read only
        headers: Mapping[str, str] = {},
        file: bytes | None = None,
    ) -> Answer:
        sent = urlencode({name: [*values] for name, values in form.items()}, doseq=True)
        in_query = file is not None or method in {"GET", "DELETE"}
        typed = {} if file is None else {"Content-Type": FILE_TYPE}
        request = Request(  # noqa: S310 - the scheme was checked
            f"{self._base}{path}" + (f"?{sent}" if sent and in_query else ""),
            data=file if in_query else sent.encode("ascii"),
            headers={"Authorization": f"Bearer {self._token}", **typed, **headers},
            method=method,
        )
        try:
            with self._opener.open(request, timeout=_SECONDS) as answer:
                return _answer(answer.status, answer.headers, answer.read())
        except HTTPError as ex:
            with ex:
                return _answer(ex.code, ex.headers, ex.read())
        except (URLError, HTTPException, OSError) as ex:
            reason = ex.reason if isinstance(ex, URLError) else ex
            raise Unavailable(f"{self.where} does not answer: {reason}") from ex


def _answer(status: int, headers: Any, body: bytes) -> Answer:
    return Answer(status, {name.lower(): value for name, value in headers.items()}, body)


def _base(url: str) -> str:
    """Return the URL of the API without the `/api` that paths begin with."""
    parts = urlsplit(url)
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
