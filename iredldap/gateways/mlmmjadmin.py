"""Client of mlmmjadmin's HTTP interface: the directories and control files of subscribable lists.

mlmmjadmin responds 200 to success and failure alike, and silently ignores what it does not
understand. Callers must therefore validate everything before, and send lower case only.

Source: mlmmjadmin 3.6, HTTP interface, with the backend `bk_none`.
"""

import http.client
import json
import re
import ssl
from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from iredldap.config.sections import MlmmjadminSettings
from iredldap.errors import MlmmjadminUnavailable
from iredldap.gateways import touched_rows

_NO_SUCH_LIST = "NO_SUCH_ACCOUNT"
_UNKNOWN_LIST = "nobody@iredldap.invalid"
_TYPE = "application/x-www-form-urlencoded"

_NAME = re.compile(r"[\w#-][\w.+=/&#-]*@[\w.-]+\.[a-z0-9-]{2,15}", re.ASCII)
"""Addresses of lists that it accepts; for others it says that there is no such page."""

_ERRORS = (OSError, http.client.HTTPException, ValueError)

T = TypeVar("T")
Form = Mapping[str, str]
Settings = Mapping[str, Any]
"""A profile: values by the names of its parameters, as received."""


class Broken(MlmmjadminUnavailable):
    """mlmmjadmin responds, but failed, at a file with an unexpected name for example."""


