"""What a setting is made of: its meaning, the check of its value, and secrets."""

import math
import re
from collections.abc import Callable
from dataclasses import field
from pathlib import Path
from typing import Any

_TCP = re.compile(r"(?:tcp://)?(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]*)(?::(?P<port>[0-9]{1,5}))?")


class Secret:
    """A text that does not print itself."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


Check = Callable[[Any], str | None]
"""Says what is wrong with a value, or None."""


def setting(meaning: str, check: Check = lambda _: None, **default: Any) -> Any:
    """Make the field of a setting: what it means, what is right, and its default if it has one."""
    return field(metadata={"meaning": meaning, "check": check}, **default)


def holds(condition: Callable[[Any], bool], otherwise: str) -> Check:
    """Make a check of a condition, and of the words for a value that does not fulfil it."""
    return lambda value: None if condition(value) else otherwise


def between(least: float, most: float = math.inf) -> Check:
    """Make a check of a number; infinity is none."""
    bounds = f"at least {least}" if most == math.inf else f"{least} to {most}"
    return holds(lambda value: least <= value <= most and value != math.inf, bounds)


POSITIVE = holds(lambda value: 0 < value < math.inf, "more than 0")


def certificates(path: str) -> str | None:
    """Say what is wrong with a file of certificates to trust, or None; an empty path is none.

    libldap tells of a wrong one in different ways: with GnuTLS not at all.
    """
    if not path:
        return None
    # Most exports trust no file, and loading this would delay their start.
    import ssl  # noqa: PLC0415

    if not Path(path).is_file():
        return "no such file"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile=path)
    except ssl.SSLError:
        return "no PEM certificate in it"
    except OSError as ex:
        return ex.strerror or str(ex)
    # A list of revoked certificates alone is loaded, too.
    return None if context.cert_store_stats()["x509"] else "no PEM certificate in it"


def listening(addresses: str) -> str | None:
    """Say what is wrong with addresses to listen at, separated by commas, or None.

    gunicorn reads them at a reload too, and its master ends at a wrong one.
    """
    words = [word.strip() for word in addresses.split(",") if word.strip()]
    for word in words:
        if re.fullmatch(r"unix:.+|fd://[0-9]+", word):
            continue
        parts = _TCP.fullmatch(word)
        if not parts:
            return f"{word!r} is neither HOST:PORT nor unix:PATH"
        if int(parts["port"] or 0) > 65535:
            return f"{word!r} has no such port"
    return None if words else "missing"


def cookie_name(name: str) -> str | None:
    """Say what is wrong with the name of a cookie, or None."""
    # An export loads this module, and no cookies.
    from http.cookies import CookieError, SimpleCookie  # noqa: PLC0415

    try:
        SimpleCookie()[name] = ""
    except CookieError as ex:
        return str(ex)
    return None
