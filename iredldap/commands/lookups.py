"""The commands `iredldap resolve` and `iredldap references`: look-ups of the API, on the server."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import click

from iredldap.config.reader import CONFIG_VARIABLE, DEFAULT_CONFIG, ConfigurationError, read_file
from iredldap.dit import names
from iredldap.dit.fields import Parsed
from iredldap.errors import Refusal
from iredldap.gateways.directory import Directory
from iredldap.operations.context import Context
from iredldap.operations.login import Caller
from iredldap.operations.lookups import mail_flow, mentions
from iredldap.operations.mail_databases import Records

Shown = Mapping[str, Any]

_config = click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=DEFAULT_CONFIG,
    envvar=CONFIG_VARIABLE,
    show_default=True,
    help="Configuration file, which names the directory.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print what the API answers.")


@click.command("resolve")
@_config
@_json
@click.argument("address")
def resolve(path: Path, address: str, *, as_json: bool) -> None:
    """Print where mail to ADDRESS goes, step by step.

    Addresses, routes and mailboxes are those that Postfix and Dovecot of an iRedMail server find in
    the directory. The exit status is 1 if the mail goes nowhere, also in part.
    """
    with _context(path) as context:
        shown = _read(
            lambda: mail_flow.resolve(context, {"mail": _address(address)}, Parsed()).data
        )
    _print(shown, _flow(shown), as_json=as_json)
    ends_well = shown["accepted"] and not shown["loops"] and not shown["cut_off"]
    if not ends_well or any(end["kind"] == "refused" for end in shown["ends"]):
        sys.exit(1)


@click.command("references")
@_config
@_json
@click.argument("name", metavar="ADDRESS|DOMAIN")
def references(path: Path, name: str, *, as_json: bool) -> None:
    """Print what refers to an account or a domain.

    With each reference stands what would become of it with a deletion, and with a new address in
    the same domain. Nothing is changed.
    """
    with _context(path) as context:
        if "@" in name:
            shown = _read(
                lambda: mentions.of_account(context, {"mail": _address(name)}, Parsed()).data
            )
        else:
            domain = names.domain(name)
            shown = _read(lambda: mentions.of_domain(context, {"domain": domain}, Parsed()).data)
    _print(shown, _references(shown), as_json=as_json)


def _address(text: str) -> str:
    return names.stored_address(text)


@contextmanager
def _context(path: Path) -> Iterator[Context]:
    """Open what a look-up reads, as somebody who may read everything."""
    try:
        config = read_file(path, os.environ)
    except ConfigurationError as ex:
        raise click.ClickException("\n".join(ex.errors)) from ex
    everybody = Caller("", "", is_global=True, stored=())
    with closing(Directory(config.ldap)) as directory, closing(Records.open(config)) as records:
        yield Context(directory, config, everybody, records)


def _read(look_up: Callable[[], object]) -> Shown:
    try:
        shown = look_up()
    except Refusal as refusal:
        raise click.ClickException(f"{','.join(refusal.codes)}: {refusal}") from refusal
    assert isinstance(shown, Mapping)
    return shown


def _print(shown: Shown, lines: Iterator[str], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(shown, indent=2))
        return
    for line in lines:
        click.echo(line)


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
        yield f"{one['dn']}\n  {place} ({', '.join(fates)})"
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
