"""Read the configuration, one TOML file and the environment, into the records of the sections.

The environment variable ``IREDLDAP_<SECTION>_<NAME>`` wins over the file. A secret is never in the
file itself: it comes from the environment or from the file that ``<name>_file`` names.
"""

import dataclasses
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

from iredldap import file_causes
from iredldap.config.sections import Config, sections
from iredldap.config.settings import Secret

CONFIG_VARIABLE = "IREDLDAP_CONFIG"
DEFAULT_CONFIG = "/etc/iredldap.toml"

_PREFIX = "IREDLDAP"
_END_OF_NUMBERS = 2**63
"""TOML has no larger integers, nor do the libraries that use the values accept any."""
_YES = {"yes", "true", "on", "1"}
_NO = {"no", "false", "off", "0"}


class ConfigurationError(Exception):
    """The configuration is invalid.

    Args:
        errors: All that is wrong with it, a line each.
    """

    def __init__(self, errors: list[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


def read(mapping: Mapping[str, Any], environment: Mapping[str, str]) -> Config:
    """Build the configuration from a parsed TOML file and the environment.

    Raises:
        ConfigurationError: With every error: unknown names, wrong types, missing settings,
            unreadable secret files, values out of bounds; without these, what is wrong with
            settings taken together.
    """
    errors: list[str] = []
    known = dict(sections())
    # A misspelt name is an error and not ignored: a setting that restricts access would silently
    # not be in force.
    errors += [f"[{name}]: no such section" for name in mapping if name not in known]
    records = {}
    for name, record in known.items():
        given = mapping.get(name, {})
        if not isinstance(given, Mapping):
            errors.append(f"[{name}]: expected a section")
            given = {}
        values = _section(name, record, given, environment, errors)
        if values is not None:
            records[name] = record(**values)
    if errors:
        raise ConfigurationError(errors)
    config = Config(**records)
    # What is wrong with settings together is looked for in values that are right alone: else one
    # mistake would be reported twice.
    if errors := [*config.faults()]:
        raise ConfigurationError(errors)
    return config


def read_file(path: Path, environment: Mapping[str, str]) -> Config:
    """Build the configuration from a TOML file and the environment.

    Raises:
        ConfigurationError: As `read`, or when the file cannot be read.
    """
    try:
        mapping = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as ex:
        ways = f"`iredldap init` writes one; --config or {CONFIG_VARIABLE} names another"
        raise ConfigurationError([f"{file_causes.words(ex)}; {ways}"]) from ex
    except OSError as ex:
        raise ConfigurationError([file_causes.words(ex)]) from ex
    except (ValueError, RecursionError) as ex:
        # A number of thousands of digits raises a ValueError too, nesting that is too deep a
        # RecursionError.
        raise ConfigurationError([f"{path}: {ex}"]) from ex
    return read(mapping, environment)


def variable(section: str, name: str) -> str:
    """Return the name of the environment variable of a setting."""
    return f"{_PREFIX}_{section}_{name}".upper()


def is_secret(hint: Any) -> bool:
    """Return whether a setting of this type is a secret, read from a file of its own."""
    return hint in (Secret, tuple[Secret, ...])


def _section(
    name: str,
    record: type,
    given: Mapping[str, Any],
    environment: Mapping[str, str],
    errors: list[str],
) -> dict[str, Any] | None:
    hints = get_type_hints(record)
    values: dict[str, Any] = {}
    before = len(errors)
    allowed = {key if not is_secret(hint) else f"{key}_file" for key, hint in hints.items()}
    for key in given:
        # A secret in the file itself is an error, so that the file may be readable, copied and
        # shown.
        if key in hints and key not in allowed:
            errors.append(f"{name}.{key}: a secret; use {key}_file or {variable(name, key)}")
        elif key not in allowed:
            errors.append(f"{name}.{key}: no such setting")
    for row in dataclasses.fields(record):
        named = f"{name}.{row.name}"
        if variable(name, row.name) in environment and not is_secret(hints[row.name]):
            # The variable wins, so the file may be right and the error elsewhere.
            named += f" ({variable(name, row.name)})"
        try:
            found = _find(name, row.name, hints[row.name], given, environment)
            if found is not None:
                value = values[row.name] = _convert(hints[row.name], found)
                if wrong := row.metadata["check"](value):
                    errors.append(f"{named}: {wrong}")
            elif row.default is dataclasses.MISSING:
                errors.append(f"{named}: missing")
        except (ValueError, OSError) as ex:
            reason = file_causes.words(ex) if isinstance(ex, OSError) else ex
            errors.append(f"{named}: {reason}")
    # Without all of its values the record cannot be made; other sections are still read and
    # checked.
    return values if len(errors) == before else None


def _find(
    section: str, key: str, hint: Any, given: Mapping[str, Any], environment: Mapping[str, str]
) -> Any:
    if variable(section, key) in environment:
        return environment[variable(section, key)]
    if not is_secret(hint):
        return given.get(key)
    path = environment.get(variable(section, f"{key}_file"), given.get(f"{key}_file"))
    return None if path is None else Path(str(path)).read_text(encoding="utf-8").strip()


def _convert(hint: Any, value: Any) -> Any:
    match hint:
        case _ if hint is Secret:
            return Secret(str(value))
        case _ if hint == tuple[Secret, ...]:
            return tuple(Secret(word) for word in str(value).split())
        case _ if hint in (tuple[str, ...], tuple[int, ...]):
            return _words(value) if hint == tuple[str, ...] else _whole_numbers(value)
        case _ if hint in (bool, bool | None):
            return _flag(value)
        case _ if hint in (int, float):
            return _number(hint, value)
        case _:
            if not isinstance(value, str):
                raise ValueError(f"expected a text, got {value!r}")
            return value


def _number(hint: Any, value: Any) -> Any:
    wanted = "whole number" if hint is int else "number"
    taken = (int, str) if hint is int else (int, float, str)
    try:
        # In Python a boolean is a number.
        if isinstance(value, taken) and not isinstance(value, bool):
            number = hint(value)
            if abs(number) < _END_OF_NUMBERS:
                return number
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"expected a {wanted}, got {value!r}")


def _whole_numbers(value: Any) -> tuple[int, ...]:
    items = value if isinstance(value, list) else _words(value)
    return tuple(_number(int, item) for item in items)


def _words(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise ValueError(f"expected a list of texts, got {value!r}")


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word not in _YES | _NO:
        raise ValueError(f"expected yes or no, got {value!r}")
    return word in _YES
