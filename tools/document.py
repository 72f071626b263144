"""Print what is made from the program: settings, the API, releases, packages, manual pages.

`python -m tools.document` writes them, with `--check` it only says which ones are stale.
"""

import argparse
import dataclasses
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, get_type_hints

import click
from click import shell_completion

from iredldap import cli, directory_errors, error_codes, errors, http_errors
from iredldap.changes.preview import MOST_PRINTED
from iredldap.commands import exit_status
from iredldap.commands.api.connect import TOKEN_VARIABLE
from iredldap.commands.api.rows import calls
from iredldap.config import reader, sections
from iredldap.config.reader import ConfigurationError
from iredldap.config.settings import Secret
from iredldap.dit import generations, token_scopes
from iredldap.dit.fields import Field, Verb
from iredldap.dit.kinds import Kind
from iredldap.web.endpoints.endpoint import Endpoint
from iredldap.web.endpoints.index import ENDPOINTS
from iredldap.web.openapi.document import callers, scopes_of
from iredldap.web.openapi.responses import COMMON_ERRORS
from iredldap.web.responses import _STATUSES
from ldif_export import __main__ as exporter
from ldif_export.cli.connection import PASSWORD_VARIABLE
from tools import layers
from tools.command_rows import command_rows
from tools.manual import manual

DOCS = Path(__file__).resolve().parents[1] / "docs"

EXAMPLE = """\
[api]
enable_restful_api = true
restful_api_clients = ["192.0.2.10", "2001:db8:1::/48"]
trusted_proxies = ["127.0.0.1"]

[ldap]
uri = ["ldap://127.0.0.1:389"]
suffix = "dc=example,dc=com"
bind_dn = "cn=vmailadmin,dc=example,dc=com"
bind_password_file = "/etc/iredldap.d/bind-password"

[session]
keys_file = "/etc/iredldap.d/session-keys"

[passwords]
min_length = 10

[accounts]
storage_base = "/var/vmail/vmail1"

[server]
bind = "127.0.0.1:8080"
"""

_FAULTY: dict[str, Any] = {
    "api": {"restful_api_clients": ["192.0.2.300"]},
    "ldap": {"uri": "ldap://127.0.0.1", "bind_password": "secret", "sufix": "dc=example,dc=com"},
    "session": {"recheck": "soon"},
    "mail": {},
}

_SETTING_TYPES: dict[Any, str] = {
    bool: "yes or no",
    bool | None: "yes or no, or absent",
    int: "whole number",
    float: "number",
    str: "text",
    tuple[str, ...]: "list of texts",
    tuple[int, ...]: "list of whole numbers",
    Secret: "secret",
    tuple[Secret, ...]: "secrets",
}

_CONFIGURATION_HEAD = """\
# Configuration

<!-- Made by `make docs` from iredldap/config/ and tools/document.py. -->

Settings are read from one TOML file, `{default}` unless `--config` or the environment variable
`{variable}` names another. `iredldap init` writes one; a setting that it does not contain has
its default. Changes take effect at a restart or reload.

Every setting has an environment variable too, which wins over the file. There a list is
separated by commas, and yes or no is written `yes`, `true`, `on`, `1` or `no`, `false`, `off`,
`0`. Environment variables of other names are ignored.

## Example

```toml
{example}```

## Secrets

A secret is never in the file itself, and no log shows one. It is read from the first of these:

1. the environment variable of the setting, `IREDLDAP_LDAP_BIND_PASSWORD` say;
2. the file named by the environment variable with `_FILE` at its end,
   `IREDLDAP_LDAP_BIND_PASSWORD_FILE`;
3. the file named by the setting with `_file` at its end, `bind_password_file`.

White space around the content of such a file is ignored.

## Errors

The program does not start with an invalid configuration. All errors are reported together, one per
line; `iredldap check-config` reports them without starting anything, and with `--probe` also checks
the directory and the state database. For example:

```
{errors}
```
"""


def configuration_page() -> str:
    """The page about settings."""
    try:
        reader.read(_FAULTY, {})
        errors: list[str] = []
    except ConfigurationError as ex:
        errors = ex.errors
    head = _CONFIGURATION_HEAD.format(
        default=reader.DEFAULT_CONFIG,
        variable=reader.CONFIG_VARIABLE,
        example=EXAMPLE,
        errors="\n".join(errors),
    )
    return "\n".join([head, *(_section(name, record) for name, record in sections.sections())])


