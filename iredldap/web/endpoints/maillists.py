"""Endpoints of unsubscribable mailing lists."""

from iredldap.dit import maillist
from iredldap.dit.views import kinds
from iredldap.dit.views.rows import VIEW
from iredldap.operations.lists import maillists
from iredldap.operations.views.params import viewed
from iredldap.operations.views.sent_back import with_view
from iredldap.web.endpoints.endpoint import ADMINS, LISTS_DOWN, NAMING, Endpoint

_MAILLIST = "/api/maillist/{mail}"

MAILLISTS: tuple[Endpoint, ...] = (
    Endpoint(
        id="maillist_get",
        method="GET",
        read=viewed(kinds.MAILLIST, maillists.profile),
        path=_MAILLIST,
        auth=ADMINS,
        summary="Read an unsubscribable mailing list.",
        table=(VIEW,),
        view=kinds.MAILLIST.name,
        errors=("INVALID_MAIL", *NAMING),
        returns="Attributes of the list, each a list of texts; `members`: sorted addresses.",
        shape="Maillist",
    ),
    Endpoint(
        id="maillist_create",
        method="POST",
        operation=maillists.create,
        path=_MAILLIST,
        auth=ADMINS,
        summary="Create an unsubscribable mailing list.",
        table=maillist.CREATE,
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
        id="maillist_update",
        method="PUT",
        operation=with_view(kinds.MAILLIST, maillists.update),
        path=_MAILLIST,
        auth=ADMINS,
        summary="Change an unsubscribable mailing list; what is not sent stays as it is.",
        table=maillist.UPDATE,
        errors=("INVALID_MAIL", *NAMING, "PARAMETER_CONFLICT"),
    ),
    Endpoint(
        id="maillist_delete",
        method="DELETE",
        operation=maillists.delete,
        path=_MAILLIST,
        auth=ADMINS,
        summary="Delete an unsubscribable mailing list and every mention of it.",
        table=maillist.DELETE,
        errors=("INVALID_MAIL", *NAMING, LISTS_DOWN),
    ),
)
