"""The app behind an HTTP server, with settings for the directory under test."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from falcon.routing import CompiledRouter, map_http_methods, set_default_responders

from iredldap.app import Gateways, create_app
from iredldap.config.reader import read
from iredldap.config.sections import Config
from iredldap.operations.context import Context
from iredldap.operations.login import Caller
from tests.support.client import Client
from tests.support.databases import Urls
from tests.support.patience import PATIENCE
from tests.support.world import ADMIN, SUFFIX, WRITER_PASSWORD, World

SESSION_KEY = "0123456789abcdef0123456789abcdef"
SEALING_KEY = "fedcba9876543210fedcba9876543210"


@dataclass
class Served:
    """The app behind a threaded HTTP server of the standard library."""

    url: str
    config: Config
    gateways: Gateways

    def client(self) -> Client:
        return Client(self.url)

    def context(self, caller: Caller | None = None) -> Context:
        """What operations are given for a caller; None: the first global admin."""
        directory = self.gateways.directory
        caller = caller or Caller(ADMIN, directory.tree.admin(ADMIN), is_global=True, stored=())
        return Context(directory, self.config, caller, self.gateways.outside)


class _Quiet(WSGIRequestHandler):
    def get_environ(self) -> dict[str, Any]:
        """As gunicorn does: a body without a type has none, and the path is told as it was sent."""
        environ: dict[str, Any] = super().get_environ()
        if "Content-Type" not in self.headers:
            environ["CONTENT_TYPE"] = ""
        environ["RAW_URI"] = self.path
        return environ

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Threaded(WSGIServer):
    """A thread for each request, as gunicorn's workers have."""

    def process_request(self, request: Any, client_address: Any) -> None:
        threading.Thread(target=self._serve, args=(request, client_address), daemon=True).start()

    def _serve(self, request: Any, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        finally:
            self.shutdown_request(request)


class _Router:
    """falcon's router, which compiles the paths once: each app would, for 12 ms."""

    _compiled = CompiledRouter()
    _paths: ClassVar[set[str]] = set()

    def __init__(self) -> None:
        self._resources: dict[str, object] = {}

    def add_route(self, path: str, resource: object) -> None:
        self._resources[path] = resource
        if path not in self._paths:
            self._paths.add(path)
            self._compiled.add_route(path, _Place())

    def find(self, uri: str, req: object = None) -> tuple[object, dict[str, Any], Any, str] | None:
        found = self._compiled.find(uri)
        if found is None:
            return None
        _, _, variables, path = found
        resource = self._resources[str(path)]
        methods: dict[str, Any] = map_http_methods(resource)
        set_default_responders(methods)
        return resource, methods, variables, str(path)


class _Place:
    """Stands for the resources that different apps have at a path."""


def environment(folder: Path, urls: Urls) -> dict[str, str]:
    """Secrets of the app under test."""
    return {
        "IREDLDAP_LDAP_BIND_PASSWORD": WRITER_PASSWORD,
        "IREDLDAP_SESSION_KEYS": SESSION_KEY,
        "IREDLDAP_CHANGES_KEYS": SEALING_KEY,
        "IREDLDAP_STATE_URL": f"sqlite:///{folder}/state.sqlite3",
        "IREDLDAP_IREDAPD_URL": urls.iredapd,
        "IREDLDAP_AMAVISD_URL": urls.amavisd,
        "IREDLDAP_IREDADMIN_URL": urls.iredadmin,
    }


def configuration(world: World, folder: Path, urls: Urls, **changes: dict[str, Any]) -> Config:
    """Settings for the directory under test; `changes` go over whole sections."""
    sections: dict[str, dict[str, Any]] = {
        "api": {"enable_restful_api": True},
        "ldap": {
            "uri": [world.slapd.uri],
            "suffix": SUFFIX,
            "bind_dn": f"cn=vmailadmin,{SUFFIX}",
            # Tests of a directory that is silent set shorter ones.
            "network_timeout": PATIENCE,
            "operation_timeout": PATIENCE,
        },
        "session": {"recheck": 0.2},
        "server": {"workers": 1},
    }
    for name, change in changes.items():
        sections.setdefault(name, {}).update(change)
    return read(sections, environment(folder, urls))


@contextmanager
def serving(config: Config) -> Iterator[Served]:
    """Serve the app on a port of its own."""
    gateways = Gateways.open(config)
    with patch("falcon.routing.DefaultRouter", _Router):
        app = create_app(config, gateways)
    server = make_server("127.0.0.1", 0, app, _Threaded, handler_class=_Quiet)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield Served(f"http://127.0.0.1:{server.server_port}", config, gateways)
    finally:
        server.shutdown()
        server.server_close()
        gateways.close()
