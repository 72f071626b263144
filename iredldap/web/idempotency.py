"""Answer a repeated POST with the same `Idempotency-Key` as the first time, without doing it again.

The request is stored as a keyed digest only. The answer is sealed, because it may have a secret, by
a key that is derived from a session key and the key of the client: who reads the database can open
none without both.

Source: `docs/decisions/0058-idempotency.md`; the IETF's draft of the header.
"""

import hashlib
import hmac
import json
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import falcon
import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from iredldap.dit.change_ids import compact, new_id, of_compact
from iredldap.dit.change_log import LoggedChange
from iredldap.errors import InvalidParameter, Refusal, ServerDown, TooManyRequests
from iredldap.gateways.idempotent_answers import IdempotentAnswers, KeptAnswer
from iredldap.gateways.rounds import Rounds
from iredldap.http_errors import IdempotencyKeyInUse, IdempotencyKeyReused, RequestTimeout
from iredldap.web import forms
from iredldap.web.responses import status_of

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"

_KEY = re.compile(r"[!-~]{1,255}")
_NONCE = 12
_BEATS = 5
"""Signs of life in the time after which a request is taken for one whose worker died."""

# A repeat has an id, a node and an origin of its own; the rest of the answer is the first one's.
_OWN_HEADERS = {
    "x-request-id", "x-served-by", "set-cookie", "vary",
    "access-control-allow-origin", "access-control-expose-headers",
}  # fmt: skip
"""Headers of each answer itself."""

_CONDITIONS = ("If-Match", "If-None-Match", "Prefer")
_SERVER_ERRORS = 500
_TRANSIENT = (TooManyRequests, RequestTimeout)

log = structlog.get_logger("iredldap.web")


@dataclass(frozen=True, slots=True)
class Claim:
    """A key that a request holds: its id in the store, and the client's words.

    `claim` is the id of the change that the request may make, without dashes: a repeat finds by it
    what became of a request whose worker died. `former` is that of such a request.
    """

    id: str
    claim: str
    key: str
    former: str = ""


