"""Events of the admin log. Source: `docs/decisions/0015-admin-log.md`."""

from dataclasses import dataclass

from iredldap.dit import mail_names
from iredldap.dit.fields import FieldChange, Parsed, Verb
from iredldap.dit.request import Request

# The column `msg` is a TEXT, which holds far more; this is what a page can show. Of an older
# release, whose column is shorter, the line is written again, cut.
_LONGEST = 4000
_ACCOUNTS = ("domain", "user", "maillist", "alias", "admin", "ml")


@dataclass(frozen=True, slots=True)
class Note:
    """An event of iRedAdmin's list, its subject, and a message."""

    event: str
    domain: str
    username: str
    message: str


def note(wanted: Request) -> Note:
    """Describe a request; of a password only that there was one."""
    mail = wanted.names.get("mail", "")
    domain = wanted.names.get("domain") or (mail_names.domain_of(mail) if mail else "")
    words = [wanted.endpoint.replace("_", " "), mail or domain, *_rest(wanted)]
    sent = ", ".join(_sent(change) for change in wanted.parsed.changes)
    message = "[API] " + " ".join(filter(None, words)) + (f": {sent}" if sent else "")
    return Note(event(wanted), domain, mail, message[:_LONGEST])


def _rest(wanted: Request) -> list[str]:
    """Return the parts of a path beside the subject."""
    return [
        f"{name} {value}" for name, value in wanted.names.items() if name not in {"mail", "domain"}
    ]


def _sent(change: FieldChange) -> str:
    name = change.field.name
    # The log is read by all global admins in a panel, and kept for long.
    return name if change.field.kind.secret else f"{name}={','.join(change.values)}"


def event(wanted: Request) -> str:
    """Return the event of a request, one of those that iRedAdmin's pages filter by."""
    kind, _, rest = wanted.endpoint.partition("_")
    if wanted.endpoint == "ldif_restore":
        return "update"
    if kind in {"login", "ldif", "wblist"}:
        return {"login": "login", "ldif": "backup", "wblist": "update_wblist"}[kind]
    if kind in _ACCOUNTS and rest in {"create", "delete", "delete_keep"}:
        return rest.partition("_")[0]
    return _of_single(wanted.parsed) or "update"


def _of_single(parsed: Parsed) -> str | None:
    """Return the event of a parameter that was sent alone and has one of its own."""
    if len(parsed.changes) != 1 or parsed.changes[0].verb is not Verb.SET:
        return None
    change = parsed.changes[0]
    meanings = {
        ("accountStatus", "active"): "active",
        ("accountStatus", "disabled"): "disable",
        ("isGlobalAdmin", "yes"): "grant",
        ("isGlobalAdmin", "no"): "revoke",
    }
    return meanings.get((change.field.name, "".join(change.values)))
