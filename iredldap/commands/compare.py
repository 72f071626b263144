"""The command `iredldap directory compare`: what directory servers have not in common."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import click

from iredldap.commands.options import config_option, unreadable
from iredldap.commands.terminal import plain
from iredldap.config.reader import read_file
from iredldap.dit import csn
from iredldap.dit.entry import Entry
from iredldap.gateways.cluster.comparison import ServerComparer, ServerComparison
from iredldap.gateways.directory import Directory

DIFFERS = 1
"""Exit status: the servers differ."""


@click.command("compare")
@config_option
@click.option(
    "--with",
    "others",
    multiple=True,
    metavar="URI",
    help="Another server to compare, such as a consumer; repeatable.",
)
@click.option(
    "--attributes",
    is_flag=True,
    help="Compare all attributes, not only entryCSNs, and name those that differ.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, the summary last.")
@click.pass_context
def compare(
    context: click.Context,
    /,
    *,
    path: Path,
    others: tuple[str, ...],
    attributes: bool,
    as_json: bool,
) -> None:
    """Compare the entries of all servers of ldap.uri, which replicate one another.

    Entries are compared by entryUUID, DN and entryCSN, also where contextCSN is equal. Those that
    differ are read again, until each server has what any of them had: what is being replicated is
    no difference. Only what the account of the API may read is compared.

    The exit status is 0 if the servers are equal, 1 if they differ, and 2 if the command line is
    wrong or a server cannot be read.
    """
    with unreadable(), ExitStack() as stack:
        settings = read_file(path, os.environ).ldap
        uris = tuple(dict.fromkeys((*settings.uri, *others)))
        if len(uris) == 1:
            raise click.UsageError(f"{uris[0]} is the only server; name another one by --with")
        # A directory with several servers would answer from another one when this one fails, and
        # nothing would differ.
        servers = {uri: stack.enter_context(closing(Directory(settings.only(uri)))) for uri in uris}
        found = ServerComparer(servers, attributes).compare()
    for line in _as_json(found) if as_json else _as_text(found):
        click.echo(line)
    context.exit(DIFFERS if found.differences else 0)


def _as_json(found: ServerComparison) -> Iterator[str]:
    for difference in found.differences:
        on = {
            uri: None if entry is None else {"dn": entry.dn, "entryCSN": entry.csn}
            for uri, entry in difference.on.items()
        }
        shown = {"dn": difference.dn, "entryUUID": difference.uuid, "servers": on}
        if difference.contents:
            shown["attributes"] = difference.attributes()
        yield json.dumps(shown)
    servers = {
        uri: {"entries": entries, "contextCSN": found.vectors[uri].csns}
        for uri, entries in found.entries.items()
    }
    yield json.dumps({"summary": {"differences": len(found.differences), "servers": servers}})


def _as_text(found: ServerComparison) -> Iterator[str]:
    for difference in found.differences:
        yield plain(difference.dn)
        newest = difference.newest
        for uri, entry in difference.on.items():
            yield plain(f"    {uri}: {_state(entry, difference.dn, newest)}")
        if names := difference.attributes() if difference.contents else ():
            yield f"    differ in: {', '.join(names)}"
    for uri, entries in found.entries.items():
        yield f"{uri}: {entries} entries"
    count = len(found.differences)
    words = "entry differs" if count == 1 else "entries differ"
    yield f"{count} {words}{_why(found) if count else ''}"


def _why(found: ServerComparison) -> str:
    if len({vector.csns for vector in found.vectors.values()}) == 1:
        return ", though contextCSN is equal: replication will not mend that"
    return "; contextCSN differs too: replication is behind, or has stopped"


def _state(entry: Entry | None, dn: str, newest: str | None) -> str:
    if entry is None:
        return "missing"
    words = [] if entry.dn == dn else [entry.dn]
    state = entry.csn or ""
    if csn.is_csn(state):
        moment = csn.time(state).isoformat(timespec="microseconds").replace("+00:00", "Z")
        words.append(f"changed {moment} by server {csn.server_id(state):03x}")
        words += [] if state == newest else ["older"]
    return ", ".join(words) or "no entryCSN"
