"""The look-ups of an iRedMail server: what Postfix and Dovecot search for, and what they read.

Postfix's own variables are ``%s``, the key, and ``%d`` and ``%u``, its domain and local part.
Dovecot's variables are spelt differently by each of its releases; here they are ``$user``, the
login name in lower case, ``$protocol`` and ``$security``, how the client is connected.
"""

from string import Template
from typing import NamedTuple

_ACTIVE = "(accountStatus=active)(!(domainStatus=disabled))"
_LIVING = f"{_ACTIVE}(enabledService=mail)"
_NAMED = "(|(mail=%s)(shadowAddress=%s))"
_USER = f"(objectClass=mailUser){_LIVING}"
_USERS = "ou=Users,domainName=%d,"
_DOMAIN = "(objectClass=mailDomain)(accountStatus=active)(enabledService=mail)"
_HOSTED = "(|(domainName=%s)(&(enabledService=domainalias)(domainAliasName=%s)))"
_PART = "(|(domainName=%d)(domainAliasName=%d))"
_MLMMJ = "(objectClass=mailList)(enabledService=mlmmj)"
_FORWARDING = "(&(objectClass=mailUser)(enabledService=forward))"
_PERSONS = "(|(objectClass=mailUser)(objectClass=mailExternalUser))"
_GROUPS = "(|(objectClass=mailAlias)(objectClass=mailList))"
_MEMBERS = (
    f"(&{_PERSONS}(|(memberOfGroup=%s)(shadowAddress=%s)))"
    f"(&{_GROUPS}(memberOfGroup=%s)(!(shadowAddress=%s)))"
)


class Map(NamedTuple):
    """A look-up of Postfix: the filter's parts, the attribute that answers, where and how deep."""

    filter: str
    attribute: str
    below: str = ""  # of the domains' base
    scope: str = "sub"
    format: str = "%s"


MAPS = {
    "virtual_mailbox_domains": Map(
        f"{_DOMAIN}{_HOSTED}(!(domainBackupMX=yes))", "domainName", scope="one"
    ),
    "relay_domains": Map(f"{_DOMAIN}{_HOSTED}(domainBackupMX=yes)", "domainName", scope="one"),
    "transport_maps_user": Map(
        f"(|(objectClass=mailUser)(&{_MLMMJ})){_LIVING}{_NAMED}",
        "mtaTransport",
        below="domainName=%d,",
    ),
    "transport_maps_domain": Map(
        f"{_DOMAIN}(|(domainName=%s)(domainAliasName=%s))", "mtaTransport", scope="one"
    ),
    "virtual_mailbox_maps": Map(
        f"{_USER}{_NAMED}(enabledService=deliver)", "homeDirectory", format="%s/Maildir/"
    ),
    "virtual_alias_maps": Map(
        f"{_LIVING}{_NAMED}(enabledService=deliver)(|(objectClass=mailAlias){_FORWARDING})",
        "mailForwardingAddress",
    ),
    "virtual_group_maps": Map(
        f"{_LIVING}(enabledService=deliver)(|{_MEMBERS}(&{_MLMMJ}{_NAMED}))", "mail"
    ),
    "virtual_group_members_maps": Map(f"{_USER}{_NAMED}(enabledService=deliver)", "mail"),
    # No service is asked for, unlike everywhere else.
    "catchall_maps": Map(f"(objectClass=mailUser){_NAMED}{_ACTIVE}", "mailForwardingAddress"),
    "sender_login_maps": Map(f"{_USER}{_NAMED}(enabledService=smtp)", "mail"),
    "sender_bcc_maps_user": Map(
        f"{_USER}{_NAMED}(enabledService=senderbcc)", "userSenderBccAddress", _USERS, "one"
    ),
    "sender_bcc_maps_domain": Map(
        f"{_DOMAIN}{_PART}(enabledService=senderbcc)", "domainSenderBccAddress", scope="one"
    ),
    "recipient_bcc_maps_user": Map(
        f"{_USER}{_NAMED}(enabledService=recipientbcc)", "userRecipientBccAddress", _USERS, "one"
    ),
    "recipient_bcc_maps_domain": Map(
        f"{_DOMAIN}{_PART}(enabledService=recipientbcc)", "domainRecipientBccAddress", scope="one"
    ),
    "sender_dependent_relayhost_maps_user": Map(
        f"{_USER}(mail=%s)", "senderRelayHost", _USERS, "one"
    ),
    "sender_dependent_relayhost_maps_domain": Map(
        f"{_DOMAIN}{_PART}", "senderRelayHost", scope="one"
    ),
}
ALIAS_MAPS = (
    "virtual_alias_maps",
    "virtual_group_maps",
    "virtual_group_members_maps",
    "catchall_maps",
)

ALL_USERS = f"(&{_USER})"
"""Filter of those whom Dovecot lists."""

ONE_USER = Template(
    f"(&{_USER}(enabledService=$protocol$security)"
    "(|(mail=$user)(&(enabledService=shadowaddress)(shadowAddress=$user))))"
)
"""Filter by which Dovecot finds the user who logs in or whom mail is for."""


class Attribute(NamedTuple):
    """An attribute that Dovecot reads, and what counts in entries without it.

    Without a `default` Dovecot 2.4 has no answer for such an entry.
    """

    name: str
    default: str | None = None
    lower: bool = False  # whether letter case is lost


ADDRESS = Attribute("mail")
PASSWORD = Attribute("userPassword")
NETWORKS = Attribute("allowNets", "0.0.0.0/0,::/0")
HOME = Attribute("homeDirectory", lower=True)
FORMAT = Attribute("mailboxFormat", "maildir", lower=True)
FOLDER = Attribute("mailboxFolder", "Maildir")
QUOTA = Attribute("mailQuota", "0")  # bytes; 0 is no limit
