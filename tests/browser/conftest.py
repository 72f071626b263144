"""The API as it is installed, and a browser to look at its page."""

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

SITE = "example.test"

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


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the API has its log."""
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="session")
def url(slapd: Slapd, home: Path) -> Iterator[str]:
    """The API as it is installed."""
    with gunicorn(World(slapd, Tree(SUFFIX)), home) as served:
        yield served


@pytest.fixture(scope="session")
def driver() -> Iterator[Driver]:
    """A browser without a window."""
    options = webdriver.ChromeOptions()
    options.binary_location = next(path for name in BROWSERS if (path := shutil.which(name)))
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--window-size=1200,2700",
        # Names of two hosts of one site, both of them this machine.
        f"--host-resolver-rules=MAP *.{SITE} 127.0.0.1",
        "--no-proxy-server",
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
    driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
    driver.get("about:blank")
