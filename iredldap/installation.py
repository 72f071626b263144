"""Files of an installation: its configuration and its secrets."""

import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

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
    lines = ["# Every setting is described in docs/configuration.md.", ""]
    for section, settings in sections.items():
        lines.append(f"[{section}]")
        lines += [f"{name} = {_toml(value)}" for name, value in settings.items()]
        lines.append("")
    return "\n".join(lines)


def changed(text: str, section: str, settings: Mapping[str, Value]) -> str:
    """Change settings of one section in a TOML text; its comments and order stay."""
    head = re.search(rf"^\[{re.escape(section)}\][^\n]*\n", text, re.MULTILINE)
    if not head:
        return f"{text.rstrip()}\n\n{configuration({section: settings}).split(chr(10), 2)[2]}"
    following = re.search(r"^\[", text[head.end() :], re.MULTILINE)
    end = head.end() + following.start() if following else len(text)
    body = text[head.end() : end]
    for name, value in settings.items():
        line = f"{name} = {_toml(value)}\n"
        pattern = re.compile(rf"^{re.escape(name)}\s*=[^\n]*\n", re.MULTILINE)
        found = pattern.search(body)
        before, after = (body[: found.start()], body[found.end() :]) if found else ("", body)
        body = before + line + after
    return text[: head.end()] + body + text[end:]


def _toml(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return "[" + ", ".join(_toml(item) for item in value) + "]"
