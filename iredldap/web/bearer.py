"""Find the callers of API tokens, which come in the header `Authorization`.

Source: `docs/decisions/0057-tokens.md`; RFC 6750.
"""

import hmac
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache

from iredldap.dit import api_tokens
from iredldap.dit.api_tokens import ApiToken
from iredldap.errors import LoginRequired
from iredldap.gateways.api_tokens import ApiTokens
from iredldap.gateways.attempts import Attempts
from iredldap.operations.access.api_tokens import TokenManager
from iredldap.operations.login import Caller
from iredldap.web import networks

_MOST_REMEMBERED = 1000
_NO_DIGEST = "0" * 64


@dataclass(frozen=True, slots=True)
class _Found:
    """A valid token and its caller, and when both were looked up."""

    at: float
    token: ApiToken
    caller: Caller

    def is_valid(self, address: str, recheck: float) -> bool:
        """Return whether it need not be looked up again, for a client with an address."""
        return time.monotonic() - self.at < recheck and _fault(self.token, address) is None


class BearerTokens:
    """Finds the callers of tokens.

    Token and admin are looked up again after some seconds, so a token ends soon after it was
    deleted, or its admin disabled, demoted, renamed or deleted.

    Args:
        stored: The tokens.
        manager: Finds what the admin of a token may do.
        attempts: Counts unknown secrets by the networks of clients.
        recheck: Seconds for which a token and its admin are cached.
    """

    def __init__(
        self, stored: ApiTokens, manager: TokenManager, attempts: Attempts, recheck: float
    ) -> None:
        self._stored = stored
        self._manager = manager
        self._attempts = attempts
        self._recheck = recheck
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, _Found] = OrderedDict()

    def caller(self, secret: str, address: str) -> Caller:
        """Return the caller of a token.

        All refusals of a token are the same, and each takes one search of the state database: the
        answer does not show whether there is such a token, whether it has expired, or whether it
        may be used from elsewhere.

        Args:
            secret: What the client sent as the secret of a token.
            address: Address of the client.

        Raises:
            LoginRequired: If there is no such token, it has ended, or may not be used from there.
            TooManyRequests: If too many unknown ones came from the client's network.
            ServerDown: If that cannot be found out.
        """
        digest = api_tokens.digest(secret)
        found = self._seen.get(digest)
        if found is None or not found.is_valid(address, self._recheck):
            found = self._look_up(digest, address)
            self._remember(digest, found)
        return found.caller

    def _look_up(self, digest: str, address: str) -> _Found:
        """Look a token and its admin up.

        Unknown ones of others in the network of its client do not refuse it: a program with an old
        token must not stop those behind the same address, and 256 random bits cannot be guessed.
        """
        at = time.monotonic()
        token = self._stored.find(api_tokens.id_of(digest))
        if not hmac.compare_digest(token.digest if token else _NO_DIGEST, digest) or not token:
            self._attempts.count_guess(address)
            raise LoginRequired("unknown token")
        if fault := _fault(token, address):
            raise LoginRequired(f"token {token.id} of {token.admin}: {fault}")
        return _Found(at, token, self._manager.caller(token))

    def _remember(self, digest: str, found: _Found) -> None:
        with self._lock:
            self._seen[digest] = found
            self._seen.move_to_end(digest)
            if len(self._seen) > _MOST_REMEMBERED:
                self._seen.popitem(last=False)


_networks = lru_cache(maxsize=_MOST_REMEMBERED)(networks.parse)


def _fault(token: ApiToken, address: str) -> str | None:
    """Return why a token is refused now to a client with an address; None: it is not."""
    if token.is_expired(time.time()):
        return "expired"
    if token.networks and not networks.within(address, _networks(token.networks)):
        return f"not from {address}"
    return None
