"""Find out where mail to an address goes, step by step, as Postfix and Dovecot would have it.

Addresses are looked up level by level: a few searches for each, however many there are.

Source: `docs/decisions/0056-lookups.md`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from iredldap import finders
from iredldap.dit import mail_maps, mail_names
from iredldap.dit.entry import Entry
from iredldap.dit.fields import Parsed
from iredldap.dit.filters import either, equals, every
from iredldap.dit.mail_maps import PerSender, Rewrite
from iredldap.dit.plan import Query, Scope
from iredldap.errors import InvalidMail
from iredldap.gateways.directory import Directory
from iredldap.operations.context import Context, PathVariables, Shown

MOST_ADDRESSES = 1000
"""Addresses after which Postfix gives up on a recipient, and this too."""

_MOST_ENTRIES = 5000
"""Entries that one search may find."""


@dataclass
class _Known:
    """Entries that were found, by the addresses and groups that they have, and domains by name."""

    entries: dict[str, list[Entry]] = field(default_factory=dict)
    domains: dict[str, Entry | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class End:
    """Where mail to an address ends: `kind` is one of `KINDS`, `facts` say more about it."""

    address: str
    kind: str
    facts: Mapping[str, Any] = field(default_factory=dict)


KINDS = ("mailbox", "subscribable list", "relay", "backup MX", "elsewhere", "other domain",
         "refused")  # fmt: skip
"""Kinds of ends.