def _section(name: str, record: Any) -> str:
    hints = get_type_hints(record)
    rows = [_setting(name, row, hints[row.name]) for row in dataclasses.fields(record)]
    table = _table(("Setting", "Variable", "Type", "Default", "Meaning"), rows)
    return f"## `[{name}]`\n\n{inspect.cleandoc(record.__doc__)}\n\n{table}"


def _setting(section: str, row: dataclasses.Field[Any], hint: Any) -> tuple[str, ...]:
    name = f"{row.name}_file" if reader.is_secret(hint) else row.name
    return (
        f"`{name}`",
        f"`{reader.variable(section, row.name)}`",
        _SETTING_TYPES[hint],
        _default(row.default),
        row.metadata["meaning"],
    )


def _default(value: Any) -> str:
    if value is dataclasses.MISSING:
        return "required"
    if value is None:
        return "absent"
    plain = value.reveal() if isinstance(value, Secret) else value
    return f"`{json.dumps(plain, ensure_ascii=False)}`"


_API_HEAD = """\
# HTTP API

<!-- Made by `make docs` from the program's tables and tools/document.py. -->

The same in a form for programs is served as an OpenAPI 3.1 document at `/openapi.json`, and as a
page on which one can try it at `/docs`.

## Generated clients

Clients in most languages can be made from that document. With each of these three the tests make
one, log in or send a token, and work with what it gives:

```
openapi-python-client generate --url $url/openapi.json
npx openapi-typescript $url/openapi.json --output iredldap.ts
openapi-generator-cli generate --input-spec $url/openapi.json --generator-name php --output client
```

`$url` is the address without `/api`. The document has JSON bodies alone; all else that
[is taken](#sending-parameters) goes on being taken. A member of an answer without a value is
absent, and clients have to put up with members that the document does not name. Parameters that
were left out are not sent: clients that send `null` for them would clear them.

## Paths

Every path below `/api` is also served below `/iredadmin/api`. Repeated slashes count as one, and
one slash at the end is ignored; a slash in a name is sent as `%2F`. Domain names and addresses may
be written in any letter case; a domain with other than ASCII letters is converted to its ASCII
form.

## Logging in

`POST /api/login` sets a cookie that identifies the later calls. It ends after some hours, with
`POST /api/logout`, or when the password, the account or the admin's role does. Callers are:

- **global admins**, who may do everything;
- **normal admins**, who may act on the domains they manage. A domain that does not exist and one
  of somebody else look the same to them: `PERMISSION_DENIED`.

A path that reads a domain, or what belongs to it as a whole, takes the name of an alias domain for
that of its primary domain. Paths that write do not, and accounts are found by their first address
only.

### Browsers

A page of another origin (another host of the same site, or another port, is one) cannot act with
the cookie. A request other than GET, HEAD and OPTIONS that carries the cookie, and every
`POST /api/login`, is refused with `CROSS_SITE_REQUEST`

- if it has the header `Sec-Fetch-Site` with another value than `same-origin` or `none`;
- without that header, if it has the header `Origin`, and this is not the origin under which the
  client reaches the API.

Browsers set these headers, and no page can. Clients that send neither (`curl`, PHP, Python's
`requests`, …) are not concerned; do not send them. No page of another origin reads an
answer either; only with a [token](tokens.md), if its origin is among `api.cors_origins`.

Of several cookies of the same name a good one counts, wherever it stands.

## Tokens

Programs send an [API token](tokens.md) instead, as `Authorization: Bearer …`; then no cookie is
looked at. A token can never do more than its admin, and only what its scopes open.

## Sending parameters

Parameters come in the query string or in the body; where both have one, the body wins. Bodies
are forms (`application/x-www-form-urlencoded`, `multipart/form-data`) or JSON objects of texts,
numbers, booleans and lists of texts. A body without `Content-Type` is taken for a form. Text is
UTF-8.

- Names of parameters are case sensitive. An older name does what the new one does; where both
  are sent, the new one counts.
- Of a parameter that is sent repeatedly the last value counts; those of a list are joined.
- The data of a read may be sent back as they are, in JSON: nothing changes. (A read that is made
  for that is [`view=params`](#reading-what-can-be-written).) What stands under a
  name that is no parameter (`accountSetting`, say) may be anything; it is ignored and named. A
  parameter under the name of an attribute, with the very values of that, changes nothing.
- An empty value counts as not sent unless its row says what it does. So does `null` in JSON, and an
  empty list; what acts by being there (`removeAllServices`) does not with `null`.
- What is not sent stays as it is.
- Everything is checked before anything is written: a request refused for what it says has changed
  nothing.

A parameter that no row below knows is ignored and named in the header `X-Ignored-Parameters`.
Values that are dropped (malformed items of a list, a language that is not installed) are named in
`X-Ignored-Values`. A client that would rather be refused sends `Prefer: handling=strict`, and
gets `INVALID_PARAMETER`.

The directory of an older iRedMail has no place for some parameters
([which ones](migration.md#directories-of-older-releases)). They are refused with
`NOT_SUPPORTED_BY_DIRECTORY`, nothing is changed, and `_data` names parameter and attribute:

```json
{"_success": false, "_msg": "NOT_SUPPORTED_BY_DIRECTORY", "_data": {"unsupported": \
[{"parameter": "outboundRelay", "attribute": "senderRelayHost"}]}}
```

An attribute alone is what the directory would need for the whole request. `accessPolicy` of an
alias is ignored there, and refused under strict handling.

A value that is part of the entry's DN cannot be changed, as `name` where another tool named the
entry `cn=…`: that is `SCHEMA_VIOLATION`, and `_data` names parameter and attribute in the same way,
under `naming`, and under `entries` the DNs of other entries that the change would have to take such
a value from. An account with a new address is named by that, and has no such limit any more.

## Answers

Every answer but the OpenAPI document and a bare LDIF file is an envelope: a JSON object that says
whether the request was done. A write that was done answers

```json
{"_success": true}
```

a read adds what was asked for as `_data`:

```json
{"_success": true, "_data": {"domainName": ["example.com"]}}
```

and a refusal says why in `_msg`, by one code or several joined by commas:

```json
{"_success": false, "_msg": "PW_SHORTER_THAN_MIN_LENGTH,PW_NON_ASCII"}
```

A refusal in the middle of a write, because a server failed say, has `_data` too: what was done
and what was not. Such a request can be sent again.

Answers of `POST /api/login` repeat `_success` and `_msg` under the older names `success` and
`msg`; the setting `legacy_keys` does that for all answers.

## Reading what can be written

What a `GET` of an entry answers is what is stored: attributes of the directory, sizes in bytes.
With `view=params` it answers with the parameters that can be set, by the names and in the units
of requests, as JSON has them: numbers are numbers, lists are sorted arrays.

```
{view_example}```

- Sent back with `PUT`, as JSON, also with `Prefer: handling=strict`, it changes nothing: the
  answer is 200 with the same `ETag`. So a client reads, changes a value, and sends all of it.
- It is complete: what is not set has the value that clears it, `""`, `[]` or 0. What has none
  is absent, as `sn` of a user without one. Passwords and hashes are never in it.
- `mail` or `domain` is the name in the path, and `id` the entryUUID, which stays with an entry
  that is renamed. They are no parameters; another `mail` than that of the path is ignored and
  named, or refused under strict handling: a rename is a call of its own.
- A body with `id` is a view that is sent back: what the entry has is left as it is, and only what
  differs is changed. Without `id` it is a request like any other, which also completes what other
  tools have stored in part: values without their service, members of an unsubscribable list
  without their DNs, names of accounts in an alias domain of theirs. After a change that broke off
  a view is carried out as a whole, too, so that it can be sent again.
- A normal admin sees what they may send, a token what its scopes allow; attributes that answers
  hide (`api_hidden_user_profiles`) are not in it either.
- Of a domain, `disableDomainProfile` has the parts that are withdrawn and `enableDomainProfile`
  the others; a backup MX has `is_backupmx` and `primarymx` in place of `transport`. `aliases`
  of a user do not contain names in alias domains, which belong to these. The limits of a global
  admin, who has none, are absent.
- With `with_subscribers=yes` the view of a subscribable list has its `subscribers` beside the
  parameters; they are not sent back: a member is asked to confirm, welcomed, and subscribes in
  one of three ways, which a list of addresses does not say. `add_subscribers` and
  `remove_subscribers` change them, and [a state](gitops.md) has all of them.
- Policies are sent back with the method that sets them: throttles, greylisting and its lists,
  and white- and blacklists with `POST`. A greylisting setting that does not exist is an empty
  object.

Other tools store what no request could say: two values of `cn`, a `mailQuota` that is no whole
number of megabytes, a number of which none is one. Such a parameter is absent, and `left_out`
names it; it stays as it is when the rest is sent back. Another spelling of the same (`Active`,
`10:GB`) is shown as we would store it, and stays as it is too. Values whose service is off, such
as forwarding addresses without `forward`, are in a view with the services, and a service can be
switched off in it so: any other request with both is refused as a contradiction. New values of
which the service is not among `services` are refused in a view, too.

A path with `/params` behind it is the same as `view=params` (`GET /api/user/{mail}/params`,
`GET /api/users/{domain}/params`): generated clients call it, for its answers have one type.

In a [listing](#get-apiusersdomain) `view=params` shows each entry so, and `fields` chooses among
the parameters. With `Accept: application/x-ndjson` a listing is sent as it is found, one JSON value
a line and without an envelope: a name, or a profile or view with the name or address in it. An
error after the first lines breaks the connection off.

```
$ curl -b cookies -H 'Accept: application/x-ndjson' "$url/users/test.com?view=params&fields=quota"
{"mail": "ann@test.com", "id": "16e1b2b4-7f5a-1041-8a9c-6f6d9b5cbe5e", "quota": 1024}
{"mail": "bob@test.com", "id": "2a7c3d0e-7f5a-1041-8a9d-6f6d9b5cbe5e", "quota": 0}
```

`search` looks for a text in one search of the directory; a text of four letters and more by its
index, a shorter one by reading all entries of the domain.

## Dry runs

Every call that writes takes `dry_run=yes`, in the query string or in the body. It then changes
nothing: it is refused as the call would be, or answers with what the call would do.

```
{dry_run_example}```

| In `_data` | Meaning |
| --- | --- |
| `judged_by` | `directory`: slapd itself has judged each operation, without carrying it out. \
`schema`: some could not be shown to it, additions always, and were judged by its schema. `null`: \
no entry would be written. |
| `steps` | The steps in words, in their order. |
| `ldif` | LDIF change records, as `ldapmodify` reads them. Passwords are `{redacted}`. |
| `records`, `records_left_out` | How many there are, and how many of them are not in `ldif`: \
of each sweep the first {most_printed} are, and to a normal admin no entry of a domain that they \
do not manage. |
| `sweeps` | Steps that search, each with the number of entries that it would change. |
| `outside` | What would be written outside the directory, each `step` with its `rows`, as \
[`touched`](changes.md) of changes has them: `system`, `table`, and the rows `before` and `after`. \
The databases execute the statements and roll them back; where one cannot (MyISAM), `rows` is \
`null`. mlmmjadmin is not called: of a subscribable list there are the settings and members that \
it would be told. `rows_left_out` counts those beyond {most_printed}, and of domains that a normal \
admin does not manage. |
| `rechecks` | What would be looked up again after the write, as others may change it at the \
same time. |
| `ignored_values`, `unplaced`, `shared_with`, `kept_members` | What the headers \
`X-Ignored-Values`, `X-Ignored-Parameters`, `X-Shared-Mailbox` and `X-Kept-Members` of the call \
name; these are sent too. |
| `left_alone` | What an undo leaves as it is, because others have changed it since. |

The answer, also a refusal, has `X-Dry-Run: yes`; a server that does not send it has not known the
word. The `ETag` is the state that was judged: sent as `If-Match` with the call, it makes sure that
this state is what is changed. Another value than `yes` or `no`, an empty one, and other spellings
of the name are `INVALID_PARAMETER`, and so is the word for a call that has no dry run: login,
logout, and checks of passwords. `POST /api/ldif` has a plan of its own form.

## Headers

| Header | In | Meaning |
| --- | --- | --- |
| `X-Request-Id` | both | Names the request in the log. The client's own is kept if it has 1 to 64 \
letters, digits, `.`, `_` or `-`. |
| `X-Served-By` | answer | The node that made it (`server.node`), of each answer but where \
`server.served_by` is off. |
| `ETag` | answer | State of the entry that the path names, after a read or a write. |
| `If-None-Match` | request | On a read: answer 304 if the entry is still in this state. `*` on a \
creation: 412 if the name exists, with `PRECONDITION_FAILED,ALREADY_EXISTS`. |
| `If-Match` | request | Write only if the entry is in this state, otherwise 412 with \
`PRECONDITION_FAILED`. The directory itself compares. |
| `Prefer: handling=strict` | request | Refuse what would otherwise be ignored. |
| `Prefer: respond-async` | request | On a write: do not wait for it. What can be refused is \
refused at once; otherwise the answer is 202 with the id of a job, `{"_success": true, "_data": \
{"job": "…"}}`, and `Preference-Applied`. An admin with too many unfinished jobs is told \
`TOO_MANY_REQUESTS`. |
| `Warning` | answer | `110`: of two directory servers, one was read that may lack the last \
changes ([cluster.md](cluster.md#what-each-fault-does)). |
| `X-Dry-Run` | answer | `yes`: this was a [dry run](#dry-runs). |
| `Location` | answer | Of a 202: where to ask about the job. |
| `X-Ignored-Parameters` | answer | Parameters that were ignored. |
| `X-Ignored-Values` | answer | Values that were dropped. |
| `X-Shared-Mailbox` | answer | Other accounts whose mailbox a global admin gave to this one. |
| `X-Kept-Members` | answer | Members of a new list that had been marked before it was made. |
| `X-Change-Id` | answer | Of a change, also of one that broke off: its id in the change log, \
`GET /api/changes/{id}`. Absent where nothing was written. |
| `X-Change-Log` | answer | `late`: the change could not be written to the change log; it will be, \
when the database responds. |
| `X-Next-Cursor`, `Link` | answer | Where the next page of a listing is, if there is one. |
| `X-Invalid-Parameters` | answer | Parameters for which the request was refused, \
by the names they were sent by. |
| `Authorization` | request | `Bearer` and the secret of a token. |
| `Idempotency-Key` | request | On a POST: a word of the client's, 1 to 255 printable ASCII \
characters. For a day, a repeat of the request with it gets the same answer, with \
`Idempotency-Replayed: true`, and nothing is done again. See [below](#repeats). |
| `WWW-Authenticate` | answer | Of each 401; and of a 403 of a token that lacks a scope: which \
ones the call needs. |
| `Retry-After` | answer | Seconds to wait after `SERVER_DOWN`, `MLMMJADMIN_UNAVAILABLE` or \
`TOO_MANY_REQUESTS`, and before asking about a job again. |

In the five lists (`X-Ignored-…`, `X-Invalid-Parameters`, `X-Shared-Mailbox`, `X-Kept-Members`)
items are separated by commas and percent-encoded, and the list is cut at 1 KB.

## Repeats

A client whose connection broke, or that got a 503, cannot know whether its POST was carried out.
With an `Idempotency-Key` of its own for each request it sends the same again:

- an answer that was made is given again, from any worker: a success or a refusal;
- a 5xx, 429 or 408 is not kept: the request is carried out. What a creation had done before it
  broke off is taken back first;
- while the first one is being carried out, the answer is 409 `IDEMPOTENCY_KEY_IN_USE` with
  `Retry-After`; for `jobs.abandoned` seconds, if its worker has died. Then the change log tells
  what had been done: a change that was made is answered with success, and not made again;
- with another request, in path, parameters, `Prefer` or conditions, it is 422
  `IDEMPOTENCY_KEY_REUSED`, and nothing is done.

A key belongs to the admin and, if there is one, the token. Answers to malformed requests and to
callers who may not are not kept, nor is that to a restore, which can be repeated as it is. They are
kept for `api.idempotency_hours`.

## Codes

The status follows from the code, of several from the first. With the setting `always_ok_status`
every refusal has status 200.

Beside the codes named with it, any endpoint may answer with {anywhere}.
"""

