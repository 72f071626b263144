"""Find what the admin of a directory should know about it.

One function a finding. `iredldap check-config --probe` prints them, and each worker logs them when
it starts.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from iredldap.config.ldap import LdapSettings
from iredldap.dit import filters, names
from iredldap.dit.plan import Query, Scope
from iredldap.errors import Refusal, ServerDown
from iredldap.gateways.directory import Directory

_FULL = 0.8
"""Share of a database's space from which a finding warns: there is time left to enlarge it."""

_DATABASES = "cn=Databases,cn=Monitor"
_PAGES = ("olmMDBPagesUsed", "olmMDBPagesFree", "olmMDBPagesMax")


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found, and whether something should be done about it.

    Args:
        words: What.
        warns: Whether something should be done.
        is_fault: Whether something must be done, before the directory may be used.
    """

    words: str
    warns: bool = True
    is_fault: bool = False


Probe = Callable[[Directory, LdapSettings], Iterator[Finding]]


def size_limit(directory: Directory, settings: LdapSettings) -> Iterator[Finding]:
    """Report a limit on the entries that a search returns, and the lines that lift it."""
    limit = directory.size_limit()
    if limit is None:
        return
    who = f'dn.exact="{settings.bind_dn}" size=unlimited'
    yield Finding(
        f"sizelimit: slapd gives {settings.bind_dn} {limit} entries at once. More are read in"
        " parts, which takes longer, and `ldif-export --exact` is refused. To lift it, either in"
        " slapd.conf, in the section of the database:\n"
        f"    limits {who}\n"
        "or, where slapd is configured by cn=config, with the database's own number:\n"
        "    dn: olcDatabase={1}mdb,cn=config\n"
        "    changetype: modify\n"
        "    add: olcLimits\n"
        f"    olcLimits: {who}"
    )


def fill(directory: Directory, settings: LdapSettings) -> Iterator[Finding]:
    """Report how full the database is, where ``cn=Monitor`` can be read and has it (since 2.5)."""
    query = Query(_DATABASES, Scope.ONE, filters.present(_PAGES[2]), ("namingContexts", *_PAGES))
    try:
        databases = directory.find(query)
    except ServerDown:
        raise
    except Refusal:
        # It is not there, or not for us.
        return
    for database in databases:
        if any(names.is_within(settings.suffix, one) for one in database.texts("namingContexts")):
            used, free, most = (int(database.text(name) or 0) for name in _PAGES)
            if most:
                # Pages once used stay in the file; those that are free again are used first.
                yield _filled(settings.suffix, (used - free) / most)


def _filled(suffix: str, share: float) -> Finding:
    words = f"the database of {suffix} is {share:.0%} full"
    if share < _FULL:
        return Finding(words, warns=False)
    return Finding(
        f"{words}; once it is, slapd refuses every write. Raise its `maxsize` (in cn=config:"
        " `olcDbMaxSize`) and start slapd again"
    )


def dry_run(directory: Directory, settings: LdapSettings) -> Iterator[Finding]:
    """Report whether the directory has the No-Op control, which checks writes without executing."""
    can, rest = "is offered", "what only slapd knows is found out before the first write"
    # Asked by an empty change under the control, as no server lists it among those that it has.
    if not directory.can_judge():
        # A server that takes no changes does not say.
        can, rest = "is not offered now", "what only slapd knows is found out by the write itself"
    yield Finding(f"the No-Op control {can} to {settings.bind_dn}: {rest}", warns=False)


PROBES: tuple[Probe, ...] = (size_limit, fill, dry_run)


def find_all(directory: Directory, settings: LdapSettings) -> Iterator[Finding]:
    """Yield all findings.

    Raises:
        ServerDown: If the directory does not answer.
    """
    for probe in PROBES:
        yield from probe(directory, settings)
