"""Settings of new accounts.

A module of its own: `dit`, the layer that only computes, imports it and no other section.
"""

from dataclasses import dataclass

from iredldap.config.settings import holds, setting


@dataclass(frozen=True, kw_only=True)
class AccountSettings:
    """Defaults of new domains and users, and where mailboxes are stored."""

    default_transport: str = setting("Postfix transport of a new domain.", default="dovecot")
    default_language: str = setting("Language of a new user.", default="en_US")
    storage_base: str = setting(
        "Directory that contains all mailboxes.",
        holds(lambda path: path.startswith("/"), "an absolute path"),
        default="/var/vmail/vmail1",
    )
    maildir_prepend_domain: bool = setting("Start a mailbox path with the domain.", default=True)
    maildir_domain_hashed: bool = setting(
        "Put the domain below its first two characters.", default=False
    )
    maildir_hashed: bool = setting(
        "Put the mailbox below the first three characters of the name.", default=True
    )
    maildir_append_timestamp: bool = setting(
        "End a mailbox path with the time of its creation, so that no path is used twice; otherwise"
        " a new account gets the mailbox of a deleted one of the same address.",
        default=True,
    )
    mailbox_format: str = setting("Storage format of a new mailbox.", default="maildir")
    mailbox_folder: str = setting("Folder of a new mailbox.", default="Maildir")
    additional_domain_services: tuple[str, ...] = setting(
        "Services of a new domain beside `mail`.", default=()
    )
    additional_user_services: tuple[str, ...] = setting(
        "Services of a new user beside iRedMail's own.", default=()
    )
    disabled_user_services: tuple[str, ...] = setting(
        "Services that a new user does not get.", default=()
    )
    mailbox_days: tuple[int, ...] = setting(
        "Days for which a normal admin may keep the mailboxes of deleted accounts; keeping them for"
        " ever is always allowed. A global admin may choose any number.",
        holds(lambda days: all(day > 0 for day in days), "more than 0 each"),
        default=(1, 7, 14, 21, 30, 60, 90, 180, 365),
    )
