"""Rows of views, and the members of one that identify what it shows."""

from collections.abc import Mapping

from iredldap.dit import kinds
from iredldap.dit.fields import Elsewhere, Field, Table, known_names
from iredldap.dit.views.kinds import KINDS
from iredldap.dit.views.params import ID, LEFT_OUT

VIEW = Field(
    name="view",
    stored_as=Elsewhere("the answer"),
    kind=kinds.choice("params"),
    meaning="`params`: the parameters that can be set, as a request sends them, in place of what is"
    " stored. See [reading what can be written](#reading-what-can-be-written).",
    era="ours",
)

NAMES = ("mail", "domain")
"""Members of a view, and variables of paths, that name the same."""


def without_identity(
    table: Table, form: Mapping[str, list[str]], names: Mapping[str, str]
) -> dict[str, list[str]]:
    """Return the form of a change without what a view has beside parameters.

    A name that differs from that in the path stays: it would be a rename.

    Args:
        table: The parameters of the endpoint.
        form: What was sent.
        names: The variables of the path.
    """
    beside = {ID, LEFT_OUT, *NAMES} - known_names(table)
    return {
        name: values
        for name, values in form.items()
        if name not in beside or (name in NAMES and not _is_same(values, names.get(name)))
    }


_UPDATES = frozenset(f"{name}_update" for name in KINDS)


def is_view(endpoint: str, form: Mapping[str, list[str]]) -> bool:
    """Return whether the form of a change is a view sent back: it has the id of the thing.

    Args:
        endpoint: Id of the endpoint.
        form: What was sent.
    """
    return ID in form and endpoint in _UPDATES


def _is_same(values: list[str], name: str | None) -> bool:
    return name is not None and [value.strip().lower() for value in values] == [name]
