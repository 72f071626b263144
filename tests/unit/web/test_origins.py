"""Which requests a browser sends for another site's page."""

from typing import Any

import falcon
import pytest
from falcon import testing

from iredldap.config.sections import ApiSettings
from iredldap.web import origins
from iredldap.web.auth import Clients

HERE = "api.example.test"
PROXY = "192.0.2.1"


@pytest.mark.parametrize(
    ("headers", "foreign"),
    [
        ({}, False),
        # What the browser says of the page decides, whatever stands beside it.
        ({"Sec-Fetch-Site": "same-origin"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Sec-Fetch-Site": " Same-Origin "}, False),
        ({"Sec-Fetch-Site": "same-site"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, True),
        ({"Sec-Fetch-Site": ""}, True),
        ({"Sec-Fetch-Site": "same-origin, cross-site"}, True),
        ({"Sec-Fetch-Site": "something-new"}, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://shop.example.test"}, False),
        ({"Sec-Fetch-Site": "same-site", "Origin": f"http://{HERE}"}, True),
        # Else it is where the page came from.
        ({"Origin": f"http://{HERE}"}, False),
        ({"Origin": f"http://{HERE}:80"}, False),
        ({"Origin": f"HTTP://{HERE.upper()}"}, False),
        ({"Origin": f"http://{HERE}", "Host": f"{HERE}:80"}, False),
        ({"Origin": f"http://{HERE}", "Host": f"{HERE.upper()}:"}, False),
        ({"Origin": f"http://{HERE}:8080", "Host": f"{HERE}:8080"}, False),
        ({"Origin": "http://[::1]:8080", "Host": "[::1]:8080"}, False),
        ({"Origin": "http://shop.example.test"}, True),
        ({"Origin": "http://example.test"}, True),
        ({"Origin": f"http://{HERE}.attacker.test"}, True),
        ({"Origin": f"http://{HERE}:8080"}, True),
        ({"Origin": f"http://{HERE}", "Host": f"{HERE}:8080"}, True),
        ({"Origin": f"https://{HERE}"}, True),
        ({"Origin": f"https://{HERE}:80"}, True),
        ({"Origin": "null"}, True),
        ({"Origin": ""}, True),
        ({"Origin": HERE}, True),
        ({"Origin": f"ftp://{HERE}"}, True),
        ({"Origin": f"http://{HERE} http://{HERE}"}, True),
        ({"Origin": f"http://{HERE}, http://{HERE}"}, True),
        ({"Origin": f"http://{HERE}/"}, True),
        ({"Origin": f"http://{HERE}:80:80"}, True),
        ({"Origin": f"http://{HERE}:999999"}, True),
        ({"Origin": f"http://somebody@{HERE}"}, True),
        ({"Origin": "http://[::1", "Host": "[::1"}, True),
        ({"Origin": "http://a,b", "Host": "a,b"}, True),
        # Who we are is not told by a header that any client may send.
        ({"Origin": "http://shop.example.test", "X-Forwarded-Host": "shop.example.test"}, True),
        ({"Origin": f"https://{HERE}", "X-Forwarded-Proto": "https"}, True),
    ],
)
def test_a_page_of_another_origin_is_foreign(headers: dict[str, str], foreign: bool) -> None:
    assert is_foreign({"Host": HERE} | headers) == foreign


@pytest.mark.parametrize(
    ("headers", "foreign"),
    [
        ({"X-Forwarded-Proto": "https"}, False),
        ({"X-Forwarded-Proto": " HTTPS "}, False),
        ({"X-Forwarded-Proto": "https, http"}, False),
        ({"X-Forwarded-Proto": "http, https"}, True),
        ({"X-Forwarded-Proto": "http"}, True),
        ({}, True),
        ({"X-Forwarded-Proto": "https", "Host": "127.0.0.1:8080"}, True),
        (
            {"X-Forwarded-Proto": "https", "Host": "127.0.0.1:8080", "X-Forwarded-Host": HERE},
            False,
        ),
        (
            {"X-Forwarded-Proto": "https", "X-Forwarded-Host": f"{HERE}, inner.example.test"},
            False,
        ),
        ({"X-Forwarded-Proto": "https", "X-Forwarded-Host": ""}, False),
        ({"X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.example.test"}, True),
    ],
)
def test_a_trusted_proxy_says_what_the_client_sees(headers: dict[str, str], foreign: bool) -> None:
    """Scheme and host; port 443 is that of https, which the proxy's client leaves out."""
    all_of_them = {"Host": HERE, "Origin": f"https://{HERE}", **headers}

    assert is_foreign(all_of_them, PROXY) == foreign


def test_a_page_is_foreign_where_our_own_name_is_not_told() -> None:
    """In a request of HTTP/1.0 without Host; clients that are no browsers do not say Origin."""
    assert is_foreign({"Origin": "http://falconframework.org"}, host_header=False)
    assert not is_foreign({}, host_header=False)


def is_foreign(
    headers: dict[str, str], address: str = "198.51.100.7", *, host_header: bool = True
) -> bool:
    environ: dict[str, Any] = testing.create_environ(method="POST", headers=headers)
    if not host_header:
        del environ["HTTP_HOST"]
    request = falcon.Request(environ | {"REMOTE_ADDR": address})
    return Clients(ApiSettings(trusted_proxies=(PROXY,))).is_foreign(request)


def test_other_methods_than_reading_ones_change_something() -> None:
    """Whatever they are called."""
    assert {"GET", "HEAD", "OPTIONS"} == origins.SAFE_METHODS
