"""Call a WSGI application without a server: for tests of thousands of requests."""

import io
from typing import Any
from urllib.parse import urlsplit

import requests
from falcon import testing
from requests.adapters import BaseAdapter

URL = "http://in.process"


class InProcess(BaseAdapter):
    """Passes requests on to an application, in the thread that sends them."""

    def __init__(self, application: Any) -> None:
        super().__init__()
        self._application = application

    def send(
        self, request: requests.PreparedRequest, *_positional: Any, **_settings: Any
    ) -> requests.Response:
        parts = urlsplit(request.url or "")
        result = testing.simulate_request(
            self._application,
            request.method or "GET",
            str(parts.path),
            query_string=str(parts.query),
            headers=dict(request.headers),
            body=request.body or b"",
        )
        response = requests.Response()
        response.status_code = result.status_code
        response.headers.update(result.headers)
        response.raw = io.BytesIO(result.content)
        response.request, response.url = request, request.url or ""
        return response

    def close(self) -> None:
        pass
