"""What a change of a subscribable list reports is enough to revert it."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from iredldap.config.sections import MlmmjadminSettings
from iredldap.config.settings import Secret
from iredldap.dit.change_log import TouchedRows
from iredldap.gateways.mlmmjadmin import Mlmmjadmin
from iredldap.gateways.touched_rows import collected
from iredldap.gateways.turns import Turns
from iredldap.operations.mlmmj_calls import MailingLists
from iredldap.operations.undo import subscribable_lists
from tests.support.mlmmjadmin import TOKEN, MlmmjadminServer
from tests.support.patience import PATIENCE

NEWS, ANN, BOB, EVE = "news@corp.test", "ann@corp.test", "bob@corp.test", "eve@there.test"


@pytest.fixture
def lists(mlmmjadmin: MlmmjadminServer, tmp_path: Path) -> Iterator[MailingLists]:
    """A list with settings and members."""
    with closing(Turns(Secret(f"sqlite:///{tmp_path / 'state.sqlite'}"), 5)) as turns:
        settings = MlmmjadminSettings(url=mlmmjadmin.url, token=Secret(TOKEN), timeout=PATIENCE)
        made = MailingLists(Mlmmjadmin(settings), turns)
        made.create(NEWS, {"owner": ANN, "custom_headers": "X-One: 1", "footer_text": "Bye"})
        made.update(NEWS, {"subscription_moderators": BOB, "footer_html": "<b>Bye</b>"})
        made.subscribe(NEWS, [ANN], "normal", confirm=False)
        made.subscribe(NEWS, [EVE], "digest", confirm=False)
        yield made


def seen(lists: MailingLists, mail: str = NEWS) -> Any:
    return lists.profile(mail), lists.subscribers(mail) if lists.profile(mail) else None


def revert(lists: MailingLists, touched: list[TouchedRows], *, tries: bool = False) -> list[Any]:
    reverted = subscribable_lists.revert(lists, touched, tries=tries)
    return [(one.where, one.what, one.why) for one in reverted.left]


CHANGES: dict[str, Callable[[MailingLists], None]] = {
    "settings": lambda lists: lists.update(
        NEWS, {"subject_prefix": "[n] ", "max_message_size": "99", "extra_addresses": EVE}
    ),
    "owner": lambda lists: lists.update(NEWS, {"owner": f"{BOB},{EVE}", "custom_headers": ""}),
    "no moderators of joins": lambda lists: lists.update(NEWS, {"moderate_subscription": "no"}),
    "no footer": lambda lists: lists.update(NEWS, {"footer_text": ""}),
    "archived": lambda lists: lists.delete(NEWS, archive=True),
    "members": lambda lists: lists.subscribe(NEWS, [BOB], "nomail", confirm=False),
    "no members": lambda lists: lists.unsubscribe(NEWS, ["ALL"]),
    "another list": lambda lists: lists.create("more@corp.test", {"owner": EVE}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_of_a_list_is_reverted_from_its_report(
    lists: MailingLists, mlmmjadmin: MlmmjadminServer, name: str
) -> None:
    """A trial changes nothing; the second time there is nothing left to do."""
    before = seen(lists), mlmmjadmin.lists()
    with collected() as touched:
        CHANGES[name](lists)
    after = seen(lists), mlmmjadmin.lists()
    assert after != before

    assert revert(lists, touched, tries=True) == []
    assert (seen(lists), mlmmjadmin.lists()) == after
    with collected() as back:
        assert revert(lists, touched) == []
    assert (seen(lists), mlmmjadmin.lists()) == before
    assert revert(lists, touched) == []
    assert (seen(lists), mlmmjadmin.lists()) == before
    assert revert(lists, back) == []
    assert (seen(lists), mlmmjadmin.lists()) == after


def test_what_others_have_changed_since_is_left_alone_and_named(
    lists: MailingLists, mlmmjadmin: MlmmjadminServer
) -> None:
    """Setting by setting, member by member."""
    with collected() as touched:
        lists.update(NEWS, {"subject_prefix": "[n] ", "owner": BOB})
        lists.unsubscribe(NEWS, [ANN, EVE])
        lists.create("more@corp.test", {})
    lists.update(NEWS, {"subject_prefix": "[theirs] "})
    lists.subscribe(NEWS, [ANN], "nomail", confirm=False)
    lists.update("more@corp.test", {"owner": EVE})

    assert revert(lists, touched) == [
        ("mlmmjadmin.news@corp.test", "subject_prefix", "it has been changed since"),
        ("mlmmjadmin.news@corp.test", ANN, "a member again, nomail"),
        ("mlmmjadmin.more@corp.test", "", "it has been changed since"),
    ]
    profile, members = seen(lists)
    assert (profile["subject_prefix"], profile["owner"]) == ("[theirs] ", [ANN])
    assert members == {"nomail": {ANN}, "digest": {EVE}}
    assert "more@corp.test" in mlmmjadmin.lists()


def test_a_list_that_is_gone_is_named(lists: MailingLists) -> None:
    with collected() as touched:
        lists.update(NEWS, {"subject_prefix": "[n] "})
        lists.subscribe(NEWS, [BOB], "nomail", confirm=False)
    lists.delete(NEWS, archive=True)

    assert revert(lists, touched) == [("mlmmjadmin.news@corp.test", "", "it is gone")]
