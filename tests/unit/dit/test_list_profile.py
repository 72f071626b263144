"""Parameters of subscribable lists in the words of mlmmjadmin, and back."""

from typing import Any

import pytest

from iredldap.dit import list_profile
from iredldap.dit.fields import FieldChange
from iredldap.dit.form_parser import parse
from iredldap.dit.list_profile import Agreed
from iredldap.dit.subscribable import CREATE, UPDATE
from iredldap.errors import ParameterConflict

NEWS = "news@corp.test"
POLICY, MODERATORS, MEMBERS = (
    "accessPolicy", "only_moderator_can_post", "only_subscriber_can_post",
)  # fmt: skip


def changes(**form: str) -> tuple[FieldChange, ...]:
    return parse(UPDATE, {name: [value] for name, value in form.items()}).changes


def values(agreed: Agreed) -> dict[str, str]:
    return {change.field.name: ",".join(change.values) for change in agreed.changes}


def words(profile: dict[str, Any] | None = None, /, **form: str) -> dict[str, str]:
    return list_profile.parameters(NEWS, changes(**form), profile or {})


POSTING = [
    # what was sent, iRedAPD's policy, mlmmj's file; what comes of it
    ({MODERATORS: "yes"}, "public", None, ("moderatorsonly", "yes", "no")),
    ({MEMBERS: "yes"}, "moderatorsonly", MODERATORS, ("membersonly", "no", "yes")),
    ({MODERATORS: "no"}, "moderatorsonly", MODERATORS, ("public", "no", "no")),
    ({MEMBERS: "no"}, "membersonly", MEMBERS, ("public", "no", "no")),
    ({MEMBERS: "no"}, "domain", MEMBERS, ("domain", "no", "no")),
    ({MEMBERS: "no"}, "moderatorsonly", MEMBERS, ("public", "no", "no")),
    ({MODERATORS: "no"}, "domain", MEMBERS, (None, "no", None)),
    ({MEMBERS: "no"}, "moderatorsonly", MODERATORS, (None, None, "no")),
    ({MEMBERS: "no", MODERATORS: "no"}, "subdomain", None, (None, "no", "no")),
    ({MEMBERS: "yes"}, "membersonly", MEMBERS, ("membersonly", "no", "yes")),
    ({POLICY: "public"}, "public", MEMBERS, ("public", "no", "no")),
    ({POLICY: "domain", MEMBERS: "yes"}, "public", None, ("domain", "no", "no")),
    ({"close_list": "yes"}, "public", MEMBERS, (None, None, None)),
]


@pytest.mark.parametrize(("sent", "policy", "file", "expected"), POSTING)
def test_who_may_post(
    sent: dict[str, str], policy: str, file: str | None, expected: tuple[str | None, ...]
) -> None:
    """A setting that was not sent, and need not follow, is left alone."""
    profile = {file: "yes"} if file else {}

    found = values(list_profile.agreed(changes(**sent), policy, profile))

    assert tuple(found.get(name) for name in (POLICY, MODERATORS, MEMBERS)) == expected


def test_overruled_is_named() -> None:
    """The policy counts before the settings, the moderators before the members."""
    both = {MODERATORS: "yes", MEMBERS: "yes"}
    by_policy = list_profile.agreed(changes(accessPolicy="public", **both), "public", {})
    by_moderators = list_profile.agreed(changes(**both), "public", {})

    assert set(by_policy.overruled) == {f"{MODERATORS}=yes", f"{MEMBERS}=yes"}
    assert by_moderators.overruled == (f"{MEMBERS}=yes",)


def test_new_list_is_told_every_default() -> None:
    """Each that the reference has, in its words."""
    told = list_profile.parameters(NEWS, list_profile.completed(NEWS, ()).changes, {})

    defaults = {row.stored_as.name: row.default for row in CREATE
                if row.default and hasattr(row.stored_as, "name")}  # fmt: skip
    assert told.items() >= defaults.items()
    assert told["owner"] == told["moderators"] == "postmaster@corp.test"
    assert "owners" not in told


def test_default_does_not_undo_what_was_sent() -> None:
    """Moderators of joins would be cleared by the default of their switch."""
    sent = changes(subscription_moderators="ann@corp.test")
    told = list_profile.parameters(NEWS, list_profile.completed(NEWS, sent).changes, {})
    assert told["subscription_moderators"] == "ann@corp.test"
    assert "moderate_subscription" not in told


def test_moderated_joins_cannot_be_both() -> None:
    both = changes(moderate_subscription="no", subscription_moderators="ann@corp.test")
    with pytest.raises(ParameterConflict):
        list_profile.agreed(both, "public", {})


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"is_newsletter": "on"}, {"enable_newsletter_subscription": "yes"}),
        ({"custom_headers": "A: 1\nB: 2"}, {"custom_headers": "A: 1\nB: 2"}),
        ({"custom_headers": ""}, {"custom_headers": ""}),
        ({"remove_headers": "a,B:"}, {"remove_headers": "a:,B:"}),
        ({"extra_addresses": "a@corp.test"}, {"extra_addresses": "a@corp.test"}),
        ({"moderators": ""}, {"moderators": ""}),
        ({"maxMailSize": "7"}, {"max_message_size": "7"}),
        ({"cn": "News"}, {"name": "News"}),
        ({"accountStatus": "disabled", "accessPolicy": "public"}, {}),
        ({"newsletter_description": "x", "add_subscribers": "a@b.test"}, {}),
        ({"subject_prefix": " [x] "}, {"subject_prefix": "[x] "}),
    ],
    ids=str,
)
def test_words(form: dict[str, str], expected: dict[str, str]) -> None:
    """Only what mlmmjadmin knows is sent to it."""
    assert words(**form) == expected


