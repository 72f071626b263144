"""What one can do with several new mail users, each with all of its parameters.

A creation takes the parameters that a new user can have; all others are those of a change, which is
planned for the entry as it will be, and becomes part of it. What the users of a batch depend on is
looked for together.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

from iredldap import finders
from iredldap.dit import clashes, domain, mail_names, mailbox, names, settings, user
from iredldap.dit.entry import Entry
from iredldap.dit.fields import Parsed
from iredldap.dit.filters import either, equals, every
from iredldap.dit.holders import holders_filter
from iredldap.dit.mailbox import PathSet
from iredldap.dit.plan import Add, Correction, Modify, Plan, Query, Recheck, Scope, Step
from iredldap.operations import mailboxes
from iredldap.operations.context import Context, PathVariables
from iredldap.operations.known.account_counts import Occupancy
from iredldap.operations.mailboxes import PathCandidate
from iredldap.operations.near_mailboxes import NearMailboxes, home_of_path, look_near
from iredldap.operations.users import user_update, users
from iredldap.operations.users.surroundings import Surroundings, default_lists, look_around
from iredldap.operations.users.users import NewUser

_OF_CREATION = frozenset(row.name for row in user.CREATE)


def whole_user(context: Context, mail: str, parsed: Parsed, around: Surroundings) -> NewUser:
    """Plan a new user with parameters of a creation and of a change: one addition, and rechecks.

    Raises:
        Refusal: As `users.create` and `user_update.update`.
    """
    first = tuple(one for one in parsed.changes if one.field.name in _OF_CREATION)
    rest = tuple(one for one in parsed.changes if one.field.name not in _OF_CREATION)
    new = users.new_user(context, mail, replace(parsed, changes=first), around)
    if not rest:
        return new
    further = user_update.change(context, mail, new.made, Parsed(rest), new.home)
    mods = [mod for step in further.steps if isinstance(step, Modify) for mod in step.mods]
    left = clashes.changed(new.made, mods, context.directory.equality_of)
    attributes = {name: tuple(values) for name, values in left.items()}
    plan = replace(
        new.plan,
        steps=(*_with(new, attributes), *_withdrawing(new, further.steps)),
        ignored=(*new.plan.ignored, *further.ignored),
        touches=new.plan.touches | further.touches,
        found={**new.plan.found, **further.found},
    )
    return replace(new, plan=plan, made=Entry(new.made.dn, left))


def _with(new: NewUser, attributes: Mapping[str, tuple[bytes, ...]]) -> Iterator[Step]:
    for step in new.plan.steps:
        if isinstance(step, Add) and step.dn == new.made.dn:
            yield replace(step, attributes=attributes)
        else:
            yield step


def _withdrawing(new: NewUser, steps: Iterable[Step]) -> Iterator[Recheck]:
    """Yield the rechecks of a change, of which a refusal removes the user."""
    for step in steps:
        if isinstance(step, Recheck):
            yield replace(step, judge=_removing(new, step.judge))


def _removing(
    new: NewUser, judge: Callable[[Iterable[Entry]], Correction]
) -> Callable[[Iterable[Entry]], Correction]:
    def judged(entries: Iterable[Entry]) -> Correction:
        found = judge(entries)
        return replace(found, operations=new.account.withdrawn()) if found.refusal else found

    return judged


@dataclass
class _Batch:
    """What the users of a batch share: counts, with what those planned before will take."""

    counts: dict[Query, Occupancy] = field(default_factory=dict)
    exact: set[Query] = field(default_factory=set)
    reserved: defaultdict[Query, Occupancy] = field(default_factory=lambda: defaultdict(Occupancy))
    lists: dict[str, list[Entry]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Among(Surroundings):
    """What a new user of a batch depends on: the others of the batch are there already."""

    batch: _Batch
    holders: Mapping[str, list[Entry]]
    near: Callable[[], Mapping[str, NearMailboxes]]

    def near_paths(self) -> Mapping[str, NearMailboxes]:
        return self.near()

    def taken(self, addresses: Iterable[str]) -> set[str]:
        return {address for address in addresses if self.holders.get(address)}

    def at_most(self, query: Query) -> Occupancy:
        batch = self.batch
        if query not in batch.counts:
            batch.counts[query] = super().at_most(query)
        return batch.counts[query] + batch.reserved[query]

    def exactly(self, query: Query) -> Occupancy:
        batch = self.batch
        # Once: what others take meanwhile the rechecks find.
        if query not in batch.exact:
            batch.counts[query] = super().exactly(query)
            batch.exact.add(query)
        return batch.counts[query] + batch.reserved[query]

    def default_lists(self, limits: settings.Settings) -> list[Entry]:
        setting = str(limits.get("defaultList", ""))
        if setting not in self.batch.lists:
            self.batch.lists[setting] = default_lists(self.context, setting)
        return self.batch.lists[setting]


class Neighbourhood:
    """What several users depend on, found together: domains, holders of addresses, mailbox paths.

    Args:
        context: Where.
        wanted: By the address of each user, the further addresses that are asked for.
        paths: By those of some of them, the path that is asked for its mailbox.
    """

    def __init__(
        self, context: Context, wanted: Mapping[str, Iterable[str]], paths: Mapping[str, str]
    ) -> None:
        self._context = context
        self._paths = paths
        self._batch = _Batch()
        self._domains = _domains(context, mail_names.domains_of(wanted))
        addresses = {*wanted, *(address for more in wanted.values() for address in more)}
        for mail in wanted:
            local, home = mail_names.local_part(mail), self.home(mail)
            aliases = domain.alias_domains(home) if home else ()
            addresses.update(f"{local}@{alias}" for alias in aliases)
        self._candidates = {mail: mailboxes.first_candidate(context, mail) for mail in wanted}
        generated = [one for mail, one in self._candidates.items() if mail not in paths]
        mailboxes.search_deleted_several(context, generated)
        found = _accounts(context, addresses, generated, wanted)
        self.holders = finders.by_address(filter(finders.is_account, found), addresses)
        self._named = defaultdict[str, list[Entry]](list)
        for entry in found:
            for admin in entry.lowered("domainAdmin"):
                self._named[admin].append(entry)
        self._places = [(mailbox.location(one), one) for one in found if finders.is_account(one)]

    def home(self, mail: str) -> Entry | None:
        """Return the domain of an address; None: there is none, or several have the name."""
        found = self._domains.get(mail_names.domain_of(mail), ())
        return found[0] if len(found) == 1 else None

    def around(self, mail: str) -> Surroundings:
        """Return what a user depends on."""
        candidate = self._candidates[mail]
        path_set = PathSet([candidate.path])
        near = [one for path, one in self._places if path_set.overlapping(path)]
        found = {
            one.dn: one
            for one in (
                *self._domains.get(mail_names.domain_of(mail), ()),
                *self.holders.get(mail, ()),
                *self._named.get(mail, ()),
                *near,
            )
        }
        return _Among(
            self._context,
            [*found.values()],
            candidate,
            self._batch,
            self.holders,
            lambda: self._near_paths,
        )

    @cached_property
    def _near_paths(self) -> Mapping[str, NearMailboxes]:
        """What is near the paths that new users ask for."""
        context = self._context
        wanted: dict[str, Callable[[], str | None]] = {}
        for mail, path in self._paths.items():
            home = self.home(mail)
            if home is None or self.holders.get(mail):
                continue
            base = partial(mailboxes.storage_base, domain.limits(home), context.config.accounts)
            name, normal = mail_names.domain_of(mail), mailbox.normalized(path)
            dn = names.account_in(home.dn, "Users", mail)
            wanted[normal] = partial(home_of_path, normal, name, base, dn)
        return look_near(context, wanted) if wanted else {}

    def reserve(self, new: NewUser) -> None:
        """Count a user that is going to be added."""
        query = finders.users_query(new.home.dn)
        self._batch.reserved[query] += Occupancy(1, user.quota(new.made))


def _domains(context: Context, wanted: Iterable[str]) -> dict[str, list[Entry]]:
    directory, asked = context.directory, set(wanted)
    found: dict[str, list[Entry]] = {}
    for batch in finders.batches(asked):
        named = either(*(equals("domainName", name) for name in batch))
        for entry in directory.find(Query(directory.tree.base, Scope.ONE, named)):
            if entry.has("objectClass", "mailDomain"):
                for name in entry.lowered("domainName") & asked:
                    found.setdefault(name, []).append(entry)
    return found


def _accounts(
    context: Context,
    addresses: Iterable[str],
    candidates: Iterable[PathCandidate],
    mails: Iterable[str],
) -> Iterable[Entry]:
    base = context.directory.tree.base

    def holders(batch: list[str]) -> str:
        return holders_filter(*batch)

    named = every(
        either(*(equals("domainAdmin", mail) for mail in mails)),
        equals("objectClass", "mailDomain"),
    )
    paths = (one.query.filter for one in candidates)
    filters = [either(named, *paths), *map(holders, finders.batches(addresses))]
    # Together, unless there are so many that slapd reads them as one message no more.
    if len(filters) == 2:
        filters = [either(*filters)]
    found = dict[str, Entry]()
    for filter_ in filters:
        for entry in context.directory.stream(Query(base, Scope.SUBTREE, filter_)):
            found[entry.dn] = entry
    return found.values()


def create_whole(context: Context, path: PathVariables, parsed: Parsed) -> Plan:
    """Plan one new user with all of its parameters, as `whole_user` does."""
    mail = path["mail"]
    around = look_around(context, mail, generates_path=not parsed.value("maildir"))
    return whole_user(context, mail, parsed, around).plan
