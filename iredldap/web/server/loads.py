"""Find the cost of a request by its first line, before it gets a thread."""

import re
from collections.abc import Iterable

from iredldap.web.endpoints.endpoint import Endpoint, Load
from iredldap.web.paths import one_spelling

_VARIABLE = re.compile(r"\\\{\w+\\\}")


class Loads:
    """Finds the endpoint of a request, and its cost.

    Args:
        endpoints: All endpoints; requests for others are light.
    """

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self._patterns = [
            (row.method, re.compile(_VARIABLE.sub("[^/]+", re.escape(row.path))), row.load)
            for row in endpoints
            if row.load is not Load.LIGHT
        ]

    def of(self, method: str, target: str) -> Load:
        """Return the cost of a request.

        Args:
            method: As it was sent; HEAD costs what GET does.
            target: As it was sent: a path, which may have a query.
        """
        path, _ = one_spelling(target.partition("?")[0])
        wanted = "GET" if method == "HEAD" else method
        for sent, pattern, load in self._patterns:
            if sent == wanted and pattern.fullmatch(path):
                return load
        return Load.LIGHT