_ANYWHERE = (
    *COMMON_ERRORS,
    "SESSION_EXPIRED",
    "CROSS_SITE_REQUEST",
    "API_DISABLED",
    "METHOD_NOT_ALLOWED",
    "AMBIGUOUS_ACCOUNT",
    "PRECONDITION_FAILED",
    "NOT_SUPPORTED_BY_DIRECTORY",
    "BODY_TOO_LARGE",
    "REQUEST_TIMEOUT",
    "TOO_MANY_REQUESTS",
    "UNSUPPORTED_MEDIA_TYPE",
    "INTERNAL_ERROR",
    "SERVER_DOWN",
    "CHANGE_LOG_UNAVAILABLE",
)

_NO_CODES_OF_THEIR_OWN = {
    errors.Malformed,
    errors.Unauthenticated,
    errors.Forbidden,
    errors.NotFound,
    errors.Conflict,
    errors.Unacceptable,
    directory_errors.DirectoryUnable,
    http_errors.MissingScope,
    http_errors.NameTaken,
    directory_errors.NamesEntry,
    errors.Several,
}

_PARAMETER_TYPES = {
    "string": "text",
    "int_mb": "whole number of MB",
    "int_bytes": "whole number of bytes",
    "int_days": "whole number of days",
    "int_seconds": "whole number of seconds",
    "int_count": "whole number",
    "int_limit": "whole number from -1",
    "int_quota_unit": "whole number",
    "float": "number",
    "bool_yes_no": "`yes` or `no`",
    "flag_presence": "acts by being sent",
    "email": "mail address",
    "csv_emails": "mail addresses",
    "csv_domains": "domain names",
    "csv_services": "names of services",
    "csv_profiles": "names of profiles",
    "csv_strings": "texts",
    "csv_headers": "lines `Name:value`",
    "csv_wb_addresses": "addresses, domains, networks",
    "csv_gl_senders": "addresses, domains, networks",
    "csv_scopes": "scopes",
    "csv_networks": "addresses and networks",
    "date_time": "date or time",
    "ip_or_host": "host or address",
    "relay": "transport, next hop, or both",
    "transport": "Postfix transport",
    "time": "time, or how long ago",
    "lang": "language, `en_US` say",
    "password": "password",
    "password_hash": "hash with `{SCHEME}`",
    "path": "absolute path",
}


