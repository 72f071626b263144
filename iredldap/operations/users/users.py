"""What one can do with a mail user."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from iredldap import finders
from iredldap.config.sections import Config
from iredldap.dit import (
    deletion,
    domain,
    domain_entry,
    kinds,
    mail_names,
    maillist,
    names,
    passwords,
    settings,
    user,
    user_entry,
)
from iredldap.dit.entry import Entry, distinct
from iredldap.dit.fields import Parsed, show
from iredldap.dit.passwords import Policy
from iredldap.dit.plan import (
    GLOBAL_ADMINS,
    Add,
    Correction,
    Delete,
    Plan,
    Recheck,
    merge_rechecks,
)
from iredldap.errors import PasswordMismatch, PermissionDenied, Refusal, Several, raise_all
from iredldap.gateways.directory import Directory
from iredldap.limit_errors import (
    ExceededDomainAccountLimit,
    ExceededDomainQuotaSize,
    ExceededMaxUserQuota,
    NotAllowed,
)
from iredldap.operations import (
    account_deletion,
    deleted_mailboxes,
    list_membership,
    mailboxes,
    rights,
    uniqueness,
)
from iredldap.operations.context import Context, PathVariables, Shown
from iredldap.operations.domains import global_admins
from iredldap.operations.domains.account_limits import WITHIN_LIMITS
from iredldap.operations.known.account_counts import Occupancy
from iredldap.operations.login import Caller
from iredldap.operations.mailboxes import MailboxAssignment
from iredldap.operations.users import protected
from iredldap.operations.users.surroundings import Surroundings, look_around


def get(
    directory: Directory,
    caller: Caller,
    mail: str,
    meanwhile: Callable[[], object] = lambda: None,
) -> Entry:
    """Read a mail user; `meanwhile` is called while the directory searches.

    Raises:
        NoSuchAccount: If there is none.
        PermissionDeniedUpdateGlobalAdminProfile: If a normal admin asks for a global one.
    """
    anywhere = caller.is_global
    found = finders.account(directory, mail, "mailUser", anywhere=anywhere, meanwhile=meanwhile)
    entry = finders.require(found, "user", mail)
    protected.refuse_global_admin(caller, entry)
    return entry


def profile(context: Context, path: PathVariables, parsed: Parsed) -> Shown:
    """Show a user, with the used quota and the last logins."""
    mail = path["mail"]
    used: dict[str, object] = {}

    def look_up() -> None:
        used.update(context.outside.usage(mail))

    # Asked while slapd searches: both take about as long.
    entry = get(context.directory, context.caller, mail, look_up)
    shown = show(entry, context.config.api.api_hidden_user_profiles) | used
    # Dovecot writes the usage without a new state of the entry.
    return Shown(shown, entry.csn, cacheable=not used)


def check_password(context: Context, path: PathVariables, parsed: Parsed) -> Shown:
    """Verify a password of a user by a bind; that of a disabled user succeeds too.

    Raises:
        NoSuchAccount: If there is no such user.
        PasswordMismatch: If the bind fails.
    """
    mail, anywhere = path["mail"], context.caller.is_global
    entry = finders.user(context.directory, mail, anywhere=anywhere)
    if not context.directory.verifies(entry.dn, parsed.value("password") or ""):
        raise PasswordMismatch(mail)
    return Shown(None)


def create(context: Context, path: PathVariables, parsed: Parsed) -> Plan:
    """Plan a new mail user.

    Raises:
        NoSuchAccount: If the domain does not exist.
        AlreadyExists: If the address belongs to any account.
        WeakPassword, InvalidPasswordScheme: As the password is.
        NotAllowed, ExceededDomainAccountLimit: If the domain takes no more users.
        ExceededMaxUserQuota, ExceededDomainQuotaSize: If it has not that much space.
        PermissionDenied: If a normal admin asks for a mailbox path outside the domain's own, or
            if a domain that the caller does not manage names the address as its admin.
        MailboxInUse: If the mailbox path touches that of another account.
        ServerDown: If the database of deleted mailboxes does not answer.
    """
    mail = path["mail"]
    around = look_around(context, mail, generates_path=not parsed.value("maildir"))
    return new_user(context, mail, parsed, around).plan


@dataclass(frozen=True)
class NewUser:
    """The plan of a new user, beside its entry as it will be, its domain, and its mailbox."""

    plan: Plan
    account: uniqueness.NewAccount
    made: Entry
    home: Entry
    place: MailboxAssignment


def new_user(context: Context, mail: str, parsed: Parsed, around: Surroundings) -> NewUser:
    """Plan a new mail user, as `create` does, beside what was found."""
    directory, outside, caller = context.directory, context.outside, context.caller
    config, found, candidate = context.config, around.found, around.candidate
    home = uniqueness.home_of(found, mail)
    named_by = rights.naming(found, mail)
    # Judged before limits and password: who may not have this address learns nothing about the
    # domain.
    rights.refuse_inheritance(caller, mail, named_by)
    limits = domain.limits(home)
    base = mailboxes.storage_base(limits, config.accounts)
    dn = names.account_in(home.dn, "Users", mail)
    maildir = parsed.value("maildir")
    place = (
        mailboxes.check_requested(context, lambda: base, mail, dn, maildir, around.near_paths())
        if maildir
        else None
    )
    # Before the sizes, which may cost a read of all users of the domain.
    secret = hashed_password(context, lambda: limits, mail, parsed)
    aliases = uniqueness.in_alias_domains(home, mail)
    # Names in alias domains are a service of the domain and were not asked for: one that another
    # account has already is left out and named, where the address itself would be refused.
    taken = around.taken(aliases)
    wanted = int(parsed.value("quota") or 0)
    quota = _quota(around, home, limits, wanted)
    place = place or mailboxes.generate(context, base, dn, candidate, found)
    joined = around.default_lists(limits)
    given = {
        "userPassword": (secret,),
        "shadowLastChange": (user_entry.days_since_epoch(context.now.date()),),
        "mailQuota": (str(quota),) if quota else (),
        "shadowAddress": tuple(address for address in aliases if address not in taken),
        "homeDirectory": (place.path,),
        "memberOfGroup": distinct(mail for entry in joined for mail in _reaching_members(entry)),
        **_from_domain(config, home, limits),
    }
    # An explicit size is judged above. 0 means none was sent, and `given` has the domain's default.
    asked = [change for change in parsed.changes if change.field.name != "quota"]
    attributes = user_entry.new(mail, asked, given)
    new_account = uniqueness.NewAccount(
        dn=dn,
        mail=mail,
        aliases=aliases,
        is_marked=not home.is_active,
        drops_old_rights=not named_by or rights.are_left_behind(directory, mail, named_by),
    )
    plan = Plan(
        dn,
        (
            # The mailbox is taken over before the account exists: the job that removes deleted
            # mailboxes must not find it once mail is delivered there.
            *mailboxes.reclaiming(outside, place),
            Add(
                dn,
                attributes,
                container=domain_entry.new_container(home.dn, "Users"),
            ),
            # After the write, as slapd accepts two accounts of one address or mailbox.
            merge_rechecks(
                uniqueness.recheck(directory, new_account),
                mailboxes.recheck(directory, outside, place, new_account.withdrawn()),
            ),
            *_recheck_limits(context, limits, dn, home),
        ),
        ignored=(*parsed.dropped, *sorted(taken)),
        # Lists of other domains that the user joins may be deleted at the same time.
        touches=list_membership.domains_of_members(directory, joined),
        shared_with=place.shared_with,
    )
    made = Entry(dn, {name: [*values] for name, values in attributes.items()})
    return NewUser(plan, new_account, made, home, place)


def policy(config: Config, limits: settings.Settings) -> Policy:
    """Return the password rules of a domain: its own lengths, or else the server's."""
    rules = config.passwords
    longest = settings.number(limits, "maxPasswordLength") or rules.max_length
    # bcrypt ignores what lies behind its 72nd byte: two passwords that differ only there would both
    # be right. So the scheme limits the length whatever the domain says.
    ceiling = passwords.longest_for(rules.password_scheme)
    return Policy(
        shortest=settings.number(limits, "minPasswordLength") or rules.min_length,
        longest=min(longest, ceiling) if longest and ceiling else longest or ceiling,
        letter=rules.require_letter,
        uppercase=rules.require_uppercase,
        digit=rules.require_digit,
        special=rules.require_special,
    )


