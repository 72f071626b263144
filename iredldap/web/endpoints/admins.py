"""Endpoints of standalone admins."""

from iredldap.dit import admin
from iredldap.dit.views import kinds
from iredldap.dit.views.rows import VIEW
from iredldap.operations import standalone_admins
from iredldap.operations.views.params import viewed
from iredldap.operations.views.sent_back import with_view
from iredldap.web.endpoints.endpoint import NAMING, PASSWORD_RULES, Endpoint

_PATH = "/api/admin/{mail}"
_GLOBAL_ADMINS = ("global_admin",)

STANDALONE_ADMINS: tuple[Endpoint, ...] = (
    Endpoint(
        id="admin_get",
        method="GET",
        read=viewed(kinds.ADMIN, standalone_admins.profile),
        path=_PATH,
        auth=_GLOBAL_ADMINS,
        summary="Read a standalone admin; mail users with rights are none.",
        table=(VIEW,),
        view=kinds.ADMIN.name,
        errors=("INVALID_MAIL", *NAMING),
        returns="Attributes of the admin, each a list of texts; accountSetting as an object, and as"
        " settings too; managed_domains: sorted names of the domains that name them; isglobaladmin:"
        " 0 or 1. Those in api_hidden_admin_profiles are left out.",
        shape="Admin",
        era="later",
    ),
    Endpoint(
        id="admin_create",
        method="POST",
        operation=standalone_admins.create,
        path=_PATH,
        auth=_GLOBAL_ADMINS,
        summary="Create a standalone admin, whose address lies in no domain that is hosted here.",
        table=admin.CREATE,
        errors=(
            "INVALID_MAIL",
            "CAN_NOT_BE_LOCAL_DOMAIN",
            "ALREADY_EXISTS",
            "PERMISSION_DENIED",
            "MISSING_PARAMETER",
            *PASSWORD_RULES,
        ),
        era="later",
        names_new_account=True,
    ),
    Endpoint(
        id="admin_delete",
        method="DELETE",
        operation=standalone_admins.delete,
        path=_PATH,
        auth=_GLOBAL_ADMINS,
        summary="Delete a standalone admin; of a mail user only the rights. The address is"
        " removed from the admins of all domains.",
        errors=("INVALID_MAIL", *NAMING),
        era="later",
    ),
    Endpoint(
        id="admin_update",
        method="PUT",
        operation=with_view(kinds.ADMIN, standalone_admins.update),
        path=_PATH,
        auth=_GLOBAL_ADMINS,
        summary="Change a standalone admin; what is not sent stays as it is.",
        table=admin.UPDATE,
        errors=("INVALID_MAIL", *NAMING, "MISSING_PARAMETER", *PASSWORD_RULES),
        era="later",
    ),
    Endpoint(
        id="admin_verify_password",
        method="POST",
        read=standalone_admins.check_password,
        path="/api/verify_password/admin/{mail}",
        auth=_GLOBAL_ADMINS,
        token_scopes=("passwords:read",),
        summary="Check a password of a standalone admin, also of a disabled one. If it is wrong the"
        " status is 200 all the same.",
        table=admin.VERIFY,
        errors=("INVALID_MAIL", *NAMING, "INVALID_CREDENTIALS", "EMPTY_PASSWORD"),
        era="later",
    ),
)
