"""The command `iredldap`."""

import click

from iredldap import version
from iredldap.commands.api import groups
from iredldap.commands.lazy import LazyGroup

_COMMANDS = {
    "changes": (
        "changes:changes",
        "Print who changed what: time, admin, and the values before and after; the newest last.",
    ),
    "check-config": (
        "configuration:check_config",
        "Check the configuration and report all errors.",
    ),
    "apply": (
        "states:apply",
        "Make accounts, domains and policies what the lines of FILE say (-: standard input).",
    ),
    "cluster-fault": (
        "dev:cluster_fault",
        "Break a part of the cluster that `iredldap dev --cluster` runs, or mend it.",
    ),
    "dev": ("dev:dev", "Start a private slapd and the API, until Ctrl-C."),
    "diff": (
        "states:diff",
        "Print what `iredldap apply FILE` would change (-: standard input), and change nothing.",
    ),
    "directory": ("directory:directory", "Look after the directory servers (docs/cluster.md)."),
    "doctor": (
        "doctor:doctor",
        "Check the tree by the rules of docs/doctor.md, without changing anything.",
    ),
    "import": (
        "imports:import_users",
        "Create the users of a CSV FILE (-: standard input), with their aliases and lists.",
    ),
    "init": (
        "configuration:init",
        "Write a configuration for a directory, with new keys and the API enabled.",
    ),
    "references": ("lookups:references", "Print what refers to an account or a domain."),
    "resolve": ("lookups:resolve", "Print where mail to ADDRESS goes, step by step."),
    "serve": ("configuration:serve", "Serve the API with gunicorn."),
    "snapshot": (
        "states:snapshot",
        "Print admins, domains, accounts and policies as JSON lines: all, or those of each DOMAIN.",
    ),
    "token": ("token:token", "Create, list and revoke API tokens (docs/tokens.md)."),
    "undo": (
        "undo:undo",
        "Undo the change of an ID in the change log, or those of an admin, the newest first.",
    ),
}


_LOGGING = {*_COMMANDS, "admin"} - {
    "apply",
    "changes",
    "diff",
    "import",
    "references",
    "resolve",
    "snapshot",
    "undo",
}
"""Commands whose modules write log lines; those that call the API see to that when they open it."""


@click.group(
    "iredldap",
    cls=LazyGroup,
    imported={
        name: (f"iredldap.commands.{where}", words) for name, (where, words) in _COMMANDS.items()
    },
    make=groups.commands,
)
@version.option()
@click.pass_context
def _main(context: click.Context) -> None:
    """Manage an iRedMail installation directly in its OpenLDAP directory."""
    if context.invoked_subcommand in _LOGGING:
        # A tenth of a second, which the others, help and completion do without.
        from iredldap.commands.logs import errors_only_logged  # noqa: PLC0415

        context.with_resource(errors_only_logged())


assert isinstance(_main, LazyGroup)
main = _main
