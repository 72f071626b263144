"""The reference as a page, in a browser: one logs in there and tries calls."""

import os
from pathlib import Path

import pytest

from tests.browser.conftest import SITE, Driver, Page
from tests.support.world import ADMIN, World

DOMAIN = "example.com"


def test_an_admin_logs_in_and_tries_calls(page: Page, world: World, tmp_path: Path) -> None:
    """They make a domain, with nothing but what they typed, and find it in the list.

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
