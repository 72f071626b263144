"""Process every request before its handler, and every answer after it."""

import re
import secrets
import time
from dataclasses import replace

import falcon
import structlog

from iredldap.config.sections import Config
from iredldap.dit import api_tokens, mail_names
from iredldap.dit.fields import Parsed, known_names
from iredldap.dit.form_parser import older_names, parse, refuse_leftovers, settled
from iredldap.dit.value_readers import whole_number
from iredldap.dit.views.rows import NAMES, is_view, without_identity
from iredldap.errors import InvalidMail, InvalidParameter, ServerDown, TooManyRequests
from iredldap.http_errors import CrossSiteRequest
from iredldap.operations import dispatch
from iredldap.operations.login import Caller
from iredldap.web import credentials, dry_runs, forms, head, local_calls, origins, paths, responses
from iredldap.web.auth import (
    Clients,
    permit_changes,
    permit_names,
    permit_token,
    permit_token_for,
    subject_of,
)
from iredldap.web.callers.bearer import BearerTokens
from iredldap.web.callers.sessions import Sessions
from iredldap.web.cors import CrossOrigin
from iredldap.web.endpoints.endpoint import Endpoint
from iredldap.web.endpoints.index import SERVED
from iredldap.web.idempotency import Idempotency
from iredldap.web.server import arrivals
from iredldap.web.server.connection import Connection
from iredldap.web.stale_reads import StaleReads

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

_MOST_DAYS = 36500
_LOGIN = "/api/login"
_RETRY_AFTER = 5
SERVED_BY = "X-Served-By"

log = structlog.get_logger("iredldap.access")


