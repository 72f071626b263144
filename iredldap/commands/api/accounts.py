"""The commands of accounts: `user`, `domain`, `alias`, `list` and `admin`.

Which of them there are follows from the ids of the calls: what can be created has `create`, and
what has a password `passwd`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any

import click

from iredldap.commands.api import render
from iredldap.commands.api.answers import Answer, Api
from iredldap.commands.api.asked import Asked
from iredldap.commands.api.building import (
    PARAMETERS,
    VIEW,
    Chosen,
    CommandRow,
    Given,
    command,
)
from iredldap.commands.api.failures import Failed
from iredldap.commands.api.options import arguments, path_names
from iredldap.commands.api.requests import pages
from iredldap.commands.api.rows import Call, Parameter, calls
from iredldap.commands.lazy import LazyGroup

_STATUS, _PASSWORD, _KIND = "accountStatus", "password", "kind"
_LISTS_DOWN = "MLMMJADMIN_UNAVAILABLE"
_NAMES_ONLY = ("email_only", "name_only")
_OF_PAGES = {"limit", "cursor", "fields", VIEW}


@dataclass(frozen=True)
class Noun:
    """What commands are about.

    Args:
        name: The name of the group of commands.
        ids: The first word of the ids of its calls, and of those of its listing, by kinds; one kind
            without a name is the only one.
        columns: Parameters that a listing shows.
        key: What its names are.
        imported: Further commands, as of `LazyGroup`.
        parts: What it has that is read and changed by itself.
        word: What a thing is called; empty: as the group.
    """

    name: str
    ids: Mapping[str, tuple[str, str]]
    columns: tuple[str, ...]
    key: str = "address"
    imported: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    parts: tuple["Noun", ...] = ()
    word: str = ""

    @property
    def thing(self) -> str:
        """What one of its things is called."""
        return self.word or self.name

    def calls(self, pattern: str) -> Mapping[str, Call]:
        """Return the calls of a pattern such as `{0}_create`, by kinds."""
        found = {kind: calls().get(pattern.format(*ids)) for kind, ids in self.ids.items()}
        return {kind: call for kind, call in found.items() if call}


NOUNS = (
    Noun("user", {"": ("user", "users")}, ("name", "quota", _STATUS)),
    Noun(
        "domain",
        {"": ("domain", "domains")},
        ("name", _STATUS),
        "domain",
        parts=(
            Noun("services", {"": ("domain_services", "")}, (), word="domain"),
            Noun("admins", {"": ("domain_admins", "")}, (), word="domain"),
        ),
    ),
    Noun("alias", {"": ("alias", "aliases")}, ("name", _STATUS, "members")),
    Noun(
        "list",
        {"plain": ("maillist", "maillists"), "subscribable": ("ml", "mls")},
        ("name", "accessPolicy"),
    ),
    Noun(
        "admin",
        {"": ("admin", "admins")},
        ("name", _STATUS),
        imported={
            "reset": (
                "iredldap.commands.admin:reset_",
                "Make ADDRESS an active global admin with a new password.",
            )
        },
    ),
)


@dataclass(frozen=True)
class _Kinds:
    """Decides which kind of a thing is meant, where there are several.

    Args:
        found: The calls, by kinds.
        readers: The calls that read a thing, by kinds: they show which kind it is.
        default: The kind that is meant without an option; None: the one that the thing is.
        together: Whether all kinds are meant without an option.
    """

    found: Mapping[str, Call]
    readers: Mapping[str, Call]
    default: str | None = None
    together: bool = False

    def options(self) -> Iterator[click.Option]:
        if len(self.found) > 1:
            words = "all" if self.together else self.default or "what it is"
            choice = click.Choice([*self.found])
            yield click.Option(
                ["--kind"], type=choice, help=f"Which kind of list.  [default: {words}]"
            )

    def choose(self, api: Api, given: Given) -> Chosen:
        names = path_names(given)
        return Chosen(self.found[self._kind(api, given, names)], names)

    def _kind(self, api: Api, given: Given, names: Mapping[str, str]) -> str:
        first, *others = self.found
        if not others or (self.together and not given["kind"]):
            return first
        if kind := given["kind"] or self.default:
            return str(kind)
        for kind in others:
            asked = Asked(call=self.readers[kind], names={"mail": names["mail"]})
            if api.send("GET", asked.path).is_done:
                return kind
        return first


def commands(noun: Noun) -> Iterator[click.Command]:
    """Yield the commands of a noun."""
    makers = (
        _list, _show, _create, _update, _update_all, _enable, _disable, _passwd, _rename, _delete,
        _check_password,
    )  # fmt: skip
    yield from filter(None, (make(noun) for make in makers))
    for part in noun.parts:
        words = f"Manage the {part.name} of {_article(noun)}."
        yield LazyGroup(part.name, make=partial(commands, part), help=words)


def _made(
    noun: Noun,
    name: str,
    pattern: str,
    *,
    default: str | None = None,
    together: bool = False,
    **facts: Any,
) -> click.Command | None:
    """Make a command of the calls of a pattern; None: there are none."""
    found = noun.calls(pattern)
    if not found:
        return None
    kinds = _Kinds(found, noun.calls("{0}_get"), default, together)
    first, *_ = found.values()
    row = CommandRow(
        name=name,
        word=noun.thing,
        calls=[*found.values()],
        choose=kinds.choose,
        arguments=[*arguments(first), *kinds.options()],
        **facts,
    )
    return command(row)


def _parameters(noun: Noun, pattern: str, *but: str) -> tuple[Parameter, ...]:
    """Return the parameters of all calls of a pattern, each name once."""
    rows: dict[str, Parameter] = {}
    for call in noun.calls(pattern).values():
        for row in call.parameters:
            if row.name not in but:
                rows.setdefault(row.name, row)
    return tuple(rows.values())


def _show(noun: Noun) -> click.Command | None:
    def show(answer: Answer, _: Given) -> None:
        render.data(answer.data)

    rows = _parameters(noun, "{0}_get")
    return _made(noun, "show", "{0}_get", show=show, parameters=rows)


def _list(noun: Noun) -> click.Command | None:
    rows = _parameters(noun, "{1}_list", *_OF_PAGES, *_NAMES_ONLY)
    listings = noun.calls("{1}_list")

    def read(api: Api, asked: Asked, given: Given) -> None:
        chosen = [given["kind"]] if given.get("kind") else [*listings]
        of_one = len(chosen) == 1
        found: dict[str, Any] = {}
        for kind in chosen:
            listed = replace(asked, call=listings[kind])
            for page in _listed(noun, api, listed, given):
                found |= page if of_one else {n: {_KIND: kind, **one} for n, one in page.items()}
        found = dict(islice(sorted(found.items()), given["limit"]))
        if given["as_json"]:
            render.as_json([*found] if given["names"] else found)
        elif given["names"]:
            render.names([*found])
        else:
            render.profiles(found, noun.columns if of_one else (_KIND, *noun.columns), noun.key)

    def with_options(made: click.Command | None) -> click.Command | None:
        if made:
            limit = click.IntRange(1)
            made.params += [
                click.Option(["--names"], is_flag=True, help="Only the names, a line each."),
                click.Option(["--limit"], type=limit, help="At most so many, the first ones."),
            ]
        return made

    return with_options(_made(noun, "list", "{1}_list", reads=read, parameters=rows, together=True))


def _listed(
    noun: Noun, api: Api, asked: Asked, given: Given
) -> Iterator[Mapping[str, Mapping[str, Any]]]:
    """Yield the pages of a listing of one kind: things by their names.

    Raises:
        Failed: If it is refused.
    """
    if given["names"]:
        only = next(filter(asked.call.parameter, _NAMES_ONLY))
        for names in pages(api, asked.with_form(**{only: "yes"}), given["limit"]):
            yield {name: {} for name in names}
        return
    columns = ",".join(noun.columns)
    viewed = asked.with_form(**{VIEW: PARAMETERS, "fields": columns})
    try:
        yield from pages(api, viewed, given["limit"])
    except Failed as failure:
        if failure.codes != (_LISTS_DOWN,):
            raise
        click.echo(f"beware: {failure.message}; shown is what the directory has", err=True)
        # Under the names of attributes: the name is `cn`, others are alike.
        stored = asked.with_form(fields=columns.replace("name", "cn"))
        for page in pages(api, stored, given["limit"]):
            yield {mail: {**one, "name": one.get("cn")} for mail, one in page.items()}


def _create(noun: Noun) -> click.Command | None:
    rows = _parameters(noun, "{0}_create")
    prompts = tuple(row.name for row in rows if row.secret and row.required)
    first = next(iter(noun.ids))
    return _made(
        noun,
        "create",
        "{0}_create",
        default=first,
        parameters=rows,
        prompts=prompts,
        done="created",
    )


def _update(noun: Noun) -> click.Command | None:
    return _made(noun, "update", "{0}_update", parameters=_parameters(noun, "{0}_update"))


def _update_all(noun: Noun) -> click.Command | None:
    rows = _parameters(noun, "{1}_update")
    return _made(
        noun, "update-all", "{1}_update", parameters=rows, asks=True, done="changed, all of them"
    )


def _enable(noun: Noun) -> click.Command | None:
    return _switch(noun, "enable", "active")


def _disable(noun: Noun) -> click.Command | None:
    return _switch(noun, "disable", "disabled")


def _switch(noun: Noun, name: str, status: str) -> click.Command | None:
    able = {k: c for k, c in noun.calls("{0}_update").items() if c.parameter(_STATUS)}
    if not able:
        return None
    return _made(
        noun,
        name,
        "{0}_update",
        sends={_STATUS: status},
        done=f"{name}d",
        summary=f"Switch {_article(noun)} {'on' if status == 'active' else 'off'}.",
    )


def _passwd(noun: Noun) -> click.Command | None:
    rows = [row for row in _parameters(noun, "{0}_update") if row.secret]
    if not rows:
        return None
    return _made(
        noun,
        "passwd",
        "{0}_update",
        parameters=rows,
        prompts=(_PASSWORD,),
        done="has a new password",
        summary=f"Set the password of {_article(noun)}.",
    )


def _rename(noun: Noun) -> click.Command | None:
    return _made(noun, "rename", "{0}_change_email", done="is now {new_mail}")


def _delete(noun: Noun) -> click.Command | None:
    rows = _parameters(noun, "{0}_delete")
    made = _made(noun, "delete", "{0}_delete", parameters=rows, asks=True, done="deleted")
    keeping = noun.calls("{0}_delete_keep").get("")
    if made is None or keeping is None:
        return made
    row = CommandRow(
        name="delete",
        word=noun.thing,
        calls=[*noun.calls("{0}_delete").values(), keeping],
        choose=partial(_with_or_without_days, noun.calls("{0}_delete")[""], keeping),
        arguments=[
            *arguments(noun.calls("{0}_delete")[""]),
            click.Option(
                ["--keep-mailbox-days", "days"],
                type=click.IntRange(0),
                help="Have mailboxes removed after so many days; 0: never.",
            ),
        ],
        asks=True,
        done="deleted",
    )
    return command(row)


def _with_or_without_days(plain: Call, keeping: Call, _: Api, given: Given) -> Chosen:
    names = path_names(given)
    if given["days"] is None:
        return Chosen(plain, names)
    return Chosen(keeping, {**names, "number": str(given["days"])})


def _check_password(noun: Noun) -> click.Command | None:
    def show(_: Answer, given: Given) -> None:
        click.echo("the password is right")

    return _made(
        noun,
        "check-password",
        "{0}_verify_password",
        parameters=_parameters(noun, "{0}_verify_password"),
        prompts=(_PASSWORD,),
        confirms=False,
        show=show,
        summary=f"Check a password of {_article(noun)}; the exit status is 1 if it is wrong.",
    )


def _article(noun: Noun) -> str:
    return f"{'an' if noun.name[0] == 'a' else 'a'} {noun.name}"


def plural(noun: Noun) -> str:
    """Return what several of its things are called."""
    return f"{noun.name}es" if noun.name.endswith("s") else f"{noun.name}s"
