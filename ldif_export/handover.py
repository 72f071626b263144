"""Exchange settings, exit status and errors between an export in a child process and its parent.

Settings are passed through an inherited descriptor, never on the command line or in the
environment, where others could read them. The exit status comes back, and the line on standard
error that explains the failure contains the code of the refusal.
"""

import json
import re
from dataclasses import fields
from typing import Any

from iredldap.config.ldap import LdapSettings
from iredldap.config.settings import Secret
from iredldap.error_codes import of_code
from iredldap.errors import InternalError, NoSuchAccount, Refusal, ServerDown, WeakPassword

DONE = 0
FAILED = 1
NO_SUCH_ACCOUNT = 3
SERVER_DOWN = 4
READER_GONE = 141
TERMINATED = 143
"""Exit statuses; 2 is a wrong command line, the last two are what a shell calls the signals."""

_ERROR_LINE = re.compile(r"^ldif-export: ([A-Z_]+): ", re.MULTILINE)


def error_line(refusal: Refusal) -> str:
    """Return the error message for a refusal, one line without its end.

    Of several refusals it has the first one's code.
    """
    # One line: a server's diagnostic message may have several.
    sentence = " ".join(refusal.detail.split())
    return f"ldif-export: {refusal.codes[0]}: {sentence}"


def exit_status(refusal: Refusal) -> int:
    """Return the exit status for a refusal."""
    if isinstance(refusal, NoSuchAccount):
        return NO_SUCH_ACCOUNT
    return SERVER_DOWN if isinstance(refusal, ServerDown) else FAILED


def refusal(status: int, complaint: str) -> Refusal:
    """Return the refusal for an exit status and the child's error output.

    Args:
        status: Exit status, or a negative signal number.
        complaint: What the child wrote to its standard error.
    """
    detail = complaint or f"the export ended with status {status}"
    if status == NO_SUCH_ACCOUNT:
        return NoSuchAccount(detail)
    if status == SERVER_DOWN:
        return ServerDown(detail)
    # Only a child that was not killed has reported a code.
    codes = _ERROR_LINE.findall(complaint) if status == FAILED else []
    try:
        kind = of_code(codes[-1])
    except LookupError:
        return InternalError(detail)
    return WeakPassword(codes[-1]) if kind is WeakPassword else kind(detail)


def dump(settings: LdapSettings) -> bytes:
    """Write connection settings, including the password, as JSON."""
    values = {field.name: getattr(settings, field.name) for field in fields(settings)}
    values["bind_password"] = settings.bind_password.reveal()
    return json.dumps(values).encode()


def load(data: bytes) -> LdapSettings:
    """Read connection settings that `dump` wrote.

    Raises:
        ValueError, TypeError, KeyError: If it did not.
    """
    values: dict[str, Any] = json.loads(data)
    values["uri"] = tuple(values["uri"])
    values["bind_password"] = Secret(values["bind_password"])
    return LdapSettings(**values)
