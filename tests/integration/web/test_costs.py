"""How many operations a request costs the directory, counted by slapd itself."""

from collections.abc import Callable
from types import SimpleNamespace

import ldap
import pytest

from tests.support.client import Client, done
from tests.support.serving import Served
from tests.support.world import World

PASSWORD = "a good password"


@pytest.fixture
def api(served: Served) -> Client:
    # Asked once by each process, before its first write.
    served.gateways.directory.controls()
    return served.client().log_in()


def counted(world: World, api: Client, call: Callable[[], object]) -> dict[str, int]:
    """Count the operations of one call, by kind; binds and unbinds aside.

    The look at the caller's own entry, which comes now and then, does not come during the call:
    for those who remember callers time stands still.
    """
    with pytest.MonkeyPatch.context() as patch:
        still = SimpleNamespace(monotonic=lambda: 0.0)
        patch.setattr("iredldap.web.callers.known_callers.time", still)
        api.get("/api/domain/none.test")
        return _spent(world, call)


def _spent(world: World, call: Callable[[], object]) -> dict[str, int]:
    connection = world.connect()

    def totals() -> dict[str, int]:
        found = connection.search_s(
            "cn=Operations,cn=Monitor", ldap.SCOPE_ONELEVEL, attrlist=["monitorOpInitiated"]
        )
        return {
            dn.split(",")[0].removeprefix("cn=").lower(): int(values["monitorOpInitiated"][0])
            for dn, values in found
        }

    before = totals()
    call()
    after = totals()
    connection.unbind_s()
    spent = {kind: after[kind] - before[kind] for kind in after}
    # The second look at the counters is a search itself.
    spent["search"] -= 1
    return {k: n for k, n in spent.items() if n and k not in {"bind", "unbind"}}


def test_reads_cost_one(api: Client, world: World) -> None:
    """Whatever is read."""
    done(api.post("/api/domain/corp.test"))
    done(api.post("/api/user/ann@corp.test", password=PASSWORD))
    for path in (
        "/api/domain/corp.test",
        "/api/user/ann@corp.test",
        "/api/domain/services/corp.test",
        "/api/ldif/user/ann@corp.test",
    ):
        assert counted(world, api, lambda p=path: api.get(p)) == {"search": 1}, path  # type: ignore[misc]


def test_a_token_costs_as_much_as_a_session(api: Client, world: World) -> None:
    """Both are looked up before the first call, and not with each."""
    done(api.post("/api/domain/corp.test"))
    secret = api.post("/api/tokens", name="x", scopes="domains:read").json()["_data"]["secret"]
    client = Client(api.url)
    client.session.headers["Authorization"] = f"Bearer {secret}"
    read = counted(world, client, lambda: client.get("/api/domain/corp.test"))
    assert read == {"search": 1}


def test_creating_a_user_costs_three(api: Client, world: World) -> None:
    """One look before, the entry, one look after; nothing is counted where nothing is limited."""
    done(api.post("/api/domain/corp.test", defaultQuota=10))
    create = counted(
        world, api, lambda: done(api.post("/api/user/ann@corp.test", password=PASSWORD))
    )
    assert create == {"search": 2, "add": 1}


def test_changing_a_domain_costs_two(api: Client, world: World) -> None:
    """It is read and changed; a change that changes nothing is not written."""
    done(api.post("/api/domain/corp.test"))
    path = "/api/domain/corp.test"
    change = counted(world, api, lambda: done(api.put(path, defaultQuota=5, name="x")))
    assert change == {"search": 1, "modify": 1}
    again = counted(world, api, lambda: done(api.put(path, defaultQuota=5, name="x")))
    assert again == {"search": 1}


def test_a_member_costs_the_same_whatever_the_others(api: Client, world: World) -> None:
    """Those that an alias has are not looked up again."""
    done(api.post("/api/domain/corp.test"))
    for number in (2, 250):
        path = f"/api/alias/all{number}@corp.test"
        members = [f"m{n}@far.test" for n in range(number)]
        done(api.post(path, members=",".join(members)))
        add = counted(world, api, lambda p=path: done(api.put(p, addMember="x@far.test")))  # type: ignore[misc]
        everybody = ",".join([*members, "x@far.test", "y@far.test"])
        whole = counted(world, api, lambda p=path, m=everybody: done(api.put(p, members=m)))  # type: ignore[misc]
        assert add == {"search": 3, "modify": 1}
        # A few are looked up along with the alias, more of them by a search of their own.
        assert whole == {"search": 3 if number == 2 else 4, "modify": 1}


def test_a_new_member_of_a_list_is_looked_up_once(api: Client, world: World) -> None:
    """Searches: list, member; the member to be judged and to be written; two rechecks.

    Modifications: that of the member and that of the list, each judged and made.
    """
    done(api.post("/api/domain/corp.test"))
    for name in ("ann", "bob"):
        done(api.post(f"/api/user/{name}@corp.test", password=PASSWORD))
    done(api.post("/api/maillist/all@corp.test", members="ann@corp.test"))
    path = "/api/maillist/all@corp.test"
    add = counted(world, api, lambda: done(api.put(path, addMember="bob@corp.test")))
    assert add == {"search": 6, "modify": 4}
