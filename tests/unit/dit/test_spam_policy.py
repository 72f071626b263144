"""Spam policies: what Amavisd reads of a change, and what is shown of that."""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from iredldap.dit import spam_policy
from iredldap.dit.field_schemas import properties
from iredldap.dit.fields import Column
from iredldap.dit.form_parser import parse
from iredldap.errors import InvalidParameter

Form = Mapping[str, str]
Row = dict[str, Any]

KINDS = [
    ("bypass_spam_checks", "quarantine_spam", "spam_lover", "spam_quarantine_to"),
    ("bypass_virus_checks", "quarantine_virus", "virus_lover", "virus_quarantine_to"),
    ("bypass_banned_checks", "quarantine_banned", "banned_files_lover", "banned_quarantine_to"),
    (
        "bypass_header_checks",
        "quarantine_bad_header",
        "bad_header_lover",
        "bad_header_quarantine_to",
    ),
]
CONFIGURED: Row = {
    **{lover: "N" for _, _, lover, _ in KINDS},
    **{quarantine_to: "some-quarantine" for _, _, _, quarantine_to in KINDS},
}


def put(row: Row, form: Form) -> Row:
    """The row after a request."""
    parsed = parse(spam_policy.SET, {name: [value] for name, value in form.items()})
    return row | spam_policy.columns(parsed, row, "[SPAM] ")


def after(forms: Iterable[Form]) -> Row:
    row: Row = {}
    for form in forms:
        row = put(row, form)
    return row


def effective(rows: Iterable[Row]) -> Row:
    """What Amavisd makes of policies, the nearest first: each column from the first with one."""
    found: Row = {}
    for row in (*rows, CONFIGURED):
        found = {name: value for name, value in row.items() if value is not None} | found
    return found


MAPPED = [
    ({"bypass_spam_checks": "yes"}, {"bypass_spam_checks": "Y", "spam_lover": "Y"}),
    ({"bypass_virus_checks": "yes"}, {"bypass_virus_checks": "Y", "virus_lover": "Y"}),
    ({"bypass_banned_checks": "yes"}, {"bypass_banned_checks": "Y", "banned_files_lover": "Y"}),
    ({"bypass_header_checks": "yes"}, {"bypass_header_checks": "Y", "bad_header_lover": "Y"}),
    *(({name: "no"}, {name: "N"}) for name, *_ in KINDS),
    ({"quarantine_spam": "yes"}, {"spam_lover": "N", "spam_quarantine_to": "spam-quarantine"}),
    ({"quarantine_spam": "no"}, {"spam_lover": "Y", "spam_quarantine_to": ""}),
    ({"quarantine_virus": "yes"}, {"virus_lover": "N", "virus_quarantine_to": "virus-quarantine"}),
    ({"quarantine_virus": "no"}, {"virus_lover": "Y", "virus_quarantine_to": ""}),
    (
        {"quarantine_banned": "yes"},
        {"banned_files_lover": "N", "banned_quarantine_to": "banned-quarantine"},
    ),
    ({"quarantine_banned": "no"}, {"banned_files_lover": "Y", "banned_quarantine_to": ""}),
    (
        {"quarantine_bad_header": "yes"},
        {"bad_header_lover": "N", "bad_header_quarantine_to": "bad-header-quarantine"},
    ),
    ({"quarantine_bad_header": "no"}, {"bad_header_lover": "Y", "bad_header_quarantine_to": ""}),
    (
        {"bypass_spam_checks": "yes", "quarantine_spam": "yes"},
        {
            "bypass_spam_checks": "Y",
            "spam_lover": "Y",
            "spam_quarantine_to": "spam-quarantine",
        },
    ),
    ({"prefix_spam_in_subject": "yes"}, {"spam_subject_tag2": "[SPAM] "}),
    ({"prefix_spam_in_subject": "no"}, {"spam_subject_tag2": ""}),
    ({"always_insert_x_spam_headers": "yes"}, {"spam_tag_level": -100}),
    ({"always_insert_x_spam_headers": "no"}, {"spam_tag_level": None}),
    ({"spam_score": "6.31"}, {"spam_tag2_level": 6.31, "spam_kill_level": 6.31}),
    ({"spam_score": "0"}, {"spam_tag2_level": 0, "spam_kill_level": 0}),
    ({"spam_score": ""}, {"spam_tag2_level": None, "spam_kill_level": None}),
    ({"banned_rulenames": "DEFAULT, ALLOW_MS_WORD"}, {"banned_rulenames": "DEFAULT,ALLOW_MS_WORD"}),
    ({"banned_rulenames": ""}, {"banned_rulenames": None}),
    ({}, {}),
]


