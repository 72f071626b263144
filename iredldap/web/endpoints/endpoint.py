"""The row of an endpoint of the API."""

from dataclasses import dataclass
from enum import Enum

from iredldap.dit.fields import Table
from iredldap.operations.context import Operation, Read

ADMINS = ("global_admin", "domain_admin")
NAMING = ("NO_SUCH_ACCOUNT", "PERMISSION_DENIED")
LISTS_DOWN = "MLMMJADMIN_UNAVAILABLE"
PASSWORD_RULES = (
    "PW_EMPTY", "PW_NON_ASCII", "PW_SHORTER_THAN_MIN_LENGTH", "PW_GREATER_THAN_MAX_LENGTH",
    "PW_NO_LETTER", "PW_NO_UPPERCASE", "PW_NO_DIGIT_NUMBER", "PW_NO_SPECIAL_CHAR",
    "PW_IS_ADDRESS",
)  # fmt: skip


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
    `web/openapi/schemas.py`.
    `tagged`: it is one entry, whose state is the `ETag`. `bare` lists the media types of an answer
    without envelope; without data it is the only one. `route` is the path as the router
    knows it: where one variable is the word `global`, a domain or an address, it is
    `{account}`. With `takes_file` the body is a file, and parameters are in the query string.
    `load`: the cost of a call. `operation` makes the plan of a change, `read` the answer to a read;
    an endpoint with neither has a resource of its own.
    """

    id: str
    method: str
    path: str
    auth: tuple[str, ...]
    summary: str
    table: Table = ()
    errors: tuple[str, ...] = ()
    returns: str | None = None
    shape: str = "Object"
    tagged: bool = False
    bare: tuple[str, ...] = ()
    profiles: str = ""
    profile: str | None = None
    era: str = "seed"
    names_new_account: bool = False
    route: str = ""
    takes_file: bool = False
    load: Load = Load.LIGHT
    operation: Operation | None = None
    read: Read | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "route", self.route or self.path)

    @property
    def is_open(self) -> bool:
        return "anonymous" in self.auth
