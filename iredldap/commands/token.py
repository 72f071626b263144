"""The command `iredldap token`: create, list and revoke API tokens on the server."""

import json
from pathlib import Path

import click

from iredldap.commands.lazy import LazyGroup
from iredldap.commands.options import Installation, config_option, installation
from iredldap.dit import token_parameters, token_scopes
from iredldap.dit.fields import Parsed
from iredldap.dit.form_parser import parse
from iredldap.dit.request import Request
from iredldap.gateways.access.api_tokens import ApiTokens
from iredldap.operations.access.api_tokens import TokenManager, shown
from iredldap.operations.admin_log import AdminLog
from iredldap.operations.login import find_admin, username


@click.group("token", cls=LazyGroup)
def token() -> None:
    """Create, list and revoke API tokens (docs/tokens.md)."""


@token.command("create")
@config_option
@click.argument("address")
@click.option("--name", required=True, help="What the token is for.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    metavar="AREA:VERB",
    help=f"What it may do; repeatable.  [default: {token_scopes.DEFAULT}]",
)
@click.option(
    "--domain",
    "domains",
    multiple=True,
    metavar="DOMAIN",
    help="Domain that it is limited to; repeatable.  [default: all that the admin manages]",
)
@click.option(
    "--network",
    "networks",
    multiple=True,
    metavar="NETWORK",
    help="Network from which it may be used; repeatable.  [default: any]",
)
@click.option("--expires", metavar="TIME", help="Date or time when it ends.")
def create(
    path: Path, address: str, name: str, expires: str | None, **lists: tuple[str, ...]
) -> None:
    """Create a token of the admin ADDRESS, and print its secret.

    Standard output has the secret alone, so that it can be written to a file; the rest is on
    standard error. The secret cannot be shown again.
    """
    form = {"name": [name], "expires": [expires] if expires else []}
    form |= {key: list(values) for key, values in lists.items()}
    with installation(path) as opened:
        parsed = parse(token_parameters.CREATE, {k: v for k, v in form.items() if v})
        admin = find_admin(opened.directory, username(address))
        if admin is None:
            raise click.ClickException(f"{address} is no active admin")
        made, secret = _manager(opened).create(admin, parsed)
        _note(opened, admin.address, "token_create", made.id, parsed)
    # The secret comes last and alone on standard output: what is written to a file is the secret
    # and nothing else.
    click.echo(json.dumps(shown(made), indent=2), err=True)
    click.echo(secret)


@token.command("list")
@config_option
@click.option("--admin", metavar="ADDRESS", help="Only tokens of this admin.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(path: Path, admin: str | None, *, as_json: bool) -> None:
    """List the tokens of all admins, the oldest first, without their secrets."""
    with installation(path) as opened:
        found = ApiTokens(opened.state.database).tokens(username(admin) if admin else None)
    for one in found:
        facts = shown(one)
        if as_json:
            click.echo(json.dumps(facts))
            continue
        where = ", ".join(one.domains) or "all domains"
        whence = f" from {', '.join(one.networks)}" if one.networks else ""
        until = f" until {facts['expires']}" if one.expires else ""
        click.echo(f"{one.id} {one.admin} {json.dumps(one.name, ensure_ascii=False)}")
        click.echo(f"    {', '.join(one.scopes)} in {where}{whence}{until}")


@token.command("revoke")
@config_option
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
def revoke(path: Path, ids: tuple[str, ...]) -> None:
    """Delete tokens, with those that they created.

    Each worker refuses them within two seconds. If there is no token of one of the ids, nothing is
    deleted, and the exit status is 1.
    """
    with installation(path) as opened:
        stored = ApiTokens(opened.state.database)
        owners = {one.id: one.admin for one in stored.tokens()}
        # All or none: a slip in one of several ids must not leave the impression that a leaked
        # token is gone.
        if unknown := [id_ for id_ in ids if id_ not in owners]:
            raise click.ClickException(f"no token {', '.join(unknown)}; nothing was deleted")
        for id_ in sorted(stored.delete(ids)):
            _note(opened, owners.get(id_, ""), "token_delete", id_)
            click.echo(f"{id_} deleted")


def _manager(opened: Installation) -> TokenManager:
    stored = ApiTokens(opened.state.database)
    return TokenManager(opened.directory, stored, opened.config.tokens)


def _note(
    opened: Installation, admin: str, endpoint: str, id_: str, parsed: Parsed | None = None
) -> None:
    wanted = Request(endpoint, {"token": id_}, parsed or Parsed())
    AdminLog(opened.outside.iredadmin).note(admin, wanted)
