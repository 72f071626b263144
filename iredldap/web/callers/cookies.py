"""Sign and read session cookies: who logged in, when, and with which password.

A cookie has no secret. Its digest depends on the stored password, so that it ends with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from itsdangerous import BadData, URLSafeSerializer

from iredldap.config.sections import SessionSettings
from iredldap.errors import LoginRequired
from iredldap.http_errors import SessionExpired

_SALT = "iredldap.session"

CLOCK_TOLERANCE = 60
"""Seconds by which a clock may step back, or the clocks of two machines may differ.

It is added where a cookie of another clock would be too young or idle for too long, and to the time
for which an ended session is remembered. The age at which a cookie ends is not extended.
"""


_MOST_READ = 1024
"""Verified cookies in memory of a worker: verifying one takes a twentieth of a request."""


@dataclass(frozen=True, slots=True)
class SessionCookie:
    """The content of a cookie.

    `since` is the time of the login, in seconds since 1970.
    """

    address: str
    session: str
    digest: str
    since: int


class CookieSigner:
    """Signs and reads cookies.

    Args:
        settings: Keys and ages.
    """

    def __init__(self, settings: SessionSettings) -> None:
        self._settings = settings
        self.keys: Sequence[str] = [key.reveal() for key in settings.keys]
        self._serializer = URLSafeSerializer(list(self.keys), salt=_SALT)
        # Content and signature of a cookie never change; its age does.
        self._signed = lru_cache(maxsize=_MOST_READ)(self._verified)

    def dump(self, content: SessionCookie, now: int) -> str:
        """Sign a cookie.

        Args:
            content: The content of the cookie.
            now: Seconds since 1970; the time of its last use.
        """
        # The time of use comes first, so that the rest is the content of the content.
        fields = [content.address, content.session, content.digest, content.since]
        return str(self._serializer.dumps([now, *fields]))

    def load(self, cookie: str, now: int) -> SessionCookie:
        """Read a cookie.

        Args:
            cookie: As the client sent it.
            now: Seconds since 1970.

        Raises:
            LoginRequired: If it was not signed here.
            SessionExpired: If it was, and is too old, was idle for too long, or is from a future
                that differing clocks do not explain.
        """
        used, content = self._signed(cookie)
        idle_age = self._settings.idle_age
        # From the future as well: a cookie signed by a clock that was wrong would not end in time.
        if idle_age and not -CLOCK_TOLERANCE <= now - used <= idle_age + CLOCK_TOLERANCE:
            raise SessionExpired(f"idle session of {content.address}")
        if not -CLOCK_TOLERANCE <= now - content.since <= self._settings.max_age:
            raise SessionExpired(f"session of {content.address}")
        return content

    def _verified(self, cookie: str) -> tuple[int, SessionCookie]:
        """Return when a cookie was last used, and what it says.

        Raises:
            LoginRequired: If it was not signed here.
        """
        try:
            used, *fields = self._serializer.loads(cookie)
            return used, SessionCookie(*fields)
        # A good signature over other fields is a cookie of another release.
        except (BadData, TypeError, ValueError) as ex:
            raise LoginRequired("not a cookie of ours") from ex
