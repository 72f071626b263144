"""The page of the reference: its viewer is the one that was published, its files are served."""

import gzip
import json
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any, cast

import falcon
import pytest
from falcon import testing

from iredldap.config.sections import ApiSettings
from iredldap.shipped import shipped
from iredldap.web.resources import reference
from iredldap.web.resources.reference import POLICY, ReferenceFileResource, ReferenceResource
from iredldap.web.responses import Responses
from tools import vendor


@pytest.fixture(scope="module")
def client() -> testing.TestClient:
    """Nothing but the page and its files."""
    app = falcon.App()
    Responses(ApiSettings()).install(app)
    shared = [cast("Any", SimpleNamespace())] * 7
    app.add_route("/docs", ReferenceResource(*shared))
    app.add_route("/docs/{file}", ReferenceFileResource(*shared))
    return testing.TestClient(app)


class Links(HTMLParser):
    """What a page has the browser fetch, and whatever is inline in it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.inline: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag == "script" or (tag == "link" and named["rel"] == "stylesheet"):
            self.fetched.append(named.get("src") or named.get("href") or "")
        self.inline += [name for name in named if name == "style" or name.startswith("on")]
        self.inline += [tag] if tag == "style" else []


def test_the_viewer_is_as_it_was_published() -> None:
    """The manifest has version, licence and digests of what stands there."""
    manifest = json.loads(vendor.MANIFEST.read_text(encoding="utf-8"))

    assert (manifest["name"], manifest["license"]) == (vendor.PACKAGE, "Apache-2.0")
    assert manifest["sha256"] == vendor.digests()
    assert {path.name for path in vendor.FOLDER.iterdir()} == {*vendor.FILES, "manifest.json"}


@pytest.mark.parametrize("prefix", ["", "/behind"])
def test_the_page_fetches_nothing_but_what_is_shipped(
    client: testing.TestClient, prefix: str
) -> None:
    """Below the path at which the program is mounted."""
    answer = client.simulate_get("/docs", root_path=prefix)

    links = Links(answer.text)
    assert sorted(links.fetched) == sorted(f"{prefix}/docs/{name}" for name in reference._FILES)
    assert links.inline == []
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("path", ["/docs", *(f"/docs/{name}" for name in reference._FILES)])
def test_the_browser_is_told_to_be_strict(client: testing.TestClient, path: str) -> None:
    answer = client.simulate_get(path)

    assert answer.headers["Content-Security-Policy"] == POLICY
    assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_the_policy_allows_nothing_inline() -> None:
    assert "unsafe" not in POLICY
    assert POLICY.startswith("default-src 'none';")


@pytest.mark.parametrize("name", reference._FILES)
def test_a_file_is_served_as_it_is_or_compressed(client: testing.TestClient, name: str) -> None:
    content = shipped(reference._FILES[name]).read_bytes()

    plain = client.simulate_get(f"/docs/{name}")
    packed = client.simulate_get(f"/docs/{name}", headers={"Accept-Encoding": "br, gzip;q=0.8"})
    unwanted = client.simulate_get(f"/docs/{name}", headers={"Accept-Encoding": "gzip;q=0"})

    assert plain.content == unwanted.content == content
    assert gzip.decompress(packed.content) == content
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in unwanted.headers
    assert {answer.headers["Vary"] for answer in (plain, packed)} == {"Accept-Encoding"}


def test_a_file_that_the_client_has_is_not_sent_again(client: testing.TestClient) -> None:
    """It asks each time, so that it never shows one of an older version."""
    first = client.simulate_get("/docs/page.js")

    again = client.simulate_get("/docs/page.js", headers={"If-None-Match": first.headers["ETag"]})
    other = client.simulate_get("/docs/page.js", headers={"If-None-Match": 'W/"of-another"'})

    assert first.headers["Cache-Control"] == "no-cache"
    assert (again.status_code, again.content) == (304, b"")
    assert (other.status_code, other.content) == (200, first.content)


@pytest.mark.parametrize("name", ["manifest.json", "page.html", "..", "none"])
def test_no_other_file_is_served(client: testing.TestClient, name: str) -> None:
    answer = client.simulate_get(f"/docs/{name}")

    assert (answer.status_code, answer.json["_msg"]) == (404, "NO_SUCH_ROUTE")