class Idempotency:
    """Finds the answers to repeated requests, and keeps new ones.

    Args:
        kept: The answers.
        keys: Session keys: the last one seals, and any opens.
        hours: Hours for which an answer is kept.
        abandoned: Seconds without a sign of life after which the worker of a request is dead.
        settled: Finds out what became of a change, by its id; None: it was not begun.
    """

    def __init__(
        self,
        kept: IdempotentAnswers,
        keys: Sequence[str],
        hours: int,
        abandoned: float,
        settled: Callable[[str], LoggedChange | None],
    ) -> None:
        self._kept = kept
        self._keys = keys
        self._milliseconds = hours * 3600 * 1000
        self._abandoned = int(abandoned * 1000)
        self._interval = abandoned / _BEATS
        self._settled = settled
        self._held: dict[str, float] = {}
        self._rounds = Rounds("idempotency", self._beat, self._interval)

    def start(self) -> None:
        """Begin to give signs of life of requests that take long."""
        self._rounds.start()

    def close(self) -> None:
        """End that."""
        self._rounds.close()

    def _beat(self) -> None:
        now = time.monotonic()
        long = [one for one, since in [*self._held.items()] if now - since >= self._interval]
        if long:
            self._kept.beat(long, _now_ms())

    def begin(self, request: falcon.Request, response: falcon.Response) -> None:
        """Claim the key of a request, or answer it as before; without a key nothing happens.

        Args:
            request: A POST that has been admitted and read.
            response: Is complete afterwards if there was an answer.

        Raises:
            InvalidParameter: If the key is malformed.
            IdempotencyKeyReused: If it was used for another request.
            IdempotencyKeyInUse: If the first request is still being carried out.
            ServerDown: If the state database does not respond.
        """
        key = request.get_header(HEADER)
        if key is None or request.method != "POST" or request.context.endpoint.takes_file:
            return
        if not _KEY.fullmatch(key):
            raise InvalidParameter(f"{HEADER} has 1 to 255 printable ASCII characters")
        now = _now_ms()
        # It says which request holds the key, too: a worker that was taken for dead must not end
        # the claim of the one that took over.
        claim = Claim(_id(request, key), compact(new_id()), key)
        wanted = KeptAnswer(self._digest(request, self._keys[-1]), claim.claim, None, now)
        found = self._kept.claim(claim.id, wanted, now - self._milliseconds)
        if found is None:
            self._hold(request, claim)
            return
        # With each session key: the request of an hour ago was digested by the one of that time.
        if not any(_same(found.request, self._digest(request, each)) for each in self._keys):
            raise IdempotencyKeyReused(claim.id)
        if found.answer is not None:
            self._replay(response, found.answer, claim)
            return
        if found.began >= now - self._abandoned:
            raise IdempotencyKeyInUse(claim.id)
        earlier = self._earlier(found.claim)
        if earlier is not None and earlier.result == "open":
            raise IdempotencyKeyInUse(claim.id)
        if not self._kept.take_over(claim.id, found, wanted):
            raise IdempotencyKeyInUse(claim.id)
        request.context.earlier = earlier
        self._hold(request, replace(claim, former=found.claim if earlier else ""))

    def _earlier(self, claim: str) -> LoggedChange | None:
        """Return the change of a request whose worker died, or that broke off."""
        try:
            return self._settled(of_compact(claim))
        except ValueError:
            # The key was released or forgotten at this moment: there is no claim.
            return None

    def _hold(self, request: falcon.Request, claim: Claim) -> None:
        request.context.claim = claim
        request.context.change_id = of_compact(claim.claim)
        self._held[claim.claim] = time.monotonic()
        self._rounds.start()

    def end(self, request: falcon.Request, response: falcon.Response) -> None:
        """Keep the answer to a request that holds a key.

        One that changed nothing and may succeed later is not kept, nor one of a change that broke
        off because something did not respond: a repeat goes on from there. If the state database
        fails by now, the answer goes out all the same, and the key stays in use until it counts as
        abandoned.
        """
        claim: Claim | None = request.context.get("claim")
        if claim is None:
            return
        try:
            refusal = request.context.get("refusal")
            if response.data is None or _may_pass(refusal):
                if claim.former:
                    self._leave(claim, claim.former)
                else:
                    self._kept.release(claim.id, claim.claim)
            elif isinstance(refusal, ServerDown):
                self._leave(claim, claim.claim)
            else:
                answer = self._sealed(response, response.data, claim)
                self._kept.keep(claim.id, claim.claim, answer)
        except ServerDown as ex:
            log.warning("an answer cannot be kept for a repeat", detail=ex.detail)
        finally:
            self._held.pop(claim.claim, None)

    def _leave(self, claim: Claim, former: str) -> None:
        self._kept.leave(claim.id, claim.claim, former, _now_ms() - self._abandoned - 1)

    def _digest(self, request: falcon.Request, key: str) -> str:
        """Return a keyed digest of what a request asks for, whatever its form."""
        context = request.context
        changes = [
            (change.field.name, change.verb.value, change.values)
            for change in (*context.parsed.changes, *context.parsed.odd)
        ]
        asked = [
            context.endpoint.id,
            sorted(context.names.items()),
            sorted(changes),
            sorted(context.parsed.unknown),
            sorted(forms.query(request).items()),
            bool(context.get("dry_run")),
            [request.get_header(name) or "" for name in _CONDITIONS],
        ]
        words = json.dumps(asked).encode()
        return hmac.new(_derived(key, b"request"), words, hashlib.sha256).hexdigest()

    def _sealed(self, response: falcon.Response, body: bytes, claim: Claim) -> bytes:
        headers = {k: v for k, v in response.headers.items() if k.lower() not in _OWN_HEADERS}
        text = json.dumps([response.status_code, headers, body.decode()]).encode()
        nonce = os.urandom(_NONCE)
        return nonce + _cipher(self._keys[-1], claim).encrypt(nonce, text, claim.id.encode())

    def _replay(self, response: falcon.Response, sealed: bytes, claim: Claim) -> None:
        status, headers, body = self._opened(sealed, claim)
        response.status = status
        for name, value in headers.items():
            response.set_header(name, value)
        response.set_header(REPLAYED, "true")
        response.data = body.encode()
        response.complete = True

    def _opened(self, sealed: bytes, claim: Claim) -> Any:
        for key in self._keys:
            try:
                text = _cipher(key, claim).decrypt(
                    sealed[:_NONCE], sealed[_NONCE:], claim.id.encode()
                )
            except InvalidTag:
                continue
            return json.loads(text)
        raise IdempotencyKeyReused(f"{claim.id}: sealed by a key that is gone")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _may_pass(refusal: Refusal | None) -> bool:
    """Return whether a refusal changed nothing, and the same request may succeed later."""
    if refusal is None:
        return False
    is_passing = isinstance(refusal, _TRANSIENT) or status_of(refusal) >= _SERVER_ERRORS
    return is_passing and not (refusal.report and "done" in refusal.report)


def _id(request: falcon.Request, key: str) -> str:
    caller = request.context.caller
    words = [caller.address, caller.token.id if caller.token else "", key]
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one, other)


def _derived(key: str, purpose: bytes) -> bytes:
    return hmac.new(key.encode(), b"idempotency " + purpose, hashlib.sha256).digest()


def _cipher(key: str, claim: Claim) -> AESGCM:
    secret = hmac.new(_derived(key, b"answer"), claim.key.encode(), hashlib.sha256).digest()
    return AESGCM(secret)
