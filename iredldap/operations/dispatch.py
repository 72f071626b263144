"""Make the plan of a request, for handlers and jobs alike: same operation, same checks."""

from dataclasses import replace

from iredldap.directory_errors import NamesEntry
from iredldap.dit import naming, placement, request
from iredldap.dit.fields import Parsed, StoredAttribute, Verb
from iredldap.dit.passwords import hashed
from iredldap.dit.plan import Modify, Plan
from iredldap.dit.request import Request
from iredldap.dit.schema import Schema
from iredldap.operations import schema_fit, stored_values, targets
from iredldap.operations.context import Context, Operation


def changes_an_entry(endpoint: str) -> bool:
    """Return whether the endpoint of an id changes an entry; if not, it is about a policy."""
    return endpoint.partition("_")[0] in placement.CLASSES


def plan(context: Context, operation: Operation, wanted: Request) -> Plan:
    """Make the plan of a request, for the schema that the directory has.

    The plan ends with a recheck of the references that it writes.

    Raises:
        NamesEntry: If a value that is part of an entry's DN would be removed.
        NotSupportedByDirectory: If the schema has no attribute for what was sent, or is needed.
        Refusal: As the operation says.
    """
    if not changes_an_entry(wanted.endpoint):
        return operation(context, wanted.names, wanted.parsed)
    directory = context.directory
    classes = placement.CLASSES[wanted.endpoint.partition("_")[0]]
    sent = stored_values.resolve(directory, wanted)
    parsed, unplaced = placement.judged(sent, classes, directory.schema())
    made = operation(context, wanted.names, parsed)
    made = replace(made, unplaced=unplaced, parameters=_stored_in(parsed))
    _refuse_unnaming(directory.schema(), made)
    return schema_fit.fit_plan(directory, targets.with_rechecks(directory, made))


def _stored_in(parsed: Parsed) -> dict[str, str]:
    return {
        storage.name: change.field.name
        for change in parsed.changes
        if change.verb is not Verb.ADD
        if isinstance(storage := change.field.stored_as, StoredAttribute)
    }


def _refuse_unnaming(schema: Schema, made: Plan) -> None:
    """Refuse to remove the value that names an entry; the refusal names the parameters.

    The entry is not renamed for that: groups and rights of other tools may name it. What sweeps
    would remove is found by their dry run.
    """
    changes = [step for step in made.steps if isinstance(step, Modify)]
    lost = [
        (change.dn, name) for change in changes for name in naming.lost(change, schema.equality_of)
    ]
    if not lost:
        return
    named = dict.fromkeys((made.parameters.get(name, ""), name) for _, name in lost)
    raise NamesEntry(f"the DN has the value: {dict(lost)}", naming=[*named])


def sealed(context: Context, wanted: Request) -> Request:
    """Return the request as it may be stored: with a hash of the server's scheme for a password."""
    rules = context.config.passwords
    return request.sealed(
        wanted,
        lambda password: hashed(
            password, rules.password_scheme, context.salt(), rules.bcrypt_rounds
        ),
    )
