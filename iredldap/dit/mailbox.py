"""Where the mailbox of a new user lies.

Nothing computes the path again later: only what is stored counts, and it is lower case
throughout, because Dovecot lowers what it reads.

Source: iRedMail's directory, homeDirectory.
"""

from datetime import datetime

from iredldap.config import Accounts
from iredldap.dit import names
from iredldap.dit.entry import Entry

ATTRIBUTES = ("mail", "homeDirectory", "storageBaseDirectory", "mailMessageStore")
"""What tells whose mailbox lies where."""


def stored(entry: Entry) -> str:
    """Directory that a user's mailbox lies in; empty: he has none."""
    base, store = entry.text("storageBaseDirectory"), entry.text("mailMessageStore")
    return entry.text("homeDirectory") or (f"{base}/{store}" if base and store else "")


def path(mail: str, storage_base: str, accounts: Accounts, now: datetime) -> str:
    """Make an absolute path, in lower case and with a slash at its end.

    Args:
        mail: Address of the user.
        storage_base: Directory to lie below.
        accounts: The four switches of the form.
        now: Local time of the server.
    """
    local, domain = names.local_part(mail), names.domain_of(mail)
    parts = [storage_base.rstrip("/")]
    if accounts.maildir_domain_hashed:
        parts += [*_first_two(domain.split(".")[0]), domain]
    elif accounts.maildir_prepend_domain:
        parts.append(domain)
    if accounts.maildir_hashed:
        parts += _first_three(local)
    stamp = now.strftime("-%Y.%m.%d.%H.%M.%S") if accounts.maildir_append_timestamp else ""
    parts.append(local + stamp)
    return "/".join(parts).lower() + "/"


def _first_two(label: str) -> list[str]:
    second = label[1] if len(label) > 1 and label[1].isalnum() else "_"
    return [label[0], second]


def _first_three(local: str) -> list[str]:
    return [char if char not in ".~" else "_" for char in local[:3].ljust(3, "_")]
