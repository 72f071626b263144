"""A page of another host of the same site, or of another port, cannot act with the cookie."""

import json
import threading
from collections.abc import Iterator
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.browser.conftest import SITE, Driver, Page
from tests.support.patience import wait_until
from tests.support.world import ADMIN, ADMIN_PASSWORD, World

DOMAIN = "example.com"


class Attacker(ThreadingHTTPServer):
    """A web server with one page, under any name and path."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Visit)
        self.page = ""
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()


class _Visit(BaseHTTPRequestHandler):
    server: Attacker

    def do_GET(self) -> None:
        page = self.server.page.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def attacker() -> Iterator[Attacker]:
    server = Attacker()
    yield server
    server.shutdown()
    server.server_close()


HOSTS = pytest.mark.parametrize(
    ("ours", "theirs", "tells"),
    [
        # Chromium says Sec-Fetch-Site to itself and over TLS only; elsewhere there is Origin alone.
        (f"api.{SITE}", f"shop.{SITE}", "Origin"),
        ("127.0.0.1", "127.0.0.1", "Sec-Fetch-Site"),
    ],
    ids=["another-host", "another-port"],
)


def log_in(driver: Driver, url: str) -> Page:
    page = Page(driver, url)
    page.log_in()
    page.until(lambda: ADMIN in page.status(), "logged in")
    return page


def form(action: str, **fields: str) -> str:
    """A page with a form that somebody, or a script, sends."""
    inputs = "".join(f"<input name={name} value='{escape(v)}'>" for name, v in fields.items())
    return f"<form id=form method=post action='{action}'>{inputs}<button>Win</button></form>"


def answer(driver: Driver) -> Any:
    """The answer that the browser shows as a page."""
    return json.loads(driver.find_element(By.TAG_NAME, "body").text)


def refusals(home: Path) -> list[dict[str, Any]]:
    """The lines of the log about refused requests of other sites, the oldest first."""
    lines = (home / "gunicorn.log").read_text().splitlines()
    read = [json.loads(line) for line in lines if '"CROSS_SITE_REQUEST"' in line]
    return [line for line in read if line["event"] == "request"]


def own_cookies(driver: Driver) -> list[str]:
    return [cookie["sameSite"] for cookie in driver.get_cookies()]


@HOSTS
def test_a_form_of_another_origin_does_nothing(
    page: Page, world: World, url: str, attacker: Attacker, home: Path, ours: str, theirs: str,
    tells: str,
) -> None:  # fmt: skip
    """The browser sends the cookie along, for it is the same site; nothing is changed."""
    api = url.replace("127.0.0.1", ours)
    driver = log_in(page.driver, api).driver
    assert own_cookies(driver) == ["Strict"]
    before = world.snapshot()
    said = len(refusals(home))
    attacker.page = form(
        f"{api}/api/admin/evil@elsewhere.test", password="a long password", isGlobalAdmin="yes"
    )

    driver.get(f"http://{theirs}:{attacker.server_port}/")
    driver.find_element(By.TAG_NAME, "button").click()
    WebDriverWait(driver, 60).until(lambda d: "_success" in d.page_source)

    # Without the cookie it would have been LOGIN_REQUIRED.
    assert answer(driver) == {"_success": False, "_msg": "CROSS_SITE_REQUEST"}
    # The log line comes after the answer.
    wait_until(lambda: len(refusals(home)) > said)
    (line,) = refusals(home)[said:]
    assert line["status"] == 403
    assert ("site None" in line["detail"]) == (tells == "Origin")
    assert world.snapshot() == before


@HOSTS
@pytest.mark.usefixtures("page")
def test_a_script_of_another_origin_does_nothing(
    driver: Driver, world: World, url: str, attacker: Attacker, home: Path, ours: str, theirs: str,
    tells: str,
) -> None:  # fmt: skip
    """What needs no permission reaches the API, and is refused; all else the browser holds back."""
    api = url.replace("127.0.0.1", ours)
    log_in(driver, api)
    before = world.snapshot()
    said = len(refusals(home))
    attacker.page = "<p>fetches</p>"

    driver.get(f"http://{theirs}:{attacker.server_port}/")
    outcomes = driver.execute_async_script(
        """
        const [url, done] = arguments;
        const options = [
          { method: "POST", mode: "no-cors", body: new URLSearchParams({ name: "x" }) },
          { method: "POST", mode: "cors", body: new URLSearchParams({ name: "x" }) },
          { method: "PUT", mode: "cors" },
          { method: "DELETE", mode: "cors" },
          { method: "POST", mode: "cors", headers: { "X-Forwarded-Host": location.host } },
          { method: "GET", mode: "cors" },
        ];
        Promise.all(options.map(one =>
          fetch(url, { credentials: "include", ...one }).then(a => a.type, () => "refused")
        )).then(done);
        """,
        f"{api}/api/domain/{DOMAIN}",
    )

    assert outcomes == ["opaque", *["refused"] * 5]
    wait_until(lambda: len(refusals(home)) > said + 1)
    assert [line["method"] for line in refusals(home)[said:]] == ["POST", "POST"]
    assert world.snapshot() == before


@HOSTS
@pytest.mark.usefixtures("page")
def test_a_form_of_another_origin_logs_nobody_in(
    driver: Driver, url: str, attacker: Attacker, ours: str, theirs: str, tells: str
) -> None:
    """Into a session that the other site's owner could read later."""
    api = url.replace("127.0.0.1", ours)
    attacker.page = form(f"{api}/api/login", username=ADMIN, password=ADMIN_PASSWORD)

    driver.get(f"http://{theirs}:{attacker.server_port}/{tells}")
    driver.find_element(By.TAG_NAME, "button").click()
    WebDriverWait(driver, 60).until(lambda d: "_success" in d.page_source)

    assert answer(driver)["_msg"] == "CROSS_SITE_REQUEST"
    assert own_cookies(driver) == []
