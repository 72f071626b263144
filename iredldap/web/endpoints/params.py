"""Paths of views: for each read that takes `view=params`, one that answers with nothing else.

One path with answers of several types is none that every generator of clients can use.

Source: `docs/decisions/0065-generated-clients.md`.
"""

from dataclasses import replace

from iredldap.dit.fields import FieldChange
from iredldap.dit.views import schemas
from iredldap.dit.views.rows import VIEW
from iredldap.web.endpoints.endpoint import Endpoint

PATH = "/params"
"""Ends the path."""

_NAMES_ALONE = ("name_only", "email_only")


def has_view(endpoint: Endpoint) -> bool:
    """Return whether a read also answers with views."""
    return VIEW in endpoint.table


def params_of(endpoint: Endpoint) -> Endpoint:
    """Return the read that answers with views alone, as another one does with `view=params`."""
    beside = {VIEW.name, *_NAMES_ALONE}
    stem = endpoint.id.removesuffix("_get").removesuffix("_list")
    is_listing = not endpoint.view
    return replace(
        endpoint,
        id=f"{stem}_params" if not is_listing else f"{stem}_list_params",
        path=f"{endpoint.path}{PATH}",
        route=f"{endpoint.route}{PATH}",
        summary=f"{endpoint.summary.rstrip('.')}: the parameters that can be set.",
        table=tuple(
            row.but(conflicts_with=tuple(name for name in row.conflicts_with if name not in beside))
            for row in endpoint.table
            if row.name not in beside
        ),
        returns="Parameters as a request sends them"
        + ("; by the names of what they are of." if is_listing else "."),
        shape=f"{endpoint.shape}Params" if is_listing else schemas.name(endpoint.view),
        view="",
        given=(FieldChange(VIEW, ("params",)),),
        era="ours",
    )
