"""Limit the lists or aliases of a domain: count them before one is added, and again after it.

Nothing is counted where no limit is set.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from iredldap.dit import settings
from iredldap.dit.entry import Entry
from iredldap.dit.plan import Correction, Query, Recheck
from iredldap.gateways.directory import Directory
from iredldap.limit_errors import ExceededDomainAccountLimit, NotAllowed
from iredldap.operations.uniqueness import NewAccount


@dataclass(frozen=True)
class Limit:
    """Most accounts of one kind in a domain: 0 for any number, -1 for none.

    `query` finds those that are there.
    """

    most: int
    query: Query

    @classmethod
    def of(cls, limits: settings.Settings, key: str, query: Query) -> "Limit":
        """Read a limit from the settings of a domain."""
        return cls(settings.number(limits, key), query)

    def refuse_another(self, directory: Directory) -> None:
        """Refuse one more where the limit is reached.

        Raises:
            NotAllowed: If none may be there at all.
            ExceededDomainAccountLimit: If there are as many as may be.
        """
        if self.most == -1:
            raise NotAllowed("the domain may have none")
        if self.most > 0:
            number = _counted(directory.stream(self.query))
            if number >= self.most:
                raise ExceededDomainAccountLimit(f"{number} of {self.most}")

    def recheck(self, new_account: NewAccount) -> tuple[Recheck, ...]:
        """Return the recheck that counts again, and removes an account above the limit."""
        if self.most <= 0:
            return ()

        def judge(entries: Iterable[Entry]) -> Correction:
            number = _counted(entries)
            if number <= self.most:
                return Correction()
            refusal = ExceededDomainAccountLimit(f"{number} of {self.most}")
            return Correction(new_account.withdrawn(), refusal)

        return (Recheck("check that the domain is within its limits", self.query, judge),)


def _counted(entries: Iterable[Entry]) -> int:
    return sum(1 for _ in entries)
