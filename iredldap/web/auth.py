"""Authenticate and authorize the caller, before every handler."""

import hmac
import ipaddress
import re
import threading
import time
from collections.abc import Iterable, Mapping, Sequence

import falcon

from iredldap.config.sections import ApiSettings, LoginSettings, SessionSettings
from iredldap.dit import domain, kinds, names, settings
from iredldap.dit.fields import FieldChange, Verb
from iredldap.errors import (
    ApiDisabled,
    LoginRequired,
    NotAllowedIp,
    NotAuthorized,
    PermissionDenied,
    SessionExpired,
    Unauthenticated,
)
from iredldap.gateways.directory import Directory
from iredldap.gateways.state import StateDatabase
from iredldap.operations.login import Caller, digest, find_admin
from iredldap.web import origins
from iredldap.web.endpoints.endpoint import Endpoint
from iredldap.web.tokens import CLOCK_TOLERANCE, Token, Tokens

_MOST_REMEMBERED = 1000
_ADMINS_TRANSPORT = re.compile(r"(?:relay|smtp):\[[^\[\]\s]+\]:\d{1,5}")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Sessions:
    """Opens sessions, and finds the callers of cookies.

    A caller is read from the directory again after `recheck` seconds, so a cookie ends soon after
    the password, the account or the role that it depends on.
    """

    def __init__(
        self, config: SessionSettings, tokens: Tokens, directory: Directory, state: StateDatabase
    ) -> None:
        self._config = config
        self._tokens = tokens
        self._directory = directory
        self._state = state
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[float, Token, Caller]] = {}

    def enter(self, caller: Caller) -> str:
        """Open a session; return its cookie.

        Raises:
            ServerDown: If the state database does not answer.
        """
        session = self._state.new_session()
        now = int(time.time())
        proof = digest(caller.stored, self._tokens.keys[-1])
        return self._tokens.dump(Token(caller.address, session, proof, now), now)

    def cookies(self, request: falcon.Request) -> Sequence[str]:
        """Return the values of all session cookies of a request, in its order, each once.

        A browser sends several where another host of the site, or another path, has set one too.
        """
        return [*dict.fromkeys(request.get_cookie_values(self._config.cookie_name) or ())]

    def caller(self, cookies: Sequence[str]) -> tuple[Caller, str]:
        """Return the caller of the first valid one of several cookies, and that cookie.

        Raises:
            LoginRequired: If there is no cookie, or its password, account or role has changed.
            SessionExpired: If none is valid, and one has expired.
            ServerDown: If that cannot be found out.
        """
        refusal: Unauthenticated = LoginRequired("no cookie")
        for cookie in cookies:
            try:
                return self._caller(cookie), cookie
            except SessionExpired as ex:
                refusal = ex
            except Unauthenticated as ex:
                refusal = refusal if isinstance(refusal, SessionExpired) else ex
        raise refusal

    def _caller(self, cookie: str) -> Caller:
        token = self._tokens.load(cookie, int(time.time()))
        seen = self._seen.get(token.session)
        if seen and seen[1] == token and time.monotonic() - seen[0] < self._config.recheck:
            return seen[2]
        looked = time.monotonic()
        caller = find_admin(self._directory, token.address)
        if not caller or not self._is_current(token, caller):
            raise LoginRequired(f"session of {token.address}")
        if self._state.is_ended(token.session, token.since):
            raise LoginRequired(f"ended session of {token.address}")
        self._remember(token, caller, looked)
        return caller

    def refreshed(self, cookie: str) -> str | None:
        """Return the cookie with a new time of use, where idle sessions end; or None."""
        if not self._config.idle_age:
            return None
        now = int(time.time())
        return self._tokens.dump(self._tokens.load(cookie, now), now)

    def leave(self, cookies: Sequence[str]) -> None:
        """End the sessions of all valid cookies, on every worker.

        Raises:
            LoginRequired: If there is no cookie, or none that was signed here.
            SessionExpired: If none is valid, and one has expired.
            ServerDown: If that cannot be stored.
        """
        now = int(time.time())
        refusal: Unauthenticated = LoginRequired("no cookie")
        tokens = []
        for cookie in cookies:
            try:
                tokens.append(self._tokens.load(cookie, now))
            except Unauthenticated as ex:
                refusal = refusal if isinstance(refusal, SessionExpired) else ex
        if not tokens:
            raise refusal
        for token in tokens:
            # A machine whose clock is behind takes the cookie for so much longer.
            end = token.since + self._config.max_age + CLOCK_TOLERANCE
            self._state.revoke(token.session, end, now)
            with self._lock:
                self._seen.pop(token.session, None)

    def _is_current(self, token: Token, caller: Caller) -> bool:
        return any(
            hmac.compare_digest(token.digest, digest(caller.stored, key))
            for key in self._tokens.keys
        )

    def _remember(self, token: Token, caller: Caller, looked: float) -> None:
        with self._lock:
            if len(self._seen) >= _MOST_REMEMBERED:
                self._seen.clear()
            self._seen[token.session] = (looked, token, caller)


