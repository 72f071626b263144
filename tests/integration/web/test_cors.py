"""Pages of other origins may call with a token where they are listed, and never with the cookie."""

from typing import Any

import pytest
import requests

from tests.support.serving import Served

PANEL = "https://panel.test"
ASKED = {"Origin": PANEL, "Access-Control-Request-Method": "PUT"}


def allowed(answer: requests.Response) -> str | None:
    assert "Access-Control-Allow-Credentials" not in answer.headers
    return answer.headers.get("Access-Control-Allow-Origin")


@pytest.fixture
def listed(serve: Any) -> Served:
    served: Served = serve(api={"cors_origins": [PANEL, "http://localhost:3000"]})
    return served


def test_by_default_no_page_of_another_origin(served: Served) -> None:
    client = served.client()
    answer = client.call("OPTIONS", "/api/domains", headers=ASKED)
    assert allowed(answer) is None
    assert "Vary" not in answer.headers


def test_the_options_request_of_a_listed_origin(listed: Served) -> None:
    """Without credentials, which a browser does not send with it."""
    answer = listed.client().call("OPTIONS", "/api/user/ann@one.test", headers=ASKED)
    assert (answer.status_code, answer.content) == (204, b"")
    assert allowed(answer) == PANEL
    words = {word.strip() for word in answer.headers["Access-Control-Allow-Headers"].split(",")}
    assert {"Authorization", "Idempotency-Key", "If-Match", "Prefer"} <= words
    assert "PUT" in answer.headers["Access-Control-Allow-Methods"]
    assert answer.headers["Vary"] == "Origin"


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/api/domains", {"Origin": "https://other.test"}),
        ("/api/domains", {"Origin": "http://panel.test"}),
        ("/api/domains", {"Origin": f"{PANEL}:8443"}),
        ("/api/domains", {"Origin": f"{PANEL}.evil.test"}),
        ("/api/domains", {"Origin": "null"}),
        ("/api/domains", {"Origin": f"{PANEL}, https://other.test"}),
        ("/docs", {}),
    ],
)
def test_the_options_request_of_another_one(
    listed: Served, path: str, headers: dict[str, str]
) -> None:
    answer = listed.client().call("OPTIONS", path, headers=ASKED | headers)
    assert allowed(answer) is None
    assert "Access-Control-Allow-Methods" not in answer.headers


def test_a_page_reads_the_answer_to_a_token(listed: Served) -> None:
    """A refusal, too; and never what a cookie reads, whatever else is sent."""
    admin = listed.client().log_in()
    secret = admin.post("/api/tokens", name="x").json()["_data"]["secret"]
    page = {"Origin": PANEL, "Sec-Fetch-Site": "cross-site"}
    bearer = {"Authorization": f"Bearer {secret}"}
    for headers, path, status in (
        (bearer, "/api/whoami", 200),
        (bearer, "/api/domains", 403),
        (bearer, "/api/nothing", 404),
        ({"Authorization": "Bearer x"}, "/api/whoami", 401),
    ):
        answer = admin.call("GET", path, headers=page | headers)
        assert (answer.status_code, allowed(answer)) == (status, PANEL)
        assert "WWW-Authenticate" in answer.headers["Access-Control-Expose-Headers"]
    answer = admin.call("GET", "/api/whoami", headers=page)
    assert (answer.status_code, allowed(answer)) == (200, None)
    other = page | bearer | {"Origin": "https://other.test"}
    assert allowed(admin.call("GET", "/api/whoami", headers=other)) is None
    basic = page | {"Authorization": "Basic eDp5"}
    assert allowed(admin.call("GET", "/api/whoami", headers=basic)) is None


def test_a_repeat_by_another_program_names_no_page(listed: Served) -> None:
    """What a page may read is decided for each answer, also for one that was kept."""
    admin = listed.client().log_in()
    made = admin.post("/api/tokens", name="x", scopes="domains:create").json()["_data"]
    program = {"Authorization": f"Bearer {made['secret']}", "Idempotency-Key": "k"}
    answers = [
        admin.call("POST", "/api/domain/one.test", headers=program | origin)
        for origin in ({"Origin": PANEL}, {}, {"Origin": "https://other.test"})
    ]
    assert [answer.headers.get("Idempotency-Replayed") for answer in answers] == [
        None, "true", "true"
    ]  # fmt: skip
    assert [allowed(answer) for answer in answers] == [PANEL, None, None]


def test_a_change_by_a_page_needs_the_token(listed: Served) -> None:
    admin = listed.client().log_in()
    page = {"Origin": PANEL, "Sec-Fetch-Site": "cross-site"}
    answer = admin.call("POST", "/api/domain/one.test", headers=page)
    assert (answer.status_code, answer.json()["_msg"]) == (403, "CROSS_SITE_REQUEST")
    assert allowed(answer) is None
