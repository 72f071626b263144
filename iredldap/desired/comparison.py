"""Compare accounts that are there with rows that want them."""

from dataclasses import dataclass, replace

from iredldap.desired.calls import Permit, may_compare
from iredldap.desired.rows import UPDATE, UserRow
from iredldap.dit import user
from iredldap.dit.entry import Entry
from iredldap.dit.fields import FieldChange, Parsed
from iredldap.dit.plan import Modify, Plan
from iredldap.dit.request import Request
from iredldap.operations import dispatch
from iredldap.operations.context import Context, PathVariables
from iredldap.operations.users import user_update

_UPDATES = {row.name: row for row in user.UPDATE}
_PASSWORDS = ("password", "password_hash")


@dataclass(frozen=True)
class RowComparison:
    """Plans what makes an account what its row wants; nothing, where they agree.

    Args:
        context: Where, and for whom.
        permit: Refuses a request that the caller may not make.
        of: Who asks.
        passwords: Whether passwords are compared, too.
    """

    context: Context
    permit: Permit
    of: Request
    passwords: bool

    def planned(self, row: UserRow, existing: Entry) -> tuple[Request, Plan]:
        """Return the request and the plan, without steps where there is nothing to change.

        Raises:
            Refusal: As `user_update.update`, also where there is nothing to change: who may not
                change an account learns nothing about it.
        """
        named = tuple(
            change
            for change in map(_as_change, row.parsed.changes)
            if change and self._is_named(change)
        )
        self.permit(row.request(UPDATE, replace(row.parsed, changes=named), self.of))
        changes = tuple(one for one in named if not self._agrees(row, one, existing))
        wanted = row.request(UPDATE, replace(row.parsed, changes=changes), self.of)

        def operation(context: Context, path: PathVariables, parsed: Parsed) -> Plan:
            return user_update.change(context, row.mail, existing, parsed)

        return wanted, dispatch.plan(self.context, operation, wanted)

    def _is_named(self, change: FieldChange) -> bool:
        """Return whether a parameter is compared with an account that is there."""
        match change.field.name:
            # The password of a row is that of a new account: the user may have changed it since.
            case name if name in _PASSWORDS:
                return self.passwords
            case "quota":
                # In a creation 0 means the default of the domain, in a change no limit.
                return change.values != ("0",)
            case _:
                return True

    def _agrees(self, row: UserRow, change: FieldChange, existing: Entry) -> bool:
        """Return whether an account has the password of its row, as far as the caller may know."""
        if change.field.name not in _PASSWORDS:
            return False
        (value,) = change.values
        if change.field.name == "password_hash":
            return existing.has("userPassword", value) and may_compare(
                self.permit, "user", row.mail, value
            )
        may = may_compare(self.permit, "user", row.mail)
        return may and self.context.directory.verifies(existing.dn, value)


def _as_change(change: FieldChange) -> FieldChange | None:
    """Return a parameter of a row as one of a change."""
    row = _UPDATES.get(change.field.name)
    return replace(change, field=row) if row else None


def differing(plan: Plan, parsed: Parsed) -> tuple[str, ...]:
    """Name the parameters that a change would change."""
    stored = {mod.attribute for step in plan.steps if isinstance(step, Modify) for mod in step.mods}
    names = [
        change.field.name
        for change in parsed.changes
        if getattr(change.field.stored_as, "name", "") in stored
        or (change.field.name in _PASSWORDS and "userPassword" in stored)
    ]
    return tuple(dict.fromkeys(names)) or tuple(sorted(stored))
