"""Endpoints of mail users."""

from iredldap.dit import user
from iredldap.dit.views import kinds
from iredldap.dit.views.rows import VIEW
from iredldap.operations.renames import rename
from iredldap.operations.users import bulk_update, user_update, users
from iredldap.operations.views.params import viewed
from iredldap.operations.views.sent_back import with_view
from iredldap.web.endpoints.endpoint import (
    ADMINS,
    LISTS_DOWN,
    NAMING,
    PASSWORD_RULES,
    Endpoint,
    Load,
)

_USER = "/api/user/{mail}"

USERS: tuple[Endpoint, ...] = (
    Endpoint(
        id="user_get",
        method="GET",
        read=viewed(kinds.USER, users.profile),
        path=_USER,
        auth=(*ADMINS, "self"),
        summary="Read a mail user.",
        table=(VIEW,),
        view=kinds.USER.name,
        errors=("INVALID_MAIL", *NAMING, "PERMISSION_DENIED_UPDATE_GLOBAL_ADMIN_PROFILE"),
        returns="Attributes of the user, each a list of texts; accountSetting as an object;"
        " those in api_hidden_user_profiles are left out. Of a mailbox that was used, stored_bytes"
        " and stored_messages, and last_login: seconds since 1970 of the last imap, pop3 and lda"
        " (delivery), null for never.",
        shape="User",
        tagged=True,
        profiles="disabledUserProfile",
    ),
    Endpoint(
        id="user_create",
        method="POST",
        operation=users.create,
        path=_USER,
        auth=ADMINS,
        summary="Create a mail user.",
        table=user.CREATE,
        errors=(
            "INVALID_MAIL",
            "INVALID_DOMAIN_NAME",
            "NO_SUCH_ACCOUNT",
            "ALREADY_EXISTS",
            "PERMISSION_DENIED",
            "NOT_ALLOWED",
            "EXCEEDED_DOMAIN_ACCOUNT_LIMIT",
            "EXCEEDED_DOMAIN_QUOTA_SIZE",
            "EXCEEDED_MAX_USER_QUOTA",
            "MAILBOX_IN_USE",
            "INVALID_PASSWORD_SCHEME",
            *PASSWORD_RULES,
        ),
        profiles="disabledUserProfile",
        names_new_account=True,
    ),
    Endpoint(
        id="user_delete",
        method="DELETE",
        operation=users.delete,
        path=_USER,
        auth=ADMINS,
        summary="Delete a mail user and every mention of them; the mailbox stays on disk.",
        errors=(
            "INVALID_MAIL",
            *NAMING,
            "PERMISSION_DENIED_UPDATE_GLOBAL_ADMIN_PROFILE",
            LISTS_DOWN,
        ),
        profiles="disabledUserProfile",
    ),
    Endpoint(
        id="user_delete_keep",
        method="DELETE",
        operation=users.delete,
        path=f"{_USER}/keep_mailbox_days/{{number}}",
        auth=ADMINS,
        summary="Delete a mail user and every mention of them, and have the mailbox removed after"
        " so many days; 0: never.",
        errors=(
            "INVALID_MAIL",
            *NAMING,
            "PERMISSION_DENIED_UPDATE_GLOBAL_ADMIN_PROFILE",
            "INVALID_PARAMETER",
            LISTS_DOWN,
        ),
        profiles="disabledUserProfile",
        era="later",
    ),
    Endpoint(
        id="user_update",
        method="PUT",
        operation=with_view(kinds.USER, user_update.update),
        path=_USER,
        auth=(*ADMINS, "self"),
        summary="Change a mail user; what is not sent stays as it is.",
        table=user.UPDATE,
        errors=(
            "INVALID_MAIL",
            *NAMING,
            "ALREADY_EXISTS",
            "PERMISSION_DENIED_UPDATE_GLOBAL_ADMIN_PROFILE",
            "EXCEEDED_DOMAIN_QUOTA_SIZE",
            "EXCEEDED_MAX_USER_QUOTA",
            "MAILBOX_IN_USE",
            "INVALID_PASSWORD_SCHEME",
            "PARAMETER_CONFLICT",
            *PASSWORD_RULES,
        ),
        profiles="disabledUserProfile",
    ),
    Endpoint(
        id="users_update",
        method="PUT",
        operation=bulk_update.update,
        path="/api/users/{domain}",
        auth=ADMINS,
        summary="Change every mail user of a domain. A normal admin's change leaves global admins"
        " alone.",
        table=user.BULK,
        errors=("INVALID_DOMAIN_NAME", *NAMING, *PASSWORD_RULES),
        profiles="disabledUserProfile",
        load=Load.HEAVY,
    ),
    Endpoint(
        id="user_verify_password",
        method="POST",
        read=users.check_password,
        path="/api/verify_password/user/{mail}",
        auth=("global_admin",),
        token_scopes=("passwords:read",),
        summary="Check a password of a mail user, also of a disabled one. If it is wrong the"
        " status is 200 all the same.",
        table=user.VERIFY,
        errors=("INVALID_MAIL", *NAMING, "INVALID_CREDENTIALS", "EMPTY_PASSWORD"),
    ),
    Endpoint(
        id="user_change_email",
        method="POST",
        operation=rename.rename_user,
        path="/api/user/{mail}/change_email/{new_mail}",
        auth=ADMINS,
        summary="Rename a mail user, also into another domain; every mention follows, the mailbox"
        " stays where it is.",
        errors=(
            "INVALID_MAIL",
            *NAMING,
            "PERMISSION_DENIED_UPDATE_GLOBAL_ADMIN_PROFILE",
            "ALREADY_EXISTS",
            "NOT_ALLOWED",
            "EXCEEDED_DOMAIN_ACCOUNT_LIMIT",
            "EXCEEDED_DOMAIN_QUOTA_SIZE",
            "EXCEEDED_MAX_USER_QUOTA",
            LISTS_DOWN,
        ),
        profiles="disabledUserProfile",
    ),
)
