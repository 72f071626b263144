"""The cookie: who logged in, when, and under which password; signed.

It holds no secret. The digest ties it to the stored password, so that it ends with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from itsdangerous import BadData, SignatureExpired, TimedSerializer, URLSafeTimedSerializer

from iredldap.config import Session
from iredldap.errors import LoginRequired, SessionExpired

_SALT = "iredldap.session"


@dataclass(frozen=True, slots=True)
class Token:
    """What a cookie says.

    `since` is the time of the login, in seconds since 1970.
    """

    address: str
    session: str
    digest: str
    since: int


class Tokens:
    """Signs and reads cookies.

    Args:
        settings: Keys and ages.
    """

    def __init__(self, settings: Session) -> None:
        self._settings = settings
        self.keys: Sequence[str] = [key.reveal() for key in settings.keys]
        self._serializer: TimedSerializer[str] = URLSafeTimedSerializer(list(self.keys), salt=_SALT)

    def dump(self, token: Token) -> str:
        """Sign a token, with the time of now as its last use."""
        return str(
            self._serializer.dumps([token.address, token.session, token.digest, token.since])
        )

    def load(self, cookie: str, now: int) -> Token:
        """Read a cookie.

        Args:
            cookie: As the client sent it.
            now: Seconds since 1970.

        Raises:
            LoginRequired: If it was not signed here.
            SessionExpired: If it was, and is too old or was idle for too long.
        """
        try:
            # The signature's time is that of the last use; the age since the login is judged
            # by our own clock below.
            fields = self._serializer.loads(cookie, max_age=self._settings.idle_age or None)
            token = Token(*fields)
        except SignatureExpired as ex:
            raise SessionExpired("idle for too long") from ex
        except (BadData, TypeError) as ex:
            raise LoginRequired("not a cookie of ours") from ex
        if not token.since <= now <= token.since + self._settings.max_age:
            raise SessionExpired(f"session of {token.address}")
        return token
