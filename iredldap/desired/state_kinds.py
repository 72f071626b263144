"""The kinds of things in a state: accounts and domains, which are entries, and policies."""

from collections.abc import Mapping
from dataclasses import dataclass

from iredldap.dit import user
from iredldap.dit.fields import Table
from iredldap.dit.filters import begins_with, equals, every, negated
from iredldap.dit.scopes import EVERYBODY
from iredldap.dit.views import kinds
from iredldap.dit.views.params import ParamsKind
from iredldap.dit.wblist import Colour, Direction

HASH = "password_hash"
"""Parameter that has the hash of a password."""

SUBSCRIBERS = "subscribers"
"""Member of the line of a subscribable list: addresses by their kind of membership."""

_MLMMJ = equals("enabledService", "mlmmj")
_LIST = equals("objectClass", "mailList")


@dataclass(frozen=True, kw_only=True, eq=False)
class EntryKind:
    """A kind of entry; the ids of its calls begin with the name.

    Args:
        params: How its parameters are read, and its name.
        object_class: That of its entries.
        filter: Finds its entries, and no others.
        references: Parameters that name other accounts: they are set when all of these exist.
        renamed: Whether a call renames it.
        further: Rows beside those of its calls.
    """

    params: ParamsKind
    object_class: str
    filter: str
    references: frozenset[str] = frozenset()
    renamed: bool = False
    further: Table = ()

    @property
    def name(self) -> str:
        return self.params.name

    @property
    def key(self) -> str:
        """Return the member of a line that identifies the thing."""
        return self.params.key

    @property
    def has_password(self) -> bool:
        return self.name in {"user", "admin"}


DOMAIN = EntryKind(
    params=kinds.DOMAIN,
    object_class="mailDomain",
    filter=equals("objectClass", "mailDomain"),
    references=frozenset({"catchall", "admins"}),
)
ADMIN = EntryKind(
    params=kinds.ADMIN,
    object_class="mailAdmin",
    filter=equals("objectClass", "mailAdmin"),
    # As a stored job has it, of a password that was sent: the call itself takes no hash.
    further=(user.SEALED_PASSWORD.but(area="admins", by_self=False),),
)
USER = EntryKind(
    params=kinds.USER,
    object_class="mailUser",
    filter=every(equals("objectClass", "mailUser"), negated(begins_with("mail", "@"))),
    references=frozenset({"forwarding", "senderBcc", "recipientBcc"}),
    renamed=True,
)
MAILLIST = EntryKind(
    params=kinds.MAILLIST,
    object_class="mailList",
    filter=every(_LIST, negated(_MLMMJ)),
    references=frozenset({"members"}),
)
SUBSCRIBABLE = EntryKind(
    params=kinds.SUBSCRIBABLE,
    object_class="mailList",
    filter=every(_LIST, _MLMMJ),
    references=frozenset({"owner", "moderators", "subscription_moderators"}),
)
ALIAS = EntryKind(
    params=kinds.ALIAS,
    object_class="mailAlias",
    filter=equals("objectClass", "mailAlias"),
    references=frozenset({"members"}),
    renamed=True,
)

ENTRY_KINDS: tuple[EntryKind, ...] = (DOMAIN, ADMIN, USER, MAILLIST, SUBSCRIBABLE, ALIAS)
"""In the order in which they are made; the reverse is that in which they are deleted."""

BESIDE: Mapping[str, str] = {SUBSCRIBERS: SUBSCRIBABLE.name}
"""Members of lines that calls of their own set, and the kinds that have them."""

GLOBAL = "global"
"""Target of what is for everybody."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PolicyKind:
    """A kind of policy: it is read and set by calls, whose ids have `*` for the word of a target.

    Args:
        name: As in a line.
        stem: Begins the ids of its calls.
        ends: Of the ids: to set it, and to delete it.
        cleared: Parameters that remove it, where no call does.
        adds: Whether its one parameter is a list, to which one call adds, and of which another one
            removes.
        for_all: Whether it is for everybody alone.
    """

    name: str
    stem: str
    ends: tuple[str, str] = ("set", "")
    cleared: Mapping[str, str] | None = None
    adds: bool = False
    for_all: bool = False

    def call(self, target: str, end: str) -> str:
        """Return the id of a call for a target."""
        return f"{self.stem.replace('*', word_of(target))}_{end}"


def word_of(target: str) -> str:
    """Return what the target of a policy is: `global`, `domain` or `user`."""
    return GLOBAL if target == GLOBAL else "user" if "@" in target else "domain"


def variables_of(target: str) -> dict[str, str]:
    """Return the variables of a path that name the target of a policy."""
    word = word_of(target)
    return {} if word == GLOBAL else {"mail" if word == "user" else "domain": target}


def target_of(key: str) -> str | None:
    """Return the target that a key in the tables of policies names; None: no call names it."""
    if key == EVERYBODY:
        return GLOBAL
    local, at, domain = key.rpartition("@")
    is_plain = at and domain and not domain.startswith(".") and "*" not in key
    return (key if local else domain) if is_plain else None


THROTTLES: Mapping[str, PolicyKind] = {
    kind: PolicyKind(name=f"throttle_{kind}", stem=f"throttle_*_{kind}", cleared={"period": "0"})
    for kind in ("inbound", "outbound")
}
GREYLISTING = PolicyKind(name="greylisting", stem="greylisting_*", ends=("set", "delete"))
GREYLISTING_SENDERS = PolicyKind(
    name="greylisting_senders", stem="greylisting_*_whitelists", cleared={"senders": ""}
)
SPF_DOMAINS = PolicyKind(
    name="greylisting_domains",
    stem="greylisting_spf_domains",
    cleared={"domains": ""},
    for_all=True,
)
WBLISTS: Mapping[tuple[Direction, Colour], PolicyKind] = {
    (direction, colour): PolicyKind(
        name=f"{colour.word}_{direction.value}",
        stem=f"wblist_{direction.value}_{colour.word}_*",
        ends=("add", "clear"),
        adds=True,
    )
    for direction in Direction
    for colour in Colour
}
SPAM_POLICY = PolicyKind(name="spampolicy", stem="spampolicy_*", ends=("set", "delete"))

POLICY_KINDS: tuple[PolicyKind, ...] = (
    *THROTTLES.values(),
    GREYLISTING,
    GREYLISTING_SENDERS,
    SPF_DOMAINS,
    *WBLISTS.values(),
    SPAM_POLICY,
)

POLICIES = "policies"
"""Word for all kinds of policies together."""
