"""Limit the lists or aliases of a domain: count them before one is added, and again after it.

Nothing is counted where no limit is set.
"""

from dataclasses import dataclass

from iredldap.dit import settings
from iredldap.dit.plan import Correction, Query, Recheck
from iredldap.limit_errors import ExceededDomainAccountLimit, NotAllowed
from iredldap.operations.context import Context
from iredldap.operations.known.account_counts import Occupancy
from iredldap.operations.uniqueness import NewAccount

WITHIN_LIMITS = "check that the domain is within its limits"
"""Meaning of the recheck of any limit."""


@dataclass(frozen=True)
class Limit:
    """Most accounts of one kind in a domain: 0 for any number, -1 for none.

    `query` finds those that are there, in the directory of `context`.
    """

    context: Context
    most: int
    query: Query

    @classmethod
    def of(cls, context: Context, limits: settings.Settings, key: str, query: Query) -> "Limit":
        """Read a limit from the settings of a domain."""
        return cls(context, settings.number(limits, key), query)

    def refuse_another(self) -> None:
        """Refuse one more where the limit is reached.

        Raises:
            NotAllowed: If none may be there at all.
            ExceededDomainAccountLimit: If there are as many as may be.
        """
        if self.most == -1:
            raise NotAllowed("the domain may have none")
        if self.most <= 0:
            return
        directory, counts = self.context.directory, self.context.outside.counts
        if counts.at_most(directory, self.query).number >= self.most:
            number = counts.exactly(directory, self.query).number
            if number >= self.most:
                raise ExceededDomainAccountLimit(f"{number} of {self.most}")

    def recheck(self, new_account: NewAccount) -> tuple[Recheck, ...]:
        """Return the recheck that counts again, and removes an account above the limit."""
        if self.most <= 0:
            return ()

        def judge(there: Occupancy) -> Correction:
            if there.number <= self.most:
                return Correction()
            refusal = ExceededDomainAccountLimit(f"{there.number} of {self.most}")
            return Correction(new_account.withdrawn(), refusal)

        directory, counts = self.context.directory, self.context.outside.counts
        return (counts.recheck(directory, self.query, WITHIN_LIMITS, judge),)
