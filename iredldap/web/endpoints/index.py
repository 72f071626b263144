"""The index of the API: every endpoint, who may call it and what it takes.

Routes, permissions, form parsing and the OpenAPI document are made from the rows, which are in a
module for each area.
"""

from collections.abc import Mapping

from iredldap.operations.context import Operation
from iredldap.web.endpoints.admins import STANDALONE_ADMINS
from iredldap.web.endpoints.aliases import ALIASES
from iredldap.web.endpoints.changes import CHANGES
from iredldap.web.endpoints.domains import DOMAINS
from iredldap.web.endpoints.endpoint import Endpoint
from iredldap.web.endpoints.imports import IMPORTS
from iredldap.web.endpoints.ldif import LDIF
from iredldap.web.endpoints.listings import LISTINGS
from iredldap.web.endpoints.lookups import LOOKUPS
from iredldap.web.endpoints.maillists import MAILLISTS
from iredldap.web.endpoints.params import has_view, params_of
from iredldap.web.endpoints.policies import POLICIES
from iredldap.web.endpoints.service import SERVICE
from iredldap.web.endpoints.session import SESSION
from iredldap.web.endpoints.states import STATES
from iredldap.web.endpoints.subscribable import SUBSCRIBABLE_LISTS
from iredldap.web.endpoints.tokens import TOKENS
from iredldap.web.endpoints.users import USERS

ENDPOINTS: tuple[Endpoint, ...] = (
    *SESSION,
    *DOMAINS,
    *USERS,
    *MAILLISTS,
    *ALIASES,
    *SUBSCRIBABLE_LISTS,
    *LISTINGS,
    *LOOKUPS,
    *STANDALONE_ADMINS,
    *POLICIES,
    *LDIF,
    *IMPORTS,
    *STATES,
    *CHANGES,
    *TOKENS,
    *SERVICE,
)

SERVED: tuple[Endpoint, ...] = (*ENDPOINTS, *(params_of(row) for row in ENDPOINTS if has_view(row)))
"""All of them, and the paths of views, which follow from the rows of reads."""

OPERATIONS: Mapping[str, Operation] = {row.id: row.operation for row in ENDPOINTS if row.operation}
"""Functions that make the plans of changes, by the id of the endpoint."""
