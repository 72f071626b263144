"""Endpoints of mail aliases."""

from iredldap.dit import alias
from iredldap.dit.views import kinds
from iredldap.dit.views.rows import VIEW
from iredldap.operations import aliases
from iredldap.operations.renames import rename
from iredldap.operations.views.params import viewed
from iredldap.operations.views.sent_back import with_view
from iredldap.web.endpoints.endpoint import ADMINS, LISTS_DOWN, NAMING, Endpoint

_ALIAS = "/api/alias/{mail}"

ALIASES: tuple[Endpoint, ...] = (
    Endpoint(
        id="alias_change_email",
        method="POST",
        operation=rename.rename_alias,
        path="/api/alias/{mail}/change_email/{new_mail}",
        auth=ADMINS,
        summary="Rename a mail alias, also into another domain; every mention follows.",
        errors=(
            "INVALID_MAIL",
            *NAMING,
            "ALREADY_EXISTS",
            "NOT_ALLOWED",
            "EXCEEDED_DOMAIN_ACCOUNT_LIMIT",
            LISTS_DOWN,
        ),
    ),
    Endpoint(
        id="alias_get",
        method="GET",
        read=viewed(kinds.ALIAS, aliases.profile),
        path=_ALIAS,
        auth=ADMINS,
        summary="Read a mail alias.",
        table=(VIEW,),
        view=kinds.ALIAS.name,
        errors=("INVALID_MAIL", *NAMING),
        returns="Attributes of the alias, each a list of texts; `members`: sorted addresses.",
        shape="Alias",
        tagged=True,
    ),
    Endpoint(
        id="alias_create",
        method="POST",
        operation=aliases.create,
        path=_ALIAS,
        auth=ADMINS,
        summary="Create a mail alias.",
        table=alias.CREATE,
        errors=(
            "INVALID_MAIL",
            "INVALID_DOMAIN_NAME",
            *NAMING,
            "ALREADY_EXISTS",
            "NOT_ALLOWED",
            "EXCEEDED_DOMAIN_ACCOUNT_LIMIT",
        ),
        names_new_account=True,
    ),
    Endpoint(
        id="alias_update",
        method="PUT",
        operation=with_view(kinds.ALIAS, aliases.update),
        path=_ALIAS,
        auth=ADMINS,
        summary="Change a mail alias; what is not sent stays as it is.",
        table=alias.UPDATE,
        errors=("INVALID_MAIL", *NAMING, "PARAMETER_CONFLICT"),
    ),
    Endpoint(
        id="alias_delete",
        method="DELETE",
        operation=aliases.delete,
        path=_ALIAS,
        auth=ADMINS,
        summary="Delete a mail alias and every mention of it.",
        errors=("INVALID_MAIL", *NAMING, LISTS_DOWN),
    ),
)