_DRY_RUN_EXAMPLE = r"""$ curl -sb cookies -X DELETE "$url/user/ann@test.com?dry_run=yes" > answer
$ jq -r '._data | .judged_by, .outside[].step, .ldif' answer
directory
record that mailboxes are kept for good
forget the policies and records of ann@test.com
version: 1
dn: mail=ann@test.com,ou=Users,domainName=test.com,o=domains,dc=example,dc=c
 om
changetype: modify
replace: accountStatus
accountStatus: disabled
-

dn: mail=sales@test.com,ou=Aliases,domainName=test.com,o=domains,dc=example,
 dc=com
changetype: modify
delete: mailForwardingAddress
mailForwardingAddress: ann@test.com
-

dn: mail=ann@test.com,ou=Users,domainName=test.com,o=domains,dc=example,dc=c
 om
changetype: delete
"""


_VIEW_EXAMPLE = """\
$ curl -b cookies "$url/user/ann@test.com?view=params" | jq ._data > ann.json
$ head -6 ann.json
{
  "mail": "ann@test.com",
  "id": "16e1b2b4-7f5a-1041-8a9c-6f6d9b5cbe5e",
  "name": "Ann",
  "quota": 1024,
  "accountStatus": "active",
$ jq '.quota = 2048' ann.json | curl -b cookies -X PUT -H 'Content-Type: application/json' \\
      -H 'Prefer: handling=strict' -d @- $url/user/ann@test.com
{"_success": true}
"""


