"""Values that are longer than a column, in each kind of database."""

from tests.support.client import Client, done
from tests.support.databases import Urls, execute, rows

PASSWORD = "a good password"


def test_no_length_is_a_database_that_is_down(api: Client) -> None:
    """MariaDB keeps less of an account in some tables than an address may have."""
    domain = ".".join(["a" * 60, "b" * 60, "c" * 40, "test"])
    mail = f"{'u' * 60}@{domain}"
    done(api.post(f"/api/domain/{domain}", defaultQuota=10))
    done(api.post(f"/api/user/{mail}", password=PASSWORD))
    sender = f"{'s' * 30}@{'d' * 60}.test"
    answers = [
        api.post(f"/api/greylisting/{mail}", status="enable"),
        api.post(f"/api/greylisting/{mail}/whitelists", senders=sender),
        api.post(f"/api/throttle/{mail}/inbound", period=60, max_msgs=5),
        api.post(f"/api/wblist/inbound/whitelist/{mail}", addresses=f"@{domain}"),
        api.put(f"/api/spampolicy/user/{mail}", spam_score="5.5"),
    ]
    for answer in answers:
        assert answer.status_code in {200, 400}, answer.text
    assert {answer.status_code for answer in answers[2:]} == {200}
    done(api.delete(f"/api/user/{mail}"))


def test_no_length_leaves_a_rename_half_done(api: Client, urls: Urls) -> None:
    """What a table has no room for under the new address is forgotten, and the rest follows."""
    long = f"{'u' * 64}@{'b' * 60}.{'c' * 60}.test"
    for name in ("corp.test", long.partition("@")[2]):
        done(api.post(f"/api/domain/{name}", defaultQuota=10))
    done(api.post("/api/user/ann@corp.test", password=PASSWORD))
    share = "INSERT INTO share_folder (from_user, to_user) VALUES (:giver, :taker)"
    for giver, taker in (("ann@corp.test", "x@corp.test"), ("x@corp.test", "ann@corp.test")):
        execute(urls.iredadmin, share, giver=giver, taker=taker)
    execute(urls.iredadmin, "INSERT INTO anyone_shares (from_user) VALUES ('ann@corp.test')")

    done(api.post(f"/api/user/ann@corp.test/change_email/{long}"))

    assert rows(urls.iredadmin, "SELECT from_user FROM share_folder") == []
    assert rows(urls.iredadmin, "SELECT from_user FROM anyone_shares") == [(long,)]
