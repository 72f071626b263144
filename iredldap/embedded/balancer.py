"""Put HAProxy, or else nginx, in front of the nodes of a trial cluster."""

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from iredldap.embedded.errors import EmbeddedError
from iredldap.embedded.process import Process
from iredldap.shipped import shipped

_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])

_PAIR = 2

_NGINX = """\
daemon off;
worker_processes 1;
pid {home}/nginx.pid;
error_log stderr warn;
events {{ }}
http {{
    access_log off;
    client_max_body_size 0;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    upstream iredldap {{
        least_conn;
        {servers}
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://iredldap;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_buffering off;
            proxy_request_buffering off;
            proxy_connect_timeout 2s;
            proxy_read_timeout 65s;
            # Not POST, which nginx never repeats by itself.
            proxy_next_upstream error;
            proxy_intercept_errors off;
            error_page 502 504 = @down;
        }}
        location @down {{
            internal;
            default_type application/json;
            add_header Retry-After 2 always;
            return 503 '{{"_success": false, "_msg": "SERVER_DOWN"}}';
        }}
    }}
}}
"""


def haproxy() -> str | None:
    """Return the path of HAProxy, if it is installed."""
    return shutil.which("haproxy", path=_PATH)


def balancer(home: Path, port: int, nodes: Mapping[str, int]) -> Process:
    """Write the configuration of a balancer; return it, not started.

    Args:
        home: For its files; made if it is missing.
        port: TCP port on 127.0.0.1.
        nodes: Ports of the nodes on 127.0.0.1, by name.

    Raises:
        EmbeddedError: If neither HAProxy nor nginx is installed.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    path, log = home / "balancer.conf", home / "balancer.log"
    if program := haproxy():
        path.write_text(haproxy_configuration(port, nodes), "utf-8")
        # -db: in the foreground.
        return Process([program, "-db", "-f", path], log, os.environ)
    if program := shutil.which("nginx", path=_PATH):
        servers = "\n        ".join(
            f"server 127.0.0.1:{node} max_fails=1 fail_timeout=2s;" for node in nodes.values()
        )
        path.write_text(_NGINX.format(home=home, port=port, servers=servers), "utf-8")
        return Process([program, "-e", "stderr", "-c", path], log, os.environ)
    raise EmbeddedError("neither HAProxy nor nginx is installed; install the package haproxy")


def haproxy_configuration(port: int, nodes: Mapping[str, int]) -> str:
    """Return the shipped configuration of HAProxy with addresses of this machine.

    Args:
        port: To listen on, at 127.0.0.1, without TLS.
        nodes: Ports of the nodes on 127.0.0.1, by name.
    """
    text = (shipped("deploy/haproxy") / "haproxy.cfg").read_text("utf-8")
    errors = str(shipped("deploy/haproxy/errors"))
    servers = "\n".join(f"    server {name} 127.0.0.1:{node}" for name, node in nodes.items())
    up = [f"{{ srv_is_up(iredldap-whole/{name}) }}" for name in nodes]
    preferences = [
        f"    use-server {name} if {up[number]} !{up[1 - number]}"
        for number, name in enumerate(nodes)
        if len(nodes) == _PAIR
    ]
    for pattern, replacement in (
        (r"^    use-server n1 .*\n    use-server n2 .*$", "\n".join(preferences)),
        (r"^    bind .*$", f"    bind 127.0.0.1:{port}"),
        (r"^    server n1 .*\n    server n2 .*$", servers),
        (r"/etc/haproxy/errors(?=/)", errors.replace(" ", r"\ ")),
        # A trial has no syslog.
        (r"^    (log global|option httplog|option dontlognull)\n", ""),
    ):
        escaped = replacement.replace("\\", r"\\")
        text, count = re.subn(pattern, escaped, text, flags=re.MULTILINE)
        assert count, pattern
    return text
