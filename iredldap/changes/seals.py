"""Seal secret values before they are stored in the change log, and open them for an undo.

AES-256 in Galois/counter mode, with a random nonce before each value. A value can only be opened
for the entry that it was sealed for.
"""

import hashlib
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from iredldap.config.settings import Secret
from iredldap.dit.change_log import Sealed, Touched, TouchedEntry, Value, map_secrets

_NONCE = 12


class Seals:
    """The keys: the last one seals, and each of them opens what it has sealed.

    Args:
        keys: Texts; none: secret values are not kept.
    """

    def __init__(self, keys: Sequence[Secret]) -> None:
        texts = [key.reveal().encode() for key in keys]
        self._ciphers = {_id(text): AESGCM(_derived(b"key", text)) for text in texts}
        self._current = _id(texts[-1]) if texts else ""

    def sealed(self, touched: Touched) -> Touched:
        """Return what was touched with every secret value sealed, or not kept."""
        if not isinstance(touched, TouchedEntry):
            return touched
        return map_secrets(touched, lambda value: self._seal(value, touched.dn.encode()))

    def opened(self, touched: Touched) -> Touched:
        """Return what was touched with the secret values that can be opened.

        Those that were not kept, or whose key is not there any more, stay as they are.
        """
        if not isinstance(touched, TouchedEntry):
            return touched
        return map_secrets(touched, lambda value: self._open(value, touched.dn.encode()))

    def _seal(self, value: Value, about: bytes) -> Value:
        if isinstance(value, Sealed):
            return value
        if not self._current:
            return Sealed()
        nonce = os.urandom(_NONCE)
        data = self._ciphers[self._current].encrypt(nonce, value, about)
        return Sealed(self._current, nonce + data)

    def _open(self, value: Value, about: bytes) -> Value:
        if not isinstance(value, Sealed) or value.key not in self._ciphers:
            return value
        try:
            return self._ciphers[value.key].decrypt(value.data[:_NONCE], value.data[_NONCE:], about)
        except (InvalidTag, ValueError):
            # It was not kept, was changed, or moved here from another entry.
            return value


def _id(key: bytes) -> str:
    return _derived(b"id", key).hex()[:12]


def _derived(purpose: bytes, key: bytes) -> bytes:
    return hashlib.sha256(b"iredldap change log " + purpose + b"\0" + key).digest()
