"""What a directory's schema has a place for, of what rows and plans would store.

Three kinds of things can lack a place. A parameter that was sent is refused, or ignored where the
row has it. What a plan adds by itself, a default or a mark, is left out where the installation
works without. What it does not work without ends the plan before its first step.
"""

from collections.abc import Mapping
from dataclasses import replace

from iredldap.directory_errors import NotSupportedByDirectory, Unplaced
from iredldap.dit.fields import FieldChange, Parsed, StoredAttribute, Verb
from iredldap.dit.schema import Schema

CLASSES: Mapping[str, tuple[str, ...]] = {
    "domain": ("mailDomain",),
    "user": ("inetOrgPerson", "mailUser", "shadowAccount", "amavisAccount"),
    "users": ("inetOrgPerson", "mailUser", "shadowAccount", "amavisAccount"),
    "maillist": ("mailList",),
    "ml": ("mailList",),
    "alias": ("mailAlias",),
    "admin": ("mailAdmin",),
}
"""Classes of the entries that endpoints make and change, by the first word of their ids."""

DISPENSABLE = {
    "mailboxformat": "Dovecot's configuration sets the same for all users.",
    "mailboxfolder": "Likewise.",
    "domainstatus": "The domain's own accountStatus is what counts there.",
    "domainpendingaliasname": "Our own changes take turns, and others never claim a name.",
    "member": "Members are found by memberOfGroup; SOGo alone reads the DNs.",
    "listowner": "mlmmj reads its own files, which name the owners as well.",
    "listmoderator": "Likewise.",
}
"""Attributes that a plan may leave out, in lower case, and why nothing is missed then."""


def judged(parsed: Parsed, classes: tuple[str, ...], schema: Schema) -> tuple[Parsed, Unplaced]:
    """Separate the parameters that the schema has no place for from the others.

    Those that something else keeps as well are among the others, and so is one that clears what
    cannot be there.

    Args:
        parsed: What was sent.
        classes: Of the entries that it is stored in.
        schema: The directory's.

    Returns:
        What is left, and what is to be ignored.

    Raises:
        NotSupportedByDirectory: For all parameters that have no place and are not to be ignored.
    """
    lacking = [
        (change, attribute)
        for change in parsed.changes
        if (attribute := _stored_in(change)) and not schema.holds(classes, attribute)
    ]
    # All of them in one refusal: who runs an older release learns at once what it cannot store.
    refused = [(change.field.name, name) for change, name in lacking if not change.field.spared]
    if refused:
        raise NotSupportedByDirectory(unplaced=refused)
    ignored = [change for change, _ in lacking]
    left = tuple(change for change in parsed.changes if change not in ignored)
    unplaced = tuple((change.field.name, attribute) for change, attribute in lacking)
    return (replace(parsed, changes=left) if ignored else parsed), unplaced


_KEPT_BESIDE = {"listOwner", "listModerator"}
"""Attributes of which mlmmj keeps the values as well."""


def _stored_in(change: FieldChange) -> str:
    """Return the attribute that a change gives values to; empty: none, or not there alone."""
    storage = change.field.stored_as
    if not isinstance(storage, StoredAttribute) or storage.name in _KEPT_BESIDE:
        return ""
    # To remove or clear what cannot be there needs no place.
    gives = change.values and change.verb is not Verb.REMOVE
    return storage.name if gives or change.field.spared else ""
