"""What is shipped for a server: the unit of systemd, and the locations of nginx, with real ones."""

import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest
import requests

from iredldap.config.reader import CONFIG_VARIABLE
from iredldap.config.server import ServerSettings
from iredldap.embedded.child import ended_with_parent
from iredldap.embedded.gunicorn import gunicorn_command
from iredldap.embedded.ports import free_port
from iredldap.installation import configuration
from tests.support.client import Client, done, refused
from tests.support.databases import sqlite_urls
from tests.support.gunicorn import gunicorn
from tests.support.patience import PATIENCE, launched
from tests.support.serving import environment
from tests.support.slow import PROMPT, connected, fill, head, longest
from tests.support.tls import certificates
from tests.support.world import SUFFIX, World

DEPLOY = Path(__file__).parents[3] / "deploy"
UNIT = DEPLOY / "iredldap.service"
LARGEST_EXPOSURE = 20
"""Of 100, as `systemd-analyze security` counts; a unit that says nothing has 96."""

NGINX = """\
daemon off;
user root;
pid {home}/nginx.pid;
error_log {home}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {home}/here.pem;
        ssl_certificate_key {home}/here.key;
        location ~ ^/iredadmin {{ return 418; }}
        include iredldap.conf;
    }}
}}
"""


# --- the unit ---------------------------------------------------------------------------------


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit, with the program where it is here."""
    path = tmp_path / UNIT.name
    path.write_text(UNIT.read_text().replace("/opt/iredldap/bin", str(Path(sys.executable).parent)))
    return path


def analyzed(*words: str) -> str:
    """What systemd says of a unit; it is content."""
    found = subprocess.run(
        ["systemd-analyze", *words], capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout + found.stderr


def test_systemd_accepts_the_unit(unit: Path) -> None:
    """Without a warning, and the program is where the unit says."""
    assert UNIT.name not in analyzed("verify", "--man=no", str(unit))


def test_the_unit_may_do_little(unit: Path) -> None:
    """As systemd itself judges."""
    threshold = f"--threshold={LARGEST_EXPOSURE}"
    analyzed("security", "--offline=yes", threshold, str(unit))


def test_the_unit_waits_for_running_requests() -> None:
    """Longer than gunicorn does."""
    found = re.search(r"^TimeoutStopSec=(\d+)$", UNIT.read_text(), re.MULTILINE)
    assert found
    assert int(found[1]) > ServerSettings().graceful_timeout


def test_a_reload_checks_the_configuration_first(unit: Path, tmp_path: Path) -> None:
    """By the unit's own commands: a fault ends the reload, as systemd stops at what fails."""
    check, *rest = re.findall(r"^ExecReload=(.*)$", unit.read_text(), re.MULTILINE)
    started = re.findall(r"^ExecStart=\S+ serve (.*)$", unit.read_text(), re.MULTILINE)
    assert check.split()[1:] == ["check-config", *started[0].split()]
    assert rest == ["/bin/kill -HUP $MAINPID"]
    path = tmp_path / "iredldap.toml"
    words = [str(path) if word.endswith(".toml") else word for word in check.split()]
    ldap = {"uri": ["ldapi:///"], "suffix": SUFFIX, "bind_dn": f"cn=vmailadmin,{SUFFIX}"}
    environ = os.environ | environment(tmp_path, sqlite_urls(tmp_path))
    for server, status in (({}, 0), ({"threads": "many"}, 1)):
        path.write_text(configuration({"ldap": ldap, "server": server}))
        done = subprocess.run(words, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stderr
        assert ("server.threads" in done.stderr) == (status == 1)


def test_systemd_is_told_when_the_api_is_ready(world: World, tmp_path: Path) -> None:
    """As a unit of the type `notify` has to."""
    address = tmp_path / "notify"
    path = tmp_path / "iredldap.toml"
    ldap = {"uri": [world.slapd.uri], "suffix": SUFFIX, "bind_dn": f"cn=vmailadmin,{SUFFIX}"}
    # A socket of its own: no port that somebody else could have.
    server = {"bind": f"unix:{tmp_path}/socket"}
    path.write_text(configuration({"ldap": ldap, "server": server}))
    variables = os.environ | environment(tmp_path, sqlite_urls(tmp_path))
    variables |= {CONFIG_VARIABLE: str(path), "NOTIFY_SOCKET": str(address)}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(address))
        told.settimeout(PATIENCE)
        process = subprocess.Popen(
            gunicorn_command(),
            env=variables,
            stderr=subprocess.DEVNULL,
            preexec_fn=ended_with_parent(),  # noqa: PLW1509
        )
        try:
            assert b"READY=1" in told.recv(4096)
        finally:
            process.terminate()
            process.wait(PATIENCE)


# --- nginx ------------------------------------------------------------------------------------


@contextmanager
def nginx(home: Path, api: str) -> Iterator[str]:
    """Serve what is shipped for nginx over TLS; give the URL."""
    certificates(home)
    for shipped in (DEPLOY / "nginx").iterdir():
        text = shipped.read_text().replace("http://127.0.0.1:8080", api)
        (home / shipped.name).write_text(text)
    process, port = launched(partial(launch_nginx, home), _listens)
    try:
        yield f"https://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(PATIENCE)


