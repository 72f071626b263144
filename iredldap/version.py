"""Name the version that runs: a release by its number, anything else by its commit too.

The build and both commands read it, so that it imports neither a package nor, until it is asked,
what starts processes.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from iredldap import __version__

_PACKAGE = Path(__file__).resolve().parent
_STAMP = "commit.txt"
"""What a build writes beside this module: `release`, or `commit` and its number."""

# A hanging file system must not keep a server from starting.
_GIT_SECONDS = 10


def described() -> str:
    """Describe the program that runs: `0.2.0`, `0.2.0 (commit 193ad5d0c1a2)`.

    A commit is followed by `, with changes` where files differ from it, and is `unknown` where
    neither git nor the build told it.
    """
    origin = _checked_out(_PACKAGE.parent) or _stamped(_PACKAGE) or "commit unknown"
    return __version__ if origin == "release" else f"{__version__} ({origin})"


def stamp(root: Path, target: Path) -> None:
    """Write down, for a build, what it was made from.

    Args:
        root: The sources. Those of an sdist bring the stamp of the checkout that they are from.
        target: Directory of the build in which the package `iredldap` is.
    """
    if origin := _checked_out(root):
        (target / _PACKAGE.name / _STAMP).write_text(f"{origin}\n", encoding="utf-8")


def option() -> Callable[[Any], Any]:
    """Make the option `--version` of a command."""
    import click  # noqa: PLC0415 - a build does without

    def show(context: click.Context, _: click.Parameter, wanted: bool) -> None:
        # A completion of the shell parses the line too.
        if wanted and not context.resilient_parsing:
            click.echo(f"{context.find_root().info_name}, version {described()}")
            context.exit()

    return click.option(
        "--version",
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=show,
        help="Show the version and exit.",
    )


def _stamped(package: Path) -> str | None:
    try:
        return (package / _STAMP).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None


def _checked_out(root: Path) -> str | None:
    """Return what is checked out in a directory; None if nothing is, or git does not say."""
    # Of a repository around an installation git would name a commit that is not ours.
    if not (root / ".git").exists():
        return None
    # All tags are excluded: the number of a release is in the source, and an older tag would say
    # something else.
    commit = _git(root, "describe", "--always", "--exclude=*", "--abbrev=12", "--dirty")
    tags = _git(root, "tag", "--points-at", "HEAD")
    if commit is None or tags is None:
        return None
    if commit.endswith("-dirty"):
        return f"commit {commit.removesuffix('-dirty')}, with changes"
    return "release" if f"v{__version__}" in tags.split() else f"commit {commit}"


def _git(root: Path, *words: str) -> str | None:
    """Return git's answer; None if it is not there or refuses, as in another user's checkout."""
    import subprocess  # noqa: PLC0415 - see above

    # A hook of git has variables that name its own repository.
    environment = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}
    try:
        answer = subprocess.run(  # noqa: S603
            ["git", "-C", str(root), *words],  # noqa: S607 - the caller's own
            capture_output=True,
            text=True,
            env=environment | {"GIT_OPTIONAL_LOCKS": "0"},
            timeout=_GIT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
