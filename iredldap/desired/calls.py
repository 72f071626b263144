"""The calls of the API as a desired state needs them: their rows, operations, reads and rights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from iredldap.dit.fields import Table
from iredldap.dit.request import Request
from iredldap.operations.context import Operation, Read


@dataclass(frozen=True)
class Calls:
    """Calls by the ids of their endpoints.

    Args:
        tables: Their parameters.
        operations: What makes the plans of changes.
        reads: What answers reads.
        permit: Refuses a request that the caller may not make.
    """

    tables: Mapping[str, Table]
    operations: Mapping[str, Operation]
    reads: Mapping[str, Read]
    permit: Callable[[Request], None]
