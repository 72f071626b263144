"""Every refusal, its code and when it happens.

A refusal is an answer to the client: it says no, and nothing was changed unless
`Refusal.report` says otherwise. The tree::

    Refusal
    ├── Malformed                  the request cannot be understood
    │   ├── InvalidParameter  MissingParameter  ParameterConflict
    │   ├── InvalidDomainName  InvalidMail  InvalidUsername  EmptyPassword  NoAdmins
    │   └── InvalidLdif  NeverApplies
    ├── Unauthenticated            nobody, or nobody any more
    │   └── LoginRequired  SessionExpired  InvalidCredentials
    ├── Forbidden                  known caller without the right
    │   ├── PermissionDenied  PermissionDeniedUpdateGlobalAdminProfile
    │   └── NotAuthorized  NotAllowedIp  CrossSiteRequest
    ├── NotFound
    │   └── NoSuchAccount  NoSuchJob  NoSuchRoute  ApiDisabled
    ├── Conflict                   the state of the directory forbids it
    │   ├── AmbiguousAccount
    │   ├── AlreadyExists  CanNotBeLocalDomain  NotAllowed  MailboxInUse  Exceeded*  ExceedLimit*
    │   └── HasChildren  LastMember  ValueExists  DirectoryUnwilling
    ├── Unacceptable               the schema of the directory forbids it
    │   └── SchemaViolation  NamesEntry  NotSupportedByDirectory
    ├── PasswordMismatch           the result of a password check, not a fault
    ├── WeakPassword               one class, the broken rule is its code
    │   └── InvalidPasswordScheme
    ├── PreconditionFailed  BodyTooLarge  UnsupportedMediaType  MethodNotAllowed
    ├── RequestTimeout             the client took too long to send it
    ├── TooManyRequests            not now
    ├── ServerDown                 the directory or a database does not answer
    ├── DirectoryUnable            it answers, and cannot or must not do what we ask
    │   └── DirectoryFailed  DirectoryReadOnly  DirectoryDenies  DirectoryFull
    ├── MlmmjadminUnavailable      the program that keeps subscribable lists does not
    ├── InternalError              our fault, or an answer nobody foresaw
    └── Several                    more than one of the above, told together

`web/responses.py` knows which HTTP status each branch wears. The codes are those of the public
reference where it has one; the others are ours.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar, Self

Unplaced = Sequence[tuple[str, str]]
"""Parameters that a directory has no place for, and the attributes that they would stand in."""


class Refusal(Exception):
    """The request is answered no; `code` is what the client reads.

    Args:
        detail: For the log: the value and what was expected. Never a password.
        parameter: Name of the offending request parameter, where there is one.
        report: What was and was not done, where something was.
    """

    code: ClassVar[str] = "INTERNAL_ERROR"

    def __init__(
        self,
        detail: str = "",
        *,
        parameter: str | None = None,
        report: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(detail or self.code)
        self.detail = detail
        self.parameter = parameter
        self.report = report

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of the answer, in the order in which they were found."""
        return (self.code,)

    @property
    def parameters(self) -> tuple[str, ...]:
        """The offending parameters."""
        return (self.parameter,) if self.parameter else ()


class Malformed(Refusal):
    """The request cannot be understood."""

    code = "INVALID_PARAMETER"


class InvalidParameter(Malformed):
    """A value is not of the parameter's kind, or the body is not of its type."""


class MissingParameter(Malformed):
    """A parameter that the others need was not sent."""

    code = "MISSING_PARAMETER"


class ParameterConflict(Malformed):
    """Two parameters that exclude each other were sent."""

    code = "PARAMETER_CONFLICT"


class InvalidDomainName(Malformed):
    """A domain name is no letter-digit-hyphen name of at least two labels."""

    code = "INVALID_DOMAIN_NAME"


class InvalidMail(Malformed):
    """A mail address is malformed, or not allowed for a new account."""

    code = "INVALID_MAIL"


class InvalidUsername(Malformed):
    """The login name is no mail address."""

    code = "INVALID_USERNAME"


