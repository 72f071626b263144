"""Find out, without a write, whether a directory server accepts writes at all.

Source: slapd.conf(5), updateref; a consumer refuses a write before it looks for the entry.
"""

from collections.abc import Iterator

from iredldap.config.ldap import LdapSettings
from iredldap.directory_errors import DirectoryReadOnly
from iredldap.dit.plan import Mod, Modify, Op
from iredldap.errors import Refusal, ServerDown
from iredldap.gateways.directory import Directory
from iredldap.operations.diagnosis.findings import Finding

_ABSENT = "cn=iredldap-absent"
"""Name of an entry that nobody has: its change is refused by every server."""


def writes_refused(directory: Directory, settings: LdapSettings) -> Iterator[Finding]:
    """Report a single server that is a consumer, or is read-only.

    Of servers with an agreed writer that is watched all the time.

    Raises:
        ServerDown: If the directory does not respond.
    """
    if settings.is_agreed:
        return
    change = Modify(
        f"{_ABSENT},{settings.suffix}", (Mod(Op.REPLACE, "description", (b"never stored",)),)
    )
    try:
        directory.write(change)
    except ServerDown:
        raise
    except DirectoryReadOnly as ex:
        yield Finding(
            f"every change will be refused: the server of ldap.uri is a consumer or read-only"
            f" ({ex.detail}); name the provider, which accepts writes"
        )
    except Refusal:
        # It has looked for the entry, or for the right to change it: it accepts writes.
        return
