"""The refusals of what the directory cannot or must not do: its limits, schema and entries."""

from collections.abc import Iterable, Sequence
from typing import Self

from iredldap.errors import Conflict, Refusal, Unacceptable

Unplaced = Sequence[tuple[str, str]]
"""Parameters that the directory's schema does not support, with their attributes."""


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
