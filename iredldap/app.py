"""Wire gateways, middleware and resources into the WSGI application."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import falcon

from iredldap.changes.change_log import ChangeLog
from iredldap.changes.jobs import Jobs
from iredldap.changes.opening import open_directory
from iredldap.config.sections import Config
from iredldap.gateways.access.api_tokens import ApiTokens
from iredldap.gateways.attempts import Attempts
from iredldap.gateways.breaker import look_after_all
from iredldap.gateways.directory import Directory
from iredldap.gateways.idempotent_answers import IdempotentAnswers
from iredldap.gateways.rounds import Rounds
from iredldap.gateways.state import StateDatabase
from iredldap.operations.access.api_tokens import TokenManager
from iredldap.operations.admin_log import AdminLog
from iredldap.operations.diagnosis.health import Health
from iredldap.operations.diagnosis.node_keys import differing_keys
from iredldap.operations.diagnosis.startup_report import StartupReport
from iredldap.operations.outside_systems import OutsideSystems
from iredldap.web.auth import AdminAddresses, Clients
from iredldap.web.callers import known_callers
from iredldap.web.callers.bearer import BearerTokens
from iredldap.web.callers.cookies import CookieSigner
from iredldap.web.callers.sessions import Sessions
from iredldap.web.downloads import ReleaseAfterAnswer
from iredldap.web.endpoints.endpoint import Endpoint
from iredldap.web.endpoints.imports import IMPORT
from iredldap.web.endpoints.index import SERVED
from iredldap.web.endpoints.params import PATH
from iredldap.web.endpoints.states import APPLY
from iredldap.web.head import HeadAsGet
from iredldap.web.idempotency import Idempotency
from iredldap.web.imports import ImportWork
from iredldap.web.middleware import Middleware
from iredldap.web.paths import Paths
from iredldap.web.planner import TABLES, plan_for
from iredldap.web.resources.base import ReadingAlone, Resource, RowResource
from iredldap.web.resources.changes import ChangeResource, ChangesResource
from iredldap.web.resources.imports import ImportResource
from iredldap.web.resources.job import JobResource, JobsResource
from iredldap.web.resources.ldif import (
    LdifAdminResource,
    LdifAliasResource,
    LdifAllResource,
    LdifCatchallResource,
    LdifDomainResource,
    LdifMaillistResource,
    LdifUserResource,
)
from iredldap.web.resources.listing import (
    AdminsResource,
    AliasesResource,
    DomainsResource,
    ListsResource,
    MaillistsResource,
    UsersResource,
)
from iredldap.web.resources.reference import ReferenceFileResource, ReferenceResource
from iredldap.web.resources.service import LiveResource, OpenApiResource, ReadyResource
from iredldap.web.resources.session import LoginResource, LogoutResource, SessionsResource
from iredldap.web.resources.state_work import ApplyWork
from iredldap.web.resources.states import ApplyResource, SnapshotResource
from iredldap.web.resources.token import TokenResource, TokensResource, WhoamiResource
from iredldap.web.responses import Responses
from iredldap.web.slots import Slots
from iredldap.web.stale_reads import StaleReads
from iredldap.web.undoable import PermittedChanges

SHARED_BY_NODES = frozenset({"state", "change_log"})
"""Probes of what the nodes of a cluster share."""


class Background(Protocol):
    """Work in threads of its own, between requests."""

    def start(self) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Gateways:
    """The outside systems, and the work in the background that uses them."""

    directory: Directory
    state: StateDatabase
    attempts: Attempts
    outside: OutsideSystems
    change_log: ChangeLog
    background: list[Background] = field(default_factory=list)

    @classmethod
    def open(cls, config: Config) -> "Gateways":
        """Open them; none connects before its first use."""
        # Counted in the memory of each process as a rule, so the limit is divided by their number.
        attempts = Attempts(config.login, config.server.processes)
        directory = open_directory(config)
        return cls(
            directory,
            StateDatabase(config.state.url),
            attempts,
            OutsideSystems.open(config),
            ChangeLog.open(config, directory),
        )

    def start(self) -> None:
        """Start the work in the background, before the first request."""
        for work in self.background:
            work.start()

    def close(self) -> None:
        for work in self.background:
            work.close()
        self.directory.close()
        self.state.close()
        self.outside.close()


def create_app(config: Config, gateways: Gateways, *, runs_jobs: bool = True) -> Any:
    """Return the WSGI application of a configuration.

    Args:
        config: The configuration.
        gateways: The outside systems.
        runs_jobs: Whether this process carries out background jobs.
    """
    directory, state, outside = gateways.directory, gateways.state, gateways.outside
    clients = Clients(config.api)
    stored = ApiTokens(state.database)
    manager = TokenManager(directory, stored, config.tokens)
    recheck, known_for = config.session.recheck, config.state.known_for
    signer = CookieSigner(config.session)
    sessions = Sessions(config.session, signer, directory, state.sessions, known_for)
    tokens = BearerTokens(stored, manager, gateways.attempts, recheck, known_for)
    answers = IdempotentAnswers(state.database)
    keys = [key.reveal() for key in config.session.keys]
    hours, abandoned = config.api.idempotency_hours, config.jobs.abandoned
    settled = gateways.change_log.settled
    idempotency = Idempotency(answers, keys, hours, abandoned, settled)
    stale_reads = StaleReads(directory)
    responses = Responses(config.api, stale_reads.judged)
    admin_log = AdminLog(outside.iredadmin)
    change_log = gateways.change_log
    changes = PermittedChanges(change_log, config.accounts.default_transport)
    make = partial(plan_for, directory, config, outside, changes, manager)
    jobs = Jobs(
        config.jobs,
        state,
        directory,
        make,
        TABLES,
        admin_log.note,
        outside.turns,
        change_log,
        config.server.node_name,
        runs=runs_jobs,
        works={
            IMPORT: ImportWork(config, directory, outside, change_log, manager),
            APPLY: ApplyWork(config, directory, outside, change_log, manager),
        },
    )
    health = _health(config, gateways)
    # Started by `Gateways.start`, in the worker that serves: to make the application starts no
    # thread.
    report = StartupReport(directory, config.ldap, partial(differing_keys, config, state))
    gateways.background.extend((jobs, change_log, health, report))
    confirmations = (
        Rounds("sessions in use", sessions.confirm, known_callers.INTERVAL),
        Rounds("tokens in use", tokens.confirm, known_callers.INTERVAL),
    )
    gateways.background.extend((idempotency, *confirmations))
    shared = (config, directory, responses, jobs, outside, admin_log, change_log)

    # One middleware with all steps, as their order matters: who is admitted is decided before
    # anything of the request is read.
    app = falcon.App(
        middleware=[Middleware(config, clients, sessions, tokens, idempotency, stale_reads)]
    )
    responses.install(app)
    # Paths whose methods do more than change or show what their rows say.
    resources: dict[str, Resource] = {
        "/api/login": LoginResource(
            *shared, sessions, clients, AdminAddresses(config.login), gateways.attempts
        ),
        "/api/logout": LogoutResource(*shared, sessions),
        "/api/sessions": SessionsResource(*shared, sessions),
        "/api/sessions/{mail}": SessionsResource(*shared, sessions),
        "/api/domains": DomainsResource(*shared),
        "/api/users/{domain}": UsersResource(*shared),
        "/api/aliases/{domain}": AliasesResource(*shared),
        "/api/mls/{domain}": ListsResource(*shared),
        "/api/maillists/{domain}": MaillistsResource(*shared),
        "/api/admins": AdminsResource(*shared),
        "/api/ldif": LdifAllResource(*shared),
        "/api/ldif/domain/{domain}": LdifDomainResource(*shared),
        "/api/ldif/catchall/{domain}": LdifCatchallResource(*shared),
        "/api/ldif/admin/{mail}": LdifAdminResource(*shared),
        "/api/ldif/user/{mail}": LdifUserResource(*shared),
        "/api/ldif/maillist/{mail}": LdifMaillistResource(*shared),
        "/api/ldif/alias/{mail}": LdifAliasResource(*shared),
        "/api/import": ImportResource(*shared),
        "/api/snapshot": SnapshotResource(*shared),
        "/api/apply": ApplyResource(*shared),
        "/api/jobs": JobsResource(*shared),
        "/api/jobs/{id}": JobResource(*shared),
        "/api/changes": ChangesResource(*shared),
        "/api/changes/{id}": ChangeResource(*shared),
        "/api/tokens": TokensResource(*shared, manager),
        "/api/tokens/{token}": TokenResource(*shared, manager),
        "/api/whoami": WhoamiResource(*shared),
        "/openapi.json": OpenApiResource(*shared),
        "/docs": ReferenceResource(*shared),
        "/docs/{file}": ReferenceFileResource(*shared),
        "/livez": LiveResource(*shared),
        "/readyz": ReadyResource(
            *shared, health, SHARED_BY_NODES if config.ldap.is_agreed else frozenset()
        ),
    }
    rows: dict[str, list[Endpoint]] = {}
    for endpoint in SERVED:
        rows.setdefault(endpoint.route, []).append(endpoint)
    plain = Resource(*shared)
    for path, endpoints in rows.items():
        of_views = resources.get(path.removesuffix(PATH)) if path.endswith(PATH) else None
        resource = ReadingAlone(of_views) if of_views else resources.get(path)
        app.add_route(path, resource or RowResource(plain, endpoints))
    slots = Slots(config.api.downloads, config.api.downloads_per_admin)
    # From the outside inwards: a slot is held until the last byte of an answer is sent, HEAD is
    # answered as GET, and paths have one spelling before a route is chosen.
    return ReleaseAfterAnswer(HeadAsGet(Paths(app)), slots)


def _health(config: Config, gateways: Gateways) -> Health:
    """Return the probes of what the service depends on."""
    probes = {"directory": gateways.directory.check, "state": gateways.state.check}
    if gateways.change_log.refuses:
        # Without it every change is refused.
        probes["change_log"] = gateways.change_log.store.check
    # A balancer asks each second, and takes a node out that answers late.
    waits = not config.ldap.is_agreed
    return Health(probes, config.ldap.network_timeout, beside=look_after_all, waits=waits)