`elsewhere`: a domain that is not served here. `other domain`: one that the caller does not manage,
whether it is served here or not.
"""


class MailFlow:
    """Follows one address.

    Args:
        directory: Where.
        sees: Returns whether the caller may see what is in a domain.
    """

    def __init__(self, directory: Directory, sees: Callable[[str], bool]) -> None:
        self._directory = directory
        self._sees = sees
        self._known = _Known()
        self._targets: dict[str, list[str]] = {}
        self.steps: list[dict[str, object]] = []
        self.is_cut = False

    def follow(self, address: str) -> dict[str, object]:
        """Follow an address to its ends; return what an answer shows.

        Raises:
            ServerDown: If the directory does not respond.
        """
        self._look_up([address])
        domain = self._domain(mail_names.domain_of(address))
        accepted = domain is not None and mail_maps.is_hosted(domain, mail_names.domain_of(address))
        waiting = [address] if accepted else []
        # Level by level: each level is a search or a few, whatever the number of its addresses.
        while waiting:
            self._look_up(waiting)
            waiting = self._rewritten(waiting)
        ends = [self._end(each) for each in self._last(address)] if accepted else []
        shown: dict[str, object] = {
            "address": address,
            "accepted": accepted,
            "alias_of": self._primary(domain, address),
            "steps": self.steps,
            "ends": [{"address": end.address, "kind": end.kind, **end.facts} for end in ends],
            "loops": self._loops(address),
            "cut_off": self.is_cut,
            "copies": self._settings(mail_maps.RECIPIENT_BCC, address),
            "sent_mail": {
                "copies": self._settings(mail_maps.SENDER_BCC, address),
                "relay": self._settings(mail_maps.RELAY_HOST, address),
            },
        }
        return shown

    def _rewritten(self, addresses: Iterable[str]) -> list[str]:
        """Record what becomes of some addresses; return those that are to be looked up next."""
        coming: dict[str, None] = {}
        for address in addresses:
            if address in self._targets:
                continue
            # Postfix gives up at the same number (virtual_alias_expansion_limit) and defers the
            # mail.
            if len(self._targets) >= MOST_ADDRESSES:
                self.is_cut = True
                return []
            found = [*self._rewrites(address)]
            targets = [target for one in found for target in one.targets]
            self._targets[address] = [*dict.fromkeys(targets)]
            self.steps += self._described(address, found)
            coming |= dict.fromkeys(target for target in targets if target not in self._targets)
        return [*coming]

    def _rewrites(self, address: str) -> Iterator[Rewrite]:
        """Yield what Postfix makes of an address: it asks for it, and then for its domain."""
        # What lies in domains of others is not even searched: how long an answer takes would say
        # something about it.
        keys = _keys(address) if self._sees(mail_names.domain_of(address)) else []
        for key in keys:
            if found := mail_maps.rewrites(self._known.entries.get(key, ()), key):
                for one in found:
                    targets = (_joined(address, key, target) for target in one.targets)
                    yield replace(one, targets=tuple(targets))
                return

    def _described(self, address: str, found: list[Rewrite]) -> list[dict[str, object]]:
        """Describe the steps of an address: members of a list are one step, not one for each."""
        by_rule: dict[tuple[str, str], list[Rewrite]] = {}
        for one in found:
            is_joint = one.rule == "list"
            by_rule.setdefault((one.rule, "" if is_joint else one.entry.dn), []).append(one)
        steps: list[dict[str, object]] = []
        for (rule, _), rewrites in by_rule.items():
            targets = [target for rewrite in rewrites for target in rewrite.targets]
            # A mailbox without forwardings is a target of itself in Postfix's maps, and no step.
            if targets == [address]:
                continue
            step: dict[str, object] = {"address": address, "by": rule, "to": targets}
            if rule not in {"list", "subscribable list"}:
                own = rewrites[0].entry.folded("mail")
                step["account"] = own
                if rule == "forwarding":
                    step["keeps_copy"] = own in targets
            steps.append(step)
        return steps

    def _last(self, address: str) -> list[str]:
        """Return the addresses at which Postfix stops; an address may be one of its own targets."""
        return [
            each
            for each in self._reached(address)
            if not self._targets.get(each) or each in self._targets[each]
        ]

    def _reached(self, address: str) -> list[str]:
        reached, waiting = dict[str, None](), [address]
        while waiting:
            each = waiting.pop()
            if each not in reached:
                reached[each] = None
                waiting += reversed(self._targets.get(each, []))
        return [*reached]

    def _loops(self, address: str) -> list[list[str]]:
        """Return the circles that addresses lead in; Postfix delivers no mail to any of these."""
        loops: list[list[str]] = []
        path: list[str] = []
        on_path, done = set[str](), set[str]()
        # A stack of its own: a chain of a thousand aliases is deeper than Python's recursion.
        stack: list[tuple[str, bool]] = [(address, False)]
        while stack:
            each, is_left = stack.pop()
            if is_left:
                path.pop()
                on_path.discard(each)
                done.add(each)
            elif each in on_path:
                loops.append([*path[path.index(each) :], each])
            elif each not in done:
                path.append(each)
                on_path.add(each)
                stack.append((each, True))
                others = (target for target in self._targets.get(each, []) if target != each)
                stack += [(target, False) for target in reversed([*others])]
        return loops

    def _end(self, address: str) -> End:
        name = mail_names.domain_of(address)
        if not self._sees(name):
            return End(address, "other domain")
        domain = self._domain(name)
        stored, entries = self._found_by(address)
        if domain is None or not mail_maps.is_hosted(domain, name):
            note = {"why": [_why_not_served(domain, name)]} if domain else {}
            return End(address, "elsewhere", note)
        tree = self._directory.tree
        own = mail_maps.account_transport(entries, stored, tree.domain(name))
        transport = own or mail_maps.domain_transport(domain)
        if mail_maps.is_backup(domain):
            return End(address, "backup MX", {"transport": transport})
        user = mail_maps.mailbox(entries, stored)
        if user is None and own:
            return End(address, "subscribable list", {"transport": own})
        if user is None:
            return End(address, "refused", {"why": self._why_refused(address)})
        # What Postfix is configured with is not in the directory; iRedMail's default is assumed.
        found = mail_maps.VIRTUAL_TRANSPORT if transport is None else transport
        return End(address, *_delivered(entries, stored, found))

    def _found_by(self, address: str) -> tuple[str, list[Entry]]:
        """Return the form of an address that accounts have, with or without its extension."""
        for key in (address, mail_names.without_extension(address)):
            if entries := self._known.entries.get(key):
                return key, entries
        return address, []

    def _why_refused(self, address: str) -> list[str]:
        reasons = [
            f"{entry.folded('mail')}: {', '.join(obstacles)}"
            for key in _keys(address)
            for entry in self._known.entries.get(key, ())
            if mail_maps.is_named(entry, key) and (obstacles := mail_maps.obstacles(entry))
        ]
        return reasons or ["no account has the address"]

    def _settings(self, wanted: PerSender, address: str) -> list[dict[str, str]]:
        """Return what is set for a user, or else for the domain; at most one."""
        name = mail_names.domain_of(address)
        container = self._directory.tree.container(name, "Users")
        for key in dict.fromkeys((address, mail_names.without_extension(address))):
            entries = self._known.entries.get(key, [])
            if value := mail_maps.per_user(wanted, entries, key, container):
                return [{"to": value.lower(), "by": "user"}]
        domain = self._domain(name)
        value = mail_maps.per_domain(wanted, domain) if domain else None
        return [{"to": value.lower(), "by": "domain"}] if value else []

    def _domain(self, name: str) -> Entry | None:
        return self._known.domains.get(name)

    def _primary(self, domain: Entry | None, address: str) -> str | None:
        """Return the domain that an address's alias domain belongs to."""
        name = mail_names.domain_of(address)
        return (
            domain.folded("domainName") if domain and not domain.has("domainName", name) else None
        )

    def _look_up(self, addresses: Iterable[str]) -> None:
        """Find the domains of some addresses, and the entries that have them or their catch-all."""
        seen = [each for each in addresses if self._sees(mail_names.domain_of(each))]
        self._look_up_domains(
            {mail_names.domain_of(each) for each in seen} - self._known.domains.keys()
        )
        keys = {key for each in seen for key in _keys(each)} - self._known.entries.keys()
        for batch in finders.batches(keys):
            self._known.entries |= {key: [] for key in batch}
            terms = (
                equals(name, key)
                for key in batch
                for name in ("mail", "shadowAddress", "memberOfGroup")
            )
            query = Query(
                self._directory.tree.base,
                Scope.SUBTREE,
                either(*terms),
                mail_maps.ACCOUNT_ATTRIBUTES,
            )
            with closing(self._directory.stream(query)) as found:
                # One more than are kept says that there are more.
                entries = [*islice(found, _MOST_ENTRIES + 1)]
            self.is_cut |= len(entries) > _MOST_ENTRIES
            for entry in entries[:_MOST_ENTRIES]:
                had = entry.lowered("mail") | entry.lowered("shadowAddress")
                for key in (had | entry.lowered("memberOfGroup")).intersection(batch):
                    self._known.entries[key].append(entry)

    def _look_up_domains(self, wanted: set[str]) -> None:
        for batch in finders.batches(wanted):
            self._known.domains |= dict.fromkeys(batch)
            terms = (
                equals(name, domain)
                for domain in batch
                for name in ("domainName", "domainAliasName")
            )
            filter_ = every(equals("objectClass", "mailDomain"), either(*terms))
            query = Query(
                self._directory.tree.base, Scope.ONE, filter_, mail_maps.DOMAIN_ATTRIBUTES
            )
            for entry in self._directory.find(query):
                # A domain's own name counts before an alias name that another domain has claimed
                # wrongly.
                by_name = entry.lowered("domainName").intersection(batch)
                by_alias = entry.lowered("domainAliasName").intersection(batch)
                for name in by_alias:
                    self._known.domains[name] = self._known.domains[name] or entry
                self._known.domains |= dict.fromkeys(by_name, entry)


