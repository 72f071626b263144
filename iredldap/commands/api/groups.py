"""The groups of commands that call the API."""

from collections.abc import Iterator
from functools import partial

import click

from iredldap.commands.api import accounts, policies, service
from iredldap.commands.lazy import LazyGroup


def commands() -> Iterator[click.Command]:
    """Yield all groups, and the commands that are in none."""
    for noun in accounts.NOUNS:
        make = partial(accounts.commands, noun)
        yield LazyGroup(noun.name, noun.imported, make, help=f"Manage {accounts.plural(noun)}.")
    for name, (make_policy, words) in policies.POLICIES.items():
        yield LazyGroup(name, make=make_policy, help=words)
    yield LazyGroup("jobs", make=service.jobs, help="Follow changes in the background.")
    yield LazyGroup("sessions", make=service.sessions, help="End the sessions of admins.")
    yield service.whoami()