def test_no_further_address_is_the_lists_own() -> None:
    """An empty list would delete the file with it."""
    (row,) = (row for row in UPDATE if row.name == "extra_addresses")
    assert list_profile.parameters(NEWS, [FieldChange(row, ())], {}) == {"extra_addresses": NEWS}


@pytest.mark.parametrize(
    ("text", "made", "held", "expected"),
    [
        ("a\n<b>", {}, "", "a<br>\n&lt;b&gt;"),
        ("new", {"footer_text": "a\nb"}, "a<br>\nb", "new"),
        ("new", {"footer_text": "a"}, "<i>other</i>", None),
        ("", {"footer_text": "a"}, "a", ""),
        ("", {"footer_text": "a"}, "<i>other</i>", None),
    ],
)
def test_footer(text: str, made: dict[str, str], held: str, expected: str | None) -> None:
    """A text is none without HTML beside it; HTML of somebody's own stays."""
    told = words(made | {"footer_html": held}, footer_text=text)
    assert told.get("footer_html") == expected


def test_footer_whose_html_goes() -> None:
    """It is made of the text, while there is one."""
    held = {"footer_text": "a & b", "footer_html": "<i>other</i>"}
    assert words(held, footer_html="")["footer_html"] == "a &amp; b"
    assert words(held, footer_html="", footer_text="")["footer_html"] == ""


PROFILE: dict[str, Any] = {
    "close_list": "no",
    "owner": ["b@c.test", "a@c.test"],
    "owners": ["b@c.test", "a@c.test"],
    "extra_addresses": ["x@corp.test"],
    "custom_headers": ["List-Id: <x>", "X-A: 1", "precedence: bulk"],
    "remove_headers": ["Received:"],
    "max_message_size": "",
    "smtp_port": "10027",
    "subject_prefix": "[x] ",
    "enable_newsletter_subscription": "no",
}


@pytest.mark.parametrize(
    ("form", "is_new"),
    [
        ({"close_list": "no"}, False),
        ({"close_list": "yes"}, True),
        ({"owner": "a@c.test,b@c.test"}, False),
        ({"owner": "a@c.test"}, True),
        ({"extra_addresses": "x@corp.test"}, False),
        ({"extra_addresses": "y@corp.test"}, True),
        ({"custom_headers": "X-A: 1"}, False),
        ({"custom_headers": ""}, True),
        ({"remove_headers": "Received"}, False),
        ({"max_message_size": "0"}, False),
        ({"max_message_size": "1"}, True),
        ({"subject_prefix": "[x]"}, True),
        ({"moderators": "a@c.test"}, True),
        ({"is_newsletter": "no"}, False),
    ],
    ids=str,
)
def test_only_differences_are_sent(form: dict[str, str], is_new: bool) -> None:
    found = list_profile.differing(NEWS, changes(**form), PROFILE)
    assert bool(found) == is_new


def test_shown() -> None:
    """By our names, numbers as numbers, without what every list has."""
    assert list_profile.shown(PROFILE) == {
        "close_list": "no",
        "owner": ["b@c.test", "a@c.test"],
        "extra_addresses": ["x@corp.test"],
        "custom_headers": ["X-A: 1"],
        "remove_headers": ["Received:"],
        "max_message_size": 0,
        "smtp_port": 10027,
        "subject_prefix": "[x] ",
        "is_newsletter": "no",
    }


@pytest.mark.parametrize(
    ("held", "successors", "forms"),
    [
        ({"owner": ["A@c.test", "b@c.test"]}, {"a@c.test": "n@c.test"},
         [{"owner": "n@c.test,b@c.test"}]),
        ({"owner": ["a@c.test", "n@c.test"]}, {"a@c.test": "n@c.test"}, [{"owner": "n@c.test"}]),
        ({"owner": ["a@c.test"], "moderators": ["a@c.test", "b@c.test"]}, {"a@c.test": None},
         [{"owner": "", "moderators": "b@c.test"}]),
        ({"owner": ["b@c.test"]}, {"a@c.test": None}, []),
        ({"subscription_moderators": ["a@c.test"]}, {"a@c.test": None},
         [{"moderate_subscription": "no"}, {"moderate_subscription": "yes"}]),
        ({"subscription_moderators": ["a@c.test", "b@c.test"]}, {"a@c.test": None},
         [{"subscription_moderators": "b@c.test"}]),
        ({}, {"a@c.test": None}, []),
    ],
    ids=str,
)  # fmt: skip
def test_exchanged(
    held: dict[str, list[str]], successors: dict[str, str | None], forms: list[dict[str, str]]
) -> None:
    """Whoever owns or moderates; joins that nobody is left to moderate stay moderated."""
    found = list_profile.exchanged(held, lambda address: successors.get(address, address))
    assert [*found] == forms


