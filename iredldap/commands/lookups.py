"""The commands `iredldap resolve` and `iredldap references`: look-ups of the API, on the server."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from iredldap.commands.options import config_option, installation, plain
from iredldap.dit import mail_names
from iredldap.dit.fields import Parsed
from iredldap.operations.context import Context
from iredldap.operations.context import Shown as Answer
from iredldap.operations.login import Caller
from iredldap.operations.lookups import mail_flow, mentions

Shown = Mapping[str, Any]

_json = click.option("--json", "as_json", is_flag=True, help="Print what the API answers.")


@click.command("resolve")
@config_option
@_json
@click.argument("address")
def resolve(path: Path, address: str, *, as_json: bool) -> None:
    """Print where mail to ADDRESS goes, step by step.

    Addresses, routes and mailboxes are those that Postfix and Dovecot of an iRedMail server find in
    the directory. The exit status is 1 if the mail goes nowhere, also in part.
    """
    with _context(path) as context:
        shown = _data(mail_flow.resolve(context, {"mail": _address(address)}, Parsed()))
    _print(shown, _flow(shown), as_json=as_json)
    ends_well = shown["accepted"] and not shown["loops"] and not shown["cut_off"]
    # For scripts that check routes: mail that bounces in part is not delivered.
    if not ends_well or any(end["kind"] == "refused" for end in shown["ends"]):
        sys.exit(1)


@click.command("references")
@config_option
@_json
@click.argument("name", metavar="ADDRESS|DOMAIN")
def references(path: Path, name: str, *, as_json: bool) -> None:
    """Print what refers to an account or a domain.

    With each reference stands what would become of it with a deletion, and with a new address in
    the same domain. Nothing is changed.
    """
    with _context(path) as context:
        if "@" in name:
            shown = _data(mentions.of_account(context, {"mail": _address(name)}, Parsed()))
        else:
            shown = _data(
                mentions.of_domain(context, {"domain": mail_names.domain(name)}, Parsed())
            )
    _print(shown, _references(shown), as_json=as_json)


def _address(text: str) -> str:
    return mail_names.stored_address(text)


@contextmanager
def _context(path: Path) -> Iterator[Context]:
    """Open what a look-up reads, as somebody who may read everything."""
    everybody = Caller("", "", is_global=True, stored=())
    with installation(path) as opened:
        yield Context(opened.directory, opened.config, everybody, opened.outside)


def _data(answer: Answer) -> Shown:
    assert isinstance(answer.data, Mapping)
    return answer.data


def _print(shown: Shown, lines: Iterator[str], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(shown, indent=2))
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
    for call in ("deletion", "rename"):
        if shown.get(call) and shown[call]["refused"]:
            yield f"{call}: would be refused, {','.join(shown[call]['refused'])}"
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
