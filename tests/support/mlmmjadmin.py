"""A stand-in for mlmmjadmin: a real HTTP server that keeps control files in a directory.

It obeys what is known of mlmmjadmin 3.6 with the backend `bk_none`, its traps included: failure
under status 200, silence about what it does not understand, values of a list read and written at
the path as it is spelt. Tests judge by the files, which are what mlmmj reads.
"""

import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

TOKEN = "a token of mlmmjadmin"
HEADER = "X-MLMMJADMIN-API-AUTH-TOKEN"

SWITCHES = {
    "close_list": "closedlist",
    "only_moderator_can_post": "modonlypost",
    "only_subscriber_can_post": "subonlypost",
    "disable_subscription": "closedlistsub",
    "disable_subscription_confirm": "nosubconfirm",
    "disable_digest_subscription": "nodigestsub",
    "disable_digest_text": "nodigesttext",
    "disable_nomail_subscription": "nonomailsub",
    "if_mod_send_only_mod_moderate": "ifmodsendonlymodmoderate",
    "moderated": "moderated",
    "moderate_non_subscriber_post": "modnonsubposts",
    "disable_retrieving_old_posts": "noget",
    "only_subscriber_can_get_old_posts": "subonlyget",
    "disable_retrieving_subscribers": "nolistsubsemail",
    "notify_sender_when_moderated": "notifymod",
    "notify_owner_when_sub_unsub": "notifysub",
    "disable_send_copy_to_sender": "notmetoo",
    "disable_notify_subscription_moderated": "nosubmodmails",
    "disable_notify_when_missing_listaddress": "notoccdenymails",
    "disable_notify_when_access_denied": "noaccessdenymails",
    "disable_notify_when_subscriber_only": "nosubonlydenymails",
    "disable_notify_when_moderator_only": "nomodonlydenymails",
    "disable_notify_when_exceeding_max_mail_size": "nomaxmailsizedenymails",
    "disable_archive": "noarchive",
    "tocc": "tocc",
    "reply_to_sender": "replyto",
    "enable_newsletter_subscription": "enable_newsletter_subscription",
    "moderate_subscription": "submod",
}
LISTS = {
    "owners": "owner",
    "owner": "owner",
    "extra_addresses": "listaddress",
    "custom_headers": "customheaders",
    "remove_headers": "delheaders",
    "moderators": "moderators",
    "subscription_moderators": "submod",
}
LINES = {
    "max_message_size": "maxmailsize",
    "subject_prefix": "prefix",
    "relay_host": "relayhost",
    "smtp_helo": "smtphelo",
    "smtp_port": "smtpport",
    "name": "name",
}
TEXTS = {"footer_text": "footer_text", "footer_html": "footer_html"}
VERSIONS = {"normal": "subscribers.d", "digest": "digesters.d", "nomail": "nomailsubs.d"}
DEFAULTS = {
    "tocc": "yes",
    "only_moderator_can_post": "no",
    "moderate_non_subscriber_post": "no",
    "notify_owner_when_sub_unsub": "no",
    "notify_sender_when_moderated": "no",
    "disable_archive": "no",
    "disable_retrieving_old_posts": "yes",
    "only_subscriber_can_get_old_posts": "yes",
    "if_mod_send_only_mod_moderate": "yes",
    "smtp_port": "10027",
}

_WRITING = 0.002
"""Seconds for which a file that is written anew is empty."""

_MAIL = r"([\w\-#][\w\-.+=/&#]*@[\w\-.]+\.[A-Za-z0-9\-]{2,15})"
_VALID = re.compile(_MAIL)
_ROLES = {"owners": "owner", "moderators": "moderators"}

Form = dict[str, str]
Answer = dict[str, Any]


class _NotFound(Exception):
    """No route matches the path."""


class _NoMethod(Exception):
    """The route does not know the method."""


class _Crashed(Exception):
    """Something is there that was not expected; the answer is a page of HTML."""


class _Refused(Exception):
    """The answer is no, with this message."""


