"""The refusals: error responses to the client, with their codes and causes.

Nothing was changed unless `Refusal.report` says otherwise. The class tree::

    Refusal
    ├── Malformed                  the request cannot be understood
    │   ├── InvalidParameter  MissingParameter  ParameterConflict
    │   ├── InvalidDomainName  InvalidMail  InvalidUsername  EmptyPassword  NoAdmins
    │   └── InvalidLdif  NeverApplies
    ├── Unauthenticated            there is no valid session
    │   └── LoginRequired  SessionExpired  InvalidCredentials
    ├── Forbidden                  known caller without the right
    │   ├── PermissionDenied  PermissionDeniedUpdateGlobalAdminProfile
    │   └── NotAuthorized  NotAllowedIp  CrossSiteRequest  TokenTooWide
    ├── NotFound
    │   ├── NoSuchAccount  NoSuchJob  NoSuchChange  NoSuchToken
    │   └── NoSuchRoute  ApiDisabled
    ├── Conflict                   the state of the directory forbids it
    │   ├── AmbiguousAccount
    │   ├── AlreadyExists  CanNotBeLocalDomain  NotAllowed  MailboxInUse  Exceeded*  ExceedLimit*
    │   ├── HasChildren  LastMember  ValueExists  DirectoryUnwilling
    │   └── ChangeUnfinished  AlreadyUndone  ChangedSince  NothingToUndo  SecretNotKept
    │       MailboxRemoved         a change cannot be undone
    ├── Unacceptable               the schema of the directory forbids it
    │   └── SchemaViolation  NamesEntry  NotSupportedByDirectory
    ├── PasswordMismatch           the result of a password check, not an error
    ├── WeakPassword               one class, the broken rule is its code
    │   └── InvalidPasswordScheme
    ├── PreconditionFailed  BodyTooLarge  UnsupportedMediaType  MethodNotAllowed
    ├── RequestTimeout             the client took too long to send the request
    ├── TooManyRequests            a limit is exceeded for now
    ├── ServerDown                 the directory or a database does not respond
    ├── ChangeLogUnavailable       a change could not be recorded
    ├── DirectoryUnable            the directory responds, but cannot or must not do it
    │   └── DirectoryFailed  DirectoryReadOnly  DirectoryDenies  DirectoryFull
    ├── MlmmjadminUnavailable      mlmmjadmin does not respond, or fails
    ├── InternalError              a bug, or an unexpected response
    └── Several                    more than one of the above

`web/responses.py` maps each branch to an HTTP status. Codes are those of the public reference where
it has one; the others are this API's own.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import ClassVar, Self

Unplaced = Sequence[tuple[str, str]]
"""Parameters that the directory's schema does not support, with their attributes."""


class Refusal(Exception):
    """An error response; `code` is what the client reads.

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
        """The codes of the response, in the order in which they were found."""
        return (self.code,)

    @property
    def parameters(self) -> tuple[str, ...]:
        """The offending parameters."""
        return (self.parameter,) if self.parameter else ()


class Malformed(Refusal):
    """The request cannot be understood."""

    code = "INVALID_PARAMETER"


class InvalidParameter(Malformed):
    """A value is not valid for its parameter, or the body is not of its content type."""


class MissingParameter(Malformed):
    """A required parameter was not sent."""

    code = "MISSING_PARAMETER"


class ParameterConflict(Malformed):
    """Two parameters that exclude each other were sent."""

    code = "PARAMETER_CONFLICT"


class InvalidDomainName(Malformed):
    """A domain name is not made of letters, digits and hyphens in at least two labels."""

    code = "INVALID_DOMAIN_NAME"


class InvalidMail(Malformed):
    """A mail address is malformed, or not allowed for a new account."""

    code = "INVALID_MAIL"


class InvalidUsername(Malformed):
    """The login name is not a mail address."""

    code = "INVALID_USERNAME"


class EmptyPassword(Malformed):
    """A login or password check has no password."""

    code = "EMPTY_PASSWORD"


class InvalidLdif(Malformed):
    """A file cannot be restored; the report lists the lines and the reasons."""

    code = "INVALID_LDIF"


class NeverApplies(Malformed):
    """A setting could be stored, but no program would ever apply it."""

    code = "NEVER_APPLIES"


class NoAdmins(Malformed):
    """None of the addresses to be assigned may be an admin."""

    code = "NO_ADMINS"


class Unauthenticated(Refusal):
    """There is no valid session."""

    code = "LOGIN_REQUIRED"


class LoginRequired(Unauthenticated):
    """There is no valid cookie."""


class SessionExpired(Unauthenticated):
    """The cookie has expired."""

    code = "SESSION_EXPIRED"


class InvalidCredentials(Unauthenticated):
    """Wrong name, wrong password, disabled account or no admin: all have the same response."""

    code = "INVALID_CREDENTIALS"


class Forbidden(Refusal):
    """The caller may not do it."""

    code = "PERMISSION_DENIED"


class PermissionDenied(Forbidden):
    """Role, domain or profile forbids it."""


class MissingScope(PermissionDenied):
    """The token lacks a scope; the header `WWW-Authenticate` names those that are needed.

    Args:
        detail: For the log.
        scopes: All scopes that are needed.
    """

    def __init__(self, detail: str = "", *, scopes: Collection[str] = ()) -> None:
        super().__init__(detail)
        self.scopes = tuple(sorted(scopes))


class PermissionDeniedUpdateGlobalAdminProfile(Forbidden):
    """A normal admin would change the account of a global admin."""

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


class TokenTooWide(Forbidden):
    """A token would reach further than the admin, or the token, that creates it."""

    code = "TOKEN_TOO_WIDE"


class NotFound(Refusal):
    """What was named does not exist."""

    code = "NO_SUCH_ACCOUNT"


class NoSuchAccount(NotFound):
    """There is no such domain, user, list, alias or admin."""


class NoSuchJob(NotFound):
    """There is no such job, it is another admin's, or it was finished long ago."""

    code = "NO_SUCH_JOB"


