"""Hold the systems beside the directory, and change what they store about accounts.

They change before an entry is deleted, and after it is renamed: whatever breaks off, the entry
exists under the name that a repeat of the request looks for, and the repeat does the rest.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import structlog

from iredldap.config.sections import Config
from iredldap.dit import mailbox
from iredldap.dit.change_log import Row
from iredldap.dit.entry import Entry
from iredldap.dit.plan import Outside, SharedWork
from iredldap.errors import ServerDown
from iredldap.gateways.amavisd import Amavisd
from iredldap.gateways.iredadmin import Iredadmin, Usage
from iredldap.gateways.iredapd import Iredapd
from iredldap.gateways.mlmmjadmin import Mlmmjadmin
from iredldap.gateways.sql.gateway import Gateway
from iredldap.gateways.touched_rows import about
from iredldap.gateways.turns import Turns
from iredldap.operations.known.account_counts import AccountCounts
from iredldap.operations.known.unusual_paths import UnusualPaths
from iredldap.operations.mlmmj_calls import MailingLists

log = structlog.get_logger("iredldap.records")


USAGE = ("stored_bytes", "stored_messages", "last_login")
"""What answers show of a mailbox that has been used."""


class Usages:
    """What Dovecot wrote about mailboxes, for one answer; nothing if the database fails.

    Usage is shown beside an entry, and its absence does not fail the request. A database that has
    failed is not asked again.
    """

    def __init__(self, iredadmin: Iredadmin) -> None:
        self._iredadmin = iredadmin
        self._has_failed = False

    def of(self, mails: Sequence[str]) -> dict[str, dict[str, object]]:
        """Return the usage of those of some addresses that have any."""
        # Each profile of a listing would otherwise wait for the database's time-out anew.
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
class OutsideSystems:
    """The systems beside the directory.

    The three databases of an iRedMail server, the program that keeps its subscribable lists, and
    the turns in which changes are made.
    """

    iredapd: Iredapd
    amavisd: Amavisd
    iredadmin: Iredadmin
    mlmmjadmin: MailingLists
    turns: Turns
    unusual_paths: UnusualPaths = field(default_factory=UnusualPaths)
    counts: AccountCounts = field(default_factory=AccountCounts)

    @classmethod
    def open(cls, config: Config) -> "OutsideSystems":
        """Open them; none connects before its first use."""
        turns = Turns(config.state.url, config.server.threads)
        return cls(
            Iredapd(config.iredapd.url),
            Amavisd(config.amavisd.url),
            Iredadmin(config.iredadmin.url),
            MailingLists(Mlmmjadmin(config.mlmmjadmin), turns),
            turns,
        )

    def database(self, name: str) -> Gateway:
        """Return the gateway of a database by its name in the change log."""
        known: dict[str, Gateway] = {
            "iredapd": self.iredapd,
            "amavisd": self.amavisd,
            "iredadmin": self.iredadmin,
        }
        return known[name]

    def close(self) -> None:
        for database in (self.iredapd, self.amavisd, self.iredadmin):
            database.close()
        self.turns.close()

    def ask(self) -> None:
        """Check that all databases answer, before the first step of a plan that needs them.

        Raises:
            ServerDown: If one does not.
        """
        for database in (self.iredapd, self.amavisd, self.iredadmin):
            database.ask()

    def ask_for_mailboxes(self, days: int) -> None:
        """Check that all of them answer, and can store when mailboxes are to be removed.

        Raises:
            ServerDown: If not; also if there is no table of mailboxes, and they are to be removed.
        """
        self.ask()
        if days and not self.iredadmin.remembers_mailboxes:
            report = {"database": "iredadmin", "missing_table": "deleted_mailboxes"}
            raise ServerDown("iredadmin database has no table deleted_mailboxes", report=report)

    def usage(self, mail: str) -> dict[str, object]:
        """Return what Dovecot wrote about a mailbox, as `Usages` does."""
        return Usages(self.iredadmin).of([mail]).get(mail, {})

    def count(self, mail: str) -> dict[str, int]:
        """Count the rows about an account, by database and table: those that `forgetting` deletes.

        Raises:
            ServerDown: If a database does not answer.
        """
        return {
            f"{name}.{table}": number
            for name, database in self._databases.items()
            for table, number in database.count(mail).items()
        }

    def count_domain(self, name: str) -> dict[str, int]:
        """Count the rows about a domain, as `count` does: those of `forgetting_domains`."""
        return {
            f"{database_name}.{table}": number
            for database_name, database in self._databases.items()
            for table, number in database.count_domain(name).items()
        }

    @property
    def _databases(self) -> dict[str, Iredapd | Amavisd | Iredadmin]:
        return {"iredapd": self.iredapd, "amavisd": self.amavisd, "iredadmin": self.iredadmin}

    def forgetting(self, *addresses: str) -> Outside:
        """Return the step that deletes all rows about accounts."""

        def work() -> None:
            for mail in addresses:
                with about(mail):
                    # No transaction spans two of them: one that fails leaves the others as they
                    # are, and a repeat deletes what is left, in any of them.
                    self.iredapd.forget(mail)
                    self.amavisd.forget(mail)
                    self.iredadmin.forget(mail)

        return Outside(f"forget the policies and records of {', '.join(addresses)}", work)

    def forgetting_domains(self, *domains: str) -> Outside:
        """Return the step that deletes all rows about domains, and every account in them."""

        def work() -> None:
            for name in domains:
                with about(name):
                    self.iredapd.forget_domain(name)
                    self.amavisd.forget_domain(name)
                    self.iredadmin.forget_domain(name)

        return Outside(f"forget the policies and records of {', '.join(domains)}", work)

    def moving(self, old: str, new: str) -> Outside:
        """Return the step that moves all rows about an address to another one."""

        def work() -> None:
            with about(old):
                self.iredapd.move(old, new)
                self.amavisd.move(old, new)
                self.iredadmin.move(old, new)

        return Outside(f"move the policies and records of {old} to {new}", work)

    def reclaiming(self, users: Callable[[], Iterable[Entry]]) -> Outside:
        """Return the step that keeps the mailboxes of users from being removed."""
        return Outside(
            "keep the mailboxes",
            lambda: self.iredadmin.reclaim_mailboxes(map(mailbox.stored_path, users())),
        )

    def reclaiming_paths(self, *paths: str) -> Outside:
        """Return the step that keeps the mailboxes at some paths from being removed."""
        work = self.iredadmin.reclaim_mailboxes
        shared = None
        if len(paths) == 1:

            def owns(row: Row) -> bool:
                return mailbox.normalized(str(row.get("maildir", ""))) == paths[0]

            shared = SharedWork(paths[0], work, owns)
        return Outside("keep the mailboxes", lambda: work(paths), shared=shared)