class MlmmjadminServer:
    """The server and the lists that it keeps.

    `trouble` is asked before each request and says what goes wrong with it: ``drop`` the
    connection without an answer, ``crash`` with a page of HTML, ``garble`` the answer, or any other
    word for a refusal with that message, under status 200. `requests` are those that were
    answered otherwise.
    """

    def __init__(self, home: Path) -> None:
        self.spool, self.archive = home / "mlmmj", home / "mlmmj-archive"
        self._token = home / "mlmmjadmin-token"
        self._token.write_text(TOKEN, "utf-8")
        self.trouble: Callable[[str, str], str | None] = lambda method, path: None
        self.requests: list[tuple[str, str, Form]] = []
        self.can_confirm = True
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/api"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def settings(self) -> dict[str, str]:
        """What the section `[mlmmjadmin]` of a configuration says of it."""
        return {"url": self.url, "token_file": str(self._token)}

    def swallows(self, mail: str) -> bool:
        """Whether posts wait for moderators that the list has not: nobody is told, and they go."""
        holds = any(
            self.control(mail, file) is not None for file in ("moderated", "modnonsubposts")
        )
        return holds and not self.control(mail, "moderators")

    def footer(self, mail: str) -> tuple[str, str] | None:
        """Text and HTML that posts get; None: none, as one of the files is not there."""
        text, html = self.text(mail, "footer_text"), self.text(mail, "footer_html")
        return None if text is None or html is None else (text, html)

    def make(self, mail: str) -> None:
        """Make a list by other means than ours."""
        self._create({}, mail)

    # --- what tests look at -------------------------------------------------------------------

    def lists(self) -> set[str]:
        """Addresses of the lists that have a directory."""
        return {
            f"{folder.name}@{folder.parent.name}"
            for folder in self.spool.glob("*/*")
            if folder.is_dir()
        }

    def archived(self) -> list[Path]:
        return sorted(self.archive.glob("*/*/*"))

    def control(self, mail: str, file: str) -> list[str] | None:
        """The lines of a control file; None: it is not there."""
        path = self.folder(mail) / "control" / file
        return path.read_text("utf-8").splitlines() if path.exists() else None

    def text(self, mail: str, file: str) -> str | None:
        path = self.folder(mail) / "control" / file
        return path.read_text("utf-8") if path.exists() else None

    def members(self, mail: str) -> set[tuple[str, str]]:
        """Address and kind of membership of all members."""
        return {(row["mail"], row["subscription"]) for row in _members(self.folder(mail))}

    def asked(self, mail: str) -> set[str]:
        """Addresses that were asked by mail to confirm that they want to be members."""
        return {path.name for path in (self.folder(mail) / "subconf").glob("*")}

    def writes(self) -> list[tuple[str, str, Form]]:
        return [request for request in self.requests if request[0] != "GET"]

    def folder(self, mail: str) -> Path:
        """Directory of a list, in the letters that its address was spelt with."""
        name, _, domain = mail.rpartition("@")
        return self.spool / domain / name

    # --- HTTP ---------------------------------------------------------------------------------

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _handle(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                server._answer(self, self.rfile.read(length))

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _handle

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler

    def _answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        parts = urlsplit(handler.path)
        path = unquote(parts.path).removeprefix("/api")
        match self.trouble(handler.command, path):
            case None:
                query = dict(parse_qsl(parts.query, keep_blank_values=True))
                takes_body = handler.command in {"POST", "PUT"}
                form = query | (_form(handler, body) if takes_body else {})
                self._serve(handler, path if parts.path.startswith("/api/") else "", form)
            case "drop":
                handler.close_connection = True
            case "crash":
                _send(handler, 500, "text/html", b"<h1>Internal Server Error</h1>")
            case "garble":
                _send(handler, 200, "application/json", b'{"_success": tr')
            case message:
                _send_json(handler, {"_success": False, "_msg": message})

    def _serve(self, handler: BaseHTTPRequestHandler, path: str, form: Form) -> None:
        self.requests.append((handler.command, path, form))
        try:
            self._authorize(handler)
            data = self._route(handler.command, path, form)
        except _NotFound:
            _send(handler, 404, "text/html", b"<h1>Not Found</h1>")
        except _Crashed:
            _send(handler, 500, "text/html", b"<h1>Internal Server Error</h1>")
        except _NoMethod:
            _send(handler, 405, "text/html", b"<h1>Method Not Allowed</h1>")
        except _Refused as no:
            message = {"_msg": str(no)} if str(no) else {}
            _send_json(handler, {"_success": False, **message})
        except OSError as ex:
            _send_json(handler, {"_success": False, "_msg": repr(ex)})
        else:
            answer = {"_success": True} | ({} if data is None else {"_data": data})
            _send_json(handler, answer)

    def _authorize(self, handler: BaseHTTPRequestHandler) -> None:
        token = handler.headers.get(HEADER)
        if token is None:
            raise _Refused("NO_API_AUTH_TOKEN")
        if token != TOKEN:
            raise _Refused("INVALID_MLMMJADMIN_API_AUTH_TOKEN")

    def _route(self, method: str, path: str, form: Form) -> Any:
        for pattern, methods in self._routes():
            if found := re.fullmatch(pattern, path):
                if method not in methods:
                    raise _NoMethod
                return methods[method](form, *found.groups())
        raise _NotFound

    def _routes(self) -> Iterator[tuple[str, dict[str, Callable[..., Any]]]]:
        for role in _ROLES:
            get, put = partial(self._role, role), partial(self._set_role, role)
            yield rf"/{_MAIL}/{role}", {"GET": get, "PUT": put}
        yield rf"/{_MAIL}/subscribers", {"GET": self._members, "POST": self._change_members}
        yield rf"/{_MAIL}/has_subscriber/{_MAIL}", {"GET": self._has_member}
        yield rf"/subscriber/{_MAIL}/subscribed", {"GET": self._joined}
        yield rf"/subscriber/{_MAIL}/subscribe", {"POST": self._join}
        yield (
            rf"/{_MAIL}",
            {
                "GET": self._profile,
                "POST": self._create,
                "PUT": self._update,
                "DELETE": self._delete,
            },
        )

    # --- profiles -----------------------------------------------------------------------------

    def _exists(self, mail: str) -> bool:
        return self.folder(mail.lower()).is_dir()

    def _profile(self, form: Form, mail: str) -> Answer:
        if not self._exists(mail):
            raise _Refused("NO_SUCH_ACCOUNT")
        folder = self.folder(mail) / "control"
        answer: Answer = {
            name: "yes" if (folder / file).exists() else "no" for name, file in SWITCHES.items()
        }
        for name, file in LISTS.items():
            answer[name] = sorted(_lines(folder / file))
        answer["extra_addresses"] = [a for a in answer["extra_addresses"] if a != mail]
        for name, file in (LINES | TEXTS).items():
            path = folder / file
            text = path.read_text("utf-8") if path.exists() else ""
            answer[name] = text.removesuffix("\n") if name in LINES else text
        wanted = [word for word in form.get("params", "").split(",") if word in answer]
        return {name: answer[name] for name in wanted} if wanted else answer

    def _create(self, form: Form, mail: str) -> None:
        folder = self.folder(mail.lower())
        for name in ("control", "text", "archive", "subconf", *VERSIONS.values()):
            (folder / name).mkdir(parents=True, exist_ok=True)
        domain = mail.rpartition("@")[2]
        wanted = DEFAULTS | {"extra_addresses": mail, "custom_headers": "", "remove_headers": ""}
        if form.get("only_moderator_can_post") != "yes":
            wanted["only_subscriber_can_post"] = "yes"
        wanted |= {"owner": f"postmaster@{domain}", "moderators": f"postmaster@{domain}"}
        self._write(folder / "control", mail, wanted | form)

    def _update(self, form: Form, mail: str) -> None:
        self._write(self.folder(mail) / "control", mail, form)

    def _write(self, folder: Path, mail: str, form: Form) -> None:
        _put_switches(folder, form)
        for name, file in LISTS.items():
            if name in form and not (name == "subscription_moderators" and _is_about_joins(form)):
                _put_lines(folder / file, _listed(name, form[name], mail))
        for name, file in LINES.items():
            if name in form:
                unset = name == "max_message_size" and not form[name].strip("0").isdigit()
                _put_lines(folder / file, [form[name]] if form[name] and not unset else [])
        for name in TEXTS:
            if name in form:
                _put(folder / name, form[name])
        if form.get("footer_html") and not (folder / "footer_text").exists():
            (folder / "footer_text").write_text("")

    def _delete(self, form: Form, mail: str) -> str | None:
        folder = self.folder(mail.lower())
        if not folder.exists():
            return None
        if form.get("archive") == "no":
            shutil.rmtree(folder)
            return None
        now = datetime.now(UTC).strftime("%Y%m%d%H%M%S")
        kept = self.archive / folder.parent.name / f"{folder.name}-{now}" / folder.name
        while kept.exists():
            kept = kept.parent.with_name(f"{kept.parent.name}x") / folder.name
        kept.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(kept)
        return str(kept)

    def _role(self, role: str, form: Form, mail: str) -> list[str]:
        if not self._exists(mail):
            raise _Refused("NO_SUCH_ACCOUNT")
        held = _lines(self.folder(mail) / "control" / _ROLES[role])
        return sorted(line.lower() for line in held)

    def _set_role(self, role: str, form: Form, mail: str) -> None:
        path = self.folder(mail) / "control" / _ROLES[role]
        if role in form:
            path.write_text("\n".join(_words(form[role])) + "\n")
            return
        held = [*_lines(path), *_words(form.get(f"add_{role}", ""))]
        gone = _words(form.get(f"remove_{role}", ""))
        path.write_text("".join(f"{line}\n" for line in held if line not in gone))

    # --- members ------------------------------------------------------------------------------

    def _members(self, form: Form, mail: str) -> list[Any]:
        found = _members(self.folder(mail))
        return sorted(row["mail"] for row in found) if "email_only" in form else found

    def _change_members(self, form: Form, mail: str) -> None:
        folder = self.folder(mail)
        new = _addresses(form.get("add_subscribers", ""))
        if new:
            self._add(folder, new, form.get("subscription"), form.get("require_confirm") == "yes")
        gone = form.get("remove_subscribers", "")
        if gone:
            _remove(folder, None if gone == "ALL" else _addresses(gone))

    def _add(self, folder: Path, new: list[str], kind: str | None, confirm: bool) -> None:
        if confirm:
            if not self.can_confirm:
                raise _Refused("SUB_COMMAND_NOT_FOUND")
            for address in new:
                (folder / "subconf" / address.replace("/", "%")).touch()
            return
        version = VERSIONS.get(kind or "", VERSIONS["normal"])
        for address in new:
            path = folder / version / address[0]
            _put_lines(path, sorted({*_lines(path), address}))

    def _has_member(self, form: Form, mail: str, address: str) -> str:
        for row in _members(self.folder(mail)):
            if row["mail"] == address.lower():
                return row["subscription"]
        raise _Refused

    def _joined(self, form: Form, address: str) -> list[Any]:
        for folder in self.spool.glob("*/*"):
            if not _VALID.fullmatch(f"{folder.name}@{folder.parent.name}"):
                raise _Crashed(folder)
        everywhere = form.get("query_all_lists") == "yes"
        found = [
            {"mail": mail, "subscription": row["subscription"]}
            for mail in sorted(self.lists())
            if everywhere or mail.rpartition("@")[2] == address.rpartition("@")[2]
            for row in _members(self.folder(mail))
            if row["mail"] == address.lower()
        ]
        return [row["mail"] for row in found] if form.get("email_only") == "yes" else found

    def _join(self, form: Form, address: str) -> None:
        for mail in _addresses(form.get("lists", "")):
            confirm = form.get("require_confirm") != "no"
            self._add(self.folder(mail), [address.lower()], form.get("subscription"), confirm)


def _form(handler: BaseHTTPRequestHandler, body: bytes) -> Form:
    """A body in JSON is as if it were not there."""
    kind = handler.headers.get_content_type()
    if kind != "application/x-www-form-urlencoded":
        return {}
    return dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True))


