"""Trace which modules a call enters, and write docs/walks.md.

`python -m tools.walks VAR` plays each walk once against the directory of a running `make run`,
whose private directory is VAR. It makes a domain `walks.test` there and deletes it at the end.
"""

import argparse
import inspect
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import grimp
from falcon import testing

from iredldap.app import Gateways, create_app
from iredldap.config.reader import read_file
from ldif_export import __main__ as exporter
from tools.document import DOCS

PACKAGES = ("iredldap", "ldif_export")
HEAD = """\
# Walks through the program

<!-- Made by `python -m tools.walks VAR` from real calls; VAR is that of a running `make run`. -->

Which modules five calls enter, by layer, from above; within a layer in the order in which they are
first entered. [architecture.md](architecture.md) says what the layers are.

Calls go down. Functions that a module was handed by one above it are called from below, such as the
one that makes the plan anew; they are named after each table.
"""
DOMAIN = "walks.test"
USER = f"ann@{DOMAIN}"
LIST = f"all@{DOMAIN}"


@dataclass
class Walk:
    """The modules that a call entered, in the order of their first call, and who called whom."""

    modules: list[str] = field(default_factory=list)
    calls: set[tuple[str, str]] = field(default_factory=set)

    @contextmanager
    def traced(self) -> Iterator[None]:
        """Note the calls that this thread makes."""
        sys.setprofile(self._note)
        try:
            yield
        finally:
            sys.setprofile(None)

    def _note(self, frame: FrameType, event: str, _: Any) -> None:
        # Methods that dataclasses generate have no file.
        if event != "call" or frame.f_code.co_filename == "<string>":
            return
        # To resume a generator is no call of what is above: it was made there and iterated here.
        resumed = frame.f_code.co_flags & inspect.CO_GENERATOR
        module = frame.f_globals.get("__name__", "")
        if module.partition(".")[0] not in PACKAGES:
            return
        if module not in self.modules:
            self.modules.append(module)
        if not resumed and (caller := _caller(frame)):
            self.calls.add((caller, module))

    def upward(self, graph: grimp.ImportGraph) -> list[tuple[str, str]]:
        """Return the calls of a module by one that it imports, directly or not: caller, called."""
        return sorted(
            (caller, called)
            for caller, called in self.calls
            if caller != called
            and graph.chain_exists(importer=called, imported=caller)
            and not graph.chain_exists(importer=caller, imported=called)
        )


def _caller(frame: FrameType) -> str | None:
    """Return the module of ours that called, past the libraries between."""
    back = frame.f_back
    while back:
        name: str = back.f_globals.get("__name__", "")
        if name.partition(".")[0] in PACKAGES:
            return name
        back = back.f_back
    return None


def requests(client: testing.TestClient) -> Iterator[tuple[str, Walk]]:
    """Play the walks that begin with a request."""
    client.simulate_post(f"/api/domain/{DOMAIN}", params={"defaultQuota": "1024"})
    client.simulate_post(f"/api/user/{USER}", params={"name": "Ann", "password": "long-enough"})
    client.simulate_post(f"/api/maillist/{LIST}")
    for title, method, path, params in (
        ("The quota of a user", "PUT", f"/api/user/{USER}", {"quota": "2048"}),
        ("A member of a list", "PUT", f"/api/maillist/{LIST}", {"addMember": USER}),
        (
            "A throttle setting",
            "POST",
            f"/api/throttle/{USER}/inbound",
            {"period": "60", "max_msgs": "9"},
        ),
    ):
        walk = Walk()
        with walk.traced():
            answer = client.simulate_request(method, path, params=params)
        _insist(answer.json == {"_success": True}, f"{method} {path}: {answer.text}")
        yield title, walk


def files(uri: str, suffix: str, secrets: Path, client: testing.TestClient) -> Iterator[Any]:
    """Play the walks of `ldif-export`: an entry to LDIF, and back."""
    words = ["--uri", uri, "--suffix", suffix, "--password-file"]
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "user.ldif")
        for title, command in (
            ("An entry to LDIF", ["user", USER, *words, f"{secrets}/vmail", "--output", file]),
            ("A line of LDIF to an add", ["restore", file, *words, f"{secrets}/vmailadmin"]),
        ):
            walk = Walk()
            with walk.traced():
                status = exporter.main.main(command, standalone_mode=False)
            _insist(not status, f"{command} ended with {status}")
            yield title, walk
            client.simulate_delete(f"/api/user/{USER}")


def _insist(good: bool, otherwise: str) -> None:
    if not good:
        raise SystemExit(otherwise)


LAYERS = (
    "ldif_export.__main__",
    "ldif_export.cli",
    "ldif_export.backup",
    "ldif_export.restore",
    "ldif_export.readers",
    "ldif_export.protocol",
    "ldif_export.ldif",
    "ldif_export",
    "iredldap.web.resources",
    "iredldap.web",
    "iredldap.operations",
    "iredldap.finders",
    "iredldap.changes",
    "iredldap.gateways",
    "iredldap.dit",
    "iredldap.config",
    "iredldap.ldif",
    "iredldap",
)
"""Packages and modules from above, each after what lies within it or above it."""


def _layer(module: str) -> str:
    return next(layer for layer in LAYERS if f"{module}.".startswith(f"{layer}."))


def _section(title: str, walk: Walk, graph: grimp.ImportGraph) -> str:
    """Write one walk as a section of the page."""
    layers: dict[str, list[str]] = {layer: [] for layer in LAYERS}
    for module in walk.modules:
        layers[_layer(module)].append(module)
    rows = [
        f"| `{layer}` | {', '.join(f'`{_below(module, layer)}`' for module in modules)} |"
        for layer, modules in layers.items()
        if modules
    ]
    table = "\n".join(["| Layer | Modules |", "| --- | --- |", *rows])
    handed = walk.upward(graph)
    told = "\n".join(f"- `{caller}` calls what `{called}` handed down" for caller, called in handed)
    return f"## {title}\n\n{len(walk.modules)} modules.\n\n{table}\n\n{told}\n"


def _below(module: str, layer: str) -> str:
    return module.removeprefix(f"{layer}.") if module != layer else module.rpartition(".")[2]


def main() -> None:
    """Play every walk and write the page."""
    parser = argparse.ArgumentParser(prog="python -m tools.walks", description=__doc__)
    parser.add_argument("var", type=Path, help="private directory of make run")
    var = parser.parse_args().var
    config = read_file(var / "iredldap.toml", os.environ)
    gateways = Gateways.open(config)
    client = testing.TestClient(create_app(config, gateways))
    password = (var / "secrets" / "admin").read_text().strip()
    login = {"username": "admin@iredldap.test", "password": password}
    cookie = client.simulate_post("/api/login", params=login).cookies[config.session.cookie_name]
    client = testing.TestClient(
        client.app, headers={"Cookie": f"{config.session.cookie_name}={cookie.value}"}
    )
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    try:
        walks = [
            *requests(client),
            *files(config.ldap.uri[0], config.ldap.suffix, var / "secrets", client),
        ]
    finally:
        client.simulate_delete(f"/api/domain/{DOMAIN}")
        gateways.close()
    pages = [HEAD, *(_section(title, walk, graph) for title, walk in walks)]
    (DOCS / "walks.md").write_text("\n".join(pages), encoding="utf-8")


if __name__ == "__main__":
    main()
