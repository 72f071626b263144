"""Find the classes of refusals by their codes."""

from collections.abc import Iterator, Mapping
from functools import cache

from iredldap import directory_errors, errors, http_errors, limit_errors, undo_errors
from iredldap.errors import PasswordMismatch, Refusal, WeakPassword

# The general ones first: where classes have one code, `of_code` returns the one that the others
# were made from.
_MODULES = (errors, http_errors, directory_errors, limit_errors, undo_errors)

PASSWORD_RULES: Mapping[str, str] = {
    "PW_EMPTY": "There is no password.",
    "PW_NON_ASCII": "The password has characters other than printable ASCII.",
    "PW_SHORTER_THAN_MIN_LENGTH": "The password is too short.",
    "PW_GREATER_THAN_MAX_LENGTH": "The password is too long.",
    "PW_NO_LETTER": "The password has no letter.",
    "PW_NO_UPPERCASE": "The password has no capital.",
    "PW_NO_DIGIT_NUMBER": "The password has no digit.",
    "PW_NO_SPECIAL_CHAR": "The password has no special character.",
    "PW_IS_ADDRESS": "The password is the address itself.",
}
"""The codes of `WeakPassword`, each with its meaning."""


def refusals() -> Iterator[type[Refusal]]:
    """Yield the classes of all refusals, those of a module in the order of their definition.

    Classes that a layer derives for itself are none of them: clients get the code of the base.
    """
    for module in _MODULES:
        for kind in vars(module).values():
            if (
                isinstance(kind, type)
                and issubclass(kind, Refusal)
                and kind is not Refusal
                and kind.__module__ == module.__name__
            ):
                yield kind


@cache
def of_code(code: str) -> type[Refusal]:
    """Return the class of a code; of the two of `INVALID_CREDENTIALS` that of a login.

    Raises:
        LookupError: If no refusal has it.
    """
    if code.startswith("PW_"):
        return WeakPassword
    for kind in refusals():
        if kind.code == code and kind is not PasswordMismatch:
            return kind
    raise LookupError(code)


def meaning_of(code: str) -> str:
    """Return what a code means, in a sentence; of an unknown one nothing.

    It is the first sentence about the class of the code.
    """
    if code in PASSWORD_RULES:
        return PASSWORD_RULES[code]
    try:
        return meaning(of_code(code))
    except LookupError:
        return ""


def meaning(kind: type[Refusal]) -> str:
    """Return what a class of refusals means, as its docstring says."""
    return " ".join((kind.__doc__ or "").partition("\n\n")[0].split())
