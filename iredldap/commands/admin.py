"""The command `iredldap admin reset`: make or reset a global admin on the server."""

from contextlib import closing
from pathlib import Path

import click

from iredldap.changes.apply import Turn, execute
from iredldap.changes.change_log import ChangeLog
from iredldap.changes.recording import Recording
from iredldap.commands.options import config_option, installation
from iredldap.commands.terminal import piped_or_prompted
from iredldap.dit import mail_names
from iredldap.dit import request as requests
from iredldap.dit.logged_request import logged
from iredldap.errors import InvalidCredentials
from iredldap.gateways import unix_user
from iredldap.operations.access.admin_reset import local_caller, reset
from iredldap.operations.admin_log import AdminLog
from iredldap.operations.context import Context
from iredldap.operations.login import log_in


@click.command("reset")
@config_option
@click.argument("address")
def reset_(path: Path, address: str) -> None:
    """Make ADDRESS an active global admin with a new password.

    It is checked that they can log in with it. It is asked for; without a terminal it is the first
    line of standard input. An admin or a mail user of this address gets it, and the role; without
    one a standalone admin is created. The rules for passwords apply. Sessions end with the old
    password; tokens do not.
    """
    with installation(path) as opened:
        # Read before the password is asked for: a mistake in it costs no typing of a password.
        mail = mail_names.address(address)
        password = piped_or_prompted(f"New password of {mail}")
        directory, config, outside = opened.directory, opened.config, opened.outside
        wanted = reset(directory, mail, password)
        context = Context(directory, config, local_caller(directory, mail), outside)
        turn = Turn(outside.turns, requests.domains(wanted.wanted))
        with (
            closing(ChangeLog.open(config, directory)) as change_log,
            Recording(change_log, logged(wanted.wanted, unix_user.name())) as recording,
        ):
            # In the turn of the domain, as a request is: the API may be running, and changes of the
            # same account too.
            execute(directory, lambda: wanted.plan(context), turn=turn, recording=recording)
        AdminLog(outside.iredadmin).note(mail, wanted.wanted)
        try:
            # The proof: a domain that is disabled, or access rules that do not let the account
            # bind, show only at a login.
            found = log_in(directory, config, mail, password)
        except InvalidCredentials:
            raise click.ClickException(
                f"{mail} has the password and the role, but cannot log in: is the domain disabled?"
            ) from None
    role = "global" if found.is_global else "normal"
    made = "created" if wanted.is_new else "reset"
    click.echo(f"{mail} was {made}, and can log in as a {role} admin")