class Mlmmjadmin:
    """mlmmjadmin; each request uses a new connection.

    Args:
        settings: Its address and token.
    """

    def __init__(self, settings: MlmmjadminSettings) -> None:
        self._settings = settings
        self._address = urlsplit(settings.url)

    @property
    def is_configured(self) -> bool:
        """Whether the configuration names one."""
        return bool(self._settings.url)

    def ask(self) -> None:
        """Check that it responds and accepts the token.

        Raises:
            MlmmjadminUnavailable: If not.
        """
        # It has no call that only says whether it is there: one for a list that cannot be there
        # asks for its token and its answer, and reads nothing.
        self.profile(_UNKNOWN_LIST)

    def profile(self, mail: str) -> Settings | None:
        """Read the settings of a list; None: it does not exist, or its name is not valid there.

        Raises:
            MlmmjadminUnavailable: If that fails.
        """
        # mlmmjadmin has no such list, and would answer as for an unknown page.
        if not _NAME.fullmatch(mail):
            return None
        answer = self._answer("GET", _path(mail))
        if answer.get("_msg") == _NO_SUCH_LIST:
            return None
        return dict(_required(answer, dict))

    def create(self, mail: str, profile: Form) -> None:
        """Create a list; an existing one is created again, but keeps its members.

        Raises:
            MlmmjadminUnavailable: If that fails.
        """
        self._do("POST", _path(mail), profile)

    def update(self, mail: str, profile: Form) -> None:
        """Change the given settings of a list.

        Raises:
            MlmmjadminUnavailable: If that fails.
        """
        self._do("PUT", _path(mail), profile)

    def delete(self, mail: str, *, archive: bool) -> None:
        """Delete a list, or move it into the archive; if there is none, that is no error.

        Raises:
            MlmmjadminUnavailable: If that fails.
        """
        # Of a DELETE request it reads only the query string.
        if _NAME.fullmatch(mail):
            self._do("DELETE", f"{_path(mail)}?archive={'yes' if archive else 'no'}")

    def subscribers(self, mail: str) -> dict[str, set[str]]:
        """Read the members of a list: addresses by the kind of membership; one may have several.

        Raises:
            MlmmjadminUnavailable: If that fails.
        """
        return self._by_kind(f"{_path(mail)}/subscribers") if _NAME.fullmatch(mail) else {}

    def subscribe(self, mail: str, addresses: Iterable[str], kind: str, *, confirm: bool) -> None:
        """Add members to a list, or ask them for confirmation by mail.

        Raises:
            MlmmjadminUnavailable: If that fails.
        """
        form = {
            "add_subscribers": ",".join(addresses),
            "subscription": kind,
            "require_confirm": "yes" if confirm else "no",
        }
        self._do("POST", f"{_path(mail)}/subscribers", form)

    def unsubscribe(self, mail: str, addresses: Iterable[str]) -> None:
        """Remove members from a list, whatever their kind; ``ALL``: all of them.

        Raises:
            MlmmjadminUnavailable: If that fails.
        """
        form = {"remove_subscribers": ",".join(addresses)}
        self._do("POST", f"{_path(mail)}/subscribers", form)

    def subscribed(self, address: str) -> dict[str, set[str]]:
        """Find the lists that an address is a member of, by the kind of membership.

        Raises:
            Broken: If its folders contain a name that is not that of a list.
            MlmmjadminUnavailable: If that fails.
        """
        return self._by_kind(f"{_path('subscriber', address)}/subscribed?query_all_lists=yes")

    def _by_kind(self, path: str) -> dict[str, set[str]]:
        rows = _required(self._answer("GET", path), list)
        kinds: dict[str, set[str]] = {}
        try:
            for row in rows:
                kinds.setdefault(row["subscription"], set()).add(row["mail"].lower())
        except (LookupError, TypeError, AttributeError) as ex:
            raise MlmmjadminUnavailable(f"mlmmjadmin's members are {str(rows)[:200]}") from ex
        return kinds

    def _do(self, method: str, path: str, form: Form | None = None) -> None:
        if touched_rows.are_tried():
            # It cannot take a call back. `MailingLists` reports what this one would change.
            return
        _required(self._answer(method, path, form))

    def _answer(self, method: str, path: str, form: Form | None = None) -> dict[str, Any]:
        if not self.is_configured:
            raise MlmmjadminUnavailable("mlmmjadmin.url is empty")
        try:
            status, body = self._sent(method, path, form)
            answer = json.loads(body) if status == 200 else None
        except _ERRORS as ex:
            words = f"mlmmjadmin, {method} {path}: {type(ex).__name__}: {ex}"
            raise MlmmjadminUnavailable(words) from ex
        if not isinstance(answer, dict):
            raise Broken(f"mlmmjadmin, {method} {path}: status {status}, {body[:200]!r}")
        return answer

    def _sent(self, method: str, path: str, form: Form | None) -> tuple[int, bytes]:
        headers = {self._settings.auth_header: self._settings.token.reveal()}
        body = None if form is None else urlencode(form).encode("ascii")
        if body is not None:
            # It ignores a body in JSON, and reports success.
            headers["Content-Type"] = f"{_TYPE}; charset=utf-8"
        with closing(self._connection()) as connection:
            connection.request(method, self._address.path.rstrip("/") + path, body, headers)
            response = connection.getresponse()
            return response.status, response.read()

    def _connection(self) -> http.client.HTTPConnection:
        settings, host, port = self._settings, self._address.hostname or "", self._address.port
        if self._address.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=settings.timeout)
        context = ssl.create_default_context(cafile=settings.ca_file or None)
        if not settings.verify_certificate:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return http.client.HTTPSConnection(host, port, timeout=settings.timeout, context=context)


def _path(*words: str) -> str:
    return "".join(f"/{quote(word, safe='@')}" for word in words)


def _required(answer: Mapping[str, Any], kind: type[T] | None = None) -> T:
    """Require success, and data of a type if one is given; return the data."""
    if answer.get("_success") is not True:
        raise MlmmjadminUnavailable(f"mlmmjadmin says {str(answer.get('_msg'))[:300]}")
    data: T = answer.get("_data")  # type: ignore[assignment]
    if kind and not isinstance(data, kind):
        words = f"mlmmjadmin's answer has no {kind.__name__}: {str(data)[:200]}"
        raise MlmmjadminUnavailable(words)
    return data
