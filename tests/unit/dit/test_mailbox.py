"""Where new mailboxes lie."""

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iredldap.config.accounts import AccountSettings
from iredldap.dit import filters, kinds, mail_names, mailbox
from iredldap.dit.kinds import Reading
from iredldap.errors import InvalidMail

NOW = datetime(2026, 1, 31, 9, 5, 33)  # noqa: DTZ001 - the server's local time, as it is stored
BASE = "/var/vmail/vmail1"
NO_TIME = {"maildir_append_timestamp": False}

PATHS: list[tuple[str, dict[str, Any], str]] = [
    ("zhang@example.com", {}, "example.com/z/h/a/zhang-2026.01.31.09.05.33/"),
    ("zhang@example.com", NO_TIME, "example.com/z/h/a/zhang/"),
    ("abc@a.test", NO_TIME, "a.test/a/b/c/abc/"),
    ("ab@a.test", NO_TIME, "a.test/a/b/_/ab/"),
    ("a@a.test", NO_TIME, "a.test/a/_/_/a/"),
    ("j.d@a.test", NO_TIME, "a.test/j/_/d/j.d/"),
    ("a.@a.test", NO_TIME, "a.test/a/_/_/a./"),
    ("~x@a.test", NO_TIME, "a.test/_/x/_/~x/"),
    ("jo~.x@a.test", NO_TIME, "a.test/j/o/_/jo~.x/"),
    ("#-_@a.test", NO_TIME, "a.test/#/-/_/#-_/"),
    ("Zhang@A.test", NO_TIME, "a.test/z/h/a/zhang/"),
    ("zhang@a.test", NO_TIME | {"maildir_prepend_domain": False}, "z/h/a/zhang/"),
    ("zhang@a.test", NO_TIME | {"maildir_hashed": False}, "a.test/zhang/"),
    ("zhang@a.test", {"maildir_hashed": False}, "a.test/zhang-2026.01.31.09.05.33/"),
    ("zhang@abc.test", NO_TIME | {"maildir_domain_hashed": True}, "a/b/abc.test/z/h/a/zhang/"),
    ("zhang@a.test", NO_TIME | {"maildir_domain_hashed": True}, "a/_/a.test/z/h/a/zhang/"),
    ("zhang@a-b.test", NO_TIME | {"maildir_domain_hashed": True}, "a/_/a-b.test/z/h/a/zhang/"),
    ("zhang@1a.test", NO_TIME | {"maildir_domain_hashed": True}, "1/a/1a.test/z/h/a/zhang/"),
]


@pytest.mark.parametrize(("mail", "switches", "path"), PATHS)
def test_a_path_is_hashed_as_iredmail_does(mail: str, switches: dict[str, Any], path: str) -> None:
    """Domain, three characters of the name, the name, the time."""
    assert mailbox.path(mail, BASE, AccountSettings(**switches), NOW) == f"{BASE}/{path}"


@pytest.mark.parametrize("base", ["/Mail", "/mail/", "/mail//"])
def test_the_base_is_joined_by_one_slash_in_lower_case(base: str) -> None:
    """Dovecot lowers what it reads; Postfix would look elsewhere."""
    path = mailbox.path("ann@a.test", base, AccountSettings(maildir_append_timestamp=False), NOW)
    assert path == "/mail/a.test/a/n/n/ann/"


@given(st.text("abz019_#-.&", min_size=1, max_size=8), st.booleans(), st.booleans())
def test_every_new_account_gets_a_path_that_could_be_given(
    local: str, hashed: bool, domain_hashed: bool
) -> None:
    """Absolute, ending in a slash, without a step upwards: as `maildir` would be read."""
    try:
        mail = mail_names.new_address(f"{local}@x-1.test")
    except InvalidMail:
        return
    accounts = AccountSettings(maildir_hashed=hashed, maildir_domain_hashed=domain_hashed)
    path = mailbox.path(mail, BASE, accounts, NOW)
    assert kinds.MAILBOX_PATH.read(path) == Reading((path,))
    assert path.startswith(f"{BASE}/")