def hashed_password(
    context: Context, limits: Callable[[], settings.Settings], mail: str, parsed: Parsed
) -> str:
    """Return the hash of the password that was sent, or the hash that was sent itself.

    Args:
        context: Rules and scheme of the server, and a salt.
        limits: Returns the settings of the domain; called only for a password in clear text.
        mail: Address of the user.
        parsed: The request.

    Raises:
        WeakPassword: For each rule that is broken.
        InvalidPasswordScheme: If the directory cannot verify the hash.
    """
    config = context.config
    if ready_made := parsed.value("password_hash"):
        return passwords.with_verified_scheme(ready_made, config.passwords.verified_schemes)
    password = parsed.value("password") or ""
    raise_all(passwords.check(password, policy(config, limits()), mail))
    return passwords.hashed(
        password,
        config.passwords.password_scheme,
        context.salt(),
        config.passwords.bcrypt_rounds,
    )


def _quota(around: Surroundings, home: Entry, limits: settings.Settings, wanted: int) -> int:
    """Return the size of the mailbox in bytes, 0 for no limit.

    The users of the domain are counted only where a limit depends on them.
    """
    # No program keeps the counters of iRedMail's schema (domainCurrentUserNumber and its like)
    # right, and we do not write them either.
    if settings.number(limits, "numberOfUsers") <= 0 and not settings.domain_quota(limits):
        return _size_within(limits, wanted, Occupancy())
    query = finders.users_query(home.dn)
    # Where more than there are leave room for all that is asked for, these do.
    with suppress(NotAllowed, ExceededDomainAccountLimit, ExceededDomainQuotaSize, Several):
        size = _size_within(limits, wanted, around.at_most(query))
        if size == _size_within(limits, wanted, Occupancy()):
            return size
    return _size_within(limits, wanted, around.exactly(query))