class EmptyPassword(Malformed):
    """A login or password check carries no password."""

    code = "EMPTY_PASSWORD"


class InvalidLdif(Malformed):
    """A file cannot be restored; the report says which lines, and why."""

    code = "INVALID_LDIF"


class NeverApplies(Malformed):
    """A setting that could be stored, and that no program would ever act on."""

    code = "NEVER_APPLIES"


class NoAdmins(Malformed):
    """None of the addresses to be assigned as admins may be one."""

    code = "NO_ADMINS"


class Unauthenticated(Refusal):
    """The caller is nobody, or nobody any more."""

    code = "LOGIN_REQUIRED"


class LoginRequired(Unauthenticated):
    """There is no valid cookie."""


class SessionExpired(Unauthenticated):
    """The cookie was good once and its time is over."""

    code = "SESSION_EXPIRED"


class InvalidCredentials(Unauthenticated):
    """Wrong name, wrong password, disabled account or no admin: all the same answer."""

    code = "INVALID_CREDENTIALS"


class Forbidden(Refusal):
    """The caller is known and may not."""

    code = "PERMISSION_DENIED"


class PermissionDenied(Forbidden):
    """Role, domain or profile forbids it."""


class PermissionDeniedUpdateGlobalAdminProfile(Forbidden):
    """A normal admin touches the account of a global admin."""

    code = "PERMISSION_DENIED_UPDATE_GLOBAL_ADMIN_PROFILE"


class NotAuthorized(Forbidden):
    """The client's address is not on the list of API clients."""

    code = "NOT_AUTHORIZED"


class NotAllowedIp(Forbidden):
    """Admins, or global admins, may not log in from the client's address."""

    code = "NOT_ALLOWED_IP"


class CrossSiteRequest(Forbidden):
    """A browser sends a change with the cookie, or a login, for a page of another origin."""

    code = "CROSS_SITE_REQUEST"


class NotFound(Refusal):
    """What was named is not there."""

    code = "NO_SUCH_ACCOUNT"


class NoSuchAccount(NotFound):
    """There is no such domain, user, list, alias or admin."""


class NoSuchJob(NotFound):
    """There is no such job, it is another admin's, or it ended long ago."""

    code = "NO_SUCH_JOB"


class NoSuchRoute(NotFound):
    """The path is not part of the API."""

    code = "NO_SUCH_ROUTE"


class ApiDisabled(NotFound):
    """The configuration does not switch the API on."""

    code = "API_DISABLED"


class Conflict(Refusal):
    """The state of the directory forbids it."""

    code = "ALREADY_EXISTS"


class AlreadyExists(Conflict):
    """The name or address is taken, alias names included."""


class AmbiguousAccount(Conflict):
    """Two entries have this address, or this name of a domain; the report names them."""

    code = "AMBIGUOUS_ACCOUNT"

    @classmethod
    def of(cls, name: str, dns: Iterable[str]) -> Self:
        """Refuse an address or a name that several entries have.

        Args:
            name: The address or the name.
            dns: DNs of the entries.
        """
        listed = sorted(dns)
        return cls(f"{name}: {'; '.join(listed)}", report={"entries": listed})


class CanNotBeLocalDomain(Conflict):
    """A standalone admin's address lies in a domain, or an alias domain, that is hosted here."""

    code = "CAN_NOT_BE_LOCAL_DOMAIN"


class NotAllowed(Conflict):
    """The domain's limit says that no such account may be created."""

    code = "NOT_ALLOWED"


class MailboxInUse(Conflict):
    """A mailbox path is, holds or lies in that of another account, or of a deleted one."""

    code = "MAILBOX_IN_USE"


class ExceededDomainAccountLimit(Conflict):
    """The domain holds as many accounts of this kind as it may."""

    code = "EXCEEDED_DOMAIN_ACCOUNT_LIMIT"


class ExceededDomainQuotaSize(Conflict):
    """The domain has not that much mailbox space left."""

    code = "EXCEEDED_DOMAIN_QUOTA_SIZE"