class NoSuchChange(NotFound):
    """There is no such change, it touched nothing that the caller may see, or it was pruned."""

    code = "NO_SUCH_CHANGE"


class NoSuchToken(NotFound):
    """There is no such token, or it is one that the caller may not see."""

    code = "NO_SUCH_TOKEN"


class NoSuchRoute(NotFound):
    """The path is not part of the API."""

    code = "NO_SUCH_ROUTE"


class ApiDisabled(NotFound):
    """The configuration does not enable the API."""

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
        """Create the refusal for an address or a name that several entries have.

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
    """The domain's limit does not allow such an account."""

    code = "NOT_ALLOWED"


class MailboxInUse(Conflict):
    """A mailbox path overlaps that of another account, or of a deleted one."""

    code = "MAILBOX_IN_USE"


class ExceededDomainAccountLimit(Conflict):
    """The domain holds as many accounts of this kind as it may."""

    code = "EXCEEDED_DOMAIN_ACCOUNT_LIMIT"


class ExceededDomainQuotaSize(Conflict):
    """The domain does not have that much mailbox space left."""

    code = "EXCEEDED_DOMAIN_QUOTA_SIZE"


class ExceededMaxUserQuota(Conflict):
    """The mailbox would be larger than the domain allows for one user."""

    code = "EXCEEDED_MAX_USER_QUOTA"


class ExceededLdapServerSizelimit(Conflict):
    """The size limit of the directory was exceeded; the result is incomplete."""

    code = "EXCEEDED_LDAP_SERVER_SIZELIMIT"


class ExceededLdapServerTimelimit(Conflict):
    """The time limit of the directory was exceeded; the result is incomplete."""

    code = "EXCEEDED_LDAP_SERVER_TIMELIMIT"


class ExceededLdapServerAdminlimit(Conflict):
    """An administrative limit of the directory was exceeded."""

    code = "EXCEEDED_LDAP_SERVER_ADMINLIMIT"


class HasChildren(Conflict):
    """An entry to be deleted or renamed has children that cannot be."""

    code = "HAS_CHILDREN"


class LastMember(Conflict):
    """A group that the API does not manage would lose its last member, which its class requires."""

    code = "LAST_MEMBER"


class ValueExists(Conflict):
    """A value equals another one by the directory's matching rule."""

    code = "VALUE_EXISTS"


class DirectoryUnwilling(Conflict):
    """The directory is configured not to do this; the log has its message."""

    code = "DIRECTORY_UNWILLING"


class ChangeUnfinished(Conflict):
    """The change to undo is still being carried out."""

    code = "CHANGE_UNFINISHED"


class AlreadyUndone(Conflict):
    """The change has been undone; that undo can be undone."""

    code = "ALREADY_UNDONE"


class ChangedSince(Conflict):
    """Others have changed everything since that would be undone; the report names it."""

    code = "CHANGED_SINCE"


class NothingToUndo(Conflict):
    """Everything is as it was before the change."""

    code = "NOTHING_TO_UNDO"


class SecretNotKept(Conflict):
    """A password would come back that the log has not kept, or whose key is gone."""

    code = "SECRET_NOT_KEPT"


class MailboxRemoved(Conflict):
    """An account would come back whose mail was removed, or belongs to another one by now."""

    code = "MAILBOX_REMOVED"


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


class IdempotencyKeyInUse(Conflict):
    """The first request with this `Idempotency-Key` is still being carried out; ask again."""

    code = "IDEMPOTENCY_KEY_IN_USE"


