"""The entries above all domains, as a new installation has them.

Source: iRedMail's directory, "Tree".
"""

from collections.abc import Iterator

from iredldap.dit import admin
from iredldap.dit.entry import encoded
from iredldap.dit.names import Tree
from iredldap.ldif import writer

Made = tuple[str, dict[str, tuple[bytes, ...]]]


def entries(tree: Tree, reader_hash: str, writer_hash: str) -> Iterator[Made]:
    """Make the base tree with its two service accounts.

    Args:
        tree: With a suffix that begins with ``dc=``.
        reader_hash: Stored password of ``cn=vmail``, which Postfix and Dovecot bind as.
        writer_hash: Stored password of ``cn=vmailadmin``, which the API binds as.
    """
    label = tree.suffix.partition(",")[0].partition("=")[2]
    yield _made(tree.suffix, objectClass=("dcObject", "organization"), dc=(label,), o=(label,))
    for name, stored in (("vmail", reader_hash), ("vmailadmin", writer_hash)):
        yield _made(
            f"cn={name},{tree.suffix}",
            objectClass=("person", "shadowAccount", "top"),
            cn=(name,),
            sn=(name,),
            uid=(name,),
            userPassword=(stored,),
        )
    yield _made(tree.base, objectClass=("organization",), o=("domains",))
    yield _made(tree.admin_base, objectClass=("organization",), o=("domainAdmins",))


def global_admin_entry(tree: Tree, mail: str, stored: str, changed: str) -> Made:
    """Make a standalone global admin.

    Args:
        tree: Where.
        mail: Address, in a domain that is not hosted here.
        stored: Stored password.
        changed: Day of the password's last change, as `shadowLastChange` has it.
    """
    given = {
        "userPassword": (stored,),
        "domainGlobalAdmin": ("yes",),
        "shadowLastChange": (changed,),
    }
    return tree.admin(mail), admin.new(mail, (), given)


def ldif(made: Iterator[Made]) -> bytes:
    """Write entries as LDIF for slapadd, which takes no version line."""
    return b"".join(writer.record(dn, attributes) for dn, attributes in made)


def _made(dn: str, **attributes: tuple[str, ...]) -> Made:
    return dn, {name: encoded(values) for name, values in attributes.items()}