def api_page() -> str:
    """The page about the HTTP API."""
    index = [
        (f"[`{e.method} {e.path}`](#{_anchor(f'{e.method} {e.path}')})", e.summary)
        for e in ENDPOINTS
    ]
    return "\n".join(
        [
            _API_HEAD.replace("{anywhere}", _names(_ANYWHERE))
            .replace("{most_printed}", str(MOST_PRINTED))
            .replace("{dry_run_example}", _DRY_RUN_EXAMPLE)
            .replace("{view_example}", _VIEW_EXAMPLE),
            _table(("Status", "Code", "Meaning"), _codes()),
            "## Endpoints\n",
            _table(("Endpoint", "What it does"), index),
            *(_endpoint(endpoint) for endpoint in ENDPOINTS),
        ]
    )


def _codes() -> Iterator[tuple[str, ...]]:
    by_status: dict[int, list[tuple[str, str]]] = {status: [] for _, status in _STATUSES}
    for kind in error_codes.refusals():
        if kind in _NO_CODES_OF_THEIR_OWN:
            continue
        status = next((status for base, status in _STATUSES if issubclass(kind, base)), 500)
        rules = error_codes.PASSWORD_RULES.items()
        one = [(kind.code, error_codes.meaning(kind))]
        told = rules if kind is errors.WeakPassword else one
        by_status.setdefault(status, []).extend(told)
    for status, codes in sorted(by_status.items()):
        yield from ((str(status), f"`{code}`", meaning) for code, meaning in codes)


