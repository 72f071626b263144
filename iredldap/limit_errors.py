"""The refusals of what would exceed the limits of a domain or an admin."""

from iredldap.errors import Conflict


class NotAllowed(Conflict):
    """The domain's limit does not allow such an account."""

    code = "NOT_ALLOWED"


class ExceededDomainAccountLimit(Conflict):
    """The domain holds as many accounts of this kind as it may."""

    code = "EXCEEDED_DOMAIN_ACCOUNT_LIMIT"


class ExceededDomainQuotaSize(Conflict):
    """The domain does not have that much mailbox space left."""

    code = "EXCEEDED_DOMAIN_QUOTA_SIZE"


class ExceededMaxUserQuota(Conflict):
    """The mailbox would be larger than the domain allows for one user."""

    code = "EXCEEDED_MAX_USER_QUOTA"


class ExceedLimitDomain(Conflict):
    """The admin manages as many domains as they may."""

    code = "EXCEED_LIMIT_DOMAIN"


class ExceedLimitQuota(Conflict):
    """The admin does not have that much mailbox space left to assign."""

    code = "EXCEED_LIMIT_QUOTA"


class ExceedLimitUsers(Conflict):
    """The admin does not have that many users left to create."""

    code = "EXCEED_LIMIT_USERS"


class ExceedLimitAliases(Conflict):
    """The admin does not have that many aliases left to create."""

    code = "EXCEED_LIMIT_ALIASES"


class ExceedLimitLists(Conflict):
    """The admin does not have that many lists left to create."""

    code = "EXCEED_LIMIT_LISTS"


class ExceedLimitTokens(Conflict):
    """The admin has as many tokens as they may."""

    code = "EXCEED_LIMIT_TOKENS"
