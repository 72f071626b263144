"""The endpoint of imports."""

from iredldap.dit import imports
from iredldap.web.endpoints.endpoint import Endpoint, Load

IMPORT = "import_create"

IMPORTS: tuple[Endpoint, ...] = (
    Endpoint(
        id=IMPORT,
        method="POST",
        path="/api/import",
        auth=("admin",),
        summary="Create the users of a CSV file. Each row is judged as a call of its own would be:"
        " rights, limits, password rules, checks, change log. Accounts that are there and agree are"
        " left as they are, so the same file can be sent again. The body is the file, or a"
        " multipart form with it; the parameters are in the query string.",
        table=imports.USERS,
        errors=("INVALID_FILE", "BODY_TOO_LARGE"),
        returns="How many rows were `created`, `updated`, `unchanged`, how many `differ` or were"
        " `refused`, and the memberships made; each of the last three by line, with code and"
        " parameters; `rejected`: the refused rows as a CSV file with their reasons, which can be"
        " mended and sent again. A job has it as its report, with `rejected` without passwords.",
        shape="Import",
        era="ours",
        takes_file=True,
        file_type="text/csv",
        promises=True,
        load=Load.UPLOAD,
    ),
)
