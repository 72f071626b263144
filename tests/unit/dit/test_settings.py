"""accountSetting, packed and unpacked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iredldap.dit import settings
from iredldap.dit.entry import Entry
from iredldap.dit.fields import Field, FieldChange, Setting
from iredldap.dit.kinds import TEXT
from iredldap.dit.modlist import modlist
from iredldap.dit.plan import Op

READ: list[tuple[list[str], dict[str, object]]] = [
    ([], {}),
    (["defaultQuota:1024"], {"defaultQuota": 1024}),
    (["numberOfUsers:-1"], {"numberOfUsers": -1}),
    (["numberOfUsers:-2"], {}),
    (["numberOfUsers:many", "maxUserQuota:", "numberOfLists:1.5"], {}),
    (["numberOfUsers:\u0661"], {}),
    (["defaultQuota:" + "9" * 5000], {}),
    (["domainQuota:2:TB"], {"domainQuota": "2:TB"}),
    (["no colon", "x:y:z"], {"x": "y:z"}),
    (["DefaultQuota:5"], {"DefaultQuota": "5"}),
    (
        ["disabledUserProfile:relay", "disabledUserProfile: BCC"],
        {"disabledUserProfile": ["bcc", "relay"]},
    ),
    (["disabledMailService:pop3,imap"], {"disabledMailService": ["pop3,imap"]}),
    (["disabledDomainProfile:"], {"disabledDomainProfile": []}),
    (
        ["create_new_domains:yes", "create_max_users:5"],
        {"create_new_domains": "yes", "create_max_users": 5},
    ),
]


@pytest.mark.parametrize(("values", "unpacked"), READ)
def test_settings_are_unpacked(values: list[str], unpacked: dict[str, object]) -> None:
    """Split at the first colon; numbers and lists as such; what says nothing is left out."""
    assert settings.read(values) == unpacked


@pytest.mark.parametrize(
    ("stored", "megabytes"),
    [
        ("", 0),
        ("0:MB", 0),
        ("100:MB", 100),
        ("100", 100),
        ("2:gb", 2048),
        ("2:TB", 2 * 1024 * 1024),
        ("x:MB", 0),
        ("-1:MB", 0),
        ("\u0661:MB", 0),
        ("9" * 5000 + ":MB", 0),
    ],
)
def test_a_domains_quota_has_a_unit(stored: str, megabytes: int) -> None:
    """The number is stored as it was given, next to its unit."""
    assert settings.domain_quota({"domainQuota": stored}) == megabytes
    assert settings.domain_quota({}) == 0


def test_what_is_not_set_is_nothing() -> None:
    """And so is a value of another type than expected."""
    assert settings.number({}, "numberOfUsers") == settings.number({"x": "5"}, "x") == 0
    assert settings.words({}, "disabledUserProfile") == settings.words({"x": "a"}, "x") == []


@pytest.mark.parametrize(
    ("value", "stored"), [("", None), ("0", None), ("-1", "k:-1"), ("00", "k:00"), ("a:b", "k:a:b")]
)
def test_a_value_that_says_nothing_is_not_stored(value: str, stored: str | None) -> None:
    """Zero is nothing, -1 is not."""
    assert settings.packed("k", value) == stored


words = st.text("aB:1 -", max_size=6)


@given(st.lists(st.one_of(words, st.builds("{}:{}".format, words, words)), unique=True), words)
def test_other_keys_survive_a_change(values: list[str], value: str) -> None:
    """Only the values of the key itself go, also those that are no settings stay."""
    values = [text for text in values if not text.lower().startswith("wanted:")]
    entry = Entry("", {"accountSetting": [text.encode() for text in [*values, "wanted:old"]]})
    row = Field(name="x", stored_as=Setting("wanted"), kind=TEXT, meaning="")

    after = {text.decode() for text in entry.values("accountSetting")}
    for mod in modlist([FieldChange(row, (value,))], entry):
        named = {text.decode() for text in mod.values}
        after = after - named if mod.op is Op.DELETE else after | named

    packed = settings.packed("wanted", value)
    assert after == {*values, *([packed] if packed else [])}
    assert settings.of_key(after, "wanted") == ([packed] if packed else [])