@pytest.mark.parametrize(("form", "columns"), MAPPED)
def test_what_is_sent_sets_its_columns(form: Form, columns: Row) -> None:
    """And no others."""
    assert put({}, form) == columns
    assert columns.keys() <= set(spam_policy.COLUMNS)


WORDS = st.sampled_from(["yes", "no"])
FORMS = st.fixed_dictionaries(
    {},
    optional={
        **{name: WORDS for kind in KINDS for name in kind[:2]},
        "prefix_spam_in_subject": WORDS,
        "always_insert_x_spam_headers": WORDS,
        "spam_score": st.sampled_from(["0", "-1.5", "6.31", "9999.99"]),
        "banned_rulenames": st.sampled_from(["DEFAULT", "DEFAULT,ALLOW_MS_WORD"]),
    },
)
SEVERAL = st.lists(FORMS, max_size=3)
CHOICES = [
    {name: word for name, word in ((KINDS[0][0], bypass), (KINDS[0][1], quarantine)) if word}
    for bypass in ("", "yes", "no")
    for quarantine in ("", "yes", "no")
]


@given(SEVERAL)
def test_what_was_sent_is_shown(forms: list[Form]) -> None:
    """Of one parameter what came last; `no` to headers in every message is nothing said."""
    sent: dict[str, Any] = {}
    for form in forms:
        sent |= form
    if "spam_score" in sent:
        sent["spam_score"] = float(sent["spam_score"])
    if sent.get("always_insert_x_spam_headers") == "no":
        del sent["always_insert_x_spam_headers"]

    assert spam_policy.show(after(forms)) == sent


@given(SEVERAL, SEVERAL, SEVERAL)
def test_no_mail_is_lost(user: list[Form], domain: list[Form], everybody: list[Form]) -> None:
    """Whatever was said to whom, a message is delivered or in quarantine."""
    row = effective([after(user), after(domain), after(everybody)])

    for _, _, lover, quarantine_to in KINDS:
        assert row[lover] == "Y" or row[quarantine_to]


@pytest.mark.parametrize("first", CHOICES, ids=str)
@pytest.mark.parametrize("second", CHOICES, ids=str)
def test_the_later_request_counts(first: Form, second: Form) -> None:
    """The row is as if both had been sent at once, so a bypass that ends leaves no trace."""
    row = after([first, second])
    said = {**first, **second}

    assert {k: v for k, v in row.items() if v is not None} == put({}, said)
    match said:
        case {"bypass_spam_checks": "yes"} | {"quarantine_spam": "no"}:
            assert row["spam_lover"] == "Y"
        case {"quarantine_spam": "yes"}:
            assert (row["spam_lover"], row["spam_quarantine_to"]) == ("N", "spam-quarantine")
        case _:
            assert row.get("spam_lover") is None


FOREIGN = [
    ({"spam_lover": "Y", "spam_quarantine_to": "x"}, {"bypass_spam_checks": "no"}, "Y"),
    ({"spam_lover": "Y"}, {"bypass_spam_checks": "no"}, "Y"),
    ({"spam_lover": "Y"}, {"prefix_spam_in_subject": "no"}, "Y"),
    ({"bypass_spam_checks": "Y", "spam_lover": "N"}, {"quarantine_virus": "no"}, "N"),
    ({"spam_lover": "Y", "spam_quarantine_to": "x"}, {"quarantine_spam": "yes"}, "N"),
    ({"spam_lover": "N", "spam_quarantine_to": ""}, {"bypass_spam_checks": "no"}, "Y"),
    ({"bypass_spam_checks": "1", "spam_quarantine_to": "x"}, {"bypass_spam_checks": "no"}, "N"),
    ({"bypass_spam_checks": "Y", "spam_lover": "N"}, {"quarantine_spam": "yes"}, "Y"),
]


@pytest.mark.parametrize(("row", "form", "lover"), FOREIGN)
def test_a_row_that_others_made(row: Row, form: Form, lover: str) -> None:
    """A lover stays one until something is set for them; a row that loses mail is mended."""
    assert put(row, form)["spam_lover"] == lover


