"""The reference as a page, in a browser: one logs in there and tries calls."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from iredldap.dit.names import Tree
from iredldap.embedded.slapd import Slapd
from tests.conftest import ADMIN, ADMIN_PASSWORD, SUFFIX, World
from tests.gunicorn import gunicorn

DOMAIN = "example.com"

BROWSERS = ("chromium", "chromium-browser", "google-chrome")

Driver = webdriver.Chrome


class Page:
    """The page as somebody uses it who looks at it."""

    def __init__(self, driver: Driver, url: str) -> None:
        self.driver = driver
        driver.get(f"{url}/docs")
        self.find(".opblock-tag")

    def find(self, selector: str) -> WebElement:
        """Wait for something to be seen."""
        found: WebElement = self.until(lambda: self._seen(selector), selector)
        return found

    def until(self, found: Callable[[], Any], what: str) -> Any:
        return WebDriverWait(self.driver, 15, poll_frequency=0.05).until(lambda _: found(), what)

    def _seen(self, selector: str) -> WebElement | None:
        elements = self.driver.find_elements(By.CSS_SELECTOR, selector)
        return next((element for element in elements if element.is_displayed()), None)

    def click(self, selector: str) -> None:
        element = self.find(selector)
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def type(self, selector: str, text: str) -> None:
        self.find(selector).send_keys(text)

    def status(self) -> str:
        return self.find("#session").text

    def log_in(self, password: str = ADMIN_PASSWORD) -> None:
        self.type("#login [name=username]", ADMIN)
        self.type("#login [name=password]", password)
        self.click("#login button")

    def call(self, operation: str, area: str = "Domains", **names: str) -> str:
        """Try a call out; give the answer as it is shown."""
        block = f"#operations-{area}-{operation}"
        self.click(f"{block} .opblock-summary-control")
        self.click(f"{block} .try-out__btn")
        for name, value in names.items():
            self.type(f"{block} tr[data-param-name={name}] input", value)
        self.click(f"{block} .execute")
        return self.find(f"{block} .live-responses-table tbody .response-col_description").text

    def complaints(self) -> list[str]:
        """What the browser's console says since it was asked last, or the page was opened."""
        return console(self.driver)


def console(driver: Any) -> list[str]:
    """Take what stands in the browser's console."""
    return [entry["message"] for entry in driver.get_log("browser")]


@pytest.fixture(scope="module")
def url(slapd: Slapd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API as it is installed."""
    with gunicorn(World(slapd, Tree(SUFFIX)), tmp_path_factory.mktemp("served")) as served:
        yield served


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    """A browser without a window."""
    options = webdriver.ChromeOptions()
    options.binary_location = next(path for name in BROWSERS if (path := shutil.which(name)))
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--window-size=1200,2700",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
    yield browser
    browser.quit()


@pytest.fixture
def page(world: World, driver: Driver, url: str) -> Iterator[Page]:
    """The page, with nobody logged in."""
    console(driver)
    yield Page(driver, url)
    driver.execute_script("sessionStorage.clear()")
    driver.delete_all_cookies()
    driver.get("about:blank")


def test_an_admin_logs_in_and_tries_calls(page: Page, world: World, tmp_path: Path) -> None:
    """He makes a domain, with nothing but what he typed, and finds it in the list.

    `REFERENCE_PNG` names a file for a picture of that.
    """
    page.log_in()
    page.until(lambda: ADMIN in page.status(), "logged in")
    page.click("#operations-tag-Domains")

    made = page.call("domain_create", domain=DOMAIN)
    page.click("#operations-Domains-domain_create .opblock-summary-control")
    listed = page.call("domains_list")

    assert '"_success": true' in made
    assert world.attributes(world.tree.domain(DOMAIN)) == {
        "objectClass": {"mailDomain"},
        "domainName": {DOMAIN},
        "accountStatus": {"active"},
        "enabledService": {"mail"},
        "mtaTransport": {"dovecot"},
    }
    assert f'"{DOMAIN}"' in listed
    page.driver.execute_script("scrollTo(0, 0)")
    assert page.driver.save_screenshot(os.environ.get("REFERENCE_PNG") or tmp_path / "page.png")
    assert page.complaints() == []


def test_a_session_ends(page: Page) -> None:
    """The form comes back at the button, and when a call finds the session to be over."""
    page.log_in()
    page.click("#logout button")
    page.find("#login")
    page.click("#operations-tag-Domains")
    assert page.complaints() == []

    assert "LOGIN_REQUIRED" in page.call("domain_get", domain=DOMAIN)

    assert "log in" in page.status()


def test_a_call_that_logs_out_ends_the_session(page: Page) -> None:
    """As the button does."""
    page.log_in()
    page.click("#operations-tag-Session")

    assert '"_success": true' in page.call("logout", area="Session")

    assert page.find("#login")


def test_a_wrong_password_is_told(page: Page) -> None:
    page.log_in("something else")

    page.until(lambda: "Wrong address or password" in page.status(), "a message")
    assert page.find("#login")


def test_nothing_foreign_runs_on_the_page(page: Page) -> None:
    """Neither a script nor a style that somebody brought into it."""
    page.driver.execute_script("""
        const script = document.createElement("script");
        script.textContent = "document.title = 'broken into'";
        document.body.append(script);
        document.body.insertAdjacentHTML("beforeend", "<p style='color: red'>red</p>");
    """)

    told = page.complaints()

    assert page.driver.title == "iredldap: HTTP API"
    assert ["script-src" in told[0], "style-src" in told[1], len(told)] == [True, True, 2]
