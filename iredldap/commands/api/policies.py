"""The commands of policies: throttling, greylisting, spam policies, white- and blacklists.

Each is about everybody, a domain or one account; the API has a call for each of the three.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType

import click

from iredldap.commands.api import render
from iredldap.commands.api.answers import Api
from iredldap.commands.api.building import Chosen, CommandRow, Given, command
from iredldap.commands.api.rows import call
from iredldap.commands.api.service import single

_DIRECTIONS = ("inbound", "outbound")
_ACCOUNT = "address, domain, or `global` for everybody"


def throttle() -> Iterator[click.Command]:
    """Yield the commands of throttling."""
    stem, word = "throttle_{target}_{direction}", "throttle"
    way = _direction(required=True)
    yield _policy("show", f"{stem}_get", word, "Show a throttle.", way)
    summary = "Set a throttle, replacing the old one."
    yield _policy("set", f"{stem}_set", word, summary, way, done="set")
    yield _policy(
        "delete",
        f"{stem}_set",
        word,
        "Delete a throttle.",
        way,
        sends={"period": "0"},
        asks=True,
        done="deleted",
    )


def greylisting() -> Iterator[click.Command]:
    """Yield the commands of greylisting."""
    stem, word = "greylisting_{target}", "greylisting"
    yield single("list", "greylisting_all_get", word, ("account", "sender", "active", "priority"))
    yield _policy("show", f"{stem}_get", word, "Show whether mail is greylisted.")
    yield _policy("set", f"{stem}_set", word, "Switch greylisting on or off.", done="set")
    summary = "Delete a setting; a wider one applies then."
    yield _policy("delete", f"{stem}_delete", word, summary, asks=True, done="deleted")
    yield _policy("whitelist", f"{stem}_whitelists_get", word, "Show senders that are exempt.")
    yield _policy(
        "set-whitelist", f"{stem}_whitelists_set", word, "Change the senders that are exempt."
    )
    yield single("spf-domains", "greylisting_spf_domains_get", word)
    yield single("set-spf-domains", "greylisting_spf_domains_set", word)


def spam_policy() -> Iterator[click.Command]:
    """Yield the commands of spam policies."""
    stem, word = "spampolicy_{target}", "spam policy"
    yield _policy("show", f"{stem}_get", word, "Show a spam policy.")
    yield _policy("set", f"{stem}_set", word, "Change a spam policy.", done="set")
    summary = "Delete a spam policy; a wider one applies then."
    yield _policy("delete", f"{stem}_delete", word, summary, asks=True, done="deleted")


def wblist(colour: str) -> Iterator[click.Command]:
    """Yield the commands of white- or blacklists.

    Args:
        colour: `whitelist` or `blacklist`.
    """
    stem, way = f"wblist_{{direction}}_{colour}_{{target}}", _direction(required=False)
    yield _policy("show", f"{stem}_get", colour, f"Show a {colour}.", way)
    summary = f"Add to a {colour}; addresses on the other list are removed there."
    yield _policy("add", f"{stem}_add", colour, summary, way, listed="addresses")
    summary = f"Remove addresses from a {colour}."
    yield _policy("remove", f"{stem}_remove", colour, summary, way, listed="addresses")
    summary = f"Remove all addresses from a {colour}."
    yield _policy("clear", f"{stem}_clear", colour, summary, way, asks=True, done="is empty")


def _policy(
    name: str,
    pattern: str,
    word: str,
    summary: str,
    *more: click.Parameter,
    sends: Mapping[str, str] = MappingProxyType({}),
    asks: bool = False,
    done: str = "changed",
    listed: str = "",
) -> click.Command:
    """Make a command of the calls for everybody, a domain and an account."""
    face = call(pattern.format(target="global", direction=_DIRECTIONS[0]))
    row = CommandRow(
        name=name,
        word=word,
        calls=[face],
        choose=partial(_chosen, pattern),
        arguments=[click.Argument(["account"], metavar="ACCOUNT"), *more],
        # What a policy is emptied by needs nothing beside it.
        parameters=() if sends else face.parameters,
        sends=sends,
        show=None if face.changes else lambda answer, _: render.data(answer.data),
        summary=f"{summary} ACCOUNT is an {_ACCOUNT}.",
        asks=asks,
        done=done,
        listed=listed,
    )
    return command(row)


def _chosen(pattern: str, _: Api, given: Given) -> Chosen:
    account = str(given["account"])
    direction = given.get("direction") or _DIRECTIONS[0]
    if account.strip().lower() == "global":
        target, names = "global", {}
    elif "@" in account:
        target, names = "user", {"mail": account}
    else:
        target, names = "domain", {"domain": account}
    return Chosen(call(pattern.format(target=target, direction=direction)), names)


def _direction(*, required: bool) -> click.Parameter:
    choice = click.Choice(_DIRECTIONS)
    if required:
        return click.Argument(["direction"], type=choice, metavar="|".join(_DIRECTIONS))
    words = "Of mail that comes, or goes."
    return click.Option(
        ["--direction"], type=choice, default=_DIRECTIONS[0], show_default=True, help=words
    )


POLICIES: Mapping[str, tuple[Callable[[], Iterator[click.Command]], str]] = {
    "throttle": (
        throttle,
        "Limit how much mail an account, a domain or everybody may send or get.",
    ),
    "greylisting": (greylisting, "Manage greylisting of mail from unknown senders."),
    "spam-policy": (spam_policy, "Manage what is done with spam, viruses and banned files."),
    "whitelist": (partial(wblist, "whitelist"), "Manage senders that are never blocked."),
    "blacklist": (partial(wblist, "blacklist"), "Manage senders that are always blocked."),
}
"""Groups of commands, by their names, with their help."""