def _endpoint(endpoint: Endpoint) -> str:
    words = [endpoint.summary]
    if endpoint.era == "ours":
        words.append("Not part of the public reference.")
    lines = [
        f"### `{endpoint.method} {endpoint.path}`",
        " ".join(words),
        " ".join(filter(None, (callers(endpoint), scopes_of(endpoint)))),
    ]
    if endpoint.table:
        rows = [_parameter(endpoint, field) for field in endpoint.table]
        lines.append(_table(("Parameter", "Type", "Older names", "Meaning"), rows).rstrip("\n"))
    if endpoint.returns:
        lines.append(f"`_data`: {endpoint.returns}")
    if endpoint.errors:
        lines.append(f"Codes: {_names(endpoint.errors)}.")
    return "\n\n".join(lines) + "\n"


def _parameter(endpoint: Endpoint, field: Field) -> tuple[str, ...]:
    return (
        f"`{field.name}`",
        _type(field.kind),
        _names(field.aliases),
        " ".join(_meaning(endpoint, field)),
    )


def _type(kind: Kind) -> str:
    words = _names(kind.choices) or _PARAMETER_TYPES[kind.type]
    words = f"{words}, separated by commas" if kind.many else words
    return f"{words}, at most {kind.longest} characters" if kind.longest else words


