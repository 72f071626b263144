"""`/docs`: the OpenAPI document as a page, in a viewer that is shipped with the program."""

import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from string import Template

import falcon

from iredldap.http_errors import NoSuchRoute
from iredldap.shipped import shipped
from iredldap.web import forms
from iredldap.web.resources.base import Resource

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)

_FILES = {
    "page.css": "reference/page.css",
    "page.js": "reference/page.js",
    "swagger-ui.css": "reference/swagger-ui/swagger-ui.css",
    "swagger-ui-bundle.js": "reference/swagger-ui/swagger-ui-bundle.js",
}
_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}


class ReferenceResource(Resource):
    """The page."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        _guard(response)
        response.content_type = "text/html; charset=utf-8"
        response.text = _page().substitute(root=request.root_path)


class ReferenceFileResource(Resource):
    """The files of the page."""

    def on_get(self, request: falcon.Request, response: falcon.Response, file: str) -> None:
        if file not in _FILES:
            raise NoSuchRoute(file[:80])
        found = _file(file)
        _guard(response)
        response.set_header("Cache-Control", "no-cache")
        response.set_header("Vary", "Accept-Encoding")
        response.set_header("ETag", f'W/"{found.digest}"')
        if found.digest in forms.states(request.get_header("If-None-Match"), weakly=True):
            response.status = 304
            return
        response.content_type = _TYPES[file.rpartition(".")[2]]
        response.data = found.content
        if _takes_gzip(request):
            response.set_header("Content-Encoding", "gzip")
            response.data = found.packed


@dataclass(frozen=True)
class _File:
    content: bytes
    packed: bytes
    digest: str


@cache
def _page() -> Template:
    return Template(shipped("reference/page.html").read_text(encoding="utf-8"))


@cache
def _file(name: str) -> _File:
    content = shipped(_FILES[name]).read_bytes()
    packed = gzip.compress(content, mtime=0)
    return _File(content, packed, hashlib.sha256(content).hexdigest()[:32])


def _guard(response: falcon.Response) -> None:
    """Restrict the page to what it needs by headers: show this API."""
    response.set_header("Content-Security-Policy", POLICY)
    response.set_header("Referrer-Policy", "no-referrer")


def _takes_gzip(request: falcon.Request) -> bool:
    """Return whether the client accepts gzip; a weight of 0 refuses it."""
    for word in (request.get_header("Accept-Encoding") or "").lower().split(","):
        coding, _, weight = (part.strip() for part in word.partition(";"))
        if coding == "gzip":
            return not re.fullmatch(r"q=0(\.0*)?", weight)
    return False
