"""Watch one server: a thread that asks it for its contextCSN twice a second."""

import threading
from collections.abc import Callable
from dataclasses import replace

import ldap
import structlog

from iredldap.config.ldap import LdapSettings
from iredldap.dit.csn import CsnVector
from iredldap.errors import Refusal
from iredldap.gateways.cluster.clock import now
from iredldap.gateways.cluster.view import Sample, Sight
from iredldap.gateways.ldap.errors import bind_refusal, refusal_for, result_code
from iredldap.gateways.ldap.inherited import redirect
from iredldap.gateways.ldap.servers import DirectoryConnection, LdapServer, close

INTERVAL = 0.5
"""Seconds between two probes."""

_MOST_OF_IT = 0.8
"""Part of the time-out from which on a probe has timed out."""

_READ_ONLY = (10, 53)
"""Result codes of a consumer for a write: referral, unwillingToPerform."""

_ABANDONED: list[DirectoryConnection] = []
"""Connections of the parent process; destroying one would call libldap."""

log = structlog.get_logger("iredldap.writer")


class ServerWatch:
    """What the probes of one thread see of a server.

    Args:
        uri: The server.
        settings: The suffix, the service account, and the time that a probe may take.
        hangs: Called when the server has been silent for `failover_after`, and does not refuse
            connections either.
    """

    def __init__(self, uri: str, settings: LdapSettings, hangs: Callable[[], None]) -> None:
        self.uri = uri
        self.sight = Sight()
        self.detail = ""
        self._server = LdapServer(uri, replace(settings, network_timeout=settings.health_timeout))
        self._settings = settings
        self._hangs = hangs
        self._connection: DirectoryConnection | None = None
        self._descriptor = -1
        self._is_provider = False

    def forget(self) -> None:
        """Begin anew, after a fork: the connection is the parent process's."""
        connection, self._connection = self._connection, None
        if connection:
            # The thread that used it is not in this process. If it was in a call, locks are held
            # for ever, also libldap's: so the connection is kept, and never used again.
            _ABANDONED.append(connection)
            redirect(self._descriptor)
        self.sight = Sight()

    def run(self, closing: threading.Event) -> None:
        """Probe until the event is set."""
        while not closing.is_set():
            began, before = now(), self.sight
            self._report(before, self.probe())
            closing.wait(max(0.05, began + INTERVAL - now()))
        self._drop()

    def probe(self) -> Sight:
        """Ask the server once, and return what is known of it then."""
        began = now()
        try:
            vector = self._asked()
        except Refusal as ex:
            self._failed(began, ex.detail)
        except ldap.LDAPError as ex:
            self._failed(began, refusal_for(ex).detail)
        except Exception as ex:
            # An error of the program must not end the thread: the server would look healthy.
            log.exception("watch", server=self.uri)
            self._failed(began, type(ex).__name__)
        else:
            sample = Sample(began, now(), vector)
            self.sight = self.sight.after_success(sample, is_provider=self._is_provider)
            self.detail = ""
        return self.sight

    def _report(self, before: Sight, after: Sight) -> None:
        if after.is_healthy and not before.is_healthy:
            log.info("server answers", server=self.uri, provider=after.is_provider)
        elif not after.is_healthy and before.silent_since is None:
            log.warning("server is silent", server=self.uri, detail=self.detail)

    def _failed(self, began: float, detail: str) -> None:
        self._drop()
        self.detail = detail
        self.sight = self.sight.after_failure(began)
        since, time = self.sight.silent_since, now()
        is_long = since is not None and time - since >= self._settings.failover_after
        if is_long and time - began >= self._settings.health_timeout * _MOST_OF_IT:
            self._hangs()

    def _asked(self) -> CsnVector:
        if self._connection is None:
            account = self._settings.bind_dn
            try:
                self._connection = self._server.bound(
                    account, self._settings.bind_password.reveal()
                )
            except ldap.LDAPError as ex:
                raise bind_refusal(ex, account) from ex
            self._descriptor = self._connection.fileno()
            self._connection.timeout = self._settings.health_timeout
            self._is_provider = is_provider(self._connection, self._settings.suffix)
        return context_of(self._connection, self._settings.suffix, self._settings.health_timeout)

    def close(self) -> None:
        """Close the connection."""
        self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection:
            close(connection)


def context_of(connection: DirectoryConnection, suffix: str, seconds: float) -> CsnVector:
    """Read the contextCSN of a server.

    Raises:
        ldap.LDAPError: If it does not answer in time.
        ValueError: If that has no CSNs.
    """
    number = connection.search_ext(suffix, ldap.SCOPE_BASE, attrlist=["contextCSN"])
    _, found, _, _ = connection.result3(number, timeout=seconds)
    values = found[0][1].get("contextCSN", []) if found else []
    return CsnVector.of(value.decode("ascii", "replace") for value in values)


def is_provider(connection: DirectoryConnection, suffix: str) -> bool:
    """Return whether a server accepts writes, by a change of an entry that does not exist.

    A provider looks for the entry; a consumer refers to its provider, or is unwilling. The access
    rules are judged after either.

    Raises:
        ldap.LDAPError: If the connection is lost.
    """
    missing = f"cn=iredldap-no-such-entry,{suffix}"
    try:
        connection.modify_s(missing, [(ldap.MOD_REPLACE, "description", None)])
    except ldap.LDAPError as ex:
        code = result_code(ex)
        if code <= 0:
            raise
        return code not in _READ_ONLY
    # It exists after all, and may have lost a description.
    log.warning("an entry has the name of the probe", dn=missing)
    return True