def _send_json(handler: BaseHTTPRequestHandler, answer: Answer) -> None:
    _send(handler, 200, "application/json", json.dumps(answer).encode())


def _send(handler: BaseHTTPRequestHandler, status: int, kind: str, body: bytes) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    with suppress(ConnectionError):
        handler.wfile.write(body)


def _put_switches(folder: Path, form: Mapping[str, str]) -> None:
    for name, file in SWITCHES.items():
        if form.get(name) == "yes":
            (folder / file).touch()
        elif form.get(name) == "no":
            (folder / file).unlink(missing_ok=True)
    if form.get("only_moderator_can_post") == "yes":
        (folder / "subonlypost").unlink(missing_ok=True)
    elif form.get("only_subscriber_can_post") == "yes":
        (folder / "modonlypost").unlink(missing_ok=True)


def _is_about_joins(form: Mapping[str, str]) -> bool:
    """Whether the switch of joins decides over a list of moderators sent with it."""
    switch = form.get("moderate_subscription")
    return switch == "no" or (switch == "yes" and not form["subscription_moderators"])


def _listed(name: str, text: str, mail: str) -> list[str]:
    match name:
        case "custom_headers":
            local, _, domain = mail.rpartition("@")
            standard = {
                "Precedence": "bulk",
                "List-Id": f"<{mail}>",
                "Reply-To": mail,
                "List-Post": f"<mailto:{mail}>",
                "List-Subscribe": f"<mailto:{local}+subscribe@{domain}>",
                "List-Unsubscribe": f"<mailto:{local}+unsubscribe@{domain}>",
            }
            sent = [line for line in text.split("\n") if ":" in line]
            own = [line for line in sent if line.partition(":")[0] not in standard]
            return [*(f"{name}: {value}" for name, value in standard.items()), *own]
        case "remove_headers":
            return [word if word.endswith(":") else f"{word}:" for word in _words(text)]
        case "extra_addresses":
            return [mail, *(a for a in _words(text) if a != mail)] if text else []
        case "owner" | "owners":
            return _words(text)
        case _:
            return _addresses(text)