HEIR = "postmaster@corp.test"


@pytest.mark.parametrize(
    ("held", "forms"),
    [
        ({"owner": ["a@c.test"]}, [{"owner": HEIR}]),
        ({"owner": ["a@c.test"], "moderators": ["a@c.test"]}, [{"owner": HEIR, "moderators": ""}]),
        ({"owner": ["a@c.test"], "moderators": ["a@c.test"], "moderated": "yes"},
         [{"owner": HEIR, "moderators": HEIR}]),
        ({"owner": ["b@c.test", "c@c.test"], "moderators": ["a@c.test"], "moderated": "yes"},
         [{"moderators": "b@c.test,c@c.test"}]),
        ({"owner": ["b@c.test"], "moderators": ["a@c.test"], "moderate_non_subscriber_post": "yes"},
         [{"moderators": "b@c.test"}]),
        ({"owner": ["b@c.test"], "moderators": ["a@c.test", "c@c.test"], "moderated": "yes"},
         [{"moderators": "c@c.test"}]),
        ({"owner": ["b@c.test"], "moderated": "no"}, []),
    ],
    ids=str,
)  # fmt: skip
def test_heirs(held: dict[str, Any], forms: list[dict[str, str]]) -> None:
    """Nobody is asked in vain: owners for the last moderator, postmaster for the last owner."""

    def successor(address: str) -> str | None:
        return None if address == "a@c.test" else address

    assert [*list_profile.exchanged(held, successor, HEIR)] == forms


def test_an_address_that_mlmmjadmin_drops_moderates_nothing() -> None:
    """As after a rename into a domain with a long ending; owners it keeps as they are."""
    odd = "a@corp.international-domain"
    held = {"owner": ["a@c.test"], "moderators": ["a@c.test"], "moderated": "yes"}

    (form,) = list_profile.exchanged(held, lambda _: odd, HEIR)

    assert form == {"owner": odd, "moderators": HEIR}


@pytest.mark.parametrize(
    ("form", "profile", "moderators"),
    [
        ({"moderated": "yes"}, {"owner": ["B@c.test"]}, ("b@c.test",)),
        ({"moderated": "yes"}, {}, ("postmaster@corp.test",)),
        ({"moderated": "yes"}, {"moderators": ["m@c.test"]}, None),
        ({"moderated": "no"}, {"owner": ["b@c.test"]}, None),
        ({"moderators": ""}, {"moderated": "yes", "owner": ["b@c.test"]}, ("b@c.test",)),
        ({"moderators": "", "moderated": "no"}, {"moderated": "yes"}, ()),
        ({"moderators": "", "owner": "n@c.test"}, {"moderated": "yes"}, ("n@c.test",)),
        ({"close_list": "yes"}, {"moderated": "yes"}, None),
    ],
    ids=str,
)
def test_a_list_that_holds_posts_is_led(
    form: dict[str, str], profile: dict[str, Any], moderators: tuple[str, ...] | None
) -> None:
    """What was not sent, and need not follow, is left alone."""
    found = list_profile.with_moderators(NEWS, changes(**form), profile)

    by_name = {change.field.name: change.values for change in found.changes}
    assert by_name.get("moderators") == moderators
    is_overruled = form.get("moderators") == "" and bool(moderators)
    assert found.overruled == (("moderators=",) if is_overruled else ())


def test_moderators_of_joins_are_cleared_first() -> None:
    """Sent together, mlmmjadmin would keep them."""
    sent = changes(moderate_subscription="yes", subscription_moderators="", close_list="yes")
    held = {"moderate_subscription": "yes", "subscription_moderators": ["a@c.test"]}

    assert list_profile.forms(NEWS, sent, held) == [
        {"close_list": "yes", "moderate_subscription": "no"},
        {"moderate_subscription": "yes"},
    ]
    assert list_profile.forms(NEWS, sent, {"moderate_subscription": "yes"}) == [
        {"close_list": "yes"}
    ]
    assert list_profile.forms(NEWS, changes(moderate_subscription="yes"), held) == []


def test_html_goes_along_when_the_text_beside_it_goes() -> None:
    held = {"footer_text": "a", "footer_html": "<i>b</i>"}

    assert list_profile.differing(NEWS, changes(footer_text=""), held) == {
        "footer_text": "",
        "footer_html": "<i>b</i>",
    }


def test_addresses_in_a_domain_go() -> None:
    profile = {"extra_addresses": ["A@one.test", "b@two.test"]}

    def is_gone(address: str) -> bool:
        return address.endswith("@one.test")

    assert list_profile.without(NEWS, profile, is_gone) == {"extra_addresses": "b@two.test"}
    assert list_profile.without(NEWS, {"extra_addresses": ["a@one.test"]}, is_gone) == {
        "extra_addresses": NEWS
    }
    assert list_profile.without(NEWS, {}, is_gone) == {}
