"""Endpoints that tell what a change would meet: where mail goes, and what refers to an account."""

from iredldap.operations.lookups import mail_flow, mentions
from iredldap.web.endpoints.endpoint import ADMINS, LISTS_DOWN, NAMING, Endpoint

_SCOPES = ("domains:read", "users:read", "aliases:read", "lists:read")
"""Of a token: the answers show accounts of all kinds."""

_FATES = (
    "references: values in other entries, each with dn, attribute, value, and what becomes of it"
    " on_deletion and on_rename: removed, replaced, stays, deleted (the whole entry), null if the"
    " call would be refused; the first 1000, left_out counts the others. To a normal admin those"
    " in domains that they do not manage are counted in in_other_domains. deletion and rename: the"
    " codes by which the call would be refused now, with their report, and what it would do outside"
    " the directory. rows: how many rows of databases it would delete."
)

LOOKUPS: tuple[Endpoint, ...] = (
    Endpoint(
        id="references_get",
        method="GET",
        read=mentions.of_account,
        path="/api/references/{mail}",
        auth=ADMINS,
        token_scopes=_SCOPES,
        summary="Find out what refers to a user, list, alias or admin, and what would become of it"
        " with the account's deletion, and with a new address in the same domain.",
        errors=(
            "INVALID_MAIL",
            *NAMING,
            "PERMISSION_DENIED_UPDATE_GLOBAL_ADMIN_PROFILE",
            LISTS_DOWN,
        ),
        returns=f"{_FATES} lists: subscribable lists with the role or the kind of subscription."
        " addresses: further addresses, and what becomes of them. mailbox: its directory, and who"
        " shares it.",
        shape="References",
        era="ours",
    ),
    Endpoint(
        id="references_domain",
        method="GET",
        read=mentions.of_domain,
        path="/api/references/domain/{domain}",
        auth=ADMINS,
        token_scopes=_SCOPES,
        summary="Find out what refers to a domain and its accounts from outside, and what would"
        " become of it with the domain's deletion.",
        errors=("INVALID_DOMAIN_NAME", *NAMING, LISTS_DOWN),
        returns=f"{_FATES} entries: how many would be deleted.",
        shape="References",
        era="ours",
    ),
    Endpoint(
        id="resolve",
        method="GET",
        read=mail_flow.resolve,
        path="/api/resolve/{mail}",
        auth=ADMINS,
        token_scopes=_SCOPES,
        summary="Find out where mail to an address goes, step by step, as Postfix and Dovecot of an"
        " iRedMail server would have it; whether any account has the address or not.",
        errors=("INVALID_MAIL",),
        returns="accepted: whether the server takes mail for the domain; alias_of: the domain whose"
        " alias domain it is, or null; steps, each with the address, by what it is replaced"
        " (alias, forwarding, list, subscribable list, further address, catch-all) and by which"
        " addresses, with the account, and of a forwarding whether it keeps a copy; ends, each with"
        " an address, kind (mailbox, subscribable list, relay, backup MX, elsewhere, other domain,"
        " refused), transport, home and mail location of a mailbox, and why mail is refused; loops:"
        " circles of addresses, for which Postfix delivers nothing; cut_off: there are more than"
        " Postfix follows; copies: BCC of mail to the address; sent_mail: BCC of mail from it, and"
        " its relay. To a normal admin an address in a domain that they do not manage is an end.",
        shape="MailFlow",
        era="ours",
    ),
)
