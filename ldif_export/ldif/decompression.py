"""Read files, compressed or not, as the plain bytes that they hold."""

import hashlib
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Protocol

from iredldap.errors import InternalError

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"

_GZIP_FORMAT = 16 + zlib.MAX_WBITS

# Compressed bytes decompressed at a time. A kilobyte grows to 32 MB at most, so a file that is made
# to exhaust the memory does not.
_PIECE = 1024


class CorruptData(Exception):
    """Compressed data cannot be decompressed: they were cut off or changed."""


class ReadableFile(Protocol):
    """A binary file, as far as it is used here."""

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes; none at the end."""


class DigestingReader:
    """Count and digest the bytes of a file while it is read."""

    def __init__(self, file: ReadableFile) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def read(self, size: int, /) -> bytes:
        chunk = self._file.read(size)
        self._digest.update(chunk)
        self.size += len(chunk)
        return chunk


def decompressed(file: ReadableFile) -> ReadableFile:
    """Return the content of a file: gzip and zstd are recognized by their first bytes.

    Reading it raises `CorruptData` where the compressed data are damaged.

    Raises:
        InternalError: If the library for zstd is not installed.
    """
    head = file.read(len(_ZSTD))
    whole = _Prefixed(head, file)
    if head.startswith(_GZIP):
        return _Decompressed("gzip", whole, lambda: zlib.decompressobj(_GZIP_FORMAT), zlib.error)
    return _zstd(whole) if head == _ZSTD else whole


def _zstd(file: ReadableFile) -> ReadableFile:
    try:
        import zstandard  # noqa: PLC0415 - few files need it
    except ImportError as ex:
        raise InternalError("zstd needs the extra zstd") from ex
    decompressor = zstandard.ZstdDecompressor()
    return _Decompressed("zstd", file, decompressor.decompressobj, zstandard.ZstdError)


class _Prefixed:
    """A file, with the bytes that have been read from it put back."""

    def __init__(self, head: bytes, file: ReadableFile) -> None:
        self._head = head
        self._file = file

    def read(self, size: int, /) -> bytes:
        if not self._head:
            return self._file.read(size)
        given, self._head = self._head[:size], self._head[size:]
        return given


class _Frame(Protocol):
    """One compressed stream; a file may hold several."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


class _Decompressed:
    def __init__(
        self, name: str, file: ReadableFile, begin: Callable[[], _Frame], fault: type[Exception]
    ) -> None:
        self._name = name
        self._file = file
        self._begin = begin
        self._fault = fault
        self._frame: _Frame | None = None
        self._waiting = b""
        self._ready = BytesIO()

    def read(self, size: int, /) -> bytes:
        while not (given := self._ready.read(size)):
            piece = self._waiting or self._file.read(_PIECE)
            if not piece:
                # The stream has begun and not ended.
                if self._frame:
                    raise CorruptData(f"{self._name}: the data end too early")
                return b""
            self._ready = BytesIO(self._fed(piece))
        return given

    def _fed(self, piece: bytes) -> bytes:
        frame = self._frame or self._begin()
        try:
            given = frame.decompress(piece)
        except self._fault as ex:
            raise CorruptData(f"{self._name}: {ex}") from ex
        # A file may hold several compressed streams, one after another.
        self._waiting = frame.unused_data if frame.eof else b""
        self._frame = None if frame.eof else frame
        return given
