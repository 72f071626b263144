"""Change sequence numbers: which server made a change, and when.

slapd gives each entry the CSN of its last change (`entryCSN`), and the directory the newest one of
each server id (`contextCSN`). CSNs of one server are in the order of its changes. Those of two
servers are not: what one of them did while the other could not be reached arrives later, with
earlier times. So the state of a directory is a vector with one CSN for each server id.

Source: OpenLDAP Administrator's Guide, "Replication"; RFC 4533 for the cookie;
draft-ietf-ldup-model, "Change Sequence Numbers".
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

_CSN = re.compile(r"\d{14}\.\d{6}Z#[0-9a-f]{6}#[0-9a-f]{3}#[0-9a-f]{6}", re.ASCII | re.IGNORECASE)
_TIME = "%Y%m%d%H%M%S.%f%z"

SERVER_ID = slice(30, 33)
"""Where in a CSN the server id is."""


def is_csn(text: str) -> bool:
    """Return whether a text is a CSN in the form that slapd writes since 2.4."""
    return _CSN.fullmatch(text) is not None


def server_id(csn: str) -> int:
    """Return the id of the server that made a change, 0 to 4095.

    Raises:
        ValueError: If the text is no CSN.
    """
    return int(_checked(csn)[SERVER_ID], 16)


def time(csn: str) -> datetime:
    """Return the time of a change, in UTC by the clock of the server that made it.

    Raises:
        ValueError: If the text is no CSN.
    """
    return datetime.strptime(_checked(csn).partition("#")[0], _TIME).astimezone(UTC)


def earlier(csn: str, overlap: timedelta) -> str:
    """Return a CSN that is older by some time, and not above any of that microsecond.

    Raises:
        ValueError: If the text is no CSN.
    """
    return first_of(time(csn) - overlap)


def first_of(moment: datetime) -> str:
    """Return the lowest CSN of a moment, which is in UTC."""
    return f"{moment:%Y%m%d%H%M%S.%f}Z#000000#000#000000"


@dataclass(frozen=True, slots=True)
class CsnVector:
    """The newest CSN of each server id: the state of a directory. Equal ones are the same state.

    Make one by `of` or `of_cookie`. It is false while it has no CSN.

    Args:
        csns: At most one of each server id, by increasing id.
    """

    csns: tuple[str, ...] = ()

    @classmethod
    def of(cls, csns: Iterable[str]) -> Self:
        """Return the vector of the newest of some CSNs, such as the values of `contextCSN`.

        Raises:
            ValueError: If one of them is no CSN.
        """
        newest: dict[int, str] = {}
        for csn in csns:
            lowered = csn.lower().replace("z", "Z")
            sid = server_id(lowered)
            newest[sid] = max(newest.get(sid, ""), lowered)
        return cls(tuple(newest[sid] for sid in sorted(newest)))

    @classmethod
    def of_cookie(cls, cookie: str) -> Self:
        """Return the vector of a cookie of syncrepl: ``rid=000,sid=001,csn=CSN;CSN``.

        A cookie without CSNs, as of an empty directory, gives the empty vector.

        Raises:
            ValueError: If what it has is no CSN.
        """
        for part in cookie.split(","):
            name, _, listed = part.partition("=")
            if name == "csn":
                return cls.of(filter(None, listed.split(";")))
        return cls()

    def __bool__(self) -> bool:
        return bool(self.csns)

    def __iter__(self) -> Iterator[str]:
        return iter(self.csns)

    def of_server(self, sid: int) -> str | None:
        """Return the newest CSN of a server id; None: nothing of it is known."""
        return next((csn for csn in self.csns if server_id(csn) == sid), None)

    def server_ids(self) -> tuple[int, ...]:
        """Return the server ids that have a CSN."""
        return tuple(map(server_id, self.csns))

    def includes(self, csn: str) -> bool:
        """Return whether a change is part of this state: its own server's CSN is not older.

        A change of a server that the vector does not know is not.

        Raises:
            ValueError: If the text is no CSN.
        """
        newest = self.of_server(server_id(csn))
        return newest is not None and csn <= newest

    def covers(self, other: "CsnVector") -> bool:
        """Return whether everything that the other state has is part of this one."""
        return all(map(self.includes, other.csns))

    def with_newest(self, csns: Iterable[str]) -> Self:
        """Return the vector that also has some CSNs, the newest of each server id.

        Raises:
            ValueError: If one of them is no CSN.
        """
        return self.of((*self.csns, *csns))


def _checked(csn: str) -> str:
    if not is_csn(csn):
        raise ValueError(f"{csn!r} is no CSN")
    return csn
