"""Compress the output stream."""

import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, Protocol

from iredldap.errors import InternalError

Compression = Literal["none", "gzip", "zstd"]

_SUFFIXES: dict[str, Compression] = {".gz": "gzip", ".zst": "zstd"}
_GZIP = zlib.MAX_WBITS + 16
"""Makes zlib write gzip's header without a time stamp: the same text gives the same bytes."""

_LEVEL = 6


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


def compression_of(path: Path | None) -> Compression:
    """Return the compression that the suffix of a file name stands for."""
    return _SUFFIXES.get(path.suffix, "none") if path else "none"


def compressed(chunks: Iterable[bytes], how: Compression) -> Iterator[bytes]:
    """Compress a stream of chunks.

    Raises:
        InternalError: If zstd is requested and the module `zstandard` is not installed.
    """
    if how == "none":
        yield from chunks
        return
    compressor = _compressor(how)
    for chunk in chunks:
        if piece := compressor.compress(chunk):
            yield piece
    yield compressor.flush()


def _compressor(how: Compression) -> _Compressor:
    if how == "gzip":
        return zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    try:
        # Few exports use it, and the others must not wait for it to load.
        import zstandard  # noqa: PLC0415
    except ImportError as ex:
        raise InternalError("zstd needs the extra zstd") from ex
    made: _Compressor = zstandard.ZstdCompressor(write_checksum=True).compressobj()
    return made
