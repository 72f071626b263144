"""Counter of failed logins, per account and client network, whether or not the account exists.

Counted by the library `limits`: in memory, or in a storage that workers and machines share. The
period begins with the first failure and ends for all of them together.
"""

import hashlib
import ipaddress
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import structlog
from limits import RateLimitItemPerSecond
from limits.errors import ConfigurationError, StorageError
from limits.storage import MemoryStorage, Storage, storage_from_string
from limits.strategies import FixedWindowRateLimiter

from iredldap.config.sections import LoginSettings
from iredldap.errors import InvalidCredentials, TooManyRequests

T = TypeVar("T")

_PATIENCE = 1.0
"""Seconds to wait for the storage."""

_PAUSE = 10.0
"""Seconds for which a storage that failed is not used."""

_SENTINEL = "redis+sentinel"
_TIMEOUTS = {"memcached": ("connect_timeout", "timeout")}
_ERRORS = (StorageError, ConfigurationError, OSError)

log = structlog.get_logger("iredldap.login")


def network_of(address: str) -> str:
    """Return the network that a client is counted under: a /24, for IPv6 a /64.

    A single customer may use that many addresses. A text that is not an address (a proxy may pass
    on anything) is returned as it is.
    """
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address
    plain = getattr(known, "ipv4_mapped", None) or known
    # By its number: a scope, as in fe80::1%eth0, is not part of a network.
    if plain.version == 4:
        return str(ipaddress.IPv4Network((int(plain), 24), strict=False))
    return str(ipaddress.IPv6Network((int(plain), 64), strict=False))


class Attempts:
    """Limit of failed logins.

    Without a shared storage each worker counts up to its share of the limit; so it does for ten
    seconds after the shared storage has failed.

    Args:
        login: The limit, and the storage of the counts.
        workers: Number of worker processes.
    """

    def __init__(self, login: LoginSettings, workers: int) -> None:
        # Together the workers then allow about as many as a shared storage would.
        share = max(1, login.failures // workers)
        self._alone = _Count(MemoryStorage(), share, login.period)
        self._shared = _shared(login)
        self._away_until = 0.0

    @contextmanager
    def watching(self, account: str, address: str) -> Iterator[None]:
        """Guard a login; it is counted if it raises `InvalidCredentials`.

        The limit is checked again afterwards: concurrent attempts must not learn more than they
        would one after the other.

        Raises:
            TooManyRequests: If too many have failed, whether this one succeeds or not.
        """
        network = network_of(address)
        # Hashed: an address may contain characters that a storage does not accept in a key.
        key = hashlib.sha256(f"{account} {network}".encode()).hexdigest()

        def refuse_after(wait: int) -> None:
            if wait:
                raise TooManyRequests(f"logins as {account} from {network}", retry_after=wait)

        refuse_after(self._ask(lambda count: count.wait(key)))
        try:
            yield
        except InvalidCredentials:
            refuse_after(self._ask(lambda count: count.add(key)))
            raise
        # The right password is refused as well if the limit was exceeded meanwhile: many attempts
        # at once would otherwise be a way around it.
        refuse_after(self._ask(lambda count: count.wait(key)))

    def count_guess(self, address: str) -> None:
        """Count an unknown token.

        Raises:
            TooManyRequests: If there have been too many, of this network.
        """
        key = _key_of_guesses(address)
        if wait := self._ask(lambda count: count.add(key)):
            raise TooManyRequests(f"tokens from {network_of(address)}", retry_after=wait)

    def _ask(self, question: "Callable[[_Count], T]") -> T:
        if self._shared and time.monotonic() >= self._away_until:
            try:
                return question(self._shared)
            except _ERRORS as ex:
                # Without the pause each login would wait for the time-out of the storage.
                self._away_until = time.monotonic() + _PAUSE
                log.warning("the storage of failed logins is down", cause=repr(ex))
        return question(self._alone)


def _key_of_guesses(address: str) -> str:
    # No account is called so: a name without "@" is refused before it is counted.
    return hashlib.sha256(f"token {network_of(address)}".encode()).hexdigest()


class _Count:
    """Failures by key, and the limit in a period of seconds."""

    def __init__(self, storage: Storage, most: int, period: int) -> None:
        self._limit = RateLimitItemPerSecond(most, period, namespace="iredldap-login")
        self._limiter = FixedWindowRateLimiter(storage)
        # The storage in memory loses failures that are counted at the same time.
        self._lock = threading.Lock()

    def wait(self, key: str) -> int:
        """Return the seconds until another attempt is allowed; 0: now."""
        if self._limiter.test(self._limit, key):
            return 0
        end = self._limiter.get_window_stats(self._limit, key).reset_time
        return max(1, math.ceil(end - time.time()))

    def add(self, key: str) -> int:
        """Count a failure; return the seconds to wait if the limit is exceeded, else 0."""
        with self._lock:
            if self._limiter.hit(self._limit, key):
                return 0
        return max(1, self.wait(key))


def _shared(login: LoginSettings) -> _Count | None:
    url = login.storage_url.reveal()
    scheme = url.partition(":")[0]
    if scheme == "memory":
        return None
    options: dict[str, Any] = dict.fromkeys(_TIMEOUTS.get(scheme, ("socket_timeout",)), _PATIENCE)
    if scheme == _SENTINEL:
        # Replicas have the counts of a moment before. The time-out is that of the sentinels.
        options |= {"use_replicas": False, "sentinel_kwargs": {"socket_timeout": _PATIENCE}}
    try:
        storage = storage_from_string(url, wrap_exceptions=True, **options)
        assert isinstance(storage, Storage)
        return _Count(storage, login.failures, login.period)
    except ConfigurationError as ex:
        log.warning("the storage of failed logins cannot be used", cause=str(ex))
    except ValueError:
        # The message may contain the password: not logged.
        log.warning("the storage of failed logins cannot be used", cause="malformed URL")
    return None
