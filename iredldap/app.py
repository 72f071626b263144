"""The wiring, on one screen."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import falcon

from iredldap.changes.jobs import Jobs
from iredldap.config import Config
from iredldap.gateways.attempts import Attempts
from iredldap.gateways.directory import Directory
from iredldap.gateways.state import State
from iredldap.web.auth import AdminAddresses, Clients, Sessions
from iredldap.web.gate import Gate, Paths
from iredldap.web.planner import TABLES, plan_for
from iredldap.web.replies import Replies
from iredldap.web.resources.alias import AliasResource
from iredldap.web.resources.base import Resource
from iredldap.web.resources.domain import AdminsResource, DomainResource, ServicesResource
from iredldap.web.resources.job import JobResource
from iredldap.web.resources.ldif import (
    LdifAdminResource,
    LdifAliasResource,
    LdifCatchallResource,
    LdifDomainResource,
    LdifMaillistResource,
    LdifUserResource,
)
from iredldap.web.resources.maillist import MaillistResource
from iredldap.web.resources.rename import RenameResource
from iredldap.web.resources.service import LiveResource, OpenApiResource, ReadyResource
from iredldap.web.resources.session import LoginResource, LogoutResource
from iredldap.web.resources.user import PasswordCheckResource, UserResource, UsersResource
from iredldap.web.routes import ENDPOINTS
from iredldap.web.tokens import Tokens


class Background(Protocol):
    """Work that goes on between requests."""

    def start(self) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Gateways:
    """The outside systems, and the work in the background that uses them."""

    directory: Directory
    state: State
    attempts: Attempts
    background: list[Background] = field(default_factory=list)

    @classmethod
    def open(cls, config: Config) -> "Gateways":
        """Make them; none connects before it is asked something."""
        attempts = Attempts(config.login, config.server.processes)
        return cls(Directory(config.ldap), State(config.state.url), attempts)

    def start(self) -> None:
        """Begin the work in the background, before any request has."""
        for work in self.background:
            work.start()

    def close(self) -> None:
        for work in self.background:
            work.close()
        self.directory.close()
        self.state.close()


def create_app(config: Config, gateways: Gateways) -> Any:
    """Put the parts together into a WSGI application."""
    directory, state = gateways.directory, gateways.state
    clients = Clients(config.api)
    sessions = Sessions(config.session, Tokens(config.session), directory, state)
    replies = Replies(config.api)
    jobs = Jobs(config.jobs, state, directory, partial(plan_for, directory, config), TABLES)
    gateways.background.append(jobs)
    shared = (config, directory, replies, jobs)

    app = falcon.App(middleware=[Gate(config, clients, sessions)])
    replies.install(app)
    resources: dict[str, Resource] = {
        "/api/login": LoginResource(
            *shared, sessions, clients, AdminAddresses(config.login), gateways.attempts
        ),
        "/api/logout": LogoutResource(*shared, sessions),
        "/api/domain/{domain}": DomainResource(*shared),
        "/api/domain/services/{domain}": ServicesResource(*shared),
        "/api/domain/admins/{domain}": AdminsResource(*shared),
        "/api/user/{mail}": UserResource(*shared),
        "/api/users/{domain}": UsersResource(*shared),
        "/api/verify_password/user/{mail}": PasswordCheckResource(*shared),
        "/api/user/{mail}/change_email/{new_mail}": RenameResource(*shared),
        "/api/alias/{mail}/change_email/{new_mail}": RenameResource(*shared),
        "/api/maillist/{mail}": MaillistResource(*shared),
        "/api/alias/{mail}": AliasResource(*shared),
        "/api/ldif/domain/{domain}": LdifDomainResource(*shared),
        "/api/ldif/catchall/{domain}": LdifCatchallResource(*shared),
        "/api/ldif/admin/{mail}": LdifAdminResource(*shared),
        "/api/ldif/user/{mail}": LdifUserResource(*shared),
        "/api/ldif/maillist/{mail}": LdifMaillistResource(*shared),
        "/api/ldif/alias/{mail}": LdifAliasResource(*shared),
        "/api/jobs/{id}": JobResource(*shared),
        "/openapi.json": OpenApiResource(*shared),
        "/livez": LiveResource(*shared),
        "/readyz": ReadyResource(*shared, state),
    }
    for path in dict.fromkeys(endpoint.path for endpoint in ENDPOINTS):
        app.add_route(path, resources[path])
    return Paths(app)
