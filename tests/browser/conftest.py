"""The API as it is installed, and a browser to look at its page."""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.common.exceptions import (
    ElementClickInterceptedException,
    SessionNotCreatedException,
    StaleElementReferenceException,
    TimeoutException,
)
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from iredldap.dit.names import Tree
from iredldap.embedded.child import ended_with_parent
from iredldap.embedded.slapd import Slapd
from tests.support.gunicorn import gunicorn
from tests.support.patience import PATIENCE, TRIES
from tests.support.world import ADMIN, ADMIN_PASSWORD, SUFFIX, World

SITE = "example.test"

AXE = Path(sys.prefix) / "npm" / "node_modules" / "axe-core" / "axe.min.js"
"""Where the Makefile installs it."""

BROWSERS = ("chromium", "chromium-browser", "google-chrome")

Driver = webdriver.Chrome

UNSTEADY = (StaleElementReferenceException, ElementClickInterceptedException)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.import_plugin("tests.support.fixtures")


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
        """Poll until something is found; what the page replaces meanwhile is looked for again."""
        wait = WebDriverWait(
            self.driver, PATIENCE, poll_frequency=0.05, ignored_exceptions=UNSTEADY
        )
        return wait.until(lambda _: found(), what)

    def text(self, selector: str) -> str:
        """Wait for something to be seen; give its text."""
        found: list[str] = self.until(
            lambda: [element.text for element in [self._seen(selector)] if element], selector
        )
        return found[0]

    def _seen(self, selector: str) -> WebElement | None:
        elements = self.driver.find_elements(By.CSS_SELECTOR, selector)
        return next((element for element in elements if element.is_displayed()), None)

    def click(self, selector: str) -> None:
        def click() -> bool:
            element = self.find(selector)
            self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
            element.click()
            return True

        self.until(click, selector)

    def type(self, selector: str, text: str) -> None:
        """Fill in a field; the page may replace it while somebody types, and lose the beginning."""

        def is_filled_in() -> bool:
            field = self.find(selector)
            if field.get_property("value") != text:
                field.clear()
                field.send_keys(text)
            return field.get_property("value") == text

        self.until(is_filled_in, f"{text} in {selector}")

    def status(self) -> str:
        return self.text("#session")

    def use_token(self, secret: str) -> None:
        self.click("#by-token summary")
        self.type("#token [name=token]", secret)
        self.click("#token button")

    def as_on_a_phone(self) -> None:
        """Show it on a screen of 360 dots width."""
        screen = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)

    def faults(self) -> list[str]:
        """Serious and critical findings of axe-core, each with a place."""
        self.driver.execute_script(AXE.read_text(encoding="utf-8"))
        found: list[str] = self.driver.execute_async_script("""
            const done = arguments[0];
            axe.run(document).then(({ violations }) => done(violations
                .filter(({ impact }) => impact === "serious" || impact === "critical")
                .flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`))));
            """)
        return found

    def too_wide(self) -> int:
        """How many dots of it are beyond the right edge."""
        dots: int = self.driver.execute_script(
            "const { scrollWidth, clientWidth } = document.documentElement;"
            "return scrollWidth - clientWidth;"
        )
        return dots

    def log_in(self, password: str = ADMIN_PASSWORD) -> None:
        self.type("#login [name=username]", ADMIN)
        self.type("#login [name=password]", password)
        self.click("#login button")

    def open(self, operation: str, area: str = "Domains") -> str:
        """Unfold a call; give what selects it."""
        block = f"#operations-{area}-{operation}"
        self.click(f"{block} .opblock-summary-control")
        self.find(f"{block} .responses-table")
        return block

    def call(self, operation: str, area: str = "Domains", **names: str) -> str:
        """Try a call out; give the answer as it is shown, all of it."""
        block = self.open(operation, area)
        self.click(f"{block} .try-out__btn")
        for name, value in names.items():
            self.type(f"{block} tr[data-param-name={name}] input", value)
        self.click(f"{block} .execute")
        answer = f"{block} .live-responses-table tbody .response-col_description"
        # Its place is there before the body is.
        self.until(lambda: '"_success"' in self.text(answer), "an answer")
        return self.text(answer)

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
        # Over a pipe, whose end is the end of the browser, too.
        "--remote-debugging-pipe",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = opened(options)
    browser.set_script_timeout(PATIENCE)
    yield browser
    browser.quit()


def opened(options: webdriver.ChromeOptions) -> Driver:
    """Start a browser; its own deadline is short on a busy machine, so it is tried again."""
    for _ in range(TRIES - 1):
        with suppress(SessionNotCreatedException, TimeoutException):
            return Driver(options, service())
    return Driver(options, service())


def service() -> Service:
    """The program that controls the browser; both end with the tests, however these end."""
    return Service(shutil.which("chromedriver"), popen_kw={"preexec_fn": ended_with_parent()})


@pytest.fixture
def page(world: World, driver: Driver, url: str) -> Iterator[Page]:
    """The page, with nobody logged in."""
    console(driver)
    yield Page(driver, url)
    driver.execute_script("localStorage.clear()")
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
    driver.get("about:blank")
