"""Group the endpoints in the OpenAPI document by what they are about."""

from collections.abc import Mapping
from dataclasses import dataclass

from iredldap.web.endpoints.endpoint import Endpoint


@dataclass(frozen=True)
class EndpointGroup:
    """A group of endpoints: those whose path begins with one of some words."""

    name: str
    meaning: str
    words: tuple[str, ...]


GROUPS = (
    EndpointGroup("Session", "Logging in and out.", ("login", "logout", "sessions")),
    EndpointGroup("Domains", "Mail domains, their services and admins.", ("domain", "domains")),
    EndpointGroup("Users", "Mail users.", ("user", "users", "import")),
    EndpointGroup("Aliases", "Mail aliases.", ("alias", "aliases")),
    EndpointGroup(
        "Mailing lists",
        "Unsubscribable lists, whose members the directory has.",
        ("maillist", "maillists"),
    ),
    EndpointGroup("Subscribable lists", "Lists that mlmmj keeps.", ("ml", "mls")),
    EndpointGroup("Admins", "Standalone admins.", ("admin", "admins")),
    EndpointGroup("Throttling", "How much may be sent and received.", ("throttle",)),
    EndpointGroup("Greylisting", "Whose mail is deferred at first.", ("greylisting",)),
    EndpointGroup("White- and blacklists", "Whose mail is always or never taken.", ("wblist",)),
    EndpointGroup("Spam policies", "What becomes of spam and viruses.", ("spampolicy",)),
    EndpointGroup(
        "Look-ups", "Where mail goes, and what refers to an account.", ("resolve", "references")
    ),
    EndpointGroup("LDIF", "Exports and restores.", ("ldif",)),
    EndpointGroup("Desired state", "What there is, and what is wanted.", ("snapshot", "apply")),
    EndpointGroup("Tokens", "Keys for programs, and who calls.", ("tokens", "whoami")),
    EndpointGroup("Jobs", "Changes in the background.", ("jobs",)),
    EndpointGroup("Changes", "Who changed what, with the values before and after.", ("changes",)),
    EndpointGroup("Service", "The server itself.", ("openapi.json", "docs", "livez", "readyz")),
)

_BY_WORD: Mapping[str, EndpointGroup] = {word: area for area in GROUPS for word in area.words}


def group_of(endpoint: Endpoint) -> EndpointGroup:
    """Return the group of an endpoint, by the first word of its path that names one.

    Raises:
        LookupError: If there is none.
    """
    for word in endpoint.path.split("/"):
        if word in _BY_WORD:
            return _BY_WORD[word]
    raise LookupError(endpoint.path)
