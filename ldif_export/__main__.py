"""Define the command ``ldif-export`` and its options."""

import sys
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import click

from iredldap import file_causes, version

_KINDS = ("all", "domain", "user", "catchall", "admin", "maillist", "alias")
_ACCOUNTS = ("user", "maillist", "alias")
_READERS = ("auto", "wire", "python-ldap")
_WHOLE = 200
"""Characters of a short help that are shown: click cuts it to the width of a line."""
_FILE = click.Path(dir_okay=False, path_type=Path)
_PRESENT = click.Path(exists=True, dir_okay=False, path_type=Path)
_INPUT = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)


class _DefaultExport(click.Group):
    """A group of commands with `export` as the default one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # Options of the group itself, --help and --version, keep their meaning.
        own = {name for option in self.get_params(ctx) for name in option.opts}
        if args and args[0] not in self.commands and args[0] not in own:
            args = ["export", *args]
        return super().parse_args(ctx, args)

    def main(self, *args: Any, **settings: Any) -> Any:
        """Run a command; files that fail end it with a line."""
        try:
            return super().main(*args, **settings)
        except OSError as ex:
            # A full disk, say, or a folder that is missing.
            from ldif_export.cli.files_given import FileFailed  # noqa: PLC0415 - rarely needed

            failure = FileFailed(file_causes.words(ex))
            failure.show()
            file_causes.discard_unwritten()
            sys.exit(failure.exit_code)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(
                [
                    (name, one.get_short_help_str(_WHOLE))
                    for name, one in sorted(self.commands.items())
                ]
            )


_CONNECTION = (
    click.option("--uri", multiple=True, help="Server: ldap://, ldaps:// or ldapi://; repeatable."),
    click.option("--suffix", help="Suffix of the tree, dc=example,dc=com for example."),
    click.option("--bind-dn", help="Account to bind as."),
    click.option(
        "--password-file",
        type=_PRESENT,
        help="File with its password.  [default: the variable LDIF_EXPORT_PASSWORD]",
    ),
    click.option(
        "--external", is_flag=True, help="Bind as the caller, by ldapi:// and SASL EXTERNAL."
    ),
    click.option("--starttls/--no-starttls", default=None, help="TLS on an ldap:// connection."),
    click.option("--ca-file", default="", help="Certificates to trust, PEM."),
)


def _connection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    return reduce(lambda made, option: option(made), reversed(_CONNECTION), command)


@click.group(cls=_DefaultExport, context_settings={"help_option_names": ["-h", "--help"]})
@version.option()
def main() -> None:
    """Export accounts of an iRedMail directory as LDIF, verify such files, and restore them.

    `ldif-export domain example.com` is short for `ldif-export export domain example.com`.
    """


@main.command()
@click.argument("kind", type=click.Choice(_KINDS))
@click.argument("names", nargs=-1, metavar="[NAME]...")
@_connection_options
@click.option("--passwords/--no-passwords", default=True, help="Include password hashes, or not.")
@click.option("--omit", multiple=True, metavar="ATTRIBUTE", help="Leave it out; repeatable.")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(_ACCOUNTS),
    help="Kinds of account below domains; repeatable.  [default: all]",
)
@click.option("--operational", is_flag=True, help="Include operational attributes.")
@click.option(
    "--global-admins/--no-global-admins",
    default=True,
    help="Include the accounts of global admins below domains, or not.",
)
@click.option("--subtree/--no-subtree", default=True, help="Include all that is below a domain.")
@click.option(
    "--output",
    type=_FILE,
    help="File to write; it appears when it is complete.  [default: standard output]",
)
@click.option(
    "--compress",
    type=click.Choice(("none", "gzip", "zstd")),
    help="[default: by the suffix of the output file, .gz or .zst]",
)
@click.option("--manifest", type=_FILE, help="Write counts, entryCSNs and a digest to this file.")
@click.option("--exact", is_flag=True, help="Export a snapshot; the server needs syncprov.")
@click.option(
    "--since",
    type=_PRESENT,
    metavar="MANIFEST",
    help="Export only what has changed since that export, as change records.",
)
@click.option(
    "--reader",
    type=click.Choice(_READERS),
    default="auto",
    help="How to read: `wire` is fast, `python-ldap` reads libldap's configuration.",
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
    """Export accounts of an iRedMail directory as LDIF.

    KIND is what to export; NAMES are domains for `domain` and `catchall`, none for `all`, and
    addresses otherwise.

    The exit status is 0, 3 if there is no such account, 4 if the directory does not answer, 2 if
    the command line is wrong and 1 otherwise.
    """
    # Loading what a command needs takes most of its start-up, and --help needs none of it.
    from ldif_export.cli.export import run  # noqa: PLC0415

    context.exit(run(kind, names, credentials_fd, given))


@main.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE [INCREMENT]...", type=_INPUT)
@click.option("--manifest", type=_PRESENT, help="Compare with the manifest of its export.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole report as JSON.")
@click.pass_context
def verify(
    context: click.Context, /, *, files: tuple[Path, ...], manifest: Path | None, as_json: bool
) -> None:
    """Check a file without a server: is it complete, and can it be restored?

    FILE is LDIF, plain, gzip or zstd; -: standard input. With the INCREMENTS that follow it, in
    their order, it is checked that each follows the one before, and what they give together.

    The exit status is 0 if so, else 1.
    """
    from ldif_export.cli.verify import run  # noqa: PLC0415 - as above

    context.exit(run(files, manifest, as_json=as_json))


@main.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE [INCREMENT]...", type=_INPUT)
@_connection_options
@click.option(
    "--chain", is_flag=True, help="FILE is a whole export, and the INCREMENTS follow it in order."
)
@click.option(
    "--dry-run", is_flag=True, help="Print the changes as LDIF change records, and write nothing."
)
@click.option("--overwrite", is_flag=True, help="Change entries that differ to the file's.")
@click.option("--clear-text", is_flag=True, help="Accept passwords in clear text.")
@click.option(
    "--leave-out",
    multiple=True,
    metavar="ATTRIBUTE",
    help="Ignore this attribute in the file; repeatable.",
)
@click.option("--old-suffix", default="", help="Suffix in the file, if it is not the directory's.")
@click.option(
    "--checkpoint",
    type=_FILE,
    help="File that keeps the progress.  [default: FILE.restoring; none for a pipe]",
)
@click.option(
    "--config",
    type=_PRESENT,
    help="Configuration of iredldap, in whose change log the restore is recorded."
    "  [default: the variable IREDLDAP_CONFIG, else /etc/iredldap.toml, if it is there and of this"
    " directory]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the whole report as JSON.")
@click.option("--progress/--no-progress", default=None, help="[default: on a terminal]")
@click.pass_context
def restore(context: click.Context, /, *, files: tuple[Path, ...], **given: Any) -> None:
    """Restore the entries of a file into a directory that has iRedMail's base tree.

    FILE is LDIF, plain, gzip or zstd; -: standard input. A pipe is copied to a temporary file
    first, as it is read more than once. With --chain the state of the last INCREMENT is restored.

    The whole file is checked first; if anything is refused, nothing is written. Entries that exist
    are left alone, so a second run finishes what a first one could not.

    The exit status is 0, 4 if the directory does not answer, 2 if the command line is wrong and 1
    otherwise.
    """
    from ldif_export.cli.restore import run  # noqa: PLC0415 - as above

    context.exit(run(files, given))


if __name__ == "__main__":
    main(prog_name="ldif-export")
