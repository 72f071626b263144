"""Files of an installation: its configuration and its secrets."""

import os
import secrets
from collections.abc import Mapping, MutableMapping, Sequence
from contextlib import suppress
from pathlib import Path

import tomlkit

Value = str | bool | Sequence[str]


SECRETS = 0o600
"""Mode of files with secrets; the process's umask may restrict it further."""


def new_secret() -> str:
    """Generate a secret of 32 letters, digits and underscores.

    It contains no dash: at the start of an argument it would be taken for an option.
    """
    return secrets.token_urlsafe(24).replace("-", "_")


def write_secret(path: Path, secret: str | None = None) -> str:
    """Write a secret into a file readable by its owner only; by default a new one.

    Raises:
        FileExistsError: If there is a file of this name, which is not changed.
    """
    text = secret if secret is not None else new_secret()
    write_new({path: (f"{text}\n", SECRETS)})
    return text


def kept_secret(path: Path) -> str:
    """Read a secret; the first call generates it."""
    if path.exists():
        return path.read_text(encoding="utf-8").strip()
    return write_secret(path)


def write_new(files: Mapping[Path, tuple[str, int]]) -> None:
    """Write new files, and their directories: all of them or none.

    Args:
        files: Text and mode of each, in the order in which they are written.

    Raises:
        OSError: If one exists, or cannot be written; those written before are deleted again.
    """
    made: list[Path] = []
    try:
        for path, (text, mode) in files.items():
            for folder in reversed([path.parent, *path.parent.parents]):
                if not folder.exists():
                    folder.mkdir()
                    made.append(folder)
            # Created with its mode, not changed later: another process could have opened it by
            # then.
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            made.append(path)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
    # Also when the admin presses Ctrl-C: a second run of `init` must not be refused for a half of
    # the first.
    except BaseException:
        for path in reversed(made):
            with suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink()
        raise


def secrets_folder(configuration: Path) -> Path:
    """Return the folder of a configuration's secrets: ``x.d`` for ``x.toml``, else ``name.d``."""
    path = configuration.absolute()
    return path.with_name(f"{path.name.removesuffix('.toml') or path.name}.d")


def configuration(sections: Mapping[str, Mapping[str, Value]]) -> str:
    """Format settings as TOML."""
    document = tomlkit.document()
    document.add(tomlkit.comment("Every setting is described in docs/configuration.md."))
    # With a library that keeps comments and order: the file is the admin's, who edits it by hand.
    text = tomlkit.dumps(document)
    for section, settings in sections.items():
        text = changed(text, section, settings)
    return text


def changed(text: str, section: str, settings: Mapping[str, Value]) -> str:
    """Change settings of one section in a TOML text; comments and order are kept."""
    document = tomlkit.parse(text)
    if section not in document:
        if text.strip():
            document = tomlkit.parse(text.rstrip() + "\n\n")
        document[section] = tomlkit.table()
    table = document[section]
    assert isinstance(table, MutableMapping)
    for name, value in settings.items():
        table[name] = value if isinstance(value, bool | str) else list(value)
    return tomlkit.dumps(document)
