"""The wiring, on one screen."""

from dataclasses import dataclass
from typing import Any

import falcon

from iredldap.config import Config
from iredldap.gateways.directory import Directory
from iredldap.gateways.state import State
from iredldap.web.auth import Clients, Sessions
from iredldap.web.gate import Gate, Paths
from iredldap.web.replies import Replies
from iredldap.web.resources.base import Resource
from iredldap.web.resources.domain import DomainResource
from iredldap.web.resources.ldif import LdifDomainResource, LdifUserResource
from iredldap.web.resources.service import LiveResource, OpenApiResource, ReadyResource
from iredldap.web.resources.session import LoginResource, LogoutResource
from iredldap.web.resources.user import UserResource
from iredldap.web.routes import ENDPOINTS
from iredldap.web.tokens import Tokens


@dataclass(frozen=True)
class Gateways:
    """The outside systems."""

    directory: Directory
    state: State

    @classmethod
    def open(cls, config: Config) -> "Gateways":
        """Make them; none connects before it is asked something."""
        return cls(Directory(config.ldap), State(config.state.url))

    def close(self) -> None:
        self.directory.close()
        self.state.close()


def create_app(config: Config, gateways: Gateways) -> Any:
    """Put the parts together into a WSGI application."""
    directory, state = gateways.directory, gateways.state
    clients = Clients(config.api)
    sessions = Sessions(config.session, Tokens(config.session), directory, state)
    replies = Replies(config.api)
    shared = (config, directory, replies)

    app = falcon.App(middleware=[Gate(config, clients, sessions)])
    replies.install(app)
    resources: dict[str, Resource] = {
        "/api/login": LoginResource(*shared, sessions, clients),
        "/api/logout": LogoutResource(*shared, sessions),
        "/api/domain/{domain}": DomainResource(*shared),
        "/api/user/{mail}": UserResource(*shared),
        "/api/ldif/domain/{domain}": LdifDomainResource(*shared),
        "/api/ldif/user/{mail}": LdifUserResource(*shared),
        "/openapi.json": OpenApiResource(*shared),
        "/livez": LiveResource(*shared),
        "/readyz": ReadyResource(*shared, state),
    }
    for path in dict.fromkeys(endpoint.path for endpoint in ENDPOINTS):
        app.add_route(path, resources[path])
    return Paths(app)
