"""Rows of the table of races: what stands before, and which calls oppose each other.

Names are written as ``{d}``, ``{e}`` and so on: each round puts fresh domain names in their place,
so that rounds do not disturb one another.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

ROOT = ""
"""Caller: the global admin of the installation."""
CODES = frozenset({"NO_SUCH_ACCOUNT", "INVALID_MAIL"})
"""Refusals that are honest wherever one call takes away what the other one needs; the second is
what a call says when none of the addresses that it names belongs to anybody."""


class Names(dict[str, str]):
    """Domain names of one round, made on first use.

    Args:
        token: Word that is part of each of them and of nothing else.
    """

    def __init__(self, token: str) -> None:
        super().__init__()
        self.token = token

    def __missing__(self, letter: str) -> str:
        self[letter] = f"{letter}-{self.token}.test"
        return self[letter]

    def fill(self, text: str) -> str:
        """Return a text with the names of this round."""
        return text.format_map(self)


@dataclass(frozen=True)
class Call:
    """One request.

    Args:
        method: Of HTTP.
        path: Below ``/api``.
        form: Parameters.
        who: Address of the caller.
        file: Body, instead of a form: entries that are restored as LDIF.
        is_async: Whether it is sent as a job; its end is the answer then.
    """

    method: str
    path: str
    form: Mapping[str, str] = field(default_factory=dict)
    who: str = ROOT
    file: tuple["Plant", ...] = ()
    is_async: bool = False

    def by(self, who: str) -> "Call":
        """Return the same call of another caller."""
        return replace(self, who=who)

    def later(self) -> "Call":
        """Return the same call as a job."""
        return replace(self, is_async=True)


def post(path: str, **form: str) -> Call:
    return Call("POST", path, form)


def put(path: str, **form: str) -> Call:
    return Call("PUT", path, form)


def delete(path: str) -> Call:
    return Call("DELETE", path)


def new_user(mail: str, **form: str) -> Call:
    return post(f"/user/{mail}", password="a good password", **form)


def rename(old: str, new: str, kind: str = "user") -> Call:
    return post(f"/{kind}/{old}/change_email/{new}")


def restore(*entries: "Plant") -> Call:
    return Call("POST", "/ldif", file=entries)


@dataclass(frozen=True)
class Domain:
    """A domain with its containers, written to the directory directly.

    Args:
        name: Of the domain.
        settings: Values of ``accountSetting``.
        admins: Addresses of its admins.
        is_active: Whether it is switched on.
    """

    name: str
    settings: tuple[str, ...] = ()
    admins: tuple[str, ...] = ()
    is_active: bool = True


@dataclass(frozen=True)
class User:
    """A mail user, written to the directory directly.

    Args:
        mail: Address.
        is_global: Whether they are a global admin.
        is_admin: Whether they manage domains that name them.
        forwarding: Where their mail goes.
    """

    mail: str
    is_global: bool = False
    is_admin: bool = False
    forwarding: tuple[str, ...] = ()


@dataclass(frozen=True)
class Admin:
    """A standalone admin, written to the directory directly.

    Args:
        mail: Address.
        settings: Values of ``accountSetting``.
        is_global: Whether they are a global admin.
    """

    mail: str
    settings: tuple[str, ...] = ()
    is_global: bool = False


@dataclass(frozen=True)
class Subscribers:
    """A subscribable list of mlmmj with many members."""

    mail: str
    count: int


Plant = Domain | User | Admin
Step = Plant | Subscribers | Call


@dataclass(frozen=True)
class Ending:
    """What is left of a round.

    Args:
        names: Of the round.
        succeeded: Whether each call did.
        entries: DN → attributes → values, everything in the domains of the round.
    """

    names: Names
    succeeded: tuple[bool, ...]
    entries: Mapping[str, Mapping[str, tuple[str, ...]]]

    def holding(self, attribute: str, value: str) -> int:
        """Return how many entries have a value."""
        return sum(value in entry.get(attribute, ()) for entry in self.entries.values())


Judge = Callable[[Ending], Iterable[str]]


@dataclass(frozen=True)
class Pair:
    """Calls that oppose each other.

    Args:
        name: What meets, as the table of results says it.
        before: What is made first, in this order.
        calls: Two or more.
        refusals: Codes that are honest here.
        winners: How many calls have to succeed exactly; None: one at least.
        judge: What must hold beside that.
        is_alone: Whether the global admin of the installation is switched off meanwhile, because
            the callers shall be the only ones.
        is_short: Whether the short form runs it on two servers, too.
    """

    name: str
    before: tuple[Step, ...]
    calls: tuple[Call, ...]
    refusals: frozenset[str] = CODES
    winners: int | None = None
    judge: Judge | None = None
    is_alone: bool = False
    is_short: bool = False


def codes(*more: str) -> frozenset[str]:
    """Return these codes of refusals beside the usual ones."""
    return CODES | set(more)
