"""Find the classes of refusals by their codes."""

from collections.abc import Iterator

from iredldap import directory_errors, errors, http_errors, limit_errors, undo_errors
from iredldap.errors import PasswordMismatch, Refusal, WeakPassword

# The general ones first: where classes have one code, `of_code` returns the one that the others
# were made from.
_MODULES = (errors, http_errors, directory_errors, limit_errors, undo_errors)


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
