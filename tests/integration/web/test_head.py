"""HEAD: the answer of GET without its body, for every endpoint that has a GET."""

from pathlib import Path
from typing import Any

import pytest
import requests

from iredldap.operations.admin_log import AdminLog
from iredldap.web.endpoints.index import ENDPOINTS
from iredldap.web.responses import Responses
from ldif_export import child_process
from tests.support.client import Client, done
from tests.support.gunicorn import gunicorn
from tests.support.patience import PATIENCE
from tests.support.serving import Served
from tests.support.world import World

PASSWORD = "a good password"
NAMES = {
    "{domain}": "corp.test",
    "{mail}": "ann@corp.test",
    "{account}": "corp.test",
    "{id}": "none",
    "{file}": "page.css",
}
OF_OTHERS = {
    "admin": "root@admins.test",
    "alias": "alias@corp.test",
    "maillist": "list@corp.test",
    "ml": "news@corp.test",
}
# They differ from one answer to the next.
CHANGING = {"x-request-id", "date"}
# Of an answer of any length it is not known before there is a body.
LENGTH = {"content-length", "transfer-encoding"}


def path_of(template: str) -> str:
    """A path of something that is there."""
    kind = template.split("/")[-2]
    path = template.replace("{mail}", OF_OTHERS.get(kind, NAMES["{mail}"]))
    for name, value in NAMES.items():
        path = path.replace(name, value)
    return path


READS = sorted({path_of(row.path) for row in ENDPOINTS if row.method == "GET"})


def prepare(api: Client) -> None:
    """A domain with one account of each kind."""
    done(api.post("/api/domain/corp.test", defaultQuota=10))
    done(api.post("/api/user/ann@corp.test", password=PASSWORD))
    done(api.post("/api/alias/alias@corp.test", members="ann@corp.test"))
    done(api.post("/api/maillist/list@corp.test", members="ann@corp.test"))


def head(client: Client, path: str, **headers: str) -> requests.Response:
    """Send HEAD."""
    return client.session.head(client.url + path, headers=headers, timeout=PATIENCE)


def told(answer: requests.Response) -> dict[str, str]:
    """Headers that both methods have."""
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return {name: value for name, value in headers.items() if name not in CHANGING | LENGTH}


def test_head_is_get_without_the_body(world: World, tmp_path: Path) -> None:
    """Status and headers, through gunicorn, of every path that can be read; and it is no change."""
    with gunicorn(world, tmp_path) as url:
        api = Client(url).log_in()
        prepare(api)
        before = world.snapshot()
        statuses = set()
        for path in READS:
            read, headed = api.get(path), head(api, path)
            assert (headed.status_code, headed.content) == (read.status_code, b""), path
            assert told(headed) == told(read), path
            if "Content-Length" in headed.headers:
                assert headed.headers["Content-Length"] == read.headers["Content-Length"], path
            statuses.add(headed.status_code)
        assert {200, 404} <= statuses
        assert world.snapshot() == before
    log = (tmp_path / "gunicorn.log").read_text()
    assert log.count('"method": "HEAD"') == len(READS)


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/api/domains", "/api/domain/none.test"])
def test_head_has_the_rights_of_get(served: Served, api: Client, path: str) -> None:
    """Of nobody, of an admin who may, and of one who may not."""
    done(api.post("/api/domain/corp.test"))
    done(api.post("/api/user/ann@corp.test", password=PASSWORD))
    done(api.put("/api/domain/admins/corp.test", addAdmin="ann@corp.test"))
    normal = served.client().log_in("ann@corp.test", PASSWORD)
    for client in (served.client(), api, normal):
        read, headed = client.get(path), head(client, path)
        assert (headed.status_code, headed.content) == (read.status_code, b"")
        assert told(headed) == told(read)


def test_head_of_a_directory_that_is_down(api: Client, world: World) -> None:
    """It is the answer of GET, also where that would send much."""
    world.slapd.stop()
    for path in ("/api/ldif", "/api/ldif/domain/corp.test", "/api/domains", "/api/users/corp.test"):
        headed = head(api, path)
        assert (headed.status_code, headed.headers["Retry-After"]) == (503, "5"), path


def test_head_begins_nothing(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """No export in a child process, no line in the admin log, no more of a search than its head."""
    prepare(api)
    for number in range(3):
        done(api.post(f"/api/user/u{number}@corp.test", password=PASSWORD))

    def forbidden(*_: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(child_process, "start", forbidden)
    monkeypatch.setattr(AdminLog, "note", forbidden)
    monkeypatch.setattr(Responses, "members", forbidden)
    for path in ("/api/ldif", "/api/ldif/domain/corp.test", "/api/ldif/user/ann@corp.test"):
        headed = head(api, path, Accept="text/ldif")
        assert headed.status_code == 200
        assert headed.headers["Content-Disposition"].startswith("attachment;")
    assert head(api, "/api/users/corp.test").status_code == 200
    assert head(api, "/api/users/none.test").status_code == 404


def test_a_conditional_head_is_answered(api: Client) -> None:
    """With 304, by the same entity tag."""
    done(api.post("/api/domain/corp.test"))
    tag = head(api, "/api/domain/corp.test").headers["ETag"]
    assert head(api, "/api/domain/corp.test", **{"If-None-Match": tag}).status_code == 304


def test_head_is_named_where_get_is(api: Client) -> None:
    """By a refusal of another method, and by OPTIONS; where there is no GET neither is HEAD."""
    for path, allowed in (("/api/domains", True), ("/api/login", False)):
        url = api.url + path
        patched = api.session.patch(url, timeout=PATIENCE)
        options = api.session.options(url, timeout=PATIENCE)
        for answer in (patched, options):
            words = answer.headers["Allow"].split(", ")
            assert ("HEAD" in words) == ("GET" in words) == allowed
        assert patched.status_code == 405
    refused = head(api, "/api/login")
    assert (refused.status_code, refused.content) == (405, b"")