@pytest.mark.parametrize("hashed", [True, False])
@pytest.mark.parametrize("stamped", [True, False])
def test_a_generated_path_fits_into_the_table_of_deleted_ones(hashed: bool, stamped: bool) -> None:
    """Of a long name the beginning has to do."""
    mail = mail_names.new_address(f"{'u' * 60}@{'.'.join(['a' * 53] * 3)}.test")
    accounts = AccountSettings(maildir_hashed=hashed, maildir_append_timestamp=stamped)
    base = "/var/vmail/" + "v" * 30
    path = mailbox.path(mail, base, accounts, NOW)
    assert kinds.MAILBOX_PATH.read(path) == Reading((path,))
    assert ("u" * 10 in path, path.endswith("-2026.01.31.09.05.33/")) == (True, stamped)
    assert len(path) <= 255


# --- how paths stand to each other ------------------------------------------------------------

SPELLINGS = [
    ("", ""),
    ("/", "/"),
    ("//", "/"),
    ("/.", "/"),
    ("/a/B", "/a/b/"),
    ("/a/b/", "/a/b/"),
    ("//a//b//", "/a/b/"),
    ("/a/./b", "/a/b/"),
    ("/a/x/../b", "/a/b/"),
    ("/a/.b", "/a/.b/"),
]


@pytest.mark.parametrize(("spelling", "path"), SPELLINGS)
def test_paths_are_compared_in_one_form(spelling: str, path: str) -> None:
    """Lower case, single slashes, one at the end."""
    assert mailbox.normalized(spelling) == path
    assert mailbox.normalized(path) == path


NAMES = st.lists(st.sampled_from("abc"), max_size=4).map(lambda parts: "/" + "/".join(parts))
DIRECTORIES = NAMES.map(mailbox.normalized)


@given(st.sets(DIRECTORIES, max_size=6), DIRECTORIES)
def test_a_directory_touches_what_is_equal_inside_or_around(paths: set[str], path: str) -> None:
    """As a comparison of each with each finds; the root is nobody's mailbox."""
    touching = {p for p in paths - {"/"} if p.startswith(path) or path.startswith(p)}
    expected = touching if path != "/" else set()
    assert mailbox.PathSet(paths).overlapping(path) == expected


def test_no_path_touches_nothing() -> None:
    assert mailbox.PathSet(["/a/"]).overlapping("") == frozenset()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v/a-2026.01.31.09.05.33/", False),
        ("/v/a-2026.01.31.09.05.33/x/", True),
        ("/v/a-2026.01.31.09.05.33/x/y/", True),
        ("/v/a-2026.01.31/x/", False),
        ("/v/a-2026.01.31.09.05.33.x/x/", False),
    ],
)
def test_the_name_of_a_mailbox_is_known_by_its_time(path: str, expected: bool) -> None:
    assert mailbox.is_inside_a_mailbox(path) is expected


FORMS = st.builds(
    AccountSettings,
    maildir_hashed=st.booleans(),
    maildir_domain_hashed=st.booleans(),
    maildir_append_timestamp=st.booleans(),
)


@given(st.sampled_from(["ann", "a", "x.y", "~b"]), FORMS)
def test_further_paths_lie_in_the_directory_of_the_domain(
    local: str, accounts: AccountSettings
) -> None:
    """The first is the usual one; all others end in a time, and none comes twice."""
    mail = f"{local}@x-1.test"
    first, *more = mailbox.candidates(mail, BASE, accounts, NOW)
    further = [path for paths in more for path in paths]
    assert first == (mailbox.path(mail, BASE, accounts, NOW),)
    trunk = mailbox.trunk("x-1.test", BASE, accounts)
    assert trunk in mailbox.folders("x-1.test", BASE)
    assert all(mailbox.ends_in_a_time(path) and path.startswith(trunk) for path in further)
    assert len(set(further)) == len(further)


def test_a_search_by_index_asks_for_every_spelling_around() -> None:
    """With and without a slash, and in the older form, split anywhere."""
    query = mailbox.overlap_query("o=domains", ["/v/d/u/"], spelled=["/V/d/u"])
    for form in ("/v/d/u/", "/v/d/u", "/v/d/", "/v/d", "/v/", "/v", "/V/d/u"):
        assert filters.equals("homeDirectory", form) in query.filter
    for store in ("d/u/", "u/", "d/u", "u", "d/", "d"):
        assert filters.equals("mailMessageStore", store) in query.filter