class ExceededMaxUserQuota(Conflict):
    """The mailbox would be larger than the domain allows for one user."""

    code = "EXCEEDED_MAX_USER_QUOTA"


class ExceededLdapServerSizelimit(Conflict):
    """The directory gives no more entries at once than it is set up to; what came is not all."""

    code = "EXCEEDED_LDAP_SERVER_SIZELIMIT"


class ExceededLdapServerTimelimit(Conflict):
    """The directory searched for as long as it is set up to; what came is not all."""

    code = "EXCEEDED_LDAP_SERVER_TIMELIMIT"


class ExceededLdapServerAdminlimit(Conflict):
    """The directory would have to look at more than it is set up to."""

    code = "EXCEEDED_LDAP_SERVER_ADMINLIMIT"


class HasChildren(Conflict):
    """An entry to be removed or renamed has children that cannot go along."""

    code = "HAS_CHILDREN"


class LastMember(Conflict):
    """A group that is no list of ours would lose its last member, which its class must have."""

    code = "LAST_MEMBER"


class ValueExists(Conflict):
    """A value is equal to another one by the rule that the directory compares them with."""

    code = "VALUE_EXISTS"


class DirectoryUnwilling(Conflict):
    """The directory is set up not to do this; the log has its words."""

    code = "DIRECTORY_UNWILLING"


class ExceedLimitDomain(Conflict):
    """The admin manages as many domains as they may."""

    code = "EXCEED_LIMIT_DOMAIN"


class ExceedLimitQuota(Conflict):
    """The admin has not that much mailbox space left to hand out."""

    code = "EXCEED_LIMIT_QUOTA"


class ExceedLimitUsers(Conflict):
    """The admin has not that many users left to hand out."""

    code = "EXCEED_LIMIT_USERS"


class ExceedLimitAliases(Conflict):
    """The admin has not that many aliases left to hand out."""

    code = "EXCEED_LIMIT_ALIASES"


class ExceedLimitLists(Conflict):
    """The admin has not that many lists left to hand out."""

    code = "EXCEED_LIMIT_LISTS"


class PasswordMismatch(Refusal):
    """A password check was made, and its result is no."""

    code = "INVALID_CREDENTIALS"


class WeakPassword(Refusal):
    """A new password breaks a rule; the rule's own code is the answer."""

    code = "PW_EMPTY"

    def __init__(self, rule: str) -> None:
        super().__init__(rule, parameter="password")
        self.rule = rule

    @property
    def codes(self) -> tuple[str, ...]:
        return (self.rule,)


class InvalidPasswordScheme(Refusal):
    """A ready-made hash is of a scheme that the directory cannot verify."""

    code = "INVALID_PASSWORD_SCHEME"


class Unacceptable(Refusal):
    """The schema of the directory forbids it."""

    code = "SCHEMA_VIOLATION"


class SchemaViolation(Unacceptable):
    """The classes or the DN of an entry forbid the change: it is not as this API makes it."""


class NamesEntry(SchemaViolation):
    """A value that is part of the entry's DN would go; `_data` says of which attribute.

    Args:
        detail: For the log.
        naming: The attributes, each with the parameter that is stored in it; empty: none is.
    """

    def __init__(self, detail: str = "", *, naming: Sequence[tuple[str, str]] = ()) -> None:
        named = [
            ({"parameter": parameter} if parameter else {}) | {"attribute": attribute}
            for parameter, attribute in naming
        ]
        super().__init__(detail, report={"naming": named} if named else None)
        self._parameters = tuple(parameter for parameter, _ in naming if parameter)

    @property
    def parameters(self) -> tuple[str, ...]:
        return self._parameters


