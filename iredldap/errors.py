"""The refusals: error responses to the client, with their codes and causes.

Nothing was changed unless `Refusal.report` says otherwise. Here are the branches, each with an HTTP
status in `web/responses.py`, and the classes that belong to no single area. Modules beside this one
have those of an area, and `error_codes` finds all of them::

    Refusal
    ├── Malformed                  the request cannot be understood
    ├── Unauthenticated            there is no valid session
    ├── Forbidden                  known caller without the right
    ├── NotFound
    ├── Conflict                   the state of the directory forbids it
    │   ├── limit_errors           a limit of a domain or an admin would be exceeded
    │   ├── directory_errors       its limits, its children and values, ambiguous entries
    │   └── undo_errors            a change cannot be undone
    ├── Unacceptable               the schema of the directory forbids it
    │   └── directory_errors
    ├── PasswordMismatch           the result of a password check, not an error
    ├── WeakPassword               one class, the broken rule is its code
    ├── InvalidPasswordScheme      a hash that the directory cannot verify
    ├── PreconditionFailed         the entry is not in the state that the request names
    ├── TooManyRequests            a limit is exceeded for now
    ├── ServerDown                 the directory or a database does not respond
    ├── ChangeLogUnavailable       a change could not be recorded
    ├── directory_errors           the directory responds, but cannot or must not do it
    ├── MlmmjadminUnavailable      mlmmjadmin does not respond, or fails
    ├── http_errors                method, type, size or time of a request
    ├── InternalError              a bug, or an unexpected response
    └── Several                    more than one of the above

`http_errors` also has subclasses of other branches that only `web` raises. Codes are those of the
public reference where it has one; the others are this API's own.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar


class Refusal(Exception):
    """An error response; `code` is what the client reads.

    Args:
        detail: For the log: the value and what was expected. Never a password.
        parameter: Name of the offending request parameter, where there is one.
        report: What was and was not done, where something was.
    """

    # A class without a code of its own has that of its branch: clients know the documented codes,
    # and the log has the class.
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


class InvalidFile(Malformed):
    """A file cannot be read: no table or state, of an unknown encoding, or a column is missing."""

    code = "INVALID_FILE"

    def __init__(
        self,
        detail: str = "",
        *,
        parameter: str | None = None,
        report: Mapping[str, object] | None = None,
    ) -> None:
        # It is about what the client sent, so the client is told.
        super().__init__(detail, parameter=parameter, report=report or {"reason": detail})


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


class InvalidCredentials(Unauthenticated):
    """Wrong name, wrong password, disabled account or no admin: all have the same response."""

    code = "INVALID_CREDENTIALS"


class Forbidden(Refusal):
    """The caller may not do it."""

    code = "PERMISSION_DENIED"


class PermissionDenied(Forbidden):
    """Role, domain or profile forbids it."""


class PermissionDeniedUpdateGlobalAdminProfile(Forbidden):
    """A normal admin would change the account of a global admin."""

    code = "PERMISSION_DENIED_UPDATE_GLOBAL_ADMIN_PROFILE"


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


class Conflict(Refusal):
    """The state of the directory forbids it."""

    code = "ALREADY_EXISTS"


class AlreadyExists(Conflict):
    """The name or address is taken, alias names included."""


class CanNotBeLocalDomain(Conflict):
    """A standalone admin's address lies in a domain, or an alias domain, that is hosted here."""

    code = "CAN_NOT_BE_LOCAL_DOMAIN"


class MailboxInUse(Conflict):
    """A mailbox path overlaps that of another account, or of a deleted one."""

    code = "MAILBOX_IN_USE"


# With the code of a failed login, which is what the reference has for both; only the status
# differs.
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


class PreconditionFailed(Refusal):
    """The entry is not in the state that the request names."""

    code = "PRECONDITION_FAILED"


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


class MlmmjadminUnavailable(Refusal):
    """mlmmjadmin is not configured, does not respond, or failed."""

    code = "MLMMJADMIN_UNAVAILABLE"


class InternalError(Refusal):
    """A bug, or an unexpected response; the log has it."""


# A form with several mistakes is answered once. HTTP has one status, so the order in which they
# were found decides.
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


def raise_all(refusals: Sequence[Refusal]) -> None:
    """Raise collected refusals: none, the only one, or all of them as `Several`."""
    if len(refusals) == 1:
        raise refusals[0]
    if refusals:
        raise Several(refusals)
