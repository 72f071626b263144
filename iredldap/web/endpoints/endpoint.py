"""The row of an endpoint of the API."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from iredldap.dit import token_scopes
from iredldap.dit.fields import FieldChange, Table
from iredldap.operations.context import Operation, Read

ADMINS = ("global_admin", "domain_admin")
NAMING = ("NO_SUCH_ACCOUNT", "PERMISSION_DENIED")
LISTS_DOWN = "MLMMJADMIN_UNAVAILABLE"
PASSWORD_RULES = (
    "PW_EMPTY", "PW_NON_ASCII", "PW_SHORTER_THAN_MIN_LENGTH", "PW_GREATER_THAN_MAX_LENGTH",
    "PW_NO_LETTER", "PW_NO_UPPERCASE", "PW_NO_DIGIT_NUMBER", "PW_NO_SPECIAL_CHAR",
    "PW_IS_ADDRESS",
)  # fmt: skip

# From the path, so that a new endpoint cannot be without a scope: one whose first word is not here
# fails when the application is made.
_AREAS: Mapping[str, str] = {
    "domain": "domains", "domains": "domains",
    "user": "users", "users": "users",
    "verify_password": "passwords",
    "alias": "aliases", "aliases": "aliases",
    "maillist": "lists", "maillists": "lists", "ml": "lists", "mls": "lists",
    "admin": "admins", "admins": "admins",
    "throttle": "policies", "greylisting": "policies", "wblist": "policies",
    "spampolicy": "policies",
    "ldif": "ldif",
    "import": "users",
    "changes": "changes",
    "jobs": "jobs",
    "tokens": "tokens",
}  # fmt: skip
"""Areas of token scopes, by the first word of a path below `/api`."""

_VERBS: Mapping[str, str] = {
    "GET": token_scopes.READ, "PUT": token_scopes.UPDATE, "DELETE": token_scopes.DELETE,
}  # fmt: skip


class Load(Enum):
    """Cost of a call, by which `web/server/threads.py` limits how many run at once."""

    LIVE = "live"
    PROBE = "probe"
    LIGHT = "light"
    HEAVY = "heavy"
    DOWNLOAD = "download"
    UPLOAD = "upload"


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One method on one path.

    `auth` lists who may call: `anonymous`, `global_admin`, `domain_admin` (of the domain
    concerned), `self` (an admin on their own account), `admin` (any admin, on what is their own).
    `profiles` is the domain's setting that withdraws parts of such objects from normal admins, and
    `profile` the part that this endpoint is. `errors` are codes beside those that every endpoint
    has. `returns` describes the data of a read, and `shape` names its schema in
    `web/openapi/schemas.py`. `takes` names the schema of a body that several endpoints share.
    `tagged`: it is one entry, whose state is the `ETag`. `bare` lists the media types of an answer
    without envelope; without data it is the only one. `route` is the path as the router
    knows it: where one variable is the word `global`, a domain or an address, it is
    `{account}`. With `takes_file` the body is a file of the type `file_type`, and parameters are in
    the query string.
    `promises`: it has no operation, and a client may prefer not to wait for it all the same.
    `load`: the cost of a call. `operation` makes the plan of a change, `read` the answer to a read;
    an endpoint with neither has a resource of its own. `tries`: that one shows what a dry run would
    do. `view`: what kind of thing `?view=params` shows. `given` are
    parameters that it always has. `token_scopes` are the scopes that a token
    needs, all of them, where they do not follow from path and method; none: any token will do.
    """

    id: str
    method: str
    path: str
    auth: tuple[str, ...]
    summary: str
    table: Table = ()
    errors: tuple[str, ...] = ()
    returns: str | None = None
    shape: str = ""
    takes: str = ""
    tagged: bool = False
    bare: tuple[str, ...] = ()
    profiles: str = ""
    profile: str | None = None
    era: str = "seed"
    names_new_account: bool = False
    route: str = ""
    takes_file: bool = False
    file_type: str = "text/ldif"
    promises: bool = False
    load: Load = Load.LIGHT
    operation: Operation | None = None
    read: Read | None = None
    tries: bool = False
    view: str = ""
    given: tuple[FieldChange, ...] = ()
    token_scopes: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        # Falcon's router knows no two variables of different names at one place of a path, so such
        # rows share a route.
        object.__setattr__(self, "route", self.route or self.path)

    @property
    def is_open(self) -> bool:
        return "anonymous" in self.auth

    @cached_property
    def scopes(self) -> tuple[str, ...]:
        """Return the scopes that a token needs, beside those of parameters; none: any token.

        Raises:
            LookupError: If none is given, and the path names no area.
        """
        if self.token_scopes is not None:
            return self.token_scopes
        if self.is_open:
            return ()
        # POST alone does not say whether something is created: the reference uses it for settings
        # as well.
        creates = self.id.endswith("_create")
        verb = _VERBS.get(self.method, token_scopes.CREATE if creates else token_scopes.UPDATE)
        return (f"{_AREAS[self.path.split('/')[2]]}:{verb}",)

    def scopes_for(self, changes: Iterable[FieldChange]) -> frozenset[str]:
        """Return the scopes that a token needs to call it with some parameters."""
        return token_scopes.needed(self.scopes, changes) if self.scopes else frozenset()

    @cached_property
    def possible_scopes(self) -> frozenset[str]:
        """Return all scopes with which some call of it is possible; none: any token."""
        sent = ((FieldChange(field, ()),) for field in self.table)
        return frozenset(self.scopes).union(*map(self.scopes_for, sent))
