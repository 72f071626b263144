"""The commands `iredldap resolve` and `iredldap references`: look-ups, for people or as JSON."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from iredldap.commands.api import connect, render
from iredldap.commands.api.asked import Asked
from iredldap.commands.api.failures import one_status
from iredldap.commands.api.requests import read
from iredldap.commands.api.rows import call
from iredldap.commands.terminal import plain

Shown = Mapping[str, Any]


@click.command("resolve")
@connect.options()
@click.argument("address")
def resolve(config: Path | None, url: str | None, address: str, *, as_json: bool) -> None:
    """Print where mail to ADDRESS goes, step by step.

    Addresses, routes and mailboxes are those that Postfix and Dovecot of an iRedMail server find in
    the directory. The exit status is 1 if the mail goes nowhere, also in part.
    """
    shown = _data(config, url, "resolve", mail=address)
    _print(shown, _flow(shown), as_json=as_json)
    ends_well = shown["accepted"] and not shown["loops"] and not shown["cut_off"]
    # For scripts that check routes: mail that bounces in part is not delivered.
    if not ends_well or any(end["kind"] == "refused" for end in shown["ends"]):
        sys.exit(1)


@click.command("references")
@connect.options()
@click.argument("name", metavar="ADDRESS|DOMAIN")
def references(config: Path | None, url: str | None, name: str, *, as_json: bool) -> None:
    """Print what refers to an account or a domain.

    With each reference stands what would become of it with a deletion, and with a new address in
    the same domain. Nothing is changed.
    """
    if "@" in name:
        shown = _data(config, url, "references_get", mail=name)
    else:
        shown = _data(config, url, "references_domain", domain=name)
    _print(shown, _references(shown), as_json=as_json)


def _data(config: Path | None, url: str | None, id_: str, **names: str) -> Shown:
    with ExitStack() as stack:
        stack.enter_context(one_status())
        api = stack.enter_context(connect.connected(config, url))
        found: Shown = read(api, Asked(call=call(id_), names=names))
    return found


def _print(shown: Shown, lines: Iterator[str], *, as_json: bool) -> None:
    if as_json:
        render.as_json(shown)
        return
    for line in lines:
        click.echo(plain(line))


def _flow(shown: Shown) -> Iterator[str]:
    if not shown["accepted"]:
        yield f"{shown['address']}: mail for the domain is not accepted here"
    if shown["alias_of"]:
        yield f"{shown['address']}: in an alias domain of {shown['alias_of']}"
    for step in shown["steps"]:
        account = step.get("account", step["address"])
        via = f" of {account}" if account != step["address"] else ""
        copy = ", keeping a copy" if step.get("keeps_copy") else ""
        yield f"{step['address']}: {step['by']}{via}{copy} -> {', '.join(step['to'])}"
    for end in shown["ends"]:
        facts = [end[name] for name in ("transport", "home", "mail") if end.get(name)]
        yield f"{end['address']}: {', '.join([end['kind'], *facts, *end.get('why', ())])}"
    for loop in shown["loops"]:
        yield f"loop: {' -> '.join(loop)}"
    if shown["cut_off"]:
        yield "more addresses than Postfix follows"
    sent = shown["sent_mail"]
    for words, settings in (
        ("copies of mail to it", shown["copies"]),
        ("copies of mail from it", sent["copies"]),
        ("mail from it is relayed by", sent["relay"]),
    ):
        for one in settings:
            yield f"{words}: {one['to']} ({one['by']})"


def _references(shown: Shown) -> Iterator[str]:
    for what in ("deletion", "rename"):
        if shown.get(what) and shown[what]["refused"]:
            yield f"{what}: would be refused, {','.join(shown[what]['refused'])}"
    for one in shown["references"]:
        place = f"{one['attribute']}: {one['value']}" if one["attribute"] else "the entry"
        fates = [f"deletion: {one['on_deletion'] or '-'}"]
        fates += [f"rename: {one['on_rename']}"] if one["on_rename"] else []
        yield one["dn"]
        yield f"  {place} ({', '.join(fates)})"
    if shown["left_out"]:
        yield f"and {shown['left_out']} more"
    for one in shown.get("lists", ()):
        yield f"subscribable list {one['list']}: {one['role']}"
    for table, count in shown["rows"].items():
        yield f"{table}: {count} rows (deletion: removed)"
    mailbox = shown.get("mailbox")
    if mailbox and mailbox["path"]:
        others = (
            f", shared with {', '.join(mailbox['shared_with'])}" if mailbox["shared_with"] else ""
        )
        yield f"mailbox {mailbox['path']}{others}"
