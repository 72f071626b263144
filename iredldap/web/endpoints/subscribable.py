"""Endpoints of subscribable mailing lists."""

from iredldap.dit import subscribable as rows
from iredldap.dit.views import kinds
from iredldap.dit.views.rows import VIEW
from iredldap.operations.lists import subscribable, subscribable_create
from iredldap.operations.views.params import viewed
from iredldap.operations.views.sent_back import with_view
from iredldap.web.endpoints.endpoint import ADMINS, LISTS_DOWN, NAMING, Endpoint

_PATH = "/api/ml/{mail}"

SUBSCRIBABLE_LISTS: tuple[Endpoint, ...] = (
    Endpoint(
        id="ml_get",
        method="GET",
        read=viewed(kinds.SUBSCRIBABLE, subscribable.profile),
        view=kinds.SUBSCRIBABLE.name,
        path=_PATH,
        auth=ADMINS,
        summary="Read a subscribable mailing list.",
        table=(*rows.GET, VIEW),
        errors=("INVALID_MAIL", *NAMING, LISTS_DOWN),
        returns="Attributes of the list, each a list of texts, and its settings by the names of the"
        " parameters, with others that mlmmj has: yes or no, texts, sorted lists, max_message_size"
        " a number, 0 for any size. With with_subscribers `subscribers`: sorted addresses under"
        " normal, digest and nomail; members that the directory names are normal ones.",
        shape="SubscribableList",
        era="later",
    ),
    Endpoint(
        id="ml_create",
        method="POST",
        operation=subscribable_create.create,
        path=_PATH,
        auth=ADMINS,
        summary="Create a subscribable mailing list.",
        table=rows.CREATE,
        errors=(
            "INVALID_MAIL",
            *NAMING,
            "ALREADY_EXISTS",
            "NOT_ALLOWED",
            "EXCEEDED_DOMAIN_ACCOUNT_LIMIT",
            LISTS_DOWN,
        ),
        era="later",
        names_new_account=True,
    ),
    Endpoint(
        id="ml_update",
        method="PUT",
        operation=with_view(kinds.SUBSCRIBABLE, subscribable.update),
        path=_PATH,
        auth=ADMINS,
        summary="Change a subscribable mailing list; what is not sent stays as it is.",
        table=rows.UPDATE,
        errors=("INVALID_MAIL", *NAMING, LISTS_DOWN),
        era="later",
    ),
    Endpoint(
        id="ml_delete",
        method="DELETE",
        operation=subscribable.delete,
        path=_PATH,
        auth=ADMINS,
        summary="Delete a subscribable mailing list and every mention of it.",
        table=rows.DELETE,
        errors=("INVALID_MAIL", *NAMING, LISTS_DOWN),
        era="later",
    ),
)
