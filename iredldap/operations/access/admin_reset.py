"""Create or reset a global admin, for an installation that no admin can log in to any more."""

from dataclasses import dataclass

from iredldap import finders
from iredldap.dit import admin, user
from iredldap.dit.fields import Table
from iredldap.dit.form_parser import parse
from iredldap.dit.plan import Plan
from iredldap.dit.request import Request
from iredldap.gateways.directory import Directory
from iredldap.operations import dispatch, standalone_admins
from iredldap.operations.context import Context, Operation
from iredldap.operations.login import Caller
from iredldap.operations.users import user_update


@dataclass(frozen=True)
class AdminReset:
    """How an address becomes that of a global admin: the request, and the operation for it.

    Args:
        wanted: The request, as a client of the API would send it.
        operation: Makes its plan.
        is_new: Whether the admin is created.
    """

    wanted: Request
    operation: Operation
    is_new: bool

    def plan(self, context: Context) -> Plan:
        """Make the plan.

        Raises:
            WeakPassword: For each rule that the password breaks.
            CanNotBeLocalDomain: If a new admin's domain is hosted here.
            Refusal: As the operation says.
        """
        return dispatch.plan(context, self.operation, self.wanted)


def reset(directory: Directory, mail: str, password: str) -> AdminReset:
    """Return how to make the account of an address an active global admin with a password.

    A mail user with rights comes before a standalone admin of the same address, as in a login. A
    mail user without any becomes an admin if there is no standalone one; if there is neither, a
    standalone admin is created.

    Raises:
        AmbiguousAccount: If two accounts have the address.
    """
    account = finders.account(directory, mail, "mailUser")
    standalone = finders.standalone_admin(directory, mail)
    if account and (standalone is None or user.has_rights(account)):
        return _request("user_update", user.UPDATE, user_update.update, mail, password)
    if standalone:
        return _request("admin_update", admin.UPDATE, standalone_admins.update, mail, password)
    return _request("admin_create", admin.CREATE, standalone_admins.create, mail, password)


def _request(
    endpoint: str, table: Table, operation: Operation, mail: str, password: str
) -> AdminReset:
    # The request of the API, so that its rules hold: the scheme that slapd verifies, the rules of
    # passwords, the roles in the services.
    form = {"password": [password], "isGlobalAdmin": ["yes"], "accountStatus": ["active"]}
    wanted = Request(endpoint, {"mail": mail}, parse(table, form))
    return AdminReset(wanted, operation, is_new=endpoint.endswith("_create"))


def local_caller(directory: Directory, mail: str) -> Caller:
    """Return the caller of a command on the server: who can read its secrets may do all."""
    return Caller(mail, directory.tree.admin(mail), is_global=True, stored=())