def _size_within(limits: settings.Settings, wanted: int, there: Occupancy) -> int:
    """Return the size of a mailbox beside the users that are there."""
    largest = kinds.bytes_of(settings.number(limits, "maxUserQuota"))
    ceiling = kinds.bytes_of(settings.domain_quota(limits))
    most_users = settings.number(limits, "numberOfUsers")
    refusals: list[Refusal] = []
    if most_users == -1:
        refusals.append(NotAllowed("the domain may have no users"))
    if 0 < most_users <= there.number:
        refusals.append(ExceededDomainAccountLimit(f"{there.number} of {most_users} users"))
    spare = max(ceiling - there.size, 0)
    if ceiling and (not spare or wanted > spare):
        refusals.append(ExceededDomainQuotaSize(f"{spare} bytes left", parameter="quota"))
    if 0 < largest < wanted:
        refusals.append(ExceededMaxUserQuota(f"at most {largest} bytes", parameter="quota"))
    raise_all(refusals)
    offered = (kinds.bytes_of(settings.number(limits, "defaultQuota")), largest, spare)
    # Unlike a size that is asked for, a default that does not fit is no error: the user gets the
    # most that domain and rules leave. Zeros are "no limit" and take no part in the minimum.
    return wanted or min(filter(None, offered), default=0)


