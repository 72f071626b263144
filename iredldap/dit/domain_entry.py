"""Entries of a new mail domain, and modifications of one.

Source: iRedMail's directory, mail domain.
"""

from collections.abc import Iterable, Mapping

from iredldap.dit.domain import alias_domains, is_backup
from iredldap.dit.entry import Entry, distinct, encoded
from iredldap.dit.fields import FieldChange, Parsed
from iredldap.dit.modlist import new_attributes
from iredldap.dit.names import CONTAINERS
from iredldap.dit.names import container as container_dn
from iredldap.dit.plan import Add, Mod, Op
from iredldap.errors import ParameterConflict


def new(
    name: str, changes: Iterable[FieldChange], transport: str, services: tuple[str, ...]
) -> dict[str, tuple[bytes, ...]]:
    """Make the attributes of a new domain.

    Args:
        name: Domain name.
        changes: Parameters that were sent.
        transport: Default, where none was sent.
        services: Further words of `enabledService`.
    """
    asked = new_attributes(changes)
    # `mail` in any case: without it Postfix does not know the domain.
    enabled = distinct(("mail", *services, *asked.pop("enabledService", ())))
    attributes = {
        "objectClass": ("mailDomain",),
        "domainName": (name,),
        "mtaTransport": (transport,),
        "accountStatus": ("active",),
        "enabledService": enabled,
        **asked,
    }
    return {attribute: encoded(values) for attribute, values in attributes.items()}


def new_catchall(
    entry: Entry, targets: tuple[str, ...], *, is_active: bool
) -> dict[str, tuple[bytes, ...]]:
    """Make the attributes of a domain's catch-all account.

    Args:
        entry: The domain.
        targets: Addresses that get its mail.
        is_active: Whether the domain is.
    """
    attributes = {
        # mailUser is auxiliary: slapd refuses an entry without a structural class.
        "objectClass": ("inetOrgPerson", "mailUser"),
        "mail": (f"@{entry.text('domainName')}",),
        # inetOrgPerson requires `cn` and `sn`.
        **dict.fromkeys(("cn", "sn", "uid"), ("catch-all",)),
        "accountStatus": ("active",),
        "mailForwardingAddress": targets,
        # Postfix looks a catch-all up by its own "@domain", also for an alias domain.
        "shadowAddress": tuple(f"@{alias}" for alias in alias_domains(entry)),
        "domainStatus": () if is_active else ("disabled",),
    }
    return {name: encoded(values) for name, values in attributes.items() if values}


def new_containers(home: str) -> tuple[Add, ...]:
    """Return the containers of a domain, whose DN is `home`; one that exists is left as it is."""
    return tuple(new_container(home, unit) for unit in CONTAINERS)


def new_container(home: str, unit: str) -> Add:
    """Return one container of a domain, whose DN is `home`.

    Adding an entry to it adds it too where it is missing (`Add.container`).
    """
    return Add(
        container_dn(home, unit),
        {"objectClass": (b"organizationalUnit", b"top"), "ou": (unit.encode(),)},
        # A repeat of a creation that broke off finds some of them.
        present_ok=True,
    )


def backup_mx(parsed: Parsed, entry: Entry, transport: str) -> tuple[Mod, ...]:
    """Return the modifications that make a domain a backup MX, or an ordinary one again.

    Args:
        parsed: The request.
        entry: The domain.
        transport: The server's own, for a domain that is no backup MX any more.

    Raises:
        ParameterConflict: For a primary MX of a domain that shall have none.
    """
    wanted, primary = parsed.value("is_backupmx"), parsed.value("primarymx")
    if wanted is None:
        return ()
    if wanted == "no" and primary:
        raise ParameterConflict("no backup MX, yet a primary one", parameter="primarymx")
    # Both change together: by `domainBackupMX` the domain is in relay_domains instead of
    # virtual_mailbox_domains, and by `mtaTransport` Postfix finds the primary.
    if wanted == "yes":
        # In another letter case it means the same, and stays.
        marked = {} if is_backup(entry) else {"domainBackupMX": "yes"}
        return _replaced(entry, {**marked, "mtaTransport": f"relay:{primary}"})
    if not is_backup(entry):
        # Its transport was not written by us as that of a backup MX, and may be one that an admin
        # has chosen.
        return _replaced(entry, {"domainBackupMX": None})
    return _replaced(entry, {"domainBackupMX": None, "mtaTransport": transport})


def _replaced(entry: Entry, wanted: Mapping[str, str | None]) -> tuple[Mod, ...]:
    return tuple(
        Mod(Op.REPLACE, attribute, encoded([value] if value else []))
        for attribute, value in wanted.items()
        if entry.text(attribute) != value
    )
