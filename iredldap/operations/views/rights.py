"""Judge which parameters a caller may send, for requests and for views of what may be sent."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from iredldap.dit import domain, kinds, settings
from iredldap.dit.fields import FieldChange, Verb
from iredldap.operations.login import Caller

_ADMINS_TRANSPORT = re.compile(r"(?:relay|smtp):\[[^\[\]\s]+\]:\d{1,5}")


@dataclass(frozen=True)
class ParameterRights:
    """Which parameters of one thing a caller may send.

    Args:
        caller: Who sends them.
        taken: Profiles that are withdrawn from normal admins.
        only_own: Whether it is the caller's own account in a domain that they do not manage.
        of_domain: Whether it is a domain.
        default_transport: The one of the server, which any admin may name.
    """

    caller: Caller
    taken: Collection[str] = ()
    only_own: bool = False
    of_domain: bool = False
    default_transport: str = ""

    @classmethod
    def of(
        cls,
        caller: Caller,
        subject: str | None,
        *,
        profiles: str,
        may_be_own: bool,
        of_domain: bool,
        default_transport: str,
        by_alias: bool = False,
    ) -> "ParameterRights":
        """Return the rights of a caller to what belongs to a domain.

        Args:
            caller: Who sends parameters.
            subject: The name of the domain.
            profiles: The domain's setting that withdraws them.
            may_be_own: Whether admins may change their own one, wherever it is.
            of_domain: Whether it is the domain itself.
            default_transport: The one of the server.
            by_alias: Whether the name may be that of an alias domain.
        """
        home = caller.home(subject or "", by_alias=by_alias)
        taken = settings.words(domain.limits(home), profiles) if home else []
        # In a domain that they manage they may change any account, their own too.
        only_own = may_be_own and home is None
        return cls(caller, taken, only_own, of_domain, default_transport)

    def may_send(self, change: FieldChange) -> bool:
        """Return whether the caller may send a parameter with its values.

        A normal admin may not send one that is for global admins, belongs to a profile taken from
        them, names a transport of their own making or, for their own account in a domain that they
        do not manage, is none of the few that they may send.
        """
        if self.caller.is_global:
            return True
        field = change.field
        if (
            field.who == "global_admin"
            or (field.profile and field.profile in self.taken)
            or (self.only_own and not field.by_self)
            or (self.of_domain and not _is_self_service(change))
        ):
            return False
        return field.kind is not kinds.TRANSPORT or all(
            _ADMINS_TRANSPORT.fullmatch(value) or value == self.default_transport
            for value in change.values
        )


def _is_self_service(change: FieldChange) -> bool:
    """Return whether a change switches no service of a domain, or self-service alone."""
    if not change.field.switches_services:
        return True
    return change.verb is not Verb.SET and all(v.lower() == "self-service" for v in change.values)
