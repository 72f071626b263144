"""Plan the same change of every mail user of a domain."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from iredldap import finders
from iredldap.dit import domain, mail_names, mailbox, passwords, token_scopes, user, user_entry
from iredldap.dit.entry import Entry
from iredldap.dit.fields import Parsed
from iredldap.dit.filters import equals, every, negated
from iredldap.dit.modlist import modlist
from iredldap.dit.plan import (
    GLOBAL_ADMINS,
    Modify,
    Operation,
    Outside,
    Plan,
    Query,
    Step,
    Sweep,
)
from iredldap.errors import raise_all
from iredldap.gateways.directory import Directory
from iredldap.operations.context import Context, PathVariables
from iredldap.operations.domains import global_admins
from iredldap.operations.users import protected, users

# All that the change is computed from: whole profiles of ten thousand users would be several times
# as much to send and to decode.
_ATTRIBUTES = (
    "objectClass", "mail", "accountStatus", "preferredLanguage", "mtaTransport",
    "domainGlobalAdmin", "entryCSN",
)  # fmt: skip


def update(context: Context, path: PathVariables, parsed: Parsed) -> Plan:
    """Plan the same change of every mail user of a domain; the catch-all is none.

    A normal admin's change leaves out global admins, a new password also admins of domains that the
    caller does not manage, and by a token without the scope for that all admins; they are named in
    `X-Ignored-Values`.

    Raises:
        NoSuchAccount: If there is no such domain.
        WeakPassword: As the password is.
        PermissionDenied: If no active global admin would be left.
    """
    directory, caller, name = context.directory, context.caller, path["domain"]
    home = finders.domain(directory, name)
    secret = _secret(context, home, name, parsed)
    everybody = replace(finders.users_query(home.dn), attributes=_ATTRIBUTES)
    # Searched once for all users, before the sweep streams: one search for each would be ten
    # thousand.
    kept = protected.admins_of_other_domains(directory, caller) if secret else set()
    if secret and not caller.may(token_scopes.ADMINS):
        kept |= protected.admins_below(directory, home.dn)
    if parsed.value("accountStatus") == "disabled" and caller.is_global:
        # No recheck follows, as for a single user: a correction would have to enable thousands of
        # accounts again. The plan holds the turn of all global admins, which keeps our own requests
        # apart.
        global_admins.require_another(directory, everybody.base, below=True)

    def change(entry: Entry) -> Iterator[Operation]:
        if user.is_global_admin(entry) and not caller.is_global:
            return
        if entry.lowered("mail") & kept:
            return
        today = context.now.date()
        mods = (
            *modlist(parsed.changes, entry),
            *(user_entry.new_password(entry, secret(), today) if secret else ()),
        )
        if mods:
            # Where another client has changed the entry since the search, the sweep reads that one
            # entry again and computes its change anew.
            expect = (entry.csn,) if entry.csn else ()
            yield Modify(entry.dn, mods, expect=expect, absent_ok=True)

    sweep = Sweep("change the users", everybody, change)
    reclaim = _reclaim(context, everybody, parsed)
    steps: tuple[Step, ...] = (*reclaim, sweep) if parsed.changes else ()
    spared = () if caller.is_global or not steps else _global_admins(directory, everybody)
    # Only those of this domain are named: the caller must not learn who manages others.
    here = (mail for mail in kept if mail_names.domain_of(mail) == name)
    ignored = (*parsed.dropped, *sorted({*spared, *here}))
    touches = frozenset({GLOBAL_ADMINS} if parsed.value("accountStatus") == "disabled" else ())
    return Plan(home.dn, steps, home.csn, ignored, touches)


def _reclaim(context: Context, everybody: Query, parsed: Parsed) -> Iterator[Outside]:
    """Yield the step that keeps the mailboxes of users who are enabled, as for a single one."""
    if parsed.value("accountStatus") != "active":
        return
    context.outside.ask()
    idle = every(everybody.filter, negated(equals("accountStatus", "active")))
    query = Query(everybody.base, everybody.scope, idle, mailbox.ATTRIBUTES)
    yield context.outside.reclaiming(lambda: context.directory.stream(query))


def _secret(context: Context, home: Entry, name: str, parsed: Parsed) -> Callable[[], str] | None:
    """Return what makes the hash for one user after the other; None if the password stays.

    Each gets a salt of their own, except with a scheme that is slow on purpose, and in a job, which
    is stored with a hash: all users get that one.
    """
    config = context.config
    if sealed := parsed.value("password_hash"):
        return lambda: sealed
    password = parsed.value("password")
    if password is None:
        return None
    # The rule against a password that is the user's own address, for all users at once.
    mail = password if mail_names.domain_of(password.lower()) == name else ""
    raise_all(passwords.check(password, users.policy(config, domain.limits(home)), mail))
    rules = config.passwords
    scheme = rules.password_scheme

    def hashed() -> str:
        return passwords.hashed(password, scheme, context.salt(), rules.bcrypt_rounds)

    # bcrypt costs a quarter of a second and more for each hash, as it is meant to: ten thousand
    # users would be the better part of an hour on a core.
    if scheme != "BCRYPT":
        return hashed
    once = hashed()
    return lambda: once


def _global_admins(directory: Directory, everybody: Query) -> tuple[str, ...]:
    filter_ = every(everybody.filter, equals("domainGlobalAdmin", "yes"))
    found = directory.find(Query(everybody.base, everybody.scope, filter_, ("mail",)))
    return tuple(sorted(entry.folded("mail") for entry in found))