def _keys(address: str) -> list[str]:
    """Return what Postfix looks an address up by, in this order."""
    domain = f"@{mail_names.domain_of(address)}"
    return [*dict.fromkeys((address, mail_names.without_extension(address), domain))]


def _joined(address: str, key: str, target: str) -> str:
    """Return a target of an address that was found by a key, as Postfix completes it.

    A bare domain gets the local part, and a target of the address without its extension gets that.
    """
    if target.startswith("@"):
        return mail_names.local_part(address) + target
    if key == address or key.startswith("@"):
        return target
    _, plus, extension = mail_names.local_part(address).partition("+")
    return f"{mail_names.local_part(target)}{plus}{extension}@{mail_names.domain_of(target)}"


def _why_not_served(domain: Entry | None, name: str) -> str:
    if domain is None:
        return "the domain is not hosted here"
    if not domain.has("accountStatus", "active"):
        return f"{domain.folded('domainName')} is hosted here, and disabled"
    if not domain.has("enabledService", "mail"):
        return f"{domain.folded('domainName')} is hosted here, without service mail"
    return f"{name} is an alias domain without service domainalias"


def _delivered(entries: list[Entry], address: str, transport: str) -> tuple[str, Mapping[str, Any]]:
    """Return kind and facts of the end of mail to a user."""
    service = mail_maps.dovecot_service(transport)
    if service is None:
        return "relay", {"transport": transport}
    user = mail_maps.dovecot_user(entries, address, service)
    if user is None:
        why = [f"Dovecot does not know the user: without service {service}"]
        return "refused", {"transport": transport, "why": why}
    home, place = mail_maps.location(user)
    return "mailbox", {"transport": transport, "home": home, "mail": place}


def resolve(context: Context, path: PathVariables, parsed: Parsed) -> Shown:
    """Show where mail to an address goes.

    A normal admin sees the steps in their own domains; addresses in others are ends.

    Raises:
        InvalidMail: If it is no address.
    """
    caller = context.caller
    if "@" not in path["mail"]:
        raise InvalidMail(f"{path['mail'][:80]!r} is no mail address")
    flow = MailFlow(context.directory, lambda name: caller.manages(name, by_alias=True))
    return Shown(flow.follow(path["mail"]))
