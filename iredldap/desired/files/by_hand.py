"""Parse YAML and TOML that people have written, with bounds on what a small file can cost."""

import re
import tomllib

import yaml

from iredldap.errors import InvalidFile

_MOST_PARTS = 40

_BASE_60 = re.compile(rf"[-+0-9_.]+(:[0-9_.]+){{{_MOST_PARTS},}}")

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""That of libyaml, which is ten times as fast, where there is one."""


def loads(text: str, format_: str) -> object:
    """Return what a file has.

    Args:
        text: The file.
        format_: `yaml` or `toml`.

    Raises:
        InvalidFile: If it is none, or would cost far more than its size.
    """
    try:
        return _yaml(text) if format_ == "yaml" else _toml(text)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as ex:
        raise InvalidFile(f"no {format_}: {ex}") from ex
    except (KeyError, IndexError, AttributeError) as ex:
        # A value that is none of the type that its tag names (`!!bool foo`).
        raise InvalidFile(f"no {format_}: a value does not fit its tag: {ex}") from ex


def _toml(text: str) -> object:
    """Read TOML without keys of many parts: the time for one grows with the square of these."""
    if any(run.count(".") > _MOST_PARTS for run in re.split(r"[=,{}\[\]\n]", text)):
        raise InvalidFile(f"a key has more than {_MOST_PARTS} parts")
    return tomllib.loads(text)


def _yaml(text: str) -> object:
    """Read YAML without aliases, by which a few lines could stand for any number of values."""
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.AliasEvent):
            raise InvalidFile(f"no aliases: *{event.anchor}")
        if isinstance(event, yaml.ScalarEvent) and _BASE_60.fullmatch(event.value):
            # As such a number it takes a time that grows with the square of its length.
            raise InvalidFile(f"a number has more than {_MOST_PARTS} parts")
    found: object = yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe one
    return found