def _words(text: str) -> list[str]:
    return [word for word in text.replace(" ", "").split(",") if word]


def _addresses(text: str) -> list[str]:
    return [word.lower() for word in _words(text) if _VALID.fullmatch(word)]


def _lines(path: Path) -> list[str]:
    try:
        return [*filter(None, path.read_text("utf-8").splitlines())]
    except FileNotFoundError:
        # Another call has removed its last line meanwhile.
        return []


def _put_lines(path: Path, lines: Iterable[str]) -> None:
    _put(path, "".join(f"{line}\n" for line in lines))


def _put(path: Path, text: str) -> None:
    """As the real program does: without a lock, so that calls at the same time lose lines.

    Whoever reads the file meanwhile finds it empty.
    """
    if text:
        with path.open("w", encoding="utf-8") as file:
            time.sleep(_WRITING)
            file.write(text)
    else:
        path.unlink(missing_ok=True)


def _members(folder: Path) -> list[dict[str, str]]:
    return [
        {"mail": address, "subscription": kind}
        for kind, version in VERSIONS.items()
        for path in sorted((folder / version).glob("*"))
        for address in _lines(path)
    ]


def _remove(folder: Path, gone: list[str] | None) -> None:
    """Remove members of every kind; None: everybody."""
    for version in VERSIONS.values():
        for path in (folder / version).glob("*"):
            left = [] if gone is None else [a for a in _lines(path) if a not in gone]
            _put_lines(path, left)
