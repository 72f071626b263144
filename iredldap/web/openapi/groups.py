"""What endpoints are about: the groups in which the OpenAPI document shows them."""

from collections.abc import Mapping
from dataclasses import dataclass

from iredldap.web.endpoints.endpoint import Endpoint


@dataclass(frozen=True)
class Area:
    """A group of endpoints: those whose path begins with one of some words."""

    name: str
    meaning: str
    words: tuple[str, ...]


AREAS = (
    Area("Session", "Logging in and out.", ("login", "logout")),
    Area("Domains", "Mail domains, their services and admins.", ("domain", "domains")),
    Area("Users", "Mail users.", ("user", "users")),
    Area("Aliases", "Mail aliases.", ("alias", "aliases")),
    Area("Mailing lists", "Lists that nobody subscribes to.", ("maillist", "maillists")),
    Area("Subscribable lists", "Lists that mlmmj keeps.", ("ml", "mls")),
    Area("Admins", "Standalone admins.", ("admin", "admins")),
    Area("Throttling", "How much may be sent and received.", ("throttle",)),
    Area("Greylisting", "Whose mail is deferred at first.", ("greylisting",)),
    Area("White- and blacklists", "Whose mail is always or never taken.", ("wblist",)),
    Area("Spam policies", "What becomes of spam and viruses.", ("spampolicy",)),
    Area("LDIF", "Exports, and the way back.", ("ldif",)),
    Area("Jobs", "Changes that go on in the background.", ("jobs",)),
    Area("Service", "The server itself.", ("openapi.json", "docs", "livez", "readyz")),
)

_BY_WORD: Mapping[str, Area] = {word: area for area in AREAS for word in area.words}


def area_of(endpoint: Endpoint) -> Area:
    """Give the area of an endpoint, by the first word of its path that names one.

    Raises:
        LookupError: If there is none.
    """
    for word in endpoint.path.split("/"):
        if word in _BY_WORD:
            return _BY_WORD[word]
    raise LookupError(endpoint.path)