class Clients:
    """Checks which machines may call, and which of them are proxies of others."""

    def __init__(self, api: ApiSettings) -> None:
        self._api = api
        self._listed = _networks(api.restful_api_clients)
        self._proxies = _networks(api.trusted_proxies)
        flag = api.restrict_api_access
        self._restricted = bool(self._listed) if flag is None else flag

    def admit(self, request: falcon.Request) -> None:
        """Admit a request, or refuse it.

        Raises:
            ApiDisabled: If the API is switched off.
            NotAuthorized: If the client is not on the list.
        """
        if not self._api.enable_restful_api:
            raise ApiDisabled("enable_restful_api is off")
        address = self.address(request)
        if self._restricted and not _within(address, self._listed):
            raise NotAuthorized(f"client {address}")

    def address(self, request: falcon.Request) -> str:
        """Return the address of the client: the nearest one that is no trusted proxy."""
        address = request.remote_addr or "127.0.0.1"
        hops = [hop.strip() for hop in (request.get_header("X-Forwarded-For") or "").split(",")]
        while hops and _within(address, self._proxies):
            address = hops.pop() or address
        return address

    def speaks_tls(self, request: falcon.Request) -> bool:
        """Return whether the request came to us, or to a trusted proxy, over TLS."""
        if request.scheme == "https":
            return True
        return (self._forwarded(request, "X-Forwarded-Proto") or "").lower() == "https"

    def is_foreign(self, request: falcon.Request) -> bool:
        """Return whether a browser sent the request for a page of another site."""
        site = request.get_header("Sec-Fetch-Site")
        sender = request.get_header("Origin")
        return origins.is_foreign(site, sender, self._origin(request))

    def _origin(self, request: falcon.Request) -> origins.Origin | None:
        """Return the origin under which the client reaches us; None if that is unknown."""
        # Not `request.host`: without a header Host that is a name which no client has seen.
        host = self._forwarded(request, "X-Forwarded-Host") or request.get_header("Host")
        scheme = "https" if self.speaks_tls(request) else "http"
        return origins.origin(scheme, host) if host else None

    def _forwarded(self, request: falcon.Request, name: str) -> str | None:
        """Return the first value of a header that a trusted proxy sets; None without such a proxy.

        Several proxies append to the header; the first value is about the client.
        """
        if not _within(request.remote_addr or "127.0.0.1", self._proxies):
            return None
        return (request.get_header(name) or "").split(",")[0].strip() or None


class AdminAddresses:
    """Checks from which addresses admins may log in; open sessions are not limited to these."""

    def __init__(self, login: LoginSettings) -> None:
        self._admins = _networks(login.admin_login_ip_list)
        self._global_admins = _networks(login.global_admin_ip_list)

    def admit(self, address: str) -> None:
        """Admit a client that logs in, before account and password are looked at.

        Raises:
            NotAllowedIp: If no admin may log in from there.
        """
        if self._admins and not _within(address, self._admins):
            raise NotAllowedIp(f"admin from {address}")

    def admit_caller(self, address: str, caller: Caller) -> None:
        """Admit an admin whose password was verified.

        After the password, so that the refusal does not reveal which addresses are admins.

        Raises:
            NotAllowedIp: If they are a global admin, who may not log in from there.
        """
        barred = self._global_admins and not _within(address, self._global_admins)
        if caller.is_global and barred:
            raise NotAllowedIp(f"{caller.address} from {address}")