def _meaning(endpoint: Endpoint, field: Field) -> Iterator[str]:
    yield field.meaning
    if field.required:
        instead = f" unless {_names(field.conflicts_with)} is sent" if field.conflicts_with else ""
        yield f"Required{instead}."
    if field.default is not None:
        yield f"Default: `{field.default}`."
    if field.empty is not None:
        yield f"Empty: {field.empty}."
    if field.conflicts_with:
        yield f"Not together with {_names(field.conflicts_with)}."
    if field.required_with:
        alone = f", except {_names(field.alone)}" if field.alone else ""
        yield f"Only together with {_names(field.required_with)}{alone}."
    if field.service and field.verb is not Verb.REMOVE:
        yield f"Needs the service `{field.service}`: nothing beside it may switch that off."
    yield from _limits(endpoint, field)


def _limits(endpoint: Endpoint, field: Field) -> Iterator[str]:
    if field.who == "global_admin":
        yield "Global admins only."
    elif field.who:
        yield f"{field.who}."
    if field.profile:
        yield f"Normal admins: unless `{endpoint.profiles}` of the domain has `{field.profile}`."
    if field.by_self:
        yield "Any admin: for their own account."
    if field.era == "ours" and endpoint.era != "ours":
        yield "Not part of the public reference."


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines
    )


def migration_page() -> str:
    """The page about migration, its table of releases made anew."""
    return _refilled("migration.md", "iredldap/dit/generations.py", _generations())


def commands_page() -> str:
    """The page about the command line, its table of exit statuses made anew."""
    rows = ((str(int(status)), words) for status, words in exit_status.MEANINGS.items())
    made = f"{_table(('Status', 'Meaning'), rows)}\n"
    return _refilled("commands.md", "iredldap/commands/exit_status.py", made)


def tokens_page() -> str:
    """The page about tokens, its table of scopes made anew."""
    return _refilled("tokens.md", "the rows of endpoints", f"{_scopes()}\n")


def _scopes() -> str:
    """What each scope opens; those that no call needs are left out."""
    opened: dict[str, list[str]] = {scope: [] for scope in token_scopes.SCOPES}
    for endpoint in ENDPOINTS:
        for scope in endpoint.scopes:
            opened[scope].append(f"`{endpoint.method} {_shortened(endpoint.path)}`")
    rows = ((f"`{scope}`", ", ".join(dict.fromkeys(calls))) for scope, calls in opened.items())
    return _table(("Scope", "Opens"), (row for row in rows if row[1]))


def _shortened(path: str) -> str:
    """A path, that of a policy without what it is about."""
    kind = path.split("/")[2]
    return f"/api/{kind}/…" if kind in _POLICIES else path


_POLICIES = ("throttle", "greylisting", "wblist", "spampolicy")


