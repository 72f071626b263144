"""Several nodes on one state database: which of them answers, and what each knows of the others."""

from typing import Any

import requests

from tests.support.client import Client, done, refused
from tests.support.patience import wait_until
from tests.support.serving import Served

SERVED_BY = "X-Served-By"


def test_each_answer_names_its_node(serve: Any, api: Client) -> None:
    """A success, a refusal, a path that does not exist; a page of another origin may read it."""
    client = Client(serve(server={"node": "n1"}).url, api.session)
    for answer in (
        client.get("/api/domains"),
        client.get("/api/domain/absent.test"),
        client.get("/nothing"),
        client.call("HEAD", "/livez"),
        Client(client.url).get("/api/domains"),
    ):
        assert answer.headers[SERVED_BY] == "n1"


def test_the_header_can_be_left_out(serve: Any) -> None:
    served: Served = serve(server={"node": "n1", "served_by": False})
    assert SERVED_BY not in requests.get(f"{served.url}/livez", timeout=60).headers


def test_a_replayed_answer_names_the_node_that_replays_it(serve: Any, api: Client) -> None:
    headers = {"Idempotency-Key": "once"}
    nodes = []
    for name in ("n1", "n2"):
        client = Client(serve(server={"node": name}).url, api.session)
        nodes.append(done(client.call("POST", "/api/domain/one.test", headers=headers)).headers)
    assert [each[SERVED_BY] for each in nodes] == ["n1", "n2"]
    assert nodes[1]["Idempotency-Replayed"] == "true"


def test_a_job_tells_the_node_that_ran_it(serve: Any) -> None:
    client = serve(server={"node": "n1"}).client().log_in()
    answer = client.call("POST", "/api/domain/one.test", headers={"Prefer": "respond-async"})
    job = answer.headers["Location"]
    wait_until(lambda: client.get(job).json()["_data"]["finished"] is not None)
    assert client.get(job).json()["_data"]["node"] == "n1"
    refused(client.get("/api/jobs/none"), 404, "NO_SUCH_JOB")
