"""The exit statuses of `iredldap`, in one table; `docs/commands.md` has it too."""

from collections.abc import Mapping, Sequence
from enum import IntEnum

from iredldap import error_codes, errors, http_errors
from iredldap.errors import Refusal


class ExitStatus(IntEnum):
    """Why a command ended, for programs. The first five are those of `ldif-export`, too."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    NOT_FOUND = 3
    UNAVAILABLE = 4
    CONFLICT = 5
    FORBIDDEN = 6


MEANINGS: Mapping[ExitStatus, str] = {
    ExitStatus.DONE: "It is done, or found.",
    ExitStatus.REFUSED: "It is refused, or failed, for a reason that is none of those below; or"
    " what was asked is not so: a password that is wrong, mail that goes nowhere.",
    ExitStatus.USAGE: "The command line or the configuration is wrong; nothing was sent.",
    ExitStatus.NOT_FOUND: "There is no such account, domain, change or job.",
    ExitStatus.UNAVAILABLE: "A server does not answer, or is too busy: try again later.",
    ExitStatus.CONFLICT: "What is there forbids it: the name is taken, a limit is reached, or"
    " others have changed it.",
    ExitStatus.FORBIDDEN: "The token is not valid, or does not reach so far.",
}

_CHECKED = "INVALID_CREDENTIALS"
"""Of a password that was to be checked: commands log in by tokens, which have another code."""

_KINDS: tuple[tuple[type[Refusal] | tuple[type[Refusal], ...], ExitStatus], ...] = (
    (errors.NotFound, ExitStatus.NOT_FOUND),
    ((errors.Conflict, errors.PreconditionFailed), ExitStatus.CONFLICT),
    (
        (errors.ServerDown, errors.MlmmjadminUnavailable, errors.ChangeLogUnavailable),
        ExitStatus.UNAVAILABLE,
    ),
    ((errors.TooManyRequests, http_errors.RequestTimeout), ExitStatus.UNAVAILABLE),
    (errors.Forbidden, ExitStatus.FORBIDDEN),
    (errors.Unauthenticated, ExitStatus.FORBIDDEN),
)


def of_codes(codes: Sequence[str]) -> ExitStatus:
    """Return the exit status of a refusal; the first of several codes decides."""
    if codes[0] == _CHECKED:
        return ExitStatus.REFUSED
    try:
        kind = error_codes.of_code(codes[0])
    except LookupError:
        # The rules for passwords have one class, and an API of a later version may have more codes.
        return ExitStatus.REFUSED
    for kinds, status in _KINDS:
        if issubclass(kind, kinds):
            return status
    return ExitStatus.REFUSED
