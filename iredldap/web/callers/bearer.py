"""Find the callers of API tokens, which come in the header `Authorization`.

Source: `docs/decisions/0057-tokens.md`; RFC 6750.
"""

import hmac
import time
from functools import lru_cache

from iredldap.dit import api_tokens
from iredldap.dit.api_tokens import ApiToken
from iredldap.errors import LoginRequired, ServerDown
from iredldap.gateways.access.api_tokens import ApiTokens
from iredldap.gateways.attempts import Attempts
from iredldap.operations.access.api_tokens import TokenManager
from iredldap.operations.login import Caller
from iredldap.web import networks
from iredldap.web.callers.known_callers import KnownCallers

_MOST_NETWORKS = 1000
_NO_DIGEST = "0" * 64


class BearerTokens:
    """Finds the callers of tokens.

    Token and admin are looked up again after some seconds, so a token ends soon after it was
    deleted, or its admin disabled, demoted, renamed or deleted.

    Args:
        stored: The tokens.
        manager: Finds what the admin of a token may do.
        attempts: Counts unknown secrets by the networks of clients.
        recheck: Seconds for which a token and its admin are cached.
        known_for: Seconds for which a token may read after it was last found, while the state
            database does not respond.
    """

    def __init__(
        self,
        stored: ApiTokens,
        manager: TokenManager,
        attempts: Attempts,
        recheck: float,
        known_for: float,
    ) -> None:
        self._stored = stored
        self._manager = manager
        self._attempts = attempts
        # By digest: an id is only a part of it.
        self._known = KnownCallers[ApiToken](recheck, known_for)

    def caller(self, secret: str, address: str, *, reads: bool) -> Caller:
        """Return the caller of a token.

        All refusals of a token are the same, and each takes one search of the state database: the
        answer does not show whether there is such a token, whether it has expired, or whether it
        may be used from elsewhere.

        Args:
            secret: What the client sent as the secret of a token.
            address: Address of the client.
            reads: Whether the request only reads.

        Raises:
            LoginRequired: If there is no such token, it has ended, or may not be used from there.
            TooManyRequests: If too many unknown ones came from the client's network.
            ServerDown: If that cannot be found out.
        """
        digest = api_tokens.digest(secret)
        known = self._known.find(digest, reads=reads)
        if known and _fault(known.proof, address) is None:
            return known.caller
        return self._look_up(digest, address, reads=reads)

    def _look_up(self, digest: str, address: str, *, reads: bool) -> Caller:
        """Look a token and its admin up.

        Unknown ones of others in the network of its client do not refuse it: a program with an old
        token must not stop those behind the same address, and 256 random bits cannot be guessed.
        """
        looked = time.monotonic()
        token, confirmed = self._found(digest, looked, reads=reads)
        if not hmac.compare_digest(token.digest if token else _NO_DIGEST, digest) or not token:
            self._known.end([digest])
            self._attempts.count_guess(address)
            raise LoginRequired("unknown token")
        if fault := _fault(token, address):
            raise LoginRequired(f"token {token.id} of {token.admin}: {fault}")
        caller = self._manager.caller(token)
        self._known.remember(digest, token, caller, looked, confirmed)
        return caller

    def _found(self, digest: str, now: float, *, reads: bool) -> tuple[ApiToken | None, float]:
        """Return a token, and when it was found; None: it has ended, or there is none."""
        try:
            return self._stored.find(api_tokens.id_of(digest)), now
        except ServerDown:
            known = self._known.confirmed_lately(digest)
            if known is None or not reads:
                raise
            return known.proof, known.confirmed

    def confirm(self) -> None:
        """Ask the state database which of the tokens that this worker knows have ended.

        Raises:
            ServerDown: If it does not respond.
        """
        asked, used = time.monotonic(), self._known.in_use()
        if not used:
            return
        there = {token.digest for token in self._stored.those({t.id for t in used.values()})}
        self._known.end(used.keys() - there)
        self._known.confirm(used.keys() & there, asked)


_networks = lru_cache(maxsize=_MOST_NETWORKS)(networks.parse)


def _fault(token: ApiToken, address: str) -> str | None:
    """Return why a token is refused now to a client with an address; None: it is not."""
    if token.is_expired(time.time()):
        return "expired"
    if token.networks and not networks.within(address, _networks(token.networks)):
        return f"not from {address}"
    return None
