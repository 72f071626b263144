"""Read `dry_run`, the parameter of every call that writes.

It is no row of their tables: what it asks for is not stored, and it must never be ignored. A call
that has no dry run refuses it.

Source: `docs/decisions/0055-dry-runs.md`.
"""

from collections.abc import Iterable, Mapping, Sequence

from iredldap.dit import value_readers
from iredldap.dit.fields import known_names
from iredldap.errors import InvalidParameter
from iredldap.web.endpoints.endpoint import Endpoint
from iredldap.web.origins import SAFE_METHODS

NAME = "dry_run"
HEADER = "X-Dry-Run"
MEANING = (
    "`yes`: change nothing; refuse what the call would refuse, else answer with what it would do."
)
_LETTERS = NAME.replace("_", "")


def is_offered(endpoint: Endpoint) -> bool:
    """Return whether an endpoint can show what it would do."""
    return endpoint.operation is not None or endpoint.tries or has_own_row(endpoint)


def has_own_row(endpoint: Endpoint) -> bool:
    """Return whether the parameter is a row of the endpoint's table, as others refer to it."""
    return NAME in known_names(endpoint.table)


def is_wanted(endpoint: Endpoint, *forms: Mapping[str, Sequence[str]]) -> bool:
    """Return whether a request asks to change nothing.

    Args:
        endpoint: What is called; a read has no such parameter.
        forms: The parameters of the query string, and those of the body.

    Raises:
        InvalidParameter: If the value is neither yes nor no, or both; if the name is written in
            another way, which would change what the client wants only to see; if the call has no
            dry run.
    """
    if endpoint.method in SAFE_METHODS:
        return False
    _refuse_misspelt(name for form in forms for name in form)
    try:
        sent = (form[NAME] or [""] for form in forms if NAME in form)
        words = {value_readers.yes_no(value) for values in sent for value in values}
    except InvalidParameter as refusal:
        refusal.parameter = NAME
        raise
    if len(words) > 1:
        raise InvalidParameter("both yes and no", parameter=NAME)
    if "yes" in words and not is_offered(endpoint):
        raise InvalidParameter(f"{endpoint.id} has no dry run", parameter=NAME)
    return "yes" in words


def _refuse_misspelt(names: Iterable[str]) -> None:
    for name in names:
        if name != NAME and is_alike(name):
            raise InvalidParameter(f"the parameter is called {NAME}", parameter=name)


def refuse_part(name: str) -> None:
    """Refuse the parameter beside an uploaded file, where no parameter is read.

    Raises:
        InvalidParameter: If this is its name.
    """
    if is_alike(name):
        raise InvalidParameter("beside a file it belongs in the query string", parameter=name)


def is_alike(name: str) -> bool:
    """Return whether a name has the letters of the parameter's: `dry-run` and `dryRun[]` have."""
    return "".join(filter(str.isalpha, name.lower())) == _LETTERS
