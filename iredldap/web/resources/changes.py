"""`/api/changes`: the change log."""

import json
from collections.abc import Generator, Iterable
from contextlib import closing
from datetime import UTC, datetime
from itertools import islice

import falcon

from iredldap.operations.listings.change_log import ChangeReader, Shown
from iredldap.web import forms
from iredldap.web.downloads import send
from iredldap.web.endpoints.changes import NDJSON
from iredldap.web.head import is_head
from iredldap.web.resources.base import Resource, link_next
from iredldap.web.responses import JSON

_PAGE = 100


class _ChangeLogResource(Resource):
    def _reader(self, request: falcon.Request) -> ChangeReader:
        caller = request.context.caller
        return ChangeReader(self.change_log, self.directory, caller, self.config.api)


class ChangesResource(_ChangeLogResource):
    """All changes."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        reader, parsed = self._reader(request), request.context.parsed
        found = reader.changes(reader.wanted(parsed, datetime.now(UTC)))
        limit = int(parsed.value("limit") or 0)
        if forms.wants(request, NDJSON):
            response.content_type = NDJSON
            _send(request, response, _lines(islice(found, limit) if limit else found))
            return
        size = limit or _PAGE
        page = [*islice(found, size + 1)]
        if len(page) > size:
            link_next(request, response, page[size - 1]["id"])
        self.responses.done(response, page[:size], read=True)


class ChangeResource(_ChangeLogResource):
    """One change."""

    def on_get(self, request: falcon.Request, response: falcon.Response, id: str) -> None:  # noqa: A002
        header, touched = self._reader(request).change(id)
        response.content_type = JSON
        _send(request, response, self.responses.with_array(header, "touched", touched))


def _send(
    request: falcon.Request, response: falcon.Response, chunks: Generator[bytes, None, None]
) -> None:
    if is_head(request):
        # What may be refused is refused with the beginning.
        with closing(chunks):
            next(chunks, None)
        response.stream = ()
        return
    send(request, response, chunks)


def _lines(changes: Iterable[Shown]) -> Generator[bytes, None, None]:
    yield from (json.dumps(change, ensure_ascii=False).encode() + b"\n" for change in changes)