def _from_domain(
    config: Config, home: Entry, limits: settings.Settings
) -> dict[str, tuple[str, ...]]:
    accounts = config.accounts
    return {
        "enabledService": tuple(
            user_entry.services(
                settings.words(limits, "disabledMailService"),
                accounts.additional_user_services,
                accounts.disabled_user_services,
            )
        ),
        "preferredLanguage": (str(limits.get("defaultLanguage", accounts.default_language)),),
        "mailboxFormat": (accounts.mailbox_format,),
        "mailboxFolder": (accounts.mailbox_folder,),
        # Postfix and Dovecot look at one entry only, so each account has a copy of its domain's
        # status. Without it a user added to a disabled domain could log in.
        "domainStatus": () if home.is_active else ("disabled",),
    }


def _reaching_members(entry: Entry) -> tuple[str, ...]:
    """Return the addresses of a list whose mail goes to accounts with them as `memberOfGroup`.

    A member of an unsubscribable list gets the mail for each of its addresses.
    """
    addresses = maillist.addresses(entry)
    return addresses if maillist.is_maillist(entry) else addresses[:1]


def _recheck_limits(
    context: Context, limits: settings.Settings, dn: str, home: Entry
) -> tuple[Recheck, ...]:
    most_users = settings.number(limits, "numberOfUsers")
    ceiling = kinds.bytes_of(settings.domain_quota(limits))
    if most_users <= 0 and not ceiling:
        return ()

    def judge(there: Occupancy) -> Correction:
        refusal: Refusal | None = None
        if 0 < most_users < there.number:
            refusal = ExceededDomainAccountLimit(f"{there.number} of {most_users} users")
        elif 0 < ceiling < there.size:
            refusal = ExceededDomainQuotaSize(f"{there.size} of {ceiling} bytes")
        return Correction((Delete(dn, absent_ok=True),), refusal) if refusal else Correction()

    # Two creations at once may both find room for one. Each counts again after its own add and
    # takes its own entry back; both may go, which a client can repeat, but never do too many stay.
    query, counts = finders.users_query(home.dn), context.outside.counts
    return (counts.recheck(context.directory, query, WITHIN_LIMITS, judge),)


def delete(context: Context, path: PathVariables, parsed: Parsed) -> Plan:
    """Plan to delete a mail user: disable the account, clear its mentions, delete it.

    Raises:
        NoSuchAccount: If there is none.
        PermissionDenied: If it is the caller's own account, or the last active global admin.
        PermissionDeniedUpdateGlobalAdminProfile: If a normal admin names a global one.
        ServerDown: If a database does not answer.
        MlmmjadminUnavailable: If there are subscribable lists, and mlmmjadmin does not answer.
    """
    directory, outside, caller = context.directory, context.outside, context.caller
    mail, days = path["mail"], deleted_mailboxes.days_kept(context, path)
    entry = finders.user(directory, mail, anywhere=caller.is_global)
    protected.refuse_global_admin(caller, entry)
    if protected.is_own(caller, entry):
        raise PermissionDenied("an admin cannot delete their own account")
    # Evaluated here, before the databases are asked: who may not do it gets that answer also while
    # a database is down.
    last_admin = tuple(global_admins.require_active(directory, entry, deletion.DISABLE))
    outside.ask_for_mailboxes(days)
    addresses = entry.lowered("mail") | entry.lowered("shadowAddress")
    return Plan(
        entry.dn,
        account_deletion.steps(
            context,
            entry.dn,
            addresses,
            checks=last_admin,
            records=(
                deleted_mailboxes.record_deleted(context, lambda: (entry,), entry.dn, days),
                outside.forgetting(mail),
            ),
        ),
        entry.csn,
        touches=touched(entry),
    )


def touched(entry: Entry) -> frozenset[str]:
    """Return the names that the deletion of an account touches.

    They are the domains of all its addresses, which other requests may mention at the same time,
    the one that it is in, and the global admins, if it is one of them.
    """
    domains = mail_names.domains_of((*entry.texts("mail"), *entry.texts("shadowAddress")))
    domains |= {*filter(None, (names.domain_name_in(entry.dn),))}
    return domains | ({GLOBAL_ADMINS} if user.is_global_admin(entry) else set())
