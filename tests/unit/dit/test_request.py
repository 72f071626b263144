"""A request can be written down and read again; a password in clear text cannot."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iredldap.dit import domain, maillist, subscribable, user
from iredldap.dit.fields import Field, FieldChange, Parsed
from iredldap.dit.form_parser import parse
from iredldap.dit.request import Request, domains, dumped, loaded, sealed
from iredldap.web.endpoints.index import ENDPOINTS, OPERATIONS
from iredldap.web.planner import TABLES

ROWS = {id_: [row for row in TABLES[id_] if row.kind.type != "password"] for id_ in TABLES}


@st.composite
def requests(draw: st.DrawFn) -> Request:
    endpoint = draw(st.sampled_from(sorted(ROWS)))
    rows = draw(st.lists(st.sampled_from(ROWS[endpoint]), max_size=4)) if ROWS[endpoint] else []
    texts = st.lists(st.text(), max_size=3).map(tuple)
    return Request(
        endpoint,
        draw(st.dictionaries(st.sampled_from(["mail", "domain", "new_mail"]), st.text())),
        Parsed(tuple(FieldChange(row, draw(texts), row.verb) for row in rows), dropped=draw(texts)),
        draw(texts),
        older_names=draw(st.dictionaries(st.text(), st.text(), max_size=2)),
    )


def row(table: tuple[Field, ...], name: str) -> Field:
    return next(row for row in table if row.name == name)


def same(change: FieldChange, other: FieldChange) -> bool:
    """A hash is read as one that was made of a password, whoever made it."""
    names = (change.field.name, other.field.name)
    return (change.values, change.verb, *names) == (other.values, other.verb, *reversed(names))


@given(requests())
def test_what_is_written_is_read(request: Request) -> None:
    """Equal, whatever the texts."""
    text = dumped(request)
    again = loaded(text, TABLES)

    assert text.isascii()
    pairs = zip(request.parsed.changes, again.parsed.changes, strict=True)
    assert all(same(*pair) for pair in pairs)
    assert replace(again, parsed=Parsed()) == replace(request, parsed=Parsed())
    assert again.parsed.dropped == request.parsed.dropped


@pytest.mark.parametrize("table", [user.CREATE, user.UPDATE, user.BULK])
def test_a_password_is_sealed(table: tuple[Field, ...]) -> None:
    """Its hash stands for it, where an operation looks for hashes; the rest stays."""
    language = FieldChange(row(table, "language"), ("de_DE",))
    asked = Parsed((FieldChange(row(table, "password"), ("secret",)), language))
    request = Request("user_update", {"mail": "a@b.test"}, asked)

    with pytest.raises(ValueError, match="clear text"):
        dumped(request)
    safe = sealed(request, lambda password: f"{{HASH}}{len(password)}")

    assert "secret" not in dumped(safe)
    assert safe.parsed.value("password") is None
    assert safe.parsed.value("password_hash") == "{HASH}6"
    assert safe.parsed.changes[1] is language


def test_verbs_are_kept() -> None:
    """A change adds or removes as it did."""
    changes = tuple(FieldChange(row, ("a@b.test",), row.verb) for row in maillist.UPDATE)

    again = loaded(dumped(Request("maillist_update", {}, Parsed(changes))), TABLES)

    assert again.parsed.changes == changes


def test_what_was_sent_back_is_still_known_in_a_job() -> None:
    """A job of the release before has no such texts."""
    parsed = parse(maillist.UPDATE, {"cn": ["Crew", "the Crew"], "addMember": ["a@b.test"]})
    assert parsed.changes[0].texts == ("Crew", "the Crew")
    text = dumped(Request("maillist_update", {}, parsed))
    assert loaded(text, TABLES).parsed.changes == parsed.changes
    before = text.replace(', "cn", ["Crew", "the Crew"]]', "]")
    assert before != text
    assert loaded(before, TABLES).parsed.changes[0].values == ("the Crew",)


@pytest.mark.parametrize(
    "text",
    [
        dumped(
            Request("domain_update", {}, Parsed((FieldChange(domain.UPDATE[0], ("x",)),)))
        ).replace(f'"{domain.UPDATE[0].name}"', '"no_such_row"'),
        dumped(Request("no_such_endpoint", {})),
        dumped(Request("user_verify_password", {})),
        dumped(
            Request("user_update", {}, Parsed((FieldChange(row(user.UPDATE, "name"), ("x",)),)))
        ).replace('"name"', '"password"'),
    ],
)
def test_what_another_version_wrote_is_refused(text: str) -> None:
    """Rather than half understood."""
    with pytest.raises(ValueError, match="no "):
        loaded(text, TABLES)


def test_every_change_of_the_api_has_its_operation() -> None:
    """All endpoints that write, and no other ones."""
    others = {
        "login",
        "logout",
        "sessions_end",
        "sessions_end_all",
        "user_verify_password",
        "ldif_restore",
        "import_create",
        "state_apply",
        "token_create",
        "token_delete",
    }
    writing = {e.id for e in ENDPOINTS if e.method != "GET"} - others
    writing = {id_ for id_ in writing if "verify_password" not in id_}

    assert OPERATIONS.keys() == writing


def test_every_row_of_addresses_or_domains_tells_the_domain() -> None:
    """Whatever a request mentions, its change takes turns with others that mention it."""
    rows = [row for endpoint in ENDPOINTS for row in endpoint.table]
    mentioning = {"email", "csv_emails", "csv_domains"}
    elsewhere = {"username"}
    silent = {row.name for row in rows if row.kind.type in mentioning and row.kind.domain is None}
    assert silent <= elsewhere


def test_domains_that_a_request_mentions() -> None:
    """Those of its path and of its values, in lower case, each once."""
    table = {row.name: row for row in user.UPDATE}
    changes = (
        FieldChange(table["forwarding"], ("a@b.test", "c@d.test", "ann@corp.test")),
        FieldChange(table["senderBcc"], ("x@y.test",)),
        FieldChange(table["name"], ("no@address.test",)),
    )
    names = {"mail": "ann@corp.test", "new_mail": "ann@new.test"}
    request = Request("user_update", names, Parsed(changes))
    assert domains(request) == {"corp.test", "new.test", "b.test", "d.test", "y.test"}
    assert domains(Request("domain_delete", {"domain": "corp.test"})) == {"corp.test"}
    assert domains(Request("throttle_global_inbound_set", {})) == frozenset()


def test_alias_domains_are_mentioned_and_everybody_is_no_domain() -> None:
    alias, everybody = row(domain.UPDATE, "addAliasDomain"), subscribable.REMOVE_SUBSCRIBERS
    changes = FieldChange(alias, ("alias.test",)), FieldChange(everybody, ("ALL", "a@b.test"))
    request = Request("domain_update", {"domain": "corp.test"}, Parsed(changes))
    assert domains(request) == {"corp.test", "alias.test", "b.test"}