class Middleware:
    """Admits clients, finds the caller, checks their right and reads the form.

    A handler finds in `request.context`: `caller`, `parsed`, `endpoint`, `strict`, `names` (the
    variables of the path, read), `client` (the address of the machine that calls), `older_names`
    (those by which parameters were sent) and `dry_run` (nothing may be changed).
    """

    def __init__(
        self,
        config: Config,
        clients: Clients,
        sessions: Sessions,
        tokens: BearerTokens,
        idempotency: Idempotency,
        stale_reads: StaleReads,
    ) -> None:
        self._config = config
        self._node = config.server.node_name if config.server.served_by else ""
        self._has_others = config.ldap.is_agreed
        self._clients = clients
        self._sessions = sessions
        self._tokens = tokens
        self._cors = CrossOrigin(config.api.cors_origins)
        self._idempotency = idempotency
        self._stale_reads = stale_reads
        self._endpoints = {(row.route, row.method, _variable(row)): row for row in SERVED}

    def process_request(self, request: falcon.Request, response: falcon.Response) -> None:
        """Give the request its id, refuse what another site's page sends, and admit the client."""
        self._begin(request, response)
        self._stale_reads.forget()
        credentials.refuse_in_query(request)
        self._refuse_cross_site(request)
        is_api = request.path == "/api" or request.path.startswith("/api/")
        # Who may read the configuration and its secrets needs no permission to call from elsewhere.
        if is_api and not local_calls.of(request):
            self._clients.admit(request.context.client)
        if self._cors.answers(request, response):
            return
        if getattr(request.env.get("gunicorn.socket"), "overdue", False):
            raise TooManyRequests("no thread was free in time", retry_after=_RETRY_AFTER)

    def _begin(self, request: falcon.Request, response: falcon.Response) -> None:
        given = request.get_header("X-Request-Id") or ""
        is_good = _REQUEST_ID.fullmatch(given) and not api_tokens.has_secret(given)
        request.context.id = given if is_good else secrets.token_hex(16)
        request.context.began = time.monotonic()
        structlog.contextvars.bind_contextvars(request=request.context.id)
        connection = request.env.get("gunicorn.socket")
        if isinstance(connection, Connection):
            connection.request = request.context.id
        request.context.client = self._clients.address(request)
        response.set_header("X-Request-Id", request.context.id)
        response.set_header("Cache-Control", "no-store")
        if self._node:
            response.set_header(SERVED_BY, self._node)
        response.context.twins = request.path == _LOGIN

    def _refuse_cross_site(self, request: falcon.Request) -> None:
        """Refuse a change that a page of another site would make with the caller's cookie.

        The cookie is not verified, so that the answer does not reveal whether it is valid. A login
        is refused without a cookie too: it would log the browser in as another admin, or count as a
        failed login.

        Raises:
            CrossSiteRequest: If it is one; nothing was judged or counted before.
        """
        if request.method in origins.SAFE_METHODS:
            return
        if not self._clients.is_foreign(request):
            return
        if request.path == _LOGIN or self._sessions.cookies(request):
            site, origin = request.get_header("Sec-Fetch-Site"), request.get_header("Origin")
            raise CrossSiteRequest(f"site {site!s:.20}, origin {origin!s:.200}")

    def process_resource(
        self,
        request: falcon.Request,
        response: falcon.Response,
        resource: object,
        params: dict[str, str],
    ) -> None:
        """Find the caller, check their right, and read the form."""
        for name, value in params.items():
            params[name] = value.replace(paths.SLASH, "/")
        named = _named_by_account(params)
        variable = next(iter(named), "") if named is not None else None
        endpoint = self._endpoints.get((request.uri_template or "", request.method, variable))
        if endpoint is None:
            return
        request.context.endpoint = endpoint
        caller = None
        if not endpoint.is_open:
            caller = request.context.caller = self._caller(request, response)
        request.context.names = params if named is None else named
        _read_path(endpoint, request.context.names)
        if caller:
            permit_token(caller, endpoint)
            _refuse_no_address(caller, request.context.names)
            permit_names(caller, endpoint, request.context.names)
        parsed = self._parsed(request, response, endpoint)
        self._refuse_left(request)
        if caller:
            permit_token_for(caller, endpoint, (*parsed.changes, *parsed.odd))
            permit_changes(
                caller,
                endpoint,
                subject_of(request.context.names)[0],
                (*parsed.changes, *parsed.odd),
                self._config.accounts.default_transport,
            )
        request.context.parsed = parsed
        if caller:
            self._idempotency.begin(request, response)

    def _refuse_left(self, request: falcon.Request) -> None:
        """Refuse a change whose client has left, where other nodes answer, too.

        A node that was suspended finds requests that its balancer has sent to another one since:
        carried out now, they would take back what that one has acknowledged.

        Raises:
            ServerDown: If nobody waits for the answer; nothing was done.
        """
        if request.method in origins.SAFE_METHODS or not self._has_others:
            return
        if getattr(request.env.get("gunicorn.socket"), "is_left", False):
            raise ServerDown("the client has closed the connection")

    def _caller(self, request: falcon.Request, response: falcon.Response) -> Caller:
        if local := local_calls.of(request):
            return local.caller
        secret = credentials.secret_of(request)
        reads = request.method in origins.SAFE_METHODS
        if secret is not None:
            caller = self._tokens.caller(secret, request.context.client, reads=reads)
            request.context.who, request.context.token = caller.address, caller.token
            return caller
        caller, cookie = self._sessions.caller(self._sessions.cookies(request), reads=reads)
        request.context.who = caller.address
        # A page of another site may read nothing, but must not keep an idle session alive either.
        refreshed = self._sessions.refreshed(cookie)
        if refreshed and not self._clients.is_foreign(request):
            set_cookie(response, self._config, refreshed, tls=self._clients.speaks_tls(request))
        return caller

    def _parsed(
        self, request: falcon.Request, response: falcon.Response, endpoint: Endpoint
    ) -> Parsed:
        sent = forms.query(request)
        form = sent if endpoint.takes_file else self._form(request, endpoint)
        request.context.dry_run = dry_runs.is_wanted(endpoint, sent, form)
        if request.context.dry_run:
            response.set_header(dry_runs.HEADER, "yes")
        if dry_runs.is_offered(endpoint) and not dry_runs.has_own_row(endpoint):
            form = {name: values for name, values in form.items() if name != dry_runs.NAME}
        sent_back = is_view(endpoint.id, form)
        if endpoint.operation is not None:
            form = without_identity(endpoint.table, form, request.context.names)
        request.context.older_names = older_names(endpoint.table, form)
        parsed = parse(endpoint.table, form, is_view=sent_back)
        parsed = replace(parsed, changes=(*parsed.changes, *endpoint.given))
        if endpoint.operation is None or not dispatch.changes_an_entry(endpoint.id):
            # Nothing that could have such a value already.
            parsed = settled(parsed, lambda _change, _value: None)
        request.context.strict = forms.is_strict(request)
        if request.context.strict:
            refuse_leftovers(parsed)
        if parsed.unknown:
            response.set_header("X-Ignored-Parameters", responses.listed(parsed.unknown))
        return parsed

    def _form(self, request: falcon.Request, endpoint: Endpoint) -> forms.Form:
        known = known_names(endpoint.table) | {dry_runs.NAME}
        if endpoint.operation:
            known = known.union(NAMES)
        return forms.read(request, self._largest_body(endpoint), known)

    def _largest_body(self, endpoint: Endpoint) -> int:
        """Return the most bytes of a body that are read.

        Of unknown callers, only what the worker gathers before it gives the request to a thread.
        """
        most = self._config.api.max_body
        return min(most, arrivals.MOST) if endpoint.is_open else most

    def process_response(
        self,
        request: falcon.Request,
        response: falcon.Response,
        resource: object,
        req_succeeded: bool,
    ) -> None:
        """Add what every answer has, and write the line of the access log.

        The line has neither parameters nor cookies, and of a token its id.
        """
        # Without it browsers could take a text that a client has stored for a page or a script.
        response.set_header("X-Content-Type-Options", "nosniff")
        head.allow_head(response)
        self._cors.mark(request, response)
        self._stale_reads.mark(response)
        self._idempotency.end(request, response)
        context = request.context
        if "began" not in context:
            # Falcon answers some methods, such as WEBSOCKET, before it calls the middleware.
            self._begin(request, response)
        refusal = context.get("refusal")
        if local := local_calls.of(request):
            local.refusal = refusal
        log.info(
            "request",
            method=head.method(request),
            path=request.path.replace(paths.SLASH, "%2F"),
            status=response.status_code,
            code=",".join(refusal.codes) if refusal else None,
            detail=refusal.detail if refusal else None,
            who=context.get("who"),
            token=context.token.id if context.get("token") else None,
            client=context.get("client"),
            ms=round((time.monotonic() - context.began) * 1000, 1),
        )
        structlog.contextvars.clear_contextvars()


