"""What one can do with a domain."""

from collections.abc import Iterable, Iterator

from iredldap.config import Config
from iredldap.dit import domain, names, references, settings
from iredldap.dit.entry import Entry
from iredldap.dit.fields import Parsed, modlist
from iredldap.dit.names import either, equals, every
from iredldap.dit.plan import (
    Add,
    Amendment,
    Delete,
    Mod,
    Modify,
    Op,
    Operation,
    Plan,
    Query,
    Recheck,
    Scope,
    Sweep,
)
from iredldap.errors import (
    AlreadyExists,
    ExceedLimitAliases,
    ExceedLimitDomain,
    ExceedLimitLists,
    ExceedLimitQuota,
    ExceedLimitUsers,
    PermissionDenied,
    Refusal,
    raise_all,
)
from iredldap.gateways.directory import Directory
from iredldap.operations import lookup
from iredldap.operations.login import Caller

_NAMES = ("domainName", "domainAliasName", "domainPendingAliasName")

_MARKED = either(
    equals("objectClass", "mailUser"),
    equals("objectClass", "mailList"),
    equals("objectClass", "mailAlias"),
    equals("objectClass", "mailExternalUser"),
)


def get(directory: Directory, name: str) -> Entry:
    """Read a domain by its name or the name of one of its alias domains.

    Raises:
        NoSuchAccount: If there is none.
    """
    return lookup.domain(directory, name, by_alias=True)


def create(directory: Directory, config: Config, caller: Caller, name: str, parsed: Parsed) -> Plan:
    """Plan a new domain: its entry and the four containers.

    A creation that was broken off left a domain without all of its containers; asking for the
    domain again finishes it.

    Raises:
        AlreadyExists: If the name is that of a domain or alias domain, also a pending one.
        ExceedLimitDomain, ExceedLimitQuota, ExceedLimitUsers, ExceedLimitAliases,
        ExceedLimitLists: If a normal admin would hand out more than he may.
    """
    taken = Query(directory.tree.base, Scope.ONE, lookup.domain_filter(name, *_NAMES))
    found = directory.find(taken)
    if not caller.is_global:
        _refuse_excess(caller, parsed)
    attributes = domain.new(
        name,
        parsed.changes,
        config.accounts.default_transport,
        config.accounts.additional_domain_services,
    )
    if not caller.is_global:
        attributes["domainAdmin"] = (caller.address.encode(),)
    dn = directory.tree.domain(name)
    containers = domain.containers(directory.tree, name)
    if found:
        if not _is_unfinished(directory, found, name):
            raise AlreadyExists(f"domain {name}")
        steps: tuple[Modify | Add, ...] = (_as_if_new(found[0], attributes), *containers)
        return Plan(dn, steps, found[0].csn, parsed.dropped)

    def judge(entries: Iterable[Entry]) -> Amendment:
        if all(entry.has("domainName", name) for entry in entries):
            return Amendment()
        away = [Delete(container.dn, absent_ok=True) for container in containers]
        return Amendment((*away, Delete(dn)), AlreadyExists(f"domain {name}"))

    recheck = Recheck("is the name still free elsewhere", taken, judge)
    return Plan(dn, (Add(dn, attributes), *containers, recheck), ignored=parsed.dropped)


def _is_unfinished(directory: Directory, found: list[Entry], name: str) -> bool:
    if len(found) != 1 or not found[0].has("domainName", name):
        return False
    is_container = equals("objectClass", "organizationalUnit")
    query = Query(found[0].dn, Scope.ONE, is_container, ("ou",))
    present = {(entry.text("ou") or "").lower() for entry in directory.find(query)}
    return not present.issuperset(unit.lower() for unit in names.CONTAINERS)


def _as_if_new(entry: Entry, attributes: dict[str, tuple[bytes, ...]]) -> Modify:
    kept = {"objectclass", "domainname", "entrycsn"}
    wanted = {k: v for k, v in attributes.items() if k.lower() not in kept}
    gone = [k for k in entry.attributes if k.lower() not in kept and k not in wanted]
    mods = (
        *(Mod(Op.REPLACE, k, v) for k, v in wanted.items()),
        *(Mod(Op.REPLACE, k) for k in gone),
    )
    return Modify(entry.dn, mods, expect=(entry.csn,) if entry.csn else ())


def _refuse_excess(caller: Caller, parsed: Parsed) -> None:
    """Refuse what a normal admin may not hand out; "no limit" is more than any limit."""
    refusals: list[Refusal] = []
    most = caller.limits.get("create_max_domains")
    if isinstance(most, int) and len(caller.managed) >= most:
        refusals.append(ExceedLimitDomain(f"{most} domains"))
    managed = [domain.limits(entry) for entry in caller.managed.values()]
    for limit, key, parameter, refusal in (
        ("create_max_quota", None, "quota", ExceedLimitQuota),
        ("create_max_users", "numberOfUsers", "numberOfUsers", ExceedLimitUsers),
        ("create_max_aliases", "numberOfAliases", "numberOfAliases", ExceedLimitAliases),
        ("create_max_lists", "numberOfLists", "numberOfLists", ExceedLimitLists),
    ):
        ceiling = settings.number(caller.limits, limit)
        wanted = int((parsed.value(parameter) or "0").partition(":")[0])
        if ceiling <= 0 or wanted == -1:
            continue
        handed_out = sum(
            max(settings.number(other, key), 0) if key else settings.domain_quota(other)
            for other in managed
        )
        if not wanted or handed_out + wanted > ceiling:
            refusals.append(refusal(f"{handed_out} of {ceiling}", parameter=parameter))
    raise_all(refusals)