class NotSupportedByDirectory(Unacceptable):
    """The directory's schema has no place for what was sent; `_data` names it where we know it.

    Args:
        detail: For the log.
        unplaced: Parameters, and the attributes that they would be stored in.
        attribute: What no parameter alone is stored in, where it is that.
    """

    code = "NOT_SUPPORTED_BY_DIRECTORY"

    def __init__(self, detail: str = "", *, unplaced: Unplaced = (), attribute: str = "") -> None:
        named = [{"parameter": parameter, "attribute": where} for parameter, where in unplaced]
        named += [{"attribute": attribute}] if attribute else []
        words = ", ".join(one["attribute"] for one in named)
        super().__init__(
            detail or f"the schema has no place for {words}",
            report={"unsupported": named} if named else None,
        )
        self._parameters = tuple(parameter for parameter, _ in unplaced)

    @property
    def parameters(self) -> tuple[str, ...]:
        return self._parameters


class PreconditionFailed(Refusal):
    """The entry is not in the state that the request names."""

    code = "PRECONDITION_FAILED"


class NameTaken(PreconditionFailed):
    """`If-None-Match: *` on a name that exists."""

    @property
    def codes(self) -> tuple[str, ...]:
        return (self.code, AlreadyExists.code)


class BodyTooLarge(Refusal):
    """The body is larger than the configuration allows."""

    code = "BODY_TOO_LARGE"


class UnsupportedMediaType(Refusal):
    """The body is of a type that is not read here."""

    code = "UNSUPPORTED_MEDIA_TYPE"


class MethodNotAllowed(Refusal):
    """The path exists and does not know this method."""

    code = "METHOD_NOT_ALLOWED"


class RequestTimeout(Refusal):
    """The request did not come whole in time."""

    code = "REQUEST_TIMEOUT"


class TooManyRequests(Refusal):
    """Too many logins failed, too many jobs wait, or too much is being downloaded or done.

    Args:
        detail: For the log.
        retry_after: Seconds until the next one may be tried.
    """

    code = "TOO_MANY_REQUESTS"

    def __init__(self, detail: str = "", *, retry_after: int = 1) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class ServerDown(Refusal):
    """The directory or a database does not answer; asking again later may help."""

    code = "SERVER_DOWN"


class DirectoryUnable(Refusal):
    """The directory answers, and cannot or must not do what is asked of it."""

    code = "DIRECTORY_FAILED"


class DirectoryFailed(DirectoryUnable):
    """The directory failed at it, or does not know how; the log has its words."""


class DirectoryReadOnly(DirectoryUnable):
    """The directory takes no changes: it is read-only, or a copy of another server's."""

    code = "DIRECTORY_READ_ONLY"


class DirectoryDenies(DirectoryUnable):
    """The access rules of the directory keep the service account from it."""

    code = "DIRECTORY_DENIES"


class DirectoryFull(DirectoryUnable):
    """The database of the directory is as large as it may be, or its disk is full."""

    code = "DIRECTORY_FULL"


class MlmmjadminUnavailable(Refusal):
    """mlmmjadmin is not configured, does not answer, or could not do what it was asked to."""

    code = "MLMMJADMIN_UNAVAILABLE"


class InternalError(Refusal):
    """An answer nobody foresaw; the log has it."""


class Several(Refusal):
    """More than one refusal, told together.

    Args:
        refusals: At least one; the first decides the HTTP status.
    """

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        super().__init__("; ".join(str(refusal) for refusal in refusals))
        self.refusals = tuple(refusals)

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(c for refusal in self.refusals for c in refusal.codes))

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(p for refusal in self.refusals for p in refusal.parameters))


def descendants(kind: type[Refusal] = Refusal) -> Iterator[type[Refusal]]:
    """Give every class of refusal below one."""
    for child in kind.__subclasses__():
        yield child
        yield from descendants(child)


def of_code(code: str) -> type[Refusal]:
    """Give the class of a code; of the two of `INVALID_CREDENTIALS` that of a login.

    Raises:
        LookupError: If no refusal has it.
    """
    if code.startswith("PW_"):
        return WeakPassword
    for kind in descendants():
        if kind.code == code and kind is not PasswordMismatch:
            return kind
    raise LookupError(code)


def raise_all(refusals: Sequence[Refusal]) -> None:
    """Raise what was collected: nothing, the one, or all of them together."""
    if len(refusals) == 1:
        raise refusals[0]
    if refusals:
        raise Several(refusals)
