"""Admit clients, and authorize the caller, before every handler."""

from collections.abc import Iterable, Mapping

import falcon

from iredldap.config.sections import ApiSettings, LoginSettings
from iredldap.dit import mail_names
from iredldap.dit.fields import FieldChange
from iredldap.errors import PermissionDenied
from iredldap.http_errors import ApiDisabled, MissingScope, NotAllowedIp, NotAuthorized
from iredldap.operations.login import Caller
from iredldap.operations.views.rights import ParameterRights
from iredldap.web import networks, origins
from iredldap.web.endpoints.endpoint import Endpoint


class Clients:
    """Checks which machines may call, and which of them are proxies of others."""

    def __init__(self, api: ApiSettings) -> None:
        self._api = api
        self._listed = networks.parse(api.restful_api_clients)
        self._proxies = networks.parse(api.trusted_proxies)
        flag = api.restrict_api_access
        self._restricted = bool(self._listed) if flag is None else flag

    def admit(self, address: str) -> None:
        """Admit a request of the client at an address, or refuse it.

        Raises:
            ApiDisabled: If the API is switched off.
            NotAuthorized: If the client is not on the list.
        """
        if not self._api.enable_restful_api:
            raise ApiDisabled("enable_restful_api is off")
        if self._restricted and not networks.within(address, self._listed):
            raise NotAuthorized(f"client {address}")

    def address(self, request: falcon.Request) -> str:
        """Return the address of the client: the nearest one that is no trusted proxy."""
        address = request.remote_addr or "127.0.0.1"
        hops = [hop.strip() for hop in (request.get_header("X-Forwarded-For") or "").split(",")]
        # From the right: each proxy adds the address that it saw, and what lies left of the first
        # foreign one was written by the client.
        while hops and networks.within(address, self._proxies):
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
        # Our own is found out where it is compared: most clients are programs, and send neither.
        ours = None if sender is None else self._origin(request)
        return origins.is_foreign(site, sender, ours)

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
        if not networks.within(request.remote_addr or "127.0.0.1", self._proxies):
            return None
        return (request.get_header(name) or "").split(",")[0].strip() or None


class AdminAddresses:
    """Checks from which addresses admins may log in; open sessions are not limited to these."""

    def __init__(self, login: LoginSettings) -> None:
        self._admins = networks.parse(login.admin_login_ip_list)
        self._global_admins = networks.parse(login.global_admin_ip_list)

    def admit(self, address: str) -> None:
        """Admit a client that logs in, before account and password are looked at.

        Raises:
            NotAllowedIp: If no admin may log in from there.
        """
        if self._admins and not networks.within(address, self._admins):
            raise NotAllowedIp(f"admin from {address}")

    def admit_caller(self, address: str, caller: Caller) -> None:
        """Admit an admin whose password was verified.

        After the password, so that the refusal does not reveal which addresses are admins.

        Raises:
            NotAllowedIp: If they are a global admin, who may not log in from there.
        """
        barred = self._global_admins and not networks.within(address, self._global_admins)
        if caller.is_global and barred:
            raise NotAllowedIp(f"{caller.address} from {address}")


def permit_token(caller: Caller, endpoint: Endpoint) -> None:
    """Refuse an endpoint that the token cannot call, whatever it sends, before the body is read.

    Raises:
        MissingScope: If it is refused.
    """
    if caller.token is None:
        return
    possible = endpoint.possible_scopes
    enough = all if possible == {*endpoint.scopes} else any
    if possible and not enough(map(caller.may, possible)):
        raise _lacking(endpoint, endpoint.scopes)


def permit_token_for(caller: Caller, endpoint: Endpoint, changes: Iterable[FieldChange]) -> None:
    """Refuse parameters for which the token lacks a scope.

    Raises:
        MissingScope: If it is refused.
    """
    if caller.token is None:
        return
    needed = endpoint.scopes_for(changes)
    if not all(map(caller.may, needed)):
        raise _lacking(endpoint, needed)


def _lacking(endpoint: Endpoint, needed: Iterable[str]) -> MissingScope:
    scopes = {*needed}
    words = f"{endpoint.id}: the token lacks the scope {' '.join(sorted(scopes))}"
    return MissingScope(words, scopes=scopes)


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
    # Everyone may list domains, and sees their own.
    if endpoint.id == "domains_list":
        return
    if "domain_admin" in endpoint.auth and subject:
        if endpoint.id == "domain_create" and caller.may_create_domains:
            return
        if endpoint.id in {"domain_delete", "domain_delete_keep"} and not caller.may_create_domains:
            raise PermissionDenied("may not create domains, hence not delete them")
        # Only reads take an alias domain's name for the domain: a deletion by that name must never
        # hit the domain itself.
        if caller.manages(subject, by_alias=endpoint.method == "GET"):
            return
    # A token that is limited to domains has no account of its own.
    if "self" in endpoint.auth and own == caller.address and not caller.is_limited:
        return
    raise PermissionDenied(f"{caller.address}: {endpoint.id}")


def permit_names(caller: Caller, endpoint: Endpoint, params: Mapping[str, str]) -> None:
    """Refuse an endpoint that a caller may not use for what its path names.

    Raises:
        PermissionDenied: If not, as `permit` says; of a rename, both domains are judged.
    """
    permit(caller, endpoint, *subject_of(params))
    if "new_mail" in params:
        permit(caller, endpoint, mail_names.domain_of(params["new_mail"]), None)


def permit_changes(
    caller: Caller,
    endpoint: Endpoint,
    subject: str | None,
    changes: Iterable[FieldChange],
    default_transport: str,
) -> None:
    """Refuse parameters that a caller may not send.

    Raises:
        PermissionDenied: If it sends one, as `ParameterRights.may_send` says, or the endpoint is
            taken from normal admins.
    """
    rights = ParameterRights.of(
        caller,
        subject,
        profiles=endpoint.profiles,
        # What an answer shows is no parameter of the account.
        may_be_own="self" in endpoint.auth and endpoint.operation is not None,
        of_domain=endpoint.path.startswith("/api/domain/"),
        default_transport=default_transport,
        by_alias=endpoint.method == "GET",
    )
    if not caller.is_global and endpoint.profile in rights.taken:
        raise PermissionDenied(f"{caller.address}: {endpoint.profile}")
    for change in changes:
        if not rights.may_send(change):
            name = change.field.name
            raise PermissionDenied(f"{caller.address}: {name}", parameter=name)


def subject_of(params: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Return the mail domain and the address that a path names."""
    mail = params.get("mail")
    return params.get("domain") or (mail_names.domain_of(mail) if mail else None), mail