def update(directory: Directory, config: Config, caller: Caller, name: str, parsed: Parsed) -> Plan:
    """Plan a change of a domain.

    Raises:
        NoSuchAccount: If there is none of this name; that of an alias domain is none.
        PermissionDenied: If it would disable the caller, or the last global admin.
    """
    entry = lookup.domain(directory, name)
    mods = (
        *modlist(parsed.changes, entry),
        *domain.backup_mx(parsed, entry, config.accounts.default_transport),
    )
    steps: list[Modify | Sweep] = []
    if mods:
        steps.append(Modify(entry.dn, mods, expect=(entry.csn,) if entry.csn else ()))
    status = parsed.value("accountStatus")
    if status == "disabled":
        _keep_admins(directory, caller, entry)
        steps.append(_mark(directory, name))
    elif status == "active":
        steps.append(_unmark(directory, name))
    return Plan(entry.dn, tuple(steps), entry.csn, parsed.dropped)


def _keep_admins(directory: Directory, caller: Caller, entry: Entry) -> None:
    below = names.components(entry.dn)
    if names.components(caller.dn)[-len(below) :] == below:
        raise PermissionDenied("the caller's own account is in this domain")
    lookup.keep_a_global_admin(directory, entry.dn, below=True)


def _mark(directory: Directory, name: str) -> Sweep:
    """Mark every account of a disabled domain.

    The head is disabled before: an account that is created meanwhile is either found by the
    sweep, or its own recheck finds the head disabled.
    """
    unmarked = every(_MARKED, names.negated(equals("domainStatus", "disabled")))
    return _status_sweep(directory, name, "disable the accounts", unmarked, (b"disabled",))


def _unmark(directory: Directory, name: str) -> Sweep:
    marked = every(_MARKED, equals("domainStatus", "disabled"))
    return _status_sweep(directory, name, "enable the accounts", marked, ())


def _status_sweep(
    directory: Directory, name: str, meaning: str, which: str, status: tuple[bytes, ...]
) -> Sweep:
    def change(entry: Entry) -> Iterator[Operation]:
        yield Modify(entry.dn, (Mod(Op.REPLACE, "domainStatus", status),), absent_ok=True)

    query = Query(directory.tree.domain(name), Scope.SUBTREE, which, ("1.1",))
    return Sweep(meaning, query, change)


def delete(directory: Directory, caller: Caller, name: str) -> Plan:
    """Plan the end of a domain: switch it off, clear its mentions, take it away leaf first.

    Raises:
        NoSuchAccount: If there is none of this name; that of an alias domain is none.
        PermissionDenied: If the caller's own account or the last global admin is in it.
    """
    entry = lookup.domain(directory, name)
    _keep_admins(directory, caller, entry)
    off = Modify(entry.dn, (Mod(Op.REPLACE, "accountStatus", (b"disabled",)),))
    domains = [name, *domain.alias_domains(entry)]

    def take(found: Entry) -> Iterator[Operation]:
        if names.components(found.dn) != names.components(entry.dn):
            yield Delete(found.dn, absent_ok=True, parent_ok=True)

    everything = Query(entry.dn, Scope.SUBTREE, "(objectClass=*)", ("1.1",))
    return Plan(
        entry.dn,
        (
            off,
            references.clear_domains(directory.tree, entry.dn, domains),
            *_dismiss(directory, entry),
            Sweep("delete everything in the domain", everything, take, until_empty=True),
            Delete(entry.dn, absent_ok=True),
        ),
        entry.csn,
    )


def _dismiss(directory: Directory, entry: Entry) -> tuple[Sweep, ...]:
    """Take the role from mail users who manage no other domain."""
    admins = sorted(entry.lowered("domainAdmin"))
    if not admins:
        return ()
    named = either(*(equals("domainAdmin", mail) for mail in admins))
    managed = Query(
        directory.tree.base,
        Scope.ONE,
        every(equals("objectClass", "mailDomain"), named),
        ("domainAdmin",),
    )
    others = {
        mail
        for other in directory.find(managed)
        if names.components(other.dn) != names.components(entry.dn)
        for mail in other.lowered("domainAdmin")
    }
    jobless = [mail for mail in admins if mail not in others]
    if not jobless:
        return ()

    def change(found: Entry) -> Iterator[Operation]:
        role = tuple(v for v in found.values("enabledService") if v.lower() == b"domainadmin")
        if role and not found.has("domainGlobalAdmin", "yes"):
            yield Modify(found.dn, (Mod(Op.DELETE, "enabledService", role),), absent_ok=True)

    accounts = Query(
        directory.tree.base,
        Scope.SUBTREE,
        every(
            equals("objectClass", "mailUser"),
            either(*(equals("mail", mail) for mail in jobless)),
        ),
        ("enabledService", "domainGlobalAdmin"),
    )
    return (Sweep("dismiss admins of no other domain", accounts, change),)
