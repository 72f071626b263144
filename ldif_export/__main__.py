"""The command ``ldif-export``."""

from pathlib import Path

import click

_KINDS = ("domain", "user", "catchall", "admin", "maillist", "alias")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("kind", type=click.Choice(_KINDS))
@click.argument("name")
@click.option("--uri", multiple=True, help="Server: ldap://, ldaps:// or ldapi://; repeatable.")
@click.option("--suffix", help="Suffix of the tree: dc=example,dc=com, say.")
@click.option("--bind-dn", help="Account to bind as.  [default: cn=vmail,SUFFIX]")
@click.option(
    "--password-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with its password; otherwise the variable LDIF_EXPORT_PASSWORD.",
)
@click.option("--starttls/--no-starttls", default=None, help="TLS on an ldap:// connection.")
@click.option("--ca-file", default="", help="Certificates to trust, PEM.")
@click.option("--passwords/--no-passwords", default=True, help="With password hashes, or without.")
@click.option("--omit", multiple=True, metavar="ATTRIBUTE", help="Leave out; repeatable.")
@click.option("--subtree/--no-subtree", default=True, help="Of a domain, all that is below it.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File, which appears only when it is whole.  [default: standard output]",
)
@click.option("--credentials-fd", type=int, hidden=True)
@click.pass_context
def main(
    context: click.Context,
    *,
    kind: str,
    name: str,
    uri: tuple[str, ...],
    suffix: str | None,
    bind_dn: str | None,
    password_file: Path | None,
    starttls: bool | None,
    ca_file: str,
    passwords: bool,
    omit: tuple[str, ...],
    subtree: bool,
    output: Path | None,
    credentials_fd: int | None,
) -> None:
    """Write an account of an iRedMail directory as LDIF.

    KIND is what to export; NAME is a domain for `domain` and `catchall`, and an address
    otherwise.

    It ends with 0, 3 if there is no such account, 4 if the directory does not answer, 2 if the
    command line is wrong and 1 otherwise.
    """
    # Loading the LDAP library takes most of the start-up, and --help needs none of it.
    from ldif_export import command  # noqa: PLC0415

    selection = command.selection(kind, name, subtree=subtree, omit=omit, passwords=passwords)
    if credentials_fd is None:
        settings = command.settings(
            uri, suffix, bind_dn, password_file, starttls=starttls, ca_file=ca_file
        )
    else:
        settings = command.inherited_settings(credentials_fd)
    context.exit(command.run(settings, selection, output))


if __name__ == "__main__":
    main(prog_name="ldif-export")
