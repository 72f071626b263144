"""Say why the API refused what a command asked for, and what to do about it."""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

from iredldap.commands import exit_status
from iredldap.commands.api.answers import Answer, Api, Form, Unavailable
from iredldap.commands.api.asked import Asked
from iredldap.commands.api.failures import Failed
from iredldap.commands.api.options import option_of
from iredldap.error_codes import meaning_of

_WORDS: Mapping[str, str] = {
    "LOGIN_REQUIRED": "the token is not valid, or has ended: a global admin makes a new one with"
    " `iredldap token create`",
    "NOT_AUTHORIZED": "calls from this machine are not allowed: the setting"
    " api.restful_api_clients names those that are",
    "API_DISABLED": "the API is switched off: the setting api.enable_restful_api",
    "SERVER_DOWN": "the directory or a database does not answer",
    "MLMMJADMIN_UNAVAILABLE": "mlmmjadmin, which has the subscribable lists, is not set up or does"
    " not answer: the settings [mlmmjadmin]",
    "INTERNAL_ERROR": "the API failed; its log says why, by the id of the request",
    "NO_SUCH_ROUTE": "the API has no such call: it is another version than this command",
}
"""Where the remedy is not what the name of the refusal suggests."""

_NAMED: Mapping[str, str] = {
    "ALREADY_EXISTS": "{} exists already, as a name or a further address",
    "INVALID_MAIL": "{!r} is no mail address",
    "INVALID_DOMAIN_NAME": "{!r} is no domain name",
    "INVALID_CREDENTIALS": "the password of {} is wrong, or none",
    "NO_SUCH_JOB": "no job {}, or it is another admin's, or it ended long ago",
    "NO_SUCH_CHANGE": "no change {} that you may see; those there are: iredldap changes",
    "NO_SUCH_TOKEN": "no token {} that you may see",
}
"""Refusals of what the path names."""

_OF_VALUES: Mapping[str, str] = {
    "ALREADY_EXISTS": "another account has {}",
    "INVALID_MAIL": "nobody here has {}, or it is none that is allowed here",
}
"""Refusals of what a parameter names."""

_TOLD = {"INVALID_FILE", *_OF_VALUES}
"""Refusals whose reason says more than their meaning, where it is known."""

_KINDS: Mapping[str, tuple[str, str]] = {
    "user": ("user", "users"),
    "alias": ("alias", "aliases"),
    "maillist": ("list", "maillists"),
    "ml": ("list", "mls"),
    "admin": ("admin", "admins"),
}
"""Kinds of accounts, by the word in a path: the command, and the word of the listing."""

_MOST = "1000"

_SCOPES = re.compile(r'error="insufficient_scope", scope="([^"]*)"')

_LIKE = 0.75
"""How much of a name must be the same, that it is suggested."""

_LEAST_INDEXED = 4
"""Characters that a text must have, that slapd finds it by an index."""


def refusal(api: Api, asked: Asked, answer: Answer) -> Failed:
    """Return the error of a request that was refused."""
    codes = answer.codes
    invalid = [unquote(word) for word in _listed(answer.headers.get("x-invalid-parameters", ""))]
    scopes = _SCOPES.search(answer.headers.get("www-authenticate", ""))
    report = answer.data
    reason = answer.detail or (report.get("reason", "") if isinstance(report, Mapping) else "")
    if reason and len(codes) == 1 and codes[0] in _TOLD and (invalid or report):
        text, reason = reason, ""
    elif scopes:
        text = f"the token lacks the scope {scopes[1]}"
    else:
        sentences = [_sentence(api, asked, code, invalid) for code in codes]
        text = "; ".join(dict.fromkeys(filter(None, sentences)))
    if codes[0] == "SERVER_DOWN" and not api.is_local:
        text += "; nothing more is known here. On the server: iredldap check-config --probe"
    if reason and not scopes and codes[0] != "NO_SUCH_ACCOUNT" and codes[0] not in _NAMED:
        text += f": {reason}"
    named = "" if codes[0] == "NO_SUCH_ACCOUNT" else _of_options(asked, invalid)
    text = f"{text} ({', '.join(dict.fromkeys(codes))}){named}{_of_report(report)}"
    return Failed(text, exit_status.of_codes(codes), codes, report)


def failed_job(asked: Asked, job: Mapping[str, Any]) -> Failed:
    """Return the error of a job that failed."""
    codes = str(job["code"] or "INTERNAL_ERROR").split(",")
    words = "; ".join(filter(None, map(meaning_of, codes)))
    failures = f", {job['failures']} entries could not be changed" if job["failures"] else ""
    text = (
        f"{asked.word} {asked.name}: {words} ({', '.join(codes)}){failures}; see: iredldap jobs"
        f" show {job['id']}"
    )
    return Failed(text + _of_report(job["report"]), exit_status.of_codes(codes), codes, job)


def _sentence(api: Api, asked: Asked, code: str, invalid: Sequence[str]) -> str:
    if code == "NO_SUCH_ACCOUNT":
        return _missing(api, asked)
    if code in _NAMED and not invalid:
        name = asked.names.get("new_mail") or asked.name
        return _NAMED[code].format(name)
    if code in _OF_VALUES and (values := _values(asked, invalid)):
        return _OF_VALUES[code].format(values)
    if code == "PERMISSION_DENIED":
        whom = f" to {asked.name}" if asked.name else ""
        return f"you may not do this{whom}: `iredldap whoami` says what you may"
    return _WORDS.get(code) or meaning_of(code).rstrip(".") or "refused"


