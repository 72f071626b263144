"""Gather the bytes of a request, and find out when a thread can begin with it.

A thread that reads a request waits for its client. So requests are gathered before, up to a size
that fits in memory a thousand times; a larger body is read by the thread that handles the request.
"""

import re

MOST = 32 * 1024
"""Bytes of a head, and of a body that is gathered. nginx takes heads of this size, too."""

_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,18})[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r\n]*chunked", re.IGNORECASE)
_EXPECTS = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*(?=\r\n)", re.IGNORECASE)
_FIRST_LINE = re.compile(rb"\s*([!-~]{1,40}) ([!-~]+) HTTP/1\.(\d)\r\n")
_SIZE = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;.*)?", re.DOTALL)


class IncomingRequest:
    """A request that is being received. gunicorn's parser refuses what is malformed.

    Args:
        beginning: Bytes received so far.
    """

    def __init__(self, beginning: bytes = b"") -> None:
        self.data = bytearray()
        self.method = self.target = ""
        self._head = 0
        self._searched = 0
        self._length: int | None = None
        self._is_chunked = False
        self._expects = False
        self._chunk = 0
        self.add(beginning)

    def add(self, data: bytes) -> None:
        """Add received bytes."""
        self.data += data
        if not self._head:
            self._look_for_head()
        if self._is_chunked and self._length is None:
            self._walk_chunks()

    @property
    def is_too_large(self) -> bool:
        """Whether its head is too large."""
        return not self._head and len(self.data) > MOST

    @property
    def is_whole(self) -> bool:
        """Whether all of the request is there."""
        known = self._head and self._length is not None
        return bool(known) and len(self.data) >= self._head + (self._length or 0)

    @property
    def is_large(self) -> bool:
        """Whether the body is too large to be gathered here."""
        if not self._head or self.is_whole:
            return False
        wanted = self._length if self._length is not None else len(self.data) - self._head
        return wanted > MOST

    def continues(self) -> bool:
        """Return once whether the client waits for "100 Continue" before its body.

        Its header `Expect` is removed then: it has been answered.
        """
        if not self._expects or not self._head or self.is_whole or self.is_large:
            return False
        self._expects = False
        found = _EXPECTS.search(self.data, 0, self._head)
        if found:
            size = found.end() - found.start()
            del self.data[found.start() : found.end()]
            self._head -= size
            self._chunk -= size
        return True

    def _look_for_head(self) -> None:
        while self.data.startswith(b"\r\n"):
            # Empty lines before a request mean nothing, and are no head.
            del self.data[:2]
            self._searched = 0
        # From where the last search ended: searching from the beginning each time would let a
        # client that sends single bytes cost a multiple of what it sends.
        end = self.data.find(_END, max(0, self._searched - len(_END)))
        self._searched = len(self.data)
        if end < 0:
            return
        self._head = self._chunk = end + len(_END)
        head = bytes(self.data[: self._head])
        line = _FIRST_LINE.match(head)
        if line:
            self.method, self.target = line[1].decode(), line[2].decode()
            # HTTP/1.0 has no such answer, and a client of it would take it for the answer to its
            # request.
            self._expects = line[3] != b"0" and bool(_EXPECTS.search(head))
        self._is_chunked = bool(_CHUNKED.search(head))
        lengths = _LENGTH.findall(head)
        # With both headers the chunks count (RFC 9112, 6.3); gunicorn judges the rest.
        if not self._is_chunked:
            self._length = int(lengths[0]) if lengths else 0

    def _walk_chunks(self) -> None:
        """Continue from chunk to chunk; the last one, and what follows it, ends the body."""
        while (end := self.data.find(b"\r\n", self._chunk)) >= 0:
            size = _SIZE.fullmatch(self.data, self._chunk, end)
            if not size:
                # Not ours to refuse: what is there is all that is waited for.
                self._length = len(self.data) - self._head
                return
            if int(size[1], 16) == 0:
                # The empty line may follow at once, or after trailers.
                last = self.data.find(_END, end)
                if last >= 0:
                    self._length = last + len(_END) - self._head
                return
            # The line of the size, the bytes, and the line break behind them.
            following = end + 2 + int(size[1], 16) + 2
            if following > len(self.data):
                return
            self._chunk = following
