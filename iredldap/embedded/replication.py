"""Replicate a private directory in OpenLDAP's mirror mode, with the files of `deploy/openldap`."""

from dataclasses import dataclass
from string import Template

from iredldap.shipped import shipped


@dataclass(frozen=True)
class Replication:
    """How a server takes part in a pair.

    Attributes:
        server_id: Its number, 1 to 4095, unlike the peer's.
        peer: URI of the other server.
        password: Of `cn=replicator`, the account that reads the other one.
    """

    server_id: int
    peer: str
    password: str

    def lines(self, part: str, suffix: str) -> str:
        """Return the lines of a file of `deploy/openldap`.

        Args:
            part: Its name without the ending.
            suffix: Of the tree.
        """
        return filled(
            f"{part}.conf",
            suffix=suffix,
            server_id=str(self.server_id),
            peer=self.peer,
            password=self.password,
        )


def replicator_entry(suffix: str, password_hash: str) -> bytes:
    """Return the account `cn=replicator` as LDIF for slapadd.

    Args:
        suffix: Of the tree.
        password_hash: Stored password.
    """
    return filled("replicator.ldif", suffix=suffix, password_hash=password_hash).encode() + b"\n"


def filled(name: str, **values: str) -> str:
    """Return a file of `deploy/openldap` with values in it.

    A comment may name a placeholder in general: `${name}` is none.

    Raises:
        KeyError: If it has a placeholder without a value.
    """
    text = Template((shipped("deploy/openldap") / name).read_text("utf-8"))
    return text.substitute(values, name="${name}")