def _values(asked: Asked, invalid: Sequence[str]) -> str:
    """Return what was given for the options whose values are not taken."""
    rows = filter(None, map(asked.call.parameter, dict.fromkeys(invalid)))
    return ", ".join(one for row in rows if not row.secret for one in asked.form.get(row.name, ()))


def _of_options(asked: Asked, invalid: Sequence[str]) -> str:
    """Return a line for each option whose value is not taken: what it is, in one sentence."""
    rows = filter(None, map(asked.call.parameter, dict.fromkeys(invalid)))
    sentences = ((row, row.meaning.partition(". ")[0].rstrip(".")) for row in rows)
    return "".join(f"\n  {option_of(row)}: {sentence}" for row, sentence in sentences)


def _missing(api: Api, asked: Asked) -> str:
    """Say what is missing, and what there is instead."""
    mail = asked.names.get("mail", "")
    domain = asked.names.get("domain") or mail.rpartition("@")[2]
    if domain and (asked.call.id.endswith("_create") or not mail):
        return _no_domain(api, domain)
    try:
        found = _instead(api, asked, mail) if mail else _not_there(api, asked)
    except Unavailable:
        # What was asked is answered; only the suggestion is missing.
        found = ""
    return found or f"no {asked.word} {mail}".strip()


def _instead(api: Api, asked: Asked, mail: str) -> str:
    """Say what there is in place of an account; empty: nothing is known."""
    domain, is_admin = mail.rpartition("@")[2], asked.word == "admin"
    new = asked.names.get("new_mail", "").rpartition("@")[2]
    if new and not _has_domain(api, new):
        return _no_domain(api, new)
    if command := _other_kind(api, asked, mail):
        return f"no {asked.word} {mail}: it is a {command}; see: iredldap {command} show {mail}"
    # Standalone admins are in no domain of ours.
    listing = _plural(asked) if is_admin else f"{_plural(asked)}/{quote(domain)}"
    if near := _near(api, f"/api/{listing}", mail):
        return f"no {asked.word} {mail}; did you mean {near}?"
    return "" if is_admin or _has_domain(api, domain) else _no_domain(api, domain)


def _not_there(api: Api, asked: Asked) -> str:
    """Say which of the domains that a parameter names there are not."""
    named = ",".join(asked.form.get("domains", ())).split(",")
    missing = [name for name in named if name and not _has_domain(api, name)]
    return "; ".join(_no_domain(api, name) for name in missing)


def _has_domain(api: Api, domain: str) -> bool:
    return api.send("GET", f"/api/domain/{quote(domain)}").is_done


def _no_domain(api: Api, domain: str) -> str:
    near = _near(api, "/api/domains", domain)
    better = f"; did you mean {near}?" if near else "; all there are: iredldap domain list"
    return f"no domain {domain}{better}"


def _other_kind(api: Api, asked: Asked, mail: str) -> str:
    """Return the command for an account that is of another kind; empty: there is none."""
    own = asked.call.path.split("/")[2]
    for kind, (command, _) in _KINDS.items():
        if kind == own or command == asked.word:
            continue
        if api.send("GET", f"/api/{kind}/{quote(mail, safe='@')}").is_done:
            return command
    return ""


def _plural(asked: Asked) -> str:
    own = "admin" if asked.word == "admin" else asked.call.path.split("/")[2]
    return _KINDS.get(own, ("", ""))[1] or "users"


def _near(api: Api, path: str, name: str) -> str:
    """Return the name of a listing that is most like one; empty: none is like it.

    A slip leaves the beginning or the end of a name as it is, and both are searched for, so that it
    is found among a hundred thousand, too. At last one page is read: short words have no index.
    """
    local, at, domain = name.lower().partition("@")
    lengths = dict.fromkeys(len(local) - cut for cut in (1, 2, len(local) // 3, len(local) // 2))
    for length in lengths:
        words = (local[:length], f"{local[len(local) - length :]}{at}{domain}")
        found = [
            one
            for word in words
            if len(word) >= _LEAST_INDEXED
            for one in _names(api, path, {"search": [word]})
        ]
        if near := _nearest(name, found):
            return near
    begins = local[: len(local) // 2]
    return _nearest(name, _names(api, path, {"cursor": [begins]} if begins else {}))


def _nearest(name: str, names: Sequence[str]) -> str:
    others = [one for one in names if one != name.lower()]
    return next(iter(difflib.get_close_matches(name.lower(), others, 1, _LIKE)), "")


def _names(api: Api, path: str, form: Form) -> list[str]:
    """Return names of a listing, as far as one page has them."""
    only = "name_only" if path == "/api/domains" else "email_only"
    answer = api.send("GET", path, {only: ["yes"], "limit": [_MOST], **form})
    return [*answer.data] if answer.is_done else []


def _listed(header: str) -> list[str]:
    return [word for part in header.split(",") if (word := part.strip())]


def _of_report(report: Any) -> str:
    """Return what was done and what not, a line each."""
    if not isinstance(report, Mapping):
        return ""
    lines = [
        f"\n{words}: {step}"
        for name, words in (("done", "done"), ("unknown", "not known"), ("not_done", "not done"))
        for step in report.get(name) or ()
    ]
    return "".join(lines)
