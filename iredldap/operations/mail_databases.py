"""What the databases beside the directory know of an account, as one thing.

They change before the entry in the directory goes, and after it has its new name: whatever breaks
off, the entry is still there to be named again, and the repeat finishes the rest.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import structlog

from iredldap.config.sections import Config
from iredldap.dit import mailbox
from iredldap.dit.entry import Entry
from iredldap.dit.plan import Outside
from iredldap.errors import ServerDown
from iredldap.gateways.amavisd import Amavisd
from iredldap.gateways.iredadmin import Iredadmin, Usage
from iredldap.gateways.iredapd import Iredapd
from iredldap.gateways.mlmmjadmin import Mlmmjadmin
from iredldap.gateways.turns import Turns
from iredldap.operations.mlmmj_calls import MailingLists
from iredldap.operations.unusual_paths import UnusualPaths

log = structlog.get_logger("iredldap.records")


USAGE = ("stored_bytes", "stored_messages", "last_login")
"""What answers show of a mailbox that was used."""


class Usages:
    """What Dovecot wrote about mailboxes, as one answer shows it; of a database that fails nothing.

    It is shown beside an entry, which is no reason to refuse the entry. A database that has failed
    is not asked again.
    """

    def __init__(self, iredadmin: Iredadmin) -> None:
        self._iredadmin = iredadmin
        self._has_failed = False

    def of(self, mails: Sequence[str]) -> dict[str, dict[str, object]]:
        """Give it for each of some addresses that has any."""
        if self._has_failed:
            return {}
        try:
            found = self._iredadmin.usages(mails)
        except ServerDown as ex:
            log.warning("no usage", mail=mails[0], detail=ex.detail)
            self._has_failed = True
            return {}
        return {mail: _shown(usage) for mail, usage in found.items()}


def _shown(usage: Usage) -> dict[str, object]:
    logins = {"imap": usage.imap, "pop3": usage.pop3, "lda": usage.lda}
    return dict(zip(USAGE, (usage.bytes, usage.messages, logins), strict=True))


@dataclass(frozen=True)
class Records:
    """What there is beside the directory.

    The three databases of an iRedMail server, the program that keeps its subscribable lists, and
    the turns in which changes are made.
    """

    iredapd: Iredapd
    amavisd: Amavisd
    iredadmin: Iredadmin
    mlmmjadmin: MailingLists
    turns: Turns
    unusual_paths: UnusualPaths = field(default_factory=UnusualPaths)

    @classmethod
    def open(cls, config: Config) -> "Records":
        """Make them; none connects before it is asked something."""
        turns = Turns(config.state.url, config.server.threads)
        return cls(
            Iredapd(config.iredapd.url),
            Amavisd(config.amavisd.url),
            Iredadmin(config.iredadmin.url),
            MailingLists(Mlmmjadmin(config.mlmmjadmin), turns),
            turns,
        )

    def close(self) -> None:
        for database in (self.iredapd, self.amavisd, self.iredadmin):
            database.close()
        self.turns.close()

    def ask(self) -> None:
        """See whether all databases answer, before the first step of a plan that needs them.

        Raises:
            ServerDown: If one does not.
        """
        for database in (self.iredapd, self.amavisd, self.iredadmin):
            database.ask()

    def ask_for_mailboxes(self, days: int) -> None:
        """See whether all of them answer, and mailboxes can be removed when their days are over.

        Raises:
            ServerDown: If not; also if there is no table of mailboxes, and they are to be removed.
        """
        self.ask()
        if days and not self.iredadmin.remembers_mailboxes:
            report = {"database": "iredadmin", "missing_table": "deleted_mailboxes"}
            raise ServerDown("iredadmin database has no table deleted_mailboxes", report=report)

    def usage(self, mail: str) -> dict[str, object]:
        """What Dovecot wrote about a mailbox, as `Usages` gives it."""
        return Usages(self.iredadmin).of([mail]).get(mail, {})

    def forgetting(self, *addresses: str) -> Outside:
        """Step: forget accounts, so that later ones of their addresses begin anew."""

        def work() -> None:
            for mail in addresses:
                self.iredapd.forget(mail)
                self.amavisd.forget(mail)
                self.iredadmin.forget(mail)

        return Outside(f"forget the policies and records of {', '.join(addresses)}", work)

    def forgetting_domains(self, *domains: str) -> Outside:
        """Step: forget domains, with every account in them."""

        def work() -> None:
            for name in domains:
                self.iredapd.forget_domain(name)
                self.amavisd.forget_domain(name)
                self.iredadmin.forget_domain(name)

        return Outside(f"forget the policies and records of {', '.join(domains)}", work)

    def moving(self, old: str, new: str) -> Outside:
        """Step: let what is known of an address be known of another one."""

        def work() -> None:
            self.iredapd.move(old, new)
            self.amavisd.move(old, new)
            self.iredadmin.move(old, new)

        return Outside(f"move the policies and records of {old} to {new}", work)

    def reclaiming(self, users: Callable[[], Iterable[Entry]]) -> Outside:
        """Step: take back that the mailboxes of some users may be removed: they stay users."""
        return Outside(
            "keep the mailboxes",
            lambda: self.iredadmin.reclaim_mailboxes(map(mailbox.stored_path, users())),
        )

    def reclaiming_paths(self, *paths: str) -> Outside:
        """Step: take back that the mailboxes at some paths may be removed: they are used again."""
        return Outside("keep the mailboxes", lambda: self.iredadmin.reclaim_mailboxes(paths))
