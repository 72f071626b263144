"""Files of an installation: its configuration and its secrets."""

import secrets
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path

import tomlkit

Value = str | bool | Sequence[str]


def write_secret(path: Path, secret: str | None = None) -> str:
    """Write a secret that only its owner reads; make one up where none is given."""
    text = secret if secret is not None else secrets.token_urlsafe(24)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(text + "\n", encoding="utf-8")
    return text


def kept_secret(path: Path) -> str:
    """Read a secret, or make it on first use."""
    if path.exists():
        return path.read_text(encoding="utf-8").strip()
    return write_secret(path)


def configuration(sections: Mapping[str, Mapping[str, Value]]) -> str:
    """Write settings as TOML."""
    document = tomlkit.document()
    document.add(tomlkit.comment("Every setting is described in docs/configuration.md."))
    text = tomlkit.dumps(document)
    for section, settings in sections.items():
        text = changed(text, section, settings)
    return text


def changed(text: str, section: str, settings: Mapping[str, Value]) -> str:
    """Change settings of one section in a TOML text; its comments and order stay."""
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
