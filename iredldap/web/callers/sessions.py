"""Open sessions, and find the callers of session cookies."""

import hmac
import time
from collections.abc import Sequence

import falcon

from iredldap.config.sections import SessionSettings
from iredldap.errors import LoginRequired, Refusal, ServerDown, Unauthenticated
from iredldap.gateways.access.sessions import OpenedSession, StoredSessions
from iredldap.gateways.directory import Directory
from iredldap.gateways.tables.sessions import EVERYBODY
from iredldap.http_errors import SessionExpired
from iredldap.operations.login import Caller, digest, find_admin
from iredldap.web import credentials
from iredldap.web.callers.cookies import CLOCK_TOLERANCE, CookieSigner, SessionCookie
from iredldap.web.callers.known_callers import KnownCallers


class Sessions:
    """Opens sessions, and finds the callers of cookies.

    A caller is read from the directory again after `recheck` seconds, so a cookie ends soon after
    the password, the account or the role that it depends on. While the state database does not
    respond, those whom this worker knows may read.

    Args:
        config: How long sessions last.
        signer: Signs cookies, and verifies them.
        directory: Where the admins are.
        stored: Which sessions have ended.
        known_for: Seconds for which a session may read after it was last confirmed there.
    """

    def __init__(
        self,
        config: SessionSettings,
        signer: CookieSigner,
        directory: Directory,
        stored: StoredSessions,
        known_for: float,
    ) -> None:
        self._config = config
        self._signer = signer
        self._directory = directory
        self._stored = stored
        self._known = KnownCallers[SessionCookie](config.recheck, known_for)

    def begin(self, admin: str) -> str:
        """Return the id of a session that is about to be opened, before the password is checked.

        Args:
            admin: The address that logs in.

        Raises:
            ServerDown: If the state database does not answer.
        """
        return self._stored.new(admin)

    def enter(self, caller: Caller, session: str) -> str:
        """Open a session; return its cookie.

        Args:
            caller: Who has logged in.
            session: Its id, as `begin` has returned it.
        """
        now = int(time.time())
        proof = digest(caller.stored, self._signer.keys[-1])
        return self._signer.dump(SessionCookie(caller.address, session, proof, now), now)

    def cookies(self, request: falcon.Request) -> Sequence[str]:
        """Return the values of all session cookies of a request, in its order, each once.

        A browser sends several where another host of the site, or another path, has set one too. A
        request with a token has none: the token alone decides who calls.
        """
        if credentials.secret_of(request) is not None:
            return ()
        return [*dict.fromkeys(request.get_cookie_values(self._config.cookie_name) or ())]

    def caller(self, cookies: Sequence[str], *, reads: bool) -> tuple[Caller, str]:
        """Return the caller of the first valid one of several cookies, and that cookie.

        Args:
            cookies: Their values.
            reads: Whether the request only reads.

        Raises:
            LoginRequired: If there is no cookie, or its password, account or role has changed.
            SessionExpired: If none is valid, and one has expired.
            ServerDown: If that cannot be found out.
        """
        refusal: Refusal = LoginRequired("no cookie")
        for cookie in cookies:
            try:
                return self._caller(cookie, reads=reads), cookie
            except (SessionExpired, ServerDown) as ex:
                # Of one that cannot be judged now it is not said that it is invalid.
                refusal = refusal if isinstance(refusal, ServerDown) else ex
            except Unauthenticated as ex:
                refusal = refusal if isinstance(refusal, SessionExpired | ServerDown) else ex
        raise refusal

    def _caller(self, cookie: str, *, reads: bool) -> Caller:
        content = self._signer.load(cookie, int(time.time()))
        known = self._known.find(content.session, reads=reads)
        if known and known.proof == content:
            return known.caller
        looked = time.monotonic()
        caller = find_admin(self._directory, content.address)
        if not caller or not self._is_current(content, caller):
            self._known.forget(content.session)
            raise LoginRequired(f"session of {content.address}")
        confirmed = self._confirmed(content, looked, reads=reads)
        self._known.remember(content.session, content, caller, looked, confirmed)
        return caller

    def _confirmed(self, content: SessionCookie, now: float, *, reads: bool) -> float:
        """Return when a session was last known not to have ended."""
        try:
            has_ended = self._stored.is_ended(_opened(content))
        except ServerDown:
            has_ended = self._known.has_ended(content.session)
            known = self._known.confirmed_lately(content.session)
            if not has_ended:
                if known is None or not reads:
                    raise
                return known.confirmed
        if has_ended:
            self._known.end([content.session])
            raise LoginRequired(f"ended session of {content.address}")
        return now

    def confirm(self) -> None:
        """Ask the state database which of the sessions that this worker knows have ended.

        Raises:
            ServerDown: If it does not respond.
        """
        asked, used = time.monotonic(), self._known.in_use()
        if not used:
            return
        ended = self._stored.ended_of({id_: _opened(content) for id_, content in used.items()})
        self._known.end(ended)
        self._known.confirm(used.keys() - ended, asked)

    def refreshed(self, cookie: str) -> str | None:
        """Return the cookie with a new time of use, where idle sessions end; or None."""
        if not self._config.idle_age:
            return None
        now = int(time.time())
        return self._signer.dump(self._signer.load(cookie, now), now)

    def leave(self, cookies: Sequence[str]) -> None:
        """End the sessions of all valid cookies, on every worker.

        Raises:
            LoginRequired: If there is no cookie, or none that was signed here.
            SessionExpired: If none is valid, and one has expired.
            ServerDown: If that cannot be stored.
        """
        now = int(time.time())
        refusal: Unauthenticated = LoginRequired("no cookie")
        contents = []
        for cookie in cookies:
            try:
                contents.append(self._signer.load(cookie, now))
            except Unauthenticated as ex:
                refusal = refusal if isinstance(refusal, SessionExpired) else ex
        if not contents:
            raise refusal
        for content in contents:
            # A machine whose clock is behind takes the cookie for so much longer.
            end = content.since + self._config.max_age + CLOCK_TOLERANCE
            self._stored.revoke(content.session, end, now)
            self._known.end([content.session])

    def end_all(self, admin: str | None) -> None:
        """End all sessions of an admin, or of everybody; other workers notice soon.

        Args:
            admin: The address; None: everybody.

        Raises:
            ServerDown: If that cannot be stored.
        """
        self._stored.end_all(admin or EVERYBODY)
        known = self._known.in_use()
        self._known.end(id_ for id_, c in known.items() if admin in {None, c.address})

    def _is_current(self, content: SessionCookie, caller: Caller) -> bool:
        return any(
            hmac.compare_digest(content.digest, digest(caller.stored, key))
            for key in self._signer.keys
        )


def _opened(content: SessionCookie) -> OpenedSession:
    return OpenedSession(content.session, content.address, content.since)