class PasswordMismatch(Refusal):
    """A password check was made, and the password is wrong."""

    code = "INVALID_CREDENTIALS"


class WeakPassword(Refusal):
    """A new password breaks a rule; the response has the rule's own code."""

    code = "PW_EMPTY"

    def __init__(self, rule: str) -> None:
        super().__init__(rule, parameter="password")
        self.rule = rule

    @property
    def codes(self) -> tuple[str, ...]:
        return (self.rule,)


class InvalidPasswordScheme(Refusal):
    """A given password hash has a scheme that the directory cannot verify."""

    code = "INVALID_PASSWORD_SCHEME"


class Unacceptable(Refusal):
    """The schema of the directory forbids it."""

    code = "SCHEMA_VIOLATION"


class IdempotencyKeyReused(Unacceptable):
    """The `Idempotency-Key` was used for another request."""

    code = "IDEMPOTENCY_KEY_REUSED"


class SchemaViolation(Unacceptable):
    """The classes or the DN of an entry, not as this API creates it, forbid the change."""


class NamesEntry(SchemaViolation):
    """A value that is part of an entry's DN would be removed; `_data` names the attribute.

    Args:
        detail: For the log.
        naming: The attributes, each with the parameter that is stored in it; empty: none is.
        entries: DNs of the entries, unless it is the one that the request names.
    """

    def __init__(
        self,
        detail: str = "",
        *,
        naming: Sequence[tuple[str, str]] = (),
        entries: Sequence[str] = (),
    ) -> None:
        named = [
            ({"parameter": parameter} if parameter else {}) | {"attribute": attribute}
            for parameter, attribute in naming
        ]
        report = ({"naming": named} if named else {}) | ({"entries": [*entries]} if entries else {})
        super().__init__(detail, report=report or None)
        self._parameters = tuple(parameter for parameter, _ in naming if parameter)

    @property
    def parameters(self) -> tuple[str, ...]:
        return self._parameters


class NotSupportedByDirectory(Unacceptable):
    """The directory's schema does not support what was sent; `_data` names it where it is known.

    Args:
        detail: For the log.
        unplaced: Parameters, and the attributes that they would be stored in.
        attribute: An attribute that belongs to no single parameter.
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
    """The body has a content type that is not supported."""

    code = "UNSUPPORTED_MEDIA_TYPE"


class MethodNotAllowed(Refusal):
    """The path exists and does not support this method."""

    code = "METHOD_NOT_ALLOWED"


class RequestTimeout(Refusal):
    """The request was not received completely in time."""

    code = "REQUEST_TIMEOUT"


class TooManyRequests(Refusal):
    """Too many failed logins, waiting jobs, downloads or requests.

    Args:
        detail: For the log.
        retry_after: Seconds until the next one may be tried.
    """

    code = "TOO_MANY_REQUESTS"

    def __init__(self, detail: str = "", *, retry_after: int = 1) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class ServerDown(Refusal):
    """The directory or a database does not respond; a later attempt may succeed."""

    code = "SERVER_DOWN"


class ChangeLogUnavailable(Refusal):
    """The change log cannot be written, and `changes.on_failure` is `refuse`.

    Of a change that had begun, the report says what was done.
    """

    code = "CHANGE_LOG_UNAVAILABLE"


class DirectoryUnable(Refusal):
    """The directory responds, but cannot or must not do what is requested."""

    code = "DIRECTORY_FAILED"


class DirectoryFailed(DirectoryUnable):
    """The directory failed, or does not support it; the log has its message."""


class DirectoryReadOnly(DirectoryUnable):
    """The directory accepts no changes: it is read-only, or a replica."""

    code = "DIRECTORY_READ_ONLY"


class DirectoryDenies(DirectoryUnable):
    """The access rules of the directory do not allow it to the service account."""

    code = "DIRECTORY_DENIES"


class DirectoryFull(DirectoryUnable):
    """The database of the directory has reached its maximum size, or its disk is full."""

    code = "DIRECTORY_FULL"


class MlmmjadminUnavailable(Refusal):
    """mlmmjadmin is not configured, does not respond, or failed."""

    code = "MLMMJADMIN_UNAVAILABLE"


class InternalError(Refusal):
    """A bug, or an unexpected response; the log has it."""


class Several(Refusal):
    """More than one refusal, in one response.

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
    """Yield all subclasses of a class of refusals."""
    for child in kind.__subclasses__():
        yield child
        yield from descendants(child)


def of_code(code: str) -> type[Refusal]:
    """Return the class of a code; of the two of `INVALID_CREDENTIALS` that of a login.

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
    """Raise collected refusals: none, the only one, or all of them as `Several`."""
    if len(refusals) == 1:
        raise refusals[0]
    if refusals:
        raise Several(refusals)
