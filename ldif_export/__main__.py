"""The command ``ldif-export``."""

from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import click

from iredldap import version

_KINDS = ("all", "domain", "user", "catchall", "admin", "maillist", "alias")
_ACCOUNTS = ("user", "maillist", "alias")
_READERS = ("auto", "wire", "python-ldap")
_FILE = click.Path(dir_okay=False, path_type=Path)
_PRESENT = click.Path(exists=True, dir_okay=False, path_type=Path)


class _Words(click.Group):
    """A group whose first word may be left out: then it is `export`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own = {name for option in self.get_params(ctx) for name in option.opts}
        if args and args[0] not in self.commands and args[0] not in own:
            args = ["export", *args]
        return super().parse_args(ctx, args)


_CONNECTION = (
    click.option("--uri", multiple=True, help="Server: ldap://, ldaps:// or ldapi://; repeatable."),
    click.option("--suffix", help="Suffix of the tree: dc=example,dc=com, say."),
    click.option("--bind-dn", help="Account to bind as."),
    click.option(
        "--password-file",
        type=_PRESENT,
        help="File with its password; otherwise the variable LDIF_EXPORT_PASSWORD.",
    ),
    click.option(
        "--external", is_flag=True, help="Bind as the caller, by ldapi:// and SASL EXTERNAL."
    ),
    click.option("--starttls/--no-starttls", default=None, help="TLS on an ldap:// connection."),
    click.option("--ca-file", default="", help="Certificates to trust, PEM."),
)


def _connecting(command: Callable[..., Any]) -> Callable[..., Any]:
    return reduce(lambda made, option: option(made), reversed(_CONNECTION), command)


@click.group(cls=_Words, context_settings={"help_option_names": ["-h", "--help"]})
@version.option()
def main() -> None:
    """Write accounts of an iRedMail directory as LDIF, check such files, and bring them back.

    `ldif-export domain example.com` is short for `ldif-export export domain example.com`.
    """


@main.command()
@click.argument("kind", type=click.Choice(_KINDS))
@click.argument("names", nargs=-1, metavar="[NAME]...")
@_connecting
@click.option("--passwords/--no-passwords", default=True, help="With password hashes, or without.")
@click.option("--omit", multiple=True, metavar="ATTRIBUTE", help="Leave out; repeatable.")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(_ACCOUNTS),
    help="Kinds of account below domains; repeatable.  [default: all]",
)
@click.option("--operational", is_flag=True, help="Also attributes that the server makes itself.")
@click.option(
    "--global-admins/--no-global-admins",
    default=True,
    help="With the accounts of global admins below domains, or without.",
)
@click.option("--subtree/--no-subtree", default=True, help="Of a domain, all that is below it.")
@click.option(
    "--output",
    type=_FILE,
    help="File, which appears only when it is whole.  [default: standard output]",
)
@click.option(
    "--compress",
    type=click.Choice(("none", "gzip", "zstd")),
    help="[default: as the name of the file ends, .gz or .zst]",
)
@click.option("--manifest", type=_FILE, help="Write counts, states and a digest into this file.")
@click.option("--exact", is_flag=True, help="The state of one moment; the server needs syncprov.")
@click.option(
    "--since",
    type=_PRESENT,
    metavar="MANIFEST",
    help="Only what has changed since that export, as change records.",
)
@click.option(
    "--reader",
    type=click.Choice(_READERS),
    default="auto",
    help="How to read: `wire` is fast, `python-ldap` knows all that libldap does.",
)
@click.option("--progress/--no-progress", default=None, help="[default: on a terminal]")
@click.option("--credentials-fd", type=int, hidden=True)
@click.pass_context
def export(
    context: click.Context,
    /,
    *,
    kind: str,
    names: tuple[str, ...],
    credentials_fd: int | None,
    **given: Any,
) -> None:
    """Write accounts of an iRedMail directory as LDIF.

    KIND is what to export; NAMES are domains for `domain` and `catchall`, none for `all`, and
    addresses otherwise.

    It ends with 0, 3 if there is no such account, 4 if the directory does not answer, 2 if the
    command line is wrong and 1 otherwise.
    """
    # What an export loads takes most of the start-up, and --help needs none of it.
    from ldif_export.cli.export import run  # noqa: PLC0415

    context.exit(run(kind, names, credentials_fd, given))


@main.command()
@click.argument("file", type=_PRESENT)
@click.option("--manifest", type=_PRESENT, help="Compare with what was written beside it.")
@click.option("--json", "as_json", is_flag=True, help="Tell everything, for programs.")
@click.pass_context
def verify(context: click.Context, /, *, file: Path, manifest: Path | None, as_json: bool) -> None:
    """Check a file without a server: is it whole, and could it be restored?

    It ends with 0 if so, else with 1.
    """
    from ldif_export.cli.verify import run  # noqa: PLC0415 - as above

    context.exit(run(file, manifest, as_json=as_json))


@main.command()
@click.argument("file", type=_PRESENT)
@_connecting
@click.option("--dry-run", is_flag=True, help="Print the plan as LDIF change records, and stop.")
@click.option("--overwrite", is_flag=True, help="Make entries that differ as the file has them.")
@click.option("--clear-text", is_flag=True, help="Take passwords in clear text.")
@click.option(
    "--leave-out",
    multiple=True,
    metavar="ATTRIBUTE",
    help="As though the file did not have it; repeatable.",
)
@click.option("--old-suffix", default="", help="Suffix in the file, if it is another one.")
@click.option("--checkpoint", type=_FILE, help="[default: FILE.restoring]")
@click.option("--json", "as_json", is_flag=True, help="Tell everything, for programs.")
@click.option("--progress/--no-progress", default=None, help="[default: on a terminal]")
@click.pass_context
def restore(context: click.Context, /, *, file: Path, **given: Any) -> None:
    """Bring the entries of a file into a directory that has iRedMail's base tree.

    Everything is judged first; if anything is refused nothing is written. What is there already
    is let be, so a second run finishes what a first one could not.

    It ends with 0, 4 if the directory does not answer, 2 if the command line is wrong and 1
    otherwise.
    """
    from ldif_export.cli.restore import run  # noqa: PLC0415 - as above

    context.exit(run(file, given))


if __name__ == "__main__":
    main(prog_name="ldif-export")
