"""A client of the API, and the exact envelopes that it gets."""

from dataclasses import dataclass, field
from typing import Any

import requests

from tests.support.patience import PATIENCE
from tests.support.world import ADMIN, ADMIN_PASSWORD


def direct_session() -> requests.Session:
    """Make a session that goes by no proxy, and does not look for one before each request."""
    session = requests.Session()
    session.trust_env = False
    return session


@dataclass
class Client:
    """A client of the API with a session of its own."""

    url: str
    session: requests.Session = field(default_factory=direct_session)

    def call(
        self, method: str, path: str, *, headers: Any = None, **parameters: Any
    ) -> requests.Response:
        """Send parameters as a form, or in the query string of a GET or DELETE."""
        in_query = method in {"GET", "DELETE"}
        return self.session.request(
            method,
            self.url + path,
            params=parameters if in_query else None,
            data=None if in_query else parameters,
            headers=headers,
            timeout=PATIENCE,
        )

    def send_file(self, path: str, file: bytes, **parameters: Any) -> requests.Response:
        """Send a file, and parameters in the query string."""
        return self.session.post(self.url + path, params=parameters, data=file, timeout=PATIENCE)

    def get(self, path: str, **parameters: Any) -> requests.Response:
        return self.call("GET", path, **parameters)

    def post(self, path: str, **parameters: Any) -> requests.Response:
        return self.call("POST", path, **parameters)

    def put(self, path: str, **parameters: Any) -> requests.Response:
        return self.call("PUT", path, **parameters)

    def delete(self, path: str, **parameters: Any) -> requests.Response:
        return self.call("DELETE", path, **parameters)

    def log_in(self, username: str = ADMIN, password: str = ADMIN_PASSWORD) -> "Client":
        answer = self.post("/api/login", username=username, password=password)
        assert answer.json()["_success"], answer.text
        return self


def done(answer: requests.Response) -> requests.Response:
    """Insist on the exact success envelope of a write."""
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"_success": True}
    return answer


def refused(answer: requests.Response, status: int, code: str) -> requests.Response:
    """Insist on a refusal, and on the exact envelope of one."""
    assert (answer.status_code, answer.json()) == (status, {"_success": False, "_msg": code})
    return answer
