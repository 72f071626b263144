"""Open sessions, and find the callers of session cookies."""

import hmac
import threading
import time
from collections.abc import Sequence

import falcon

from iredldap.config.sections import SessionSettings
from iredldap.errors import LoginRequired, Unauthenticated
from iredldap.gateways.directory import Directory
from iredldap.gateways.state import StateDatabase
from iredldap.http_errors import SessionExpired
from iredldap.operations.login import Caller, digest, find_admin
from iredldap.web import credentials
from iredldap.web.cookies import CLOCK_TOLERANCE, CookieSigner, SessionCookie

_MOST_REMEMBERED = 1000


class Sessions:
    """Opens sessions, and finds the callers of cookies.

    A caller is read from the directory again after `recheck` seconds, so a cookie ends soon after
    the password, the account or the role that it depends on.
    """

    def __init__(
        self,
        config: SessionSettings,
        signer: CookieSigner,
        directory: Directory,
        state: StateDatabase,
    ) -> None:
        self._config = config
        self._signer = signer
        self._directory = directory
        self._state = state
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[float, SessionCookie, Caller]] = {}

    def enter(self, caller: Caller) -> str:
        """Open a session; return its cookie.

        Raises:
            ServerDown: If the state database does not answer.
        """
        session = self._state.new_session()
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
        content = self._signer.load(cookie, int(time.time()))
        seen = self._seen.get(content.session)
        if seen and seen[1] == content and time.monotonic() - seen[0] < self._config.recheck:
            return seen[2]
        looked = time.monotonic()
        caller = find_admin(self._directory, content.address)
        if not caller or not self._is_current(content, caller):
            raise LoginRequired(f"session of {content.address}")
        if self._state.is_ended(content.session, content.since):
            raise LoginRequired(f"ended session of {content.address}")
        self._remember(content, caller, looked)
        return caller

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
            self._state.revoke(content.session, end, now)
            with self._lock:
                self._seen.pop(content.session, None)

    def _is_current(self, content: SessionCookie, caller: Caller) -> bool:
        return any(
            hmac.compare_digest(content.digest, digest(caller.stored, key))
            for key in self._signer.keys
        )

    def _remember(self, content: SessionCookie, caller: Caller, looked: float) -> None:
        with self._lock:
            if len(self._seen) >= _MOST_REMEMBERED:
                self._seen.clear()
            self._seen[content.session] = (looked, content, caller)
