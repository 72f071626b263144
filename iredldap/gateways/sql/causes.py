"""Say why a database cannot be used, and what to do about it, from the error of its driver.

Source: the error numbers of MariaDB and SQLite. The libraries of PostgreSQL give a text alone when
a connection fails, in English unless the server is configured otherwise.
"""

import re

from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from iredldap.config.checks import missing_driver

_REFUSED = "nothing listens there: is the server running, are host and port of its URL right?"
_UNKNOWN_HOST = "the host of its URL is unknown"
_SILENT = "no answer in time: is the host of its URL right, does a firewall drop connections?"
_DENIED = "access denied: are user and password of its URL right, may the user connect from here?"
_NO_DATABASE = "the server has no database of the name in its URL"
_NOT_YOURS = "the server has no database of the name in its URL, or the user no rights there"
_NO_RIGHT = "the user of its URL lacks a right: GRANT what iRedMail's own user has"
_FULL_OF_CLIENTS = "the server takes no more connections (max_connections)"

_NUMBERS = {
    1040: _FULL_OF_CLIENTS,
    1044: _NOT_YOURS,
    1045: _DENIED,
    1049: _NO_DATABASE,
    1130: _DENIED,
    1142: _NO_RIGHT,
    1143: _NO_RIGHT,
    1203: _FULL_OF_CLIENTS,
    1226: _FULL_OF_CLIENTS,
    1698: _DENIED,
}
"""By the error numbers of MariaDB."""

_STATES = {"28000": _DENIED, "28P01": _DENIED, "3D000": _NO_DATABASE, "42501": _NO_RIGHT}
"""By the SQLSTATE of PostgreSQL."""

_TEXTS = (
    (r"connection refused|no such file or directory.*socket|is the server running", _REFUSED),
    (r"name or service not known|name resolution|not known|nodename|resolve host", _UNKNOWN_HOST),
    (r"timed? ?out|timeout expired|no route to host|network is unreachable", _SILENT),
    (r"password authentication failed|no pg_hba\.conf entry|peer authentication", _DENIED),
    (r"no password supplied|role .* does not exist", _DENIED),
    (r"database .* does not exist", _NO_DATABASE),
    (r"permission denied for", _NO_RIGHT),
    (r"too many clients|too many connections|connection slots", _FULL_OF_CLIENTS),
    (r"unable to open database file", "its file cannot be opened: is the folder there, and ours?"),
    (r"file is not a database", "its file is not an SQLite database"),
    (r"readonly database", "its file, or the folder of that, cannot be written by us"),
    (r"disk is full|no space left", "the disk is full"),
    (r"disk i/o error", "the disk, or the file system, does not do what SQLite needs"),
    (r"database is locked", "another program keeps its file locked"),
)
"""By what is in the text of an error, in lower case; the first one counts."""


def cause(error: Exception) -> str:
    """Return the class of an error, and in words what is wrong, as far as it is known.

    Of the URL only the path of an SQLite file is in it, and no text of a driver.
    """
    words = _words(error)
    name = type(error).__name__
    return f"{name}: {words}" if words else name


def _words(error: Exception) -> str:
    match error:
        case ImportError():
            return missing_driver(error)
        case NoSuchModuleError():
            return "the kind of database in its URL is unknown"
        case ArgumentError() | ValueError() if not isinstance(error, UnicodeError):
            return "its URL is malformed"
        case OSError() if error.filename:
            return f"{error.filename}: {error.strerror}"
    original = error.orig if isinstance(error, DBAPIError) else error
    number = next(iter(getattr(original, "args", ())), None)
    if isinstance(number, int) and number in _NUMBERS:
        return _NUMBERS[number]
    state, text = getattr(original, "sqlstate", None), str(original).lower()
    known = _STATES.get(state or "")
    return known or next((words for form, words in _TEXTS if re.search(form, text)), "")
