"""What is wanted of users, row by row, and what became of each row."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from iredldap.dit import kinds, user
from iredldap.dit.fields import Elsewhere, Field, Parsed, Table
from iredldap.dit.request import Request
from iredldap.errors import Refusal, Several
from iredldap.http_errors import MissingScope

CREATE, UPDATE = "user_create", "user_update"
"""Ids of the endpoints whose rights a row needs."""

LISTS = Field(
    name="lists",
    stored_as=Elsewhere("the lists"),
    kind=kinds.ADDRESSES,
    meaning="Lists and aliases that the user becomes a member of, of any type. Nobody is removed"
    " from a list.",
)

_CREATED = {row.name for row in user.CREATE}
_SINGLE = ("add", "remove")

USER: Table = (
    # An account that is there needs no password; without one, a creation refuses.
    *(row.but(required=False) for row in user.CREATE),
    *(
        row.but(conflicts_with=())
        for row in user.UPDATE
        if row.name not in _CREATED and not row.name.startswith(_SINGLE)
    ),
    LISTS,
)
"""Parameters of a user who is wanted: those of a creation, those of a change, and lists."""

Result = Literal["created", "updated", "unchanged", "differs", "refused"]
RESULTS: tuple[Result, ...] = ("created", "updated", "unchanged", "differs", "refused")


@dataclass(frozen=True, slots=True)
class UserRow:
    """One user who is wanted.

    Args:
        line: Where the row stands, from 1.
        mail: Address.
        parsed: Parameters; those of `LISTS` are apart.
        lists: Addresses of lists.
        refusal: Why nothing can be done about it.
    """

    line: int
    mail: str
    parsed: Parsed = field(default_factory=Parsed)
    lists: tuple[str, ...] = ()
    refusal: Refusal | None = None

    @property
    def addresses(self) -> Iterator[str]:
        """All addresses that the user is to have."""
        yield self.mail
        for change in self.parsed.changes:
            if change.field.name == "aliases":
                yield from change.values

    def request(self, endpoint: str, parsed: Parsed, of: Request) -> Request:
        """Return the request for what the row wants; `of` says who asks."""
        return Request(endpoint, {"mail": self.mail}, parsed, client=of.client, token=of.token)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a row.

    Args:
        row: The row.
        result: What was done, or would be.
        refusal: Why nothing was, or why the user did not become a member of lists.
        differs: Parameters in which the account that is there differs, or differed.
        joined: Lists that the user has become a member of.
        ignored: Values that were left out, as `X-Ignored-Values` names them.
        change: Id in the change log; empty: nothing was written.
    """

    row: UserRow
    result: Result
    refusal: Refusal | None = None
    differs: tuple[str, ...] = ()
    joined: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    change: str = ""

    def with_list(self, name: str, refusal: Refusal | None) -> "Outcome":
        """Return it with a membership that was made, or with why it was not: the user is there."""
        if refusal:
            before = (self.refusal,) if self.refusal else ()
            return replace(self, refusal=Several((*before, refusal)) if before else refusal)
        result: Result = "updated" if self.result == "unchanged" else self.result
        return replace(self, result=result, joined=(*self.joined, name))

    def as_json(self, *, has_details: bool = True) -> dict[str, object]:
        """Return it as a report has it."""
        shown: dict[str, object] = {
            "line": self.row.line,
            "address": self.row.mail,
            "result": self.result,
        }
        if self.refusal:
            shown |= reasons(self.refusal, has_details=has_details)
        for name in ("differs", "joined", "ignored"):
            if values := getattr(self, name):
                shown[name] = [*values]
        return shown | ({"change": self.change} if self.change else {})


class StoredRefusal(Refusal):
    """The refusal of a row or line before it was stored, as `dumped` wrote it."""

    def __init__(self, codes: Sequence[str], parameters: Sequence[str], detail: str) -> None:
        super().__init__(detail)
        self._codes, self._parameters = tuple(codes), tuple(parameters)

    @classmethod
    def dumped(cls, refusal: Refusal) -> list[object]:
        """Return what makes a refusal again."""
        return [[*refusal.codes], [*refusal.parameters], refusal.detail]

    @property
    def codes(self) -> tuple[str, ...]:
        return self._codes

    @property
    def parameters(self) -> tuple[str, ...]:
        return self._parameters


def reasons(refusal: Refusal, *, has_details: bool = True) -> dict[str, object]:
    """Return code and parameters of a refusal, as a report has them, and its words.

    Args:
        refusal: The refusal.
        has_details: Whether the words are told, too: they may be about other domains. Which scope
            the token lacks is told in any case.
    """
    found: dict[str, object] = {
        "code": ",".join(refusal.codes),
        "parameters": [*refusal.parameters],
    }
    if has_details or isinstance(refusal, MissingScope):
        found["detail"] = refusal.detail if refusal.detail not in refusal.codes else ""
    return found