def test_the_policy_of_a_new_server_is_shown() -> None:
    """Spam and bad headers are delivered, viruses and banned files are not."""
    row: Row = {"id": 1, "policy_name": "@.", "message_size_limit": None, "spam_tag2_level": None}
    for (bypass, _, lover, quarantine_to), held in zip(KINDS, [0, 1, 1, 0], strict=True):
        row |= {bypass: "N", lover: "N" if held else "Y", quarantine_to: "x-quarantine" * held}

    assert spam_policy.show(row) == {
        **{bypass: "no" for bypass, *_ in KINDS},
        "quarantine_spam": "no",
        "quarantine_virus": "yes",
        "quarantine_banned": "yes",
        "quarantine_bad_header": "no",
    }


@pytest.mark.parametrize(("level", "word"), [(-999, "yes"), (-100, "yes"), (2.0, "no")])
def test_headers_in_every_message(level: float, word: str) -> None:
    """A level below any score, whoever chose it."""
    assert spam_policy.show({"spam_tag_level": level}) == {"always_insert_x_spam_headers": word}


@pytest.mark.parametrize(
    "form",
    [
        {"bypass_spam_checks": "perhaps"},
        {"spam_score": "high"},
        {"banned_rulenames": "two words"},
        {"banned_rulenames": ",".join(["ALLOW_MS_OFFICE", "ALLOW_MS_WORD"] * 3 + ["A" * 50])},
    ],
)
def test_bad_values_are_refused(form: Form) -> None:
    """Also a list of rules that is longer than the column."""
    with pytest.raises(InvalidParameter):
        put({}, form)


def test_columns_that_rows_name() -> None:
    """They are among those that are written, in the one table."""
    named = [row.stored_as for row in spam_policy.SET]

    assert {column.table for column in named if isinstance(column, Column)} == {"policy"}
    assert {c.name for c in named if isinstance(c, Column)} <= set(spam_policy.COLUMNS)
    assert len(properties(spam_policy.SET)) == len(spam_policy.SET) == 12


def together(user: Form, domain: Form, everybody: Form, *, narrow_first: bool) -> list[Row]:
    """Rows of a user, their domain and everybody, in one order of the requests or the other."""
    rows: list[Row] = [{}, {}, {}]
    requests = [(2, everybody), (1, domain), (0, user)]
    for number, form in reversed(requests) if narrow_first else requests:
        parsed = parse(spam_policy.SET, {name: [value] for name, value in form.items()})
        rows[number] = rows[number] | spam_policy.columns(parsed, rows[number], "")
        settled = [number, *(range(number) if spam_policy.bypasses(parsed) else ())]
        for one in settled:
            rows[one] = rows[one] | spam_policy.pinned(rows[one], rows[one + 1 :])
    return rows


@given(FORMS, FORMS, FORMS, st.booleans())
@example(
    {"bypass_spam_checks": "no"}, {"bypass_spam_checks": "yes"}, {"quarantine_spam": "no"}, True
)
def test_a_check_that_is_wanted_counts(
    user: Form, domain: Form, everybody: Form, narrow_first: bool
) -> None:
    """Its outcome is that of the same policies without wider bypasses; nothing is lost.

    What it gets when a wider bypass comes stays, whatever policies say that are written later.
    """
    row = effective(together(user, domain, everybody, narrow_first=narrow_first))

    for bypass, quarantine, lover, quarantine_to in KINDS:
        assert row[lover] == "Y" or row[quarantine_to]
        if user.get(bypass) == "no" or (quarantine in user and bypass not in user):
            is_settled = narrow_first and domain.get(bypass) == "yes"
            heard = (user, domain) if is_settled else (user, domain, everybody)
            said = (form[quarantine] for form in heard if quarantine in form)
            is_kept = next(said, "yes") == "yes"
            assert (row[lover] == "N") == is_kept
            if is_kept:
                assert row.get(bypass, "N") == "N"
                assert row[quarantine_to]


def test_what_others_made_a_lover_stays_one() -> None:
    """Without a bypass it says what becomes of what was found, as a quarantine does."""
    assert spam_policy.pinned({"bypass_virus_checks": "N"}, [{"virus_lover": "Y"}]) == {}
