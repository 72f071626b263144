"""Endpoints of the listings."""

from iredldap.dit import listing
from iredldap.web.endpoints.endpoint import ADMINS, NAMING, Endpoint, Load

NDJSON = "application/x-ndjson"
"""A JSON value on each line: names, or profiles with the name or address of each."""

_OF_A_DOMAIN = ("INVALID_DOMAIN_NAME", *NAMING)

LISTINGS: tuple[Endpoint, ...] = (
    Endpoint(
        id="domains_list",
        method="GET",
        path="/api/domains",
        auth=ADMINS,
        summary="List domains: for a normal admin those that they manage.",
        table=listing.DOMAINS,
        bare=(NDJSON,),
        errors=("LOGIN_REQUIRED", "EXCEEDED_LDAP_SERVER_SIZELIMIT"),
        returns="Profiles, as a read of one domain has them, by name; or a sorted list of names.",
        shape="Domains",
        era="later",
        load=Load.HEAVY,
    ),
    Endpoint(
        id="users_list",
        method="GET",
        path="/api/users/{domain}",
        auth=ADMINS,
        summary="List the mail users of a domain, by its name or that of one of its alias domains;"
        " to a normal admin without global ones.",
        table=listing.USERS,
        bare=(NDJSON,),
        errors=(*_OF_A_DOMAIN, "EXCEEDED_LDAP_SERVER_SIZELIMIT"),
        returns="Profiles, as a read of one user has them, by address; or a sorted list of"
        " addresses. The catch-all account is not among them.",
        profiles="disabledUserProfile",
        shape="Users",
        era="later",
        load=Load.HEAVY,
    ),
    Endpoint(
        id="aliases_list",
        method="GET",
        path="/api/aliases/{domain}",
        auth=ADMINS,
        summary="List the mail aliases of a domain, by its name or that of one of its alias"
        " domains.",
        table=listing.ALIASES,
        bare=(NDJSON,),
        errors=(*_OF_A_DOMAIN, "EXCEEDED_LDAP_SERVER_SIZELIMIT"),
        returns="Profiles, as a read of one alias has them, by address; or a sorted list of"
        " addresses.",
        shape="Aliases",
        era="later",
        load=Load.HEAVY,
    ),
    Endpoint(
        id="mls_list",
        method="GET",
        path="/api/mls/{domain}",
        auth=ADMINS,
        summary="List the subscribable mailing lists of a domain, by its name or that of one of its"
        " alias domains.",
        table=listing.LISTS,
        bare=(NDJSON,),
        errors=(*_OF_A_DOMAIN, "EXCEEDED_LDAP_SERVER_SIZELIMIT"),
        returns="Attributes of each list as the directory has them, by address; or a sorted list"
        " of addresses.",
        shape="SubscribableLists",
        era="later",
        load=Load.HEAVY,
    ),
    Endpoint(
        id="maillists_list",
        method="GET",
        path="/api/maillists/{domain}",
        auth=ADMINS,
        summary="List the unsubscribable mailing lists of a domain, by its name or that of one of"
        " its alias domains.",
        table=listing.LISTS,
        bare=(NDJSON,),
        errors=(*_OF_A_DOMAIN, "EXCEEDED_LDAP_SERVER_SIZELIMIT"),
        returns="Attributes of each list as the directory has them, by address; or a sorted list"
        " of addresses. Members are shown with `view=params`.",
        shape="Maillists",
        era="ours",
        load=Load.HEAVY,
    ),
    Endpoint(
        id="admins_list",
        method="GET",
        path="/api/admins",
        auth=("global_admin",),
        summary="List the standalone admins; mail users with rights are none.",
        table=listing.ADMINS,
        bare=(NDJSON,),
        errors=("PERMISSION_DENIED", "EXCEEDED_LDAP_SERVER_SIZELIMIT"),
        returns="Profiles, as a read of one admin has them, but without managed_domains, by"
        " address; or a sorted list of addresses.",
        shape="Admins",
        era="ours",
        load=Load.HEAVY,
    ),
)