def architecture_page() -> str:
    """The page about the architecture, its table and its figure of packages made anew."""
    head = ("Package or module", "Modules", "What it is for")
    rows = [row for package in layers.CONTRACTS for row in layers.members(package)]
    made = f"{_table(head, rows)}\n{layers.figure()}\n"
    return _refilled("architecture.md", "setup.cfg and the imports", made)


def _refilled(name: str, source: str, made: str) -> str:
    """A page that is written by hand, but for one part that is made from a source."""
    begins = f"<!-- Made by `make docs` from {source}. -->\n"
    before, _, rest = (_HAND_WRITTEN / name).read_text(encoding="utf-8").partition(begins)
    _, _, after = rest.partition(_PART_ENDS)
    return f"{before}{begins}\n{made}{_PART_ENDS}{after}"


_HAND_WRITTEN = DOCS
_PART_ENDS = "<!-- The end of it. -->\n"


def _generations() -> str:
    """What each generation is without, and what that means."""
    wants = [(each, generations.wants_of(each)) for each in generations.GENERATIONS]
    releases = [
        (
            each.releases,
            each.since,
            ", ".join(f"`{want.attribute}`" for want in lacking) or "nothing: all works",
        )
        for each, lacking in wants
    ]
    meanings = [
        (f"`{want.attribute}`", ", ".join(f"`{name}`" for name in want.classes), want.effect)
        for want in generations.WANTS
    ]
    return (
        _table(("iRedMail", "since", "without"), releases)
        + "\n"
        + _table(("Without", "of", "it is so"), meanings)
        + "\n"
    )


_VARIABLES = {TOKEN_VARIABLE: "Secret of the token that is sent to the URL."}
_GROUPS = {
    name: command for name, command in cli.main.made.items() if isinstance(command, click.Group)
}
"""Groups of commands that have manual pages of their own."""


def _group_page(name: str) -> str:
    return manual(f"iredldap {name}", _GROUPS[name], "iredldap", variables=_VARIABLES)


_COMPLETION = {"bash/iredldap": "bash", "zsh/_iredldap": "zsh", "fish/iredldap.fish": "fish"}
"""Scripts by which shells complete the words of `iredldap`, as shells look for them."""


def _completion(shell: str) -> str:
    found = shell_completion.get_completion_class(shell)
    assert found
    made = found(cli.main, {}, "iredldap", "_IREDLDAP_COMPLETE")
    return made.source_template % made.source_vars()


PAGES: dict[str, Callable[[], str]] = {
    "configuration.md": configuration_page,
    "api.md": api_page,
    "migration.md": migration_page,
    "tokens.md": tokens_page,
    "commands.md": commands_page,
    "architecture.md": architecture_page,
    "../iredldap/commands/api/rows.json": command_rows,
    "man/iredldap.1": lambda: manual(
        "iredldap", cli.main, "ldif-export", variables=_VARIABLES, apart=[*_GROUPS]
    ),
    **{
        f"../deploy/completion/{name}": partial(_completion, shell)
        for name, shell in _COMPLETION.items()
    },
    **{f"man/iredldap-{name}.1": partial(_group_page, name) for name in _GROUPS},
    "man/ldif-export.1": lambda: manual(
        "ldif-export",
        exporter.main,
        "iredldap",
        variables={PASSWORD_VARIABLE: "Password of the account to bind as."},
    ),
}


def main() -> int:
    """Write the pages; with --check, return 1 if one is stale and write nothing."""
    parser = argparse.ArgumentParser(prog="python -m tools.document", description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say which pages are stale")
    checking = parser.parse_args().check
    stale = 0
    for name, make in PAGES.items():
        if is_stale(name, text := make()):
            stale += 1
            print(f"docs/{name}: {'stale; run make docs' if checking else 'written'}")
            if not checking:
                (DOCS / name).parent.mkdir(parents=True, exist_ok=True)
                (DOCS / name).write_text(text, encoding="utf-8")
                # The manual pages are made from commands that are made from the rows.
                calls.cache_clear()
    return 1 if checking and stale else 0


def is_stale(name: str, text: str) -> bool:
    """Whether a page says something else than it would if it were made now."""
    page = DOCS / name
    return not page.exists() or page.read_text(encoding="utf-8") != text


if __name__ == "__main__":
    sys.exit(main())
