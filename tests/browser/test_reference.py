"""The reference as a page, in a browser: one logs in there and tries calls."""

import os
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from iredldap.web.openapi.groups import GROUPS
from tests.browser.conftest import SITE, Driver, Page
from tests.support.client import Client
from tests.support.world import ADMIN, World

DOMAIN = "example.com"


def picture(name: str, folder: Path) -> str:
    """A file for a picture: below `PICTURES`, or else in a folder of the test."""
    return str(Path(os.environ.get("PICTURES") or folder) / name)


def test_an_admin_logs_in_and_tries_calls(page: Page, world: World, tmp_path: Path) -> None:
    """They make a domain, with nothing but what they typed, and find it in the list.

    `PICTURES` names a folder for a picture of that.
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
    assert page.driver.save_screenshot(picture("reference.png", tmp_path))
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


@pytest.mark.usefixtures("page")
def test_calls_work_where_the_browser_says_no_more_than_the_origin(
    driver: Driver, world: World, url: str
) -> None:
    """Over plain HTTP, under a name: the page logs in, makes a domain and deletes it."""
    page = Page(driver, url.replace("127.0.0.1", f"api.{SITE}"))
    page.log_in()
    page.until(lambda: ADMIN in page.status(), "logged in")
    page.click("#operations-tag-Domains")

    made = page.call("domain_create", domain=DOMAIN)
    assert '"_success": true' in made
    assert world.entry(world.tree.domain(DOMAIN))

    page.click("#operations-Domains-domain_create .opblock-summary-control")
    deleted = page.call("domain_delete", domain=DOMAIN)
    assert '"_success": true' in deleted
    assert not world.entry(world.tree.domain(DOMAIN))

    page.click("#logout button")
    page.find("#login")


def test_nothing_foreign_runs_on_the_page(page: Page) -> None:
    """Neither a script nor a style that somebody brought into it."""
    page.driver.execute_script("""
        const script = document.createElement("script");
        script.textContent = "document.title = 'broken into'";
        document.body.append(script);
        document.body.insertAdjacentHTML("beforeend", "<p style='color: red'>red</p>");
    """)

    told: list[str] = []

    def are_told() -> bool:
        told.extend(page.complaints())
        return len(told) > 1

    page.until(are_told, "complaints")

    assert page.driver.title == "iredldap: HTTP API"
    assert ["script-src" in told[0], "style-src" in told[1], len(told)] == [True, True, 2]


def test_a_phone(page: Page, tmp_path: Path) -> None:
    """It fits the screen and can be used by everybody, also a call that is unfolded and tried.

    A search finds calls by their parameters, and unfolds where they are.
    """
    page.as_on_a_phone()
    assert (page.too_wide(), page.faults()) == (0, [])

    page.type("#search input", "quota")
    block = page.open("user_create", area="Users")
    shown = {
        call.get_attribute("id") or ""
        for call in page.driver.find_elements(By.CSS_SELECTOR, ".opblock")
    }
    assert {"operations-Users-user_update", "operations-Domains-domain_create"} < shown
    assert not [name for name in shown if name.endswith("_delete")]
    page.click(f"{block} .try-out__btn")
    assert page.find(f"{block} tr[data-property-name=quota] input[aria-label=quota]")
    assert (page.too_wide(), page.faults()) == (0, [])
    page.driver.execute_script("document.querySelector('#search').scrollIntoView()")
    assert page.driver.save_screenshot(picture("reference-phone.png", tmp_path))

    page.find("#search input").send_keys(Keys.BACK_SPACE * len("quota"))
    page.until(lambda: len(tags(page)) == len(GROUPS), "all areas")


def tags(page: Page) -> list[WebElement]:
    return page.driver.find_elements(By.CSS_SELECTOR, ".opblock-tag")


def test_refusals_are_folded(page: Page) -> None:
    """With the codes of each status, which a button shows."""
    page.click("#operations-tag-Domains")
    block = page.open("domain_get")
    missing = f"{block} tr[data-code='404']"
    assert page.find(f"{block} tr[data-code='200']")
    assert not page.driver.find_element(By.CSS_SELECTOR, missing).is_displayed()

    page.click(f"{block} .refusals")

    assert "NO_SUCH_ACCOUNT" in page.text(missing)


def test_a_second_tab_knows_the_session(page: Page, url: str) -> None:
    """Whichever of them it is begun or ended in."""
    page.log_in()
    page.until(lambda: ADMIN in page.status(), "logged in")
    first = page.driver.current_window_handle
    page.driver.switch_to.new_window("tab")
    try:
        second = Page(page.driver, url)
        second.until(lambda: ADMIN in second.status(), "logged in there")
        second.click("#logout button")
        second.find("#login")
    finally:
        page.driver.close()
        page.driver.switch_to.window(first)
    assert page.find("#login")


def test_a_token_serves_as_a_login(page: Page, world: World, url: str) -> None:
    """Of this tab alone, and until it is forgotten; one that is none is told."""
    made = Client(url).log_in().post("/api/tokens", name="page", scopes="domains:create")
    page.use_token("iredldap_none")
    page.until(lambda: "No such token" in page.status(), "a message")

    page.type("#token [name=token]", made.json()["_data"]["secret"])
    page.click("#token button")
    page.until(lambda: f"{ADMIN}, with a token" in page.status(), "logged in")
    page.click("#operations-tag-Domains")

    assert '"_success": true' in page.call("domain_create", domain=DOMAIN)
    assert world.entry(world.tree.domain(DOMAIN))
    assert "PERMISSION_DENIED" in page.call("domain_delete", domain=DOMAIN)
    page.click("#logout button")
    assert page.find("#login")
