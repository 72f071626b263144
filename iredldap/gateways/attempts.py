"""How often logins failed, per account and client network, whether or not the account exists.

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
from typing import TypeVar

import structlog
from limits import RateLimitItemPerSecond
from limits.errors import ConfigurationError, StorageError
from limits.storage import MemoryStorage, Storage, storage_from_string
from limits.strategies import FixedWindowRateLimiter

from iredldap.config.sections import LoginSettings
from iredldap.errors import InvalidCredentials, TooManyRequests

T = TypeVar("T")

_PATIENCE = 1.0
_PAUSE = 10.0
_TIMEOUTS = {"memcached": ("connect_timeout", "timeout")}
_FAULTS = (StorageError, ConfigurationError, OSError)

log = structlog.get_logger("iredldap.login")


def network_of(address: str) -> str:
    """The network that a client is counted under: a /24, of IPv6 a /64.

    A single customer has that many addresses at will. What is no address (a proxy may hand on
    anything) stands for itself.
    """
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address
    plain = getattr(known, "ipv4_mapped", None) or known
    # By their numbers: a scope, as in fe80::1%eth0, is no part of a network.
    if plain.version == 4:
        return str(ipaddress.IPv4Network((int(plain), 24), strict=False))
    return str(ipaddress.IPv6Network((int(plain), 64), strict=False))


class Attempts:
    """Refuses logins after too many failures.

    Without a shared storage each worker counts up to its share of the limit. So it does while
    the storage is away: one that fails is asked again after ten seconds.

    Args:
        login: The limit, and where the count is kept.
        workers: How many processes serve.
    """

    def __init__(self, login: LoginSettings, workers: int) -> None:
        share = max(1, login.failures // workers)
        self._alone = _Count(MemoryStorage(), share, login.period)
        self._shared = _shared(login)
        self._away_until = 0.0

    @contextmanager
    def watching(self, account: str, address: str) -> Iterator[None]:
        """Let an attempt be made, and count it if it ends in `InvalidCredentials`.

        The limit is looked at again afterwards: of attempts that are made at once none learns
        more than it would have learned one after another.

        Raises:
            TooManyRequests: If too many have failed, be this one right or wrong.
        """
        network = network_of(address)
        # Hashed, since an address may hold characters that a storage does not take in a key.
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
        refuse_after(self._ask(lambda count: count.wait(key)))

    def _ask(self, question: "Callable[[_Count], T]") -> T:
        if self._shared and time.monotonic() >= self._away_until:
            try:
                return question(self._shared)
            except _FAULTS as ex:
                self._away_until = time.monotonic() + _PAUSE
                log.warning("the storage of failed logins is down", cause=repr(ex))
        return question(self._alone)


class _Count:
    """Failures by key, and how many there may be in a period of seconds."""

    def __init__(self, storage: Storage, most: int, period: int) -> None:
        self._limit = RateLimitItemPerSecond(most, period, namespace="iredldap-login")
        self._limiter = FixedWindowRateLimiter(storage)
        # Memory loses failures that are counted at the very same time.
        self._lock = threading.Lock()

    def wait(self, key: str) -> int:
        """Seconds until another attempt is welcome; 0: now."""
        if self._limiter.test(self._limit, key):
            return 0
        end = self._limiter.get_window_stats(self._limit, key).reset_time
        return max(1, math.ceil(end - time.time()))

    def add(self, key: str) -> int:
        """Count a failure; give the seconds to wait if it is one too many, else 0."""
        with self._lock:
            if self._limiter.hit(self._limit, key):
                return 0
        return max(1, self.wait(key))


def _shared(login: LoginSettings) -> _Count | None:
    url = login.storage_url.reveal()
    scheme = url.partition(":")[0]
    if scheme == "memory":
        return None
    timeouts = dict.fromkeys(_TIMEOUTS.get(scheme, ("socket_timeout",)), _PATIENCE)
    try:
        storage = storage_from_string(url, wrap_exceptions=True, **timeouts)
        assert isinstance(storage, Storage)
        return _Count(storage, login.failures, login.period)
    except ConfigurationError as ex:
        log.warning("the storage of failed logins cannot be used", cause=str(ex))
    except ValueError:
        # Its message may quote the password.
        log.warning("the storage of failed logins cannot be used", cause="malformed URL")
    return None
