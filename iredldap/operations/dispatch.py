"""Every change that the API makes, by the id of its endpoint: request → plan.

A handler and a job make their plans here, so they make the same ones.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from iredldap.config.sections import Config
from iredldap.dit import naming, placement, request
from iredldap.dit.fields import Parsed, StoredAttribute, Verb
from iredldap.dit.passwords import hashed
from iredldap.dit.plan import Modify, Plan
from iredldap.dit.request import Request
from iredldap.dit.schema import Schema
from iredldap.errors import InvalidParameter, NamesEntry
from iredldap.gateways.directory import Directory
from iredldap.operations import (
    aliases,
    renames,
    schema_fit,
    standalone_admins,
    stored_values,
    targets,
)
from iredldap.operations.domains import domain_admins, domains
from iredldap.operations.lists import maillists, subscribable, subscribable_create
from iredldap.operations.login import Caller
from iredldap.operations.mail_databases import Records
from iredldap.operations.users import bulk_update, user_update, users
from iredldap.operations.users.users import Chance


def _chance() -> Chance:
    return Chance(datetime.now().astimezone(), lambda: os.urandom(16))


@dataclass(frozen=True)
class World:
    """What a plan is made from beside the request."""

    directory: Directory
    config: Config
    caller: Caller
    records: Records
    chance: Chance = field(default_factory=_chance)


Make = Callable[[World, Request], Plan]


def _delete_domain(world: World, wanted: Request) -> Plan:
    return domains.delete(
        world.directory,
        world.records,
        world.caller,
        wanted.names["domain"],
        _days(world, wanted),
        world.chance.now.date(),
    )


def _delete_user(world: World, wanted: Request) -> Plan:
    return users.delete(
        world.directory,
        world.records,
        world.caller,
        wanted.names["mail"],
        _days(world, wanted),
        world.chance.now.date(),
    )


def _days(world: World, wanted: Request) -> int:
    """For how many days mailboxes are kept; 0: for good.

    Raises:
        InvalidParameter: If a normal admin may not choose that many.
    """
    days = int(wanted.names.get("number", 0))
    choices = world.config.accounts.mailbox_days
    if days and not world.caller.is_global and days not in choices:
        words = f"{days} is none of {', '.join(map(str, choices))}"
        raise InvalidParameter(words, parameter="number")
    return days


PLANS: Mapping[str, Make] = {
    "domain_create": lambda w, r: domains.create(
        w.directory, w.config, w.caller, r.names["domain"], r.parsed
    ),
    "domain_update": lambda w, r: domains.update(
        w.directory, w.records, w.config, w.caller, r.names["domain"], r.parsed
    ),
    "domain_services_update": lambda w, r: domains.update(
        w.directory, w.records, w.config, w.caller, r.names["domain"], r.parsed
    ),
    "domain_admins_update": lambda w, r: domain_admins.assign(
        w.directory, w.caller, r.names["domain"], r.parsed
    ),
    "domain_delete": _delete_domain,
    "domain_delete_keep": _delete_domain,
    "user_create": lambda w, r: users.create(
        w.directory, w.records, w.config, w.caller, r.names["mail"], r.parsed, w.chance
    ),
    "user_update": lambda w, r: user_update.update(
        w.directory, w.records, w.config, w.caller, r.names["mail"], r.parsed, w.chance
    ),
    "users_update": lambda w, r: bulk_update.update(
        w.directory, w.records, w.config, w.caller, r.names["domain"], r.parsed, w.chance
    ),
    "user_change_email": lambda w, r: renames.rename(
        w.directory, w.records, w.caller, renames.USER, r.names["mail"], r.names["new_mail"]
    ),
    "user_delete": _delete_user,
    "user_delete_keep": _delete_user,
    "maillist_create": lambda w, r: maillists.create(
        w.directory, w.caller, r.names["mail"], r.parsed
    ),
    "maillist_update": lambda w, r: maillists.update(
        w.directory, w.caller, r.names["mail"], r.parsed
    ),
    "maillist_delete": lambda w, r: maillists.delete(w.directory, w.records, r.names["mail"]),
    "ml_create": lambda w, r: subscribable_create.create(
        w.directory, w.records, w.caller, r.names["mail"], r.parsed, w.chance
    ),
    "ml_update": lambda w, r: subscribable.update(
        w.directory, w.records, w.caller, r.names["mail"], r.parsed
    ),
    "ml_delete": lambda w, r: subscribable.delete(
        w.directory,
        w.records,
        r.names["mail"],
        archive=r.parsed.value("keep_archive") != "no",
    ),
    "alias_create": lambda w, r: aliases.create(w.directory, w.caller, r.names["mail"], r.parsed),
    "alias_update": lambda w, r: aliases.update(w.directory, w.caller, r.names["mail"], r.parsed),
    "alias_change_email": lambda w, r: renames.rename(
        w.directory, w.records, w.caller, renames.ALIAS, r.names["mail"], r.names["new_mail"]
    ),
    "alias_delete": lambda w, r: aliases.delete(w.directory, w.records, r.names["mail"]),
    "admin_create": lambda w, r: standalone_admins.create(
        w.directory, w.config, r.names["mail"], r.parsed, w.chance
    ),
    "admin_update": lambda w, r: standalone_admins.update(
        w.directory, w.config, r.names["mail"], r.parsed, w.chance
    ),
    "admin_delete": lambda w, r: standalone_admins.delete(w.directory, w.caller, r.names["mail"]),
}


def plan(world: World, wanted: Request) -> Plan:
    """Make the plan of a request, for the schema that the directory has.

    It ends with a look at the targets of what it mentions.

    Raises:
        NamesEntry: If a value that is part of an entry's DN would go from it.
        NotSupportedByDirectory: If the schema has no place for what was sent, or what is needed.
        Refusal: As the operation says.
    """
    classes = placement.CLASSES[wanted.endpoint.partition("_")[0]]
    wanted = replace(wanted, parsed=stored_values.decided(world.directory, wanted))
    parsed, unplaced = placement.judged(wanted.parsed, classes, world.directory.schema())
    made = PLANS[wanted.endpoint](world, replace(wanted, parsed=parsed))
    _keep_names(world.directory.schema(), made, parsed)
    plan = schema_fit.fitted(world.directory, targets.watched(world.directory, made))
    return replace(plan, unplaced=unplaced) if unplaced else plan


def _keep_names(schema: Schema, made: Plan, parsed: Parsed) -> None:
    """Refuse to take away what names an entry, by the parameters that would do it.

    The entry does not get another name for that: groups and rights of other tools may name it.
    """
    changes = [step for step in made.steps if isinstance(step, Modify)]
    lost = [
        (change.dn, name) for change in changes for name in naming.lost(change, schema.equality_of)
    ]
    if not lost:
        return
    stored_in = {
        storage.name: change.field.name
        for change in parsed.changes
        if change.verb is not Verb.ADD
        if isinstance(storage := change.field.stored_as, StoredAttribute)
    }
    named = dict.fromkeys((stored_in.get(name, ""), name) for _, name in lost)
    raise NamesEntry(f"the DN has the value: {dict(lost)}", naming=[*named])


def sealed(world: World, wanted: Request) -> Request:
    """The request as it may be written down: with a hash of the server's scheme for a password."""
    rules = world.config.passwords
    return request.sealed(
        wanted,
        lambda password: hashed(
            password, rules.password_scheme, world.chance.salt(), rules.bcrypt_rounds
        ),
    )
