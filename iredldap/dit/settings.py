"""The attribute `accountSetting`: small settings packed into values ``key:value``.

Keys are compared with regard to case, values without; a key that is not known here is kept as
it is. A value that has no effect (0, empty) is not stored; -1 is.

Source: iRedMail's directory, accountSetting.
"""

from collections.abc import Iterable, Mapping

ATTRIBUTE = "accountSetting"

NUMBERS = frozenset(
    {
        "defaultQuota", "maxUserQuota", "numberOfUsers", "numberOfAliases", "numberOfLists",
        "minPasswordLength", "maxPasswordLength", "create_max_domains", "create_max_quota",
        "create_max_users", "create_max_aliases", "create_max_lists",
    }
)  # fmt: skip
_COUNTS = frozenset(
    {
        "numberOfUsers", "numberOfAliases", "numberOfLists",
        "create_max_domains", "create_max_users", "create_max_aliases", "create_max_lists",
    }
)  # fmt: skip
LISTS = frozenset(
    {
        "disabledDomainProfile", "disabledUserProfile", "disabledUserPreference",
        "disabledMailService",
    }
)  # fmt: skip

_LONGEST_NUMBER = 19
_MEGABYTES = {"MB": 1, "GB": 1024, "TB": 1024 * 1024}

Settings = Mapping[str, int | str | list[str]]


def read(values: Iterable[str]) -> dict[str, int | str | list[str]]:
    """Unpack stored values: numbers as integers, lists as sorted lower-case words.

    A value without a colon, or a number that is none, is left out, as every reader does.
    """
    settings: dict[str, int | str | list[str]] = {}
    lists: dict[str, set[str]] = {}
    for value in values:
        key, colon, word = value.partition(":")
        # No reader of iRedMail takes it for a setting.
        if not colon:
            continue
        if key in LISTS:
            lists.setdefault(key, set()).update(filter(None, [word.strip().lower()]))
        elif key not in NUMBERS:
            settings[key] = word
        elif word == "-1" or _is_number(word):
            settings[key] = int(word)
    return settings | {key: sorted(words) for key, words in lists.items()}


def number(settings: Settings, key: str) -> int:
    """Return a number, 0 where it is not set; -1 means none at all only where accounts are counted.

    Of a size or a length other tools store -1 for one that is not set.
    """
    value = settings.get(key, 0)
    if not isinstance(value, int):
        return 0
    return value if key in _COUNTS else max(value, 0)


def words(settings: Settings, key: str) -> list[str]:
    """Return a list, empty where it is not set."""
    value = settings.get(key, [])
    return value if isinstance(value, list) else []


def effect(values: Iterable[str], key: str) -> int | str:
    """Return what stored values mean for one setting that is no list; 0 or empty: not set."""
    unpacked = read(values)
    if key == "domainQuota":
        return domain_quota(unpacked)
    if key in NUMBERS:
        return number(unpacked, key)
    value = str(unpacked.get(key, ""))
    return value if value != "0" else ""


def domain_quota(settings: Settings) -> int:
    """Return a domain's mailbox space in megabytes, stored as ``<number>:<unit>``; 0: no limit."""
    size, _, unit = str(settings.get("domainQuota", "")).partition(":")
    if not _is_number(size):
        return 0
    return megabytes(int(size), unit)


def megabytes(size: int, unit: str) -> int:
    """Convert a size in MB, GB or TB; one in an unknown unit is taken for megabytes."""
    return size * _MEGABYTES.get(unit.upper(), 1)


def _is_number(word: str) -> bool:
    # Mail users write their own settings: a number of thousands of digits would be an error.
    return word.isascii() and word.isdigit() and len(word) <= _LONGEST_NUMBER


def packed(key: str, value: str) -> str | None:
    """Return the stored form of one setting, or None for a value that is not stored."""
    # Programs of iRedMail test whether a setting is there at all.
    return f"{key}:{value}" if value not in {"", "0"} else None


def of_key(values: Iterable[str], key: str) -> list[str]:
    """Return the stored values of one key."""
    # As stored: they are removed by their exact values.
    return [value for value in values if value.partition(":")[0] == key and ":" in value]
