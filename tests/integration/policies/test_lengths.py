"""Values that are longer than a column, in each kind of database."""

from tests.conftest import Client, done

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