def launch_nginx(home: Path, port: int) -> subprocess.Popen[bytes]:
    main = home / "nginx.conf"
    main.write_text(NGINX.format(home=home, port=port))
    program = shutil.which("nginx", path=os.defpath + ":/usr/sbin:/sbin")
    assert program, "nginx is missing"
    return subprocess.Popen(
        [program, "-c", str(main)],
        stderr=subprocess.DEVNULL,
        preexec_fn=ended_with_parent(),  # noqa: PLW1509
    )


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def front(world: World, tmp_path: Path) -> Iterator[Client]:
    """The API as a browser sees it: over TLS, through nginx."""
    home = tmp_path / "nginx"
    home.mkdir()
    settings = {"API_TRUSTED_PROXIES": "127.0.0.1", "API_RESTFUL_API_CLIENTS": "127.0.0.1"}
    with gunicorn(world, tmp_path, **settings) as api, nginx(home, api) as url:
        client = Client(url)
        client.session.verify = str(home / "ca.pem")
        # The environment may name other certificates, which would win.
        client.session.trust_env = False
        yield client


def test_the_api_works_behind_nginx(front: Client) -> None:
    """By both of its paths; and the cookie is for TLS only."""
    front.log_in()
    assert [cookie.secure for cookie in front.session.cookies] == [True]
    done(front.post("/iredadmin/api/domain/front.test"))
    assert front.get("/api/domain/front.test").json()["_data"]["domainName"] == ["front.test"]
    done(front.delete("/api/domain/front.test"))


def test_nobody_speaks_for_another_through_nginx(front: Client) -> None:
    """An address that the client claims to have is not taken for their."""
    headers = {"X-Forwarded-For": "192.0.2.7"}
    url = f"{front.url}/api/domain/front.test"
    refused(front.session.get(url, headers=headers), 401, "LOGIN_REQUIRED")


def test_a_page_of_another_host_does_nothing_through_nginx(front: Client) -> None:
    """The API knows the name and the scheme that the browser sees, and believes no other."""
    front.log_in()
    path = "/api/domain/front.test"
    for headers in (
        {"Origin": "https://shop.example.test"},
        {"Origin": "https://shop.example.test", "X-Forwarded-Host": "shop.example.test"},
        {"Origin": front.url.replace("https", "http")},
        {"Sec-Fetch-Site": "same-site", "Origin": front.url},
    ):
        refused(front.call("POST", path, headers=headers), 403, "CROSS_SITE_REQUEST")
    done(front.call("POST", path, headers={"Origin": front.url}))
    done(front.call("DELETE", path, headers={"Sec-Fetch-Site": "same-origin"}))


def test_a_directory_goes_through_nginx_and_back(front: Client) -> None:
    """As LDIF, larger than nginx takes of other requests."""
    front.log_in()
    done(front.post("/api/domain/front.test"))
    file = front.get("/iredadmin/api/ldif", format="ldif").content
    assert b"dn: domainName=front.test," in file
    head, end, rest = file.partition(b"\n")
    larger = b"".join([head, end, b"# %s\n" % (b"x" * 70) * 60_000, rest])
    answer = front.send_file("/iredadmin/api/ldif", larger)
    assert answer.status_code == 200, answer.text
    done(front.delete("/api/domain/front.test"))


@contextmanager
def tls(client: Client, count: int, beginning: bytes) -> Iterator[list[ssl.SSLSocket]]:
    """So many connections to nginx, on which the same was sent."""
    context = ssl.create_default_context(cafile=str(client.session.verify))
    with ExitStack() as stack:
        made = []
        for plain in stack.enter_context(connected(client.url, count)):
            made.append(
                stack.enter_context(context.wrap_socket(plain, server_hostname="127.0.0.1"))
            )
            made[-1].sendall(beginning)
        yield made


def test_slow_readers_behind_nginx_stop_nobody(front: Client, world: World) -> None:
    """They have as many downloads as one caller may, and the rest is refused."""
    front.log_in()
    fill(world, front)
    wanted = head(front, "/iredadmin/api/ldif/domain/corp.test?format=ldif")
    with tls(front, 10, wanted) as clients:
        firsts = [client.recv(12) for client in clients]
        assert sorted(first.split()[1] for first in firsts) == [b"200"] * 3 + [b"429"] * 7
        assert longest(lambda: front.get("/api/domain/corp.test").raise_for_status()) < PROMPT


@pytest.mark.parametrize("beginning", [b"", b"GET /api/dom", b"POST /api/login HTTP/1.1\r\n"])
def test_slow_senders_behind_nginx_stop_nobody(front: Client, beginning: bytes) -> None:
    front.log_in()
    with tls(front, 24, beginning):
        assert longest(lambda: front.get("/api/domains").raise_for_status()) < PROMPT


def test_the_reference_is_there(front: Client) -> None:
    """The page, and the document it shows."""
    assert front.get("/docs").headers["Content-Type"].startswith("text/html")
    assert front.get("/openapi.json").json()["openapi"].startswith("3.")


def test_an_api_that_is_down_is_said_in_its_own_words(tmp_path: Path) -> None:
    """Not by a page of nginx."""
    with nginx(tmp_path, f"http://127.0.0.1:{free_port()}") as url:
        answer = requests.get(
            f"{url}/api/domains", verify=str(tmp_path / "ca.pem"), timeout=PATIENCE
        )
    refused(answer, 503, "SERVER_DOWN")
    assert answer.headers["Retry-After"] == "5"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