def _variable(endpoint: Endpoint) -> str | None:
    """Return the variable behind `{account}` in the path of an endpoint; None: there is none."""
    if endpoint.route == endpoint.path:
        return None
    return next((name for name in ("domain", "mail") if f"{{{name}}}" in endpoint.path), "")


def _named_by_account(params: dict[str, str]) -> dict[str, str] | None:
    """Return what the variable `account` of a path names: nothing, a domain or an address.

    It is removed from the variables. None: there is no such variable.
    """
    account = params.pop("account", None)
    if account is None:
        return None
    if account.strip().lower() == "global":
        return {}
    return {"mail" if "@" in account else "domain": account}


def _read_path(endpoint: Endpoint, params: dict[str, str]) -> None:
    if "domain" in params:
        read = mail_names.new_domain if endpoint.id == "domain_create" else mail_names.domain
        params["domain"] = read(params["domain"])
    if "mail" in params:
        read = mail_names.new_address if endpoint.names_new_account else mail_names.stored_address
        params["mail"] = read(params["mail"])
    if "number" in params:
        params["number"] = str(_days(params["number"]))
    if "new_mail" in params:
        params["new_mail"] = mail_names.new_address(params["new_mail"])


def _refuse_no_address(caller: Caller, params: dict[str, str]) -> None:
    """Refuse a name that is no address, unless the caller is a global admin.

    Rights of other callers depend on the domain, which such a name does not have.

    Raises:
        InvalidMail: If it is refused.
    """
    if "@" not in params.get("mail", "@") and not caller.is_global:
        raise InvalidMail(f"{params['mail'][:80]!r} is no mail address")


def _days(word: str) -> int:
    try:
        return whole_number(word, most=_MOST_DAYS)
    except InvalidParameter as refusal:
        refusal.parameter = "number"
        raise


def set_cookie(response: falcon.Response, config: Config, cookie: str, *, tls: bool) -> None:
    """Set the session cookie. `Secure` on plain HTTP would keep clients from sending it."""
    response.set_cookie(
        config.session.cookie_name,
        cookie,
        path="/",
        http_only=True,
        same_site="Strict",
        secure=tls,
    )
