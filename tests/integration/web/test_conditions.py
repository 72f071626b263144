"""Entity tags: no client overwrites what it has not seen."""

import threading

import ldap
import pytest

from tests.support.client import Client, done, refused
from tests.support.world import World

PASSWORD = "a good password"


@pytest.fixture
def state(api: Client) -> str:
    """The entity tag of a fresh domain."""
    return done(api.post("/api/domain/corp.test")).headers["ETag"]


def conditional(api: Client, tag: str, method: str = "PUT", **parameters: object) -> object:
    return api.call(method, "/api/domain/corp.test", headers={"If-Match": tag}, **parameters)


def put(api: Client, tag: str, **parameters: object) -> tuple[int, str]:
    answer = api.call("PUT", "/api/domain/corp.test", headers={"If-Match": tag}, **parameters)
    return answer.status_code, answer.json().get("_msg", "")


def test_tag_is_the_state_in_the_directory(api: Client, world: World, state: str) -> None:
    """A write answers with the new state, a read with the present one."""
    entry = world.entry(world.tree.domain("corp.test"))
    assert entry
    assert state == f'"{entry.csn}"'
    assert api.get("/api/domain/corp.test").headers["ETag"] == state
    changed = done(api.put("/api/domain/corp.test", name="x")).headers["ETag"]
    assert changed != state
    assert api.get("/api/domain/corp.test").headers["ETag"] == changed


def test_same_condition_holds_once(api: Client, state: str) -> None:
    """Two clients who saw the same state: one succeeds."""
    assert put(api, state, name="first") == (200, "")
    assert put(api, state, name="second") == (412, "PRECONDITION_FAILED")
    assert api.get("/api/domain/corp.test").json()["_data"]["cn"] == ["first"]


def test_condition_holds_once_even_without_a_change(api: Client, state: str) -> None:
    """A request that changes nothing makes a new state all the same."""
    assert put(api, state) == (200, "")
    assert put(api, state) == (412, "PRECONDITION_FAILED")


def test_condition_guards_a_change_on_other_entries(api: Client, world: World, state: str) -> None:
    """Enabling a domain that is enabled only sweeps its accounts; its state guards that too."""
    assert put(api, state, accountStatus="active") == (200, "")
    assert put(api, state, accountStatus="active") == (412, "PRECONDITION_FAILED")


@pytest.mark.parametrize(
    ("tag", "answer"),
    [
        ("*", (200, "")),
        ('"stale"', (412, "PRECONDITION_FAILED")),
        ('"stale", {state}', (200, "")),
        ("W/{state}", (412, "PRECONDITION_FAILED")),
    ],
)
def test_forms_of_the_condition(api: Client, state: str, tag: str, answer: tuple[int, str]) -> None:
    """Any of several states, any state at all; a weak tag is no state."""
    assert put(api, tag.format(state=state), name="x") == answer


def test_rivals_with_the_same_state(api: Client, state: str) -> None:
    """The directory itself judges: of ten at once one succeeds."""
    answers: list[int] = []

    def change(number: int) -> None:
        client = Client(api.url)
        client.session.cookies.update(api.session.cookies)
        answers.append(put(client, state, name=f"rival {number}")[0])

    threads = [threading.Thread(target=change, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answers) == [200] + [412] * 9


def test_stale_delete_changes_nothing(api: Client, world: World, state: str) -> None:
    """A condition is judged before the first step of a deletion."""
    done(api.put("/api/domain/corp.test", name="changed"))
    before = world.snapshot()
    stale = api.call("DELETE", "/api/domain/corp.test", headers={"If-Match": state})
    refused(stale, 412, "PRECONDITION_FAILED")
    assert world.snapshot() == before
    fresh = api.get("/api/domain/corp.test").headers["ETag"]
    done(api.call("DELETE", "/api/domain/corp.test", headers={"If-Match": fresh}))
    gone = api.call("DELETE", "/api/domain/corp.test", headers={"If-Match": fresh})
    refused(gone, 404, "NO_SUCH_ACCOUNT")


def test_creating_only_what_is_new(api: Client, world: World, state: str) -> None:
    """If-None-Match: * on a name that exists."""
    headers = {"If-None-Match": "*"}
    before = world.snapshot()
    code = "PRECONDITION_FAILED,ALREADY_EXISTS"
    refused(api.call("POST", "/api/domain/corp.test", headers=headers), 412, code)
    refused(api.call("PUT", "/api/domain/corp.test", headers=headers, name="x"), 412, code)
    assert world.snapshot() == before
    path = "/api/user/ann@corp.test"
    done(api.call("POST", path, headers=headers, password=PASSWORD))
    refused(api.call("POST", path, headers=headers, password=PASSWORD), 412, code)
    refused(
        api.call("POST", "/api/user/b@corp.test", headers={"If-Match": "*"}, password=PASSWORD),
        412,
        "PRECONDITION_FAILED",
    )


def test_reader_who_has_the_state(api: Client, state: str) -> None:
    """A read of what the client has already carries no body."""
    answer = api.call("GET", "/api/domain/corp.test", headers={"If-None-Match": state})
    assert (answer.status_code, answer.content) == (304, b"")


def test_settings_of_one_entry_changed_at_once(api: Client, world: World, state: str) -> None:
    """Four clients change four settings of one attribute 25 times each: none is lost."""
    settings = ("defaultQuota", "maxUserQuota", "numberOfUsers", "minPasswordLength")
    failures: list[str] = []

    def change(setting: str) -> None:
        client = Client(api.url)
        client.session.cookies.update(api.session.cookies)
        for value in range(1, 26):
            answer = client.put("/api/domain/corp.test", **{setting: value})
            if answer.status_code != 200:
                failures.append(answer.text)

    threads = [threading.Thread(target=change, args=(setting,)) for setting in settings]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    stored = world.attributes(world.tree.domain("corp.test"))["accountSetting"]
    assert stored == {f"{setting}:25" for setting in settings}


def test_setting_taken_by_somebody_else_meanwhile(api: Client, world: World, state: str) -> None:
    """A value changed outside the API is not written over blindly, but read again."""
    dn = world.tree.domain("corp.test")
    world.modify(dn, (ldap.MOD_ADD, "accountSetting", [b"defaultQuota:1"]))
    done(api.put("/api/domain/corp.test", defaultQuota=2))
    assert world.attributes(dn)["accountSetting"] == {"defaultQuota:2"}
