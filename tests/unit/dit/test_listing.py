"""What of a listing is asked for."""

from urllib.parse import quote

import pytest

from iredldap.dit.form_parser import parse
from iredldap.dit.listing import DOMAINS, LISTS, USERS, ListingOptions
from iredldap.errors import InvalidParameter, MissingParameter, ParameterConflict


def wanted(**form: str) -> ListingOptions:
    return ListingOptions.read(parse(USERS, {name: [value] for name, value in form.items()}))


def test_nothing_sent_is_everything() -> None:
    assert wanted() == ListingOptions()
    assert wanted(limit="", cursor="", fields=" , ", email_only="") == ListingOptions()


@pytest.mark.parametrize("word", ["yes", "TRUE", "1"])
def test_switches_act_on_yes(word: str) -> None:
    assert wanted(email_only=word, disabled_only=word) == ListingOptions(
        names_only=True, disabled_only=True
    )


def test_no_is_as_good_as_nothing() -> None:
    assert wanted(email_only="no", disabled_only="off") == ListingOptions()


def test_domains_have_names() -> None:
    assert ListingOptions.read(parse(DOMAINS, {"name_only": ["yes"]})).names_only
    assert ListingOptions.read(parse(LISTS, {"email_only": ["yes"]})).names_only


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "1.5"])
def test_a_page_has_1_to_1000_entries(limit: str) -> None:
    with pytest.raises(InvalidParameter):
        wanted(limit=limit)
    assert wanted(limit="1000").limit == 1000


def test_a_cursor_needs_a_limit() -> None:
    with pytest.raises(MissingParameter) as told:
        wanted(cursor="ann@corp.test")
    assert told.value.parameters == ("limit",)


@pytest.mark.parametrize("key", ["ann@corp.test", "a+b&c@corp.test", "50%@corp.test", "a\x07b@c.d"])
def test_a_cursor_is_a_key_as_a_header_has_it(key: str) -> None:
    assert wanted(limit="1", cursor=quote(key).upper()).cursor == key


def test_names_have_no_attributes() -> None:
    with pytest.raises(ParameterConflict) as told:
        wanted(email_only="yes", fields="mail")
    assert told.value.parameters == ("fields",)
    assert wanted(email_only="no", fields="Mail,mail,CN").fields == ("Mail", "CN")