def _networks(items: Iterable[str]) -> list[Network]:
    return [ipaddress.ip_network(item, strict=False) for item in items]


def _within(address: str, networks: Iterable[Network]) -> bool:
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return False
    plain = getattr(known, "ipv4_mapped", None) or known
    return any(plain.version == network.version and plain in network for network in networks)


def permit(caller: Caller, endpoint: Endpoint, subject: str | None, own: str | None) -> None:
    """Refuse an endpoint that a caller may not use at all.

    Args:
        caller: Who calls.
        endpoint: The endpoint.
        subject: The mail domain that the path names, directly or by an address.
        own: The address that the path names.

    Raises:
        PermissionDenied: If not. A domain that does not exist looks to a normal admin like one
            that they do not manage.
    """
    if "admin" in endpoint.auth or (caller.is_global and "global_admin" in endpoint.auth):
        return
    if endpoint.id == "domains_list":
        return
    if "domain_admin" in endpoint.auth and subject:
        if endpoint.id == "domain_create" and caller.may_create_domains:
            return
        if endpoint.id in {"domain_delete", "domain_delete_keep"} and not caller.may_create_domains:
            raise PermissionDenied("may not create domains, hence not delete them")
        if caller.manages(subject, by_alias=endpoint.method == "GET"):
            return
    if "self" in endpoint.auth and own == caller.address:
        return
    raise PermissionDenied(f"{caller.address}: {endpoint.id}")


def permit_names(caller: Caller, endpoint: Endpoint, params: Mapping[str, str]) -> None:
    """Refuse an endpoint that a caller may not use for what its path names.

    Raises:
        PermissionDenied: If not, as `permit` says; of a rename, both domains are judged.
    """
    permit(caller, endpoint, *subject_of(params))
    if "new_mail" in params:
        permit(caller, endpoint, names.domain_of(params["new_mail"]), None)


def permit_changes(
    caller: Caller,
    endpoint: Endpoint,
    subject: str | None,
    changes: Iterable[FieldChange],
    default_transport: str,
) -> None:
    """Refuse parameters that a caller may not send.

    Raises:
        PermissionDenied: If a normal admin sends one that is for global admins, belongs to a
            profile taken from them, names a transport of their own making or, for their own account
            in a domain that they do not manage, is none of the few that they may send.
    """
    if caller.is_global:
        return
    home = caller.home(subject or "", by_alias=endpoint.method == "GET")
    taken = settings.words(domain.limits(home), endpoint.profiles) if home else []
    only_own = "self" in endpoint.auth and home is None
    if endpoint.profile in taken:
        raise PermissionDenied(f"{caller.address}: {endpoint.profile}")
    for change in changes:
        field = change.field
        if (
            field.who == "global_admin"
            or (field.profile and field.profile in taken)
            or (only_own and not field.by_self)
            or (endpoint.path.startswith("/api/domain/") and not _is_self_service(change))
        ):
            raise PermissionDenied(f"{caller.address}: {field.name}", parameter=field.name)
        if field.kind is kinds.TRANSPORT and not all(
            _ADMINS_TRANSPORT.fullmatch(value) or value == default_transport
            for value in change.values
        ):
            raise PermissionDenied(f"{caller.address}: {field.name}", parameter=field.name)


def _is_self_service(change: FieldChange) -> bool:
    """Return whether a change switches no service of a domain, or self-service alone."""
    if not change.field.switches_services:
        return True
    return change.verb is not Verb.SET and all(v.lower() == "self-service" for v in change.values)


def subject_of(params: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Return the mail domain and the address that a path names."""
    mail = params.get("mail")
    return params.get("domain") or (names.domain_of(mail) if mail else None), mail
