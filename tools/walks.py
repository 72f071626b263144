"""Trace which modules a call enters and which handle its value, and write docs/walks.md.

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
from urllib.parse import urlencode

import grimp
from falcon import testing

from iredldap.app import Gateways, create_app
from iredldap.config.reader import read_file
from ldif_export import __main__ as exporter
from tools.document import DOCS
from tools.value_trace import ValueTrace

PACKAGES = ("iredldap", "ldif_export")
HEAD = """\
# Walks through the program

<!-- Made by `python -m tools.walks VAR` from real calls; VAR is that of a running `make run`. -->

Which modules five calls enter, and which of them handle the value that the call is about: the
quota, the member, the number of messages, the name of the user. [architecture.md](architecture.md)
says what the layers are, [a decision](decisions/0050-walks.md) what the counts are compared with.

First comes the way of the value: the modules that are handed it, alone or within another value, in
the order in which they first are, and how often where it is more than once. A stay begins whenever
it gets from one module to another; back up are the stays in a module that stands higher than the
one before, by the imports.

Then come all modules by layer, from above; within a layer in the order in which they are first
entered. Calls go down. Functions that a module was handed by one above it are called from below,
such as the one that makes the plan anew; they are named after each table.
"""
# Names that are not in anything else, by which a value is recognized.
DOMAIN = "walks.test"
USER = f"zebulon@{DOMAIN}"
NAME = "Quibbleton"
LIST = f"all@{DOMAIN}"
QUOTA = 1789
MEGABYTE = 1024 * 1024
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass
class Walk:
    """The modules that a call entered, in the order of their first call, and who called whom."""

    value: ValueTrace
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

    def _note(self, frame: FrameType, event: str, returned: Any) -> None:
        # Methods that dataclasses generate have no file.
        if event not in ("call", "return") or frame.f_code.co_filename == "<string>":
            return
        module = frame.f_globals.get("__name__", "")
        if module.partition(".")[0] not in PACKAGES:
            return
        # What a comprehension is made of is its function's.
        if not frame.f_code.co_name.startswith("<") or frame.f_code.co_name == "<lambda>":
            self.value.note(module, frame, event, returned)
        if event == "return":
            return
        # To resume a generator is no call of what is above: it was made there and iterated here.
        resumed = frame.f_code.co_flags & inspect.CO_GENERATOR
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
    client.simulate_post(f"/api/user/{USER}", params={"name": NAME, "password": "long-enough"})
    client.simulate_post(f"/api/maillist/{LIST}")
    for title, method, path, params, value in (
        (
            "The quota of a user",
            "PUT",
            f"/api/user/{USER}",
            {"quota": str(QUOTA)},
            {str(QUOTA), str(QUOTA * MEGABYTE)},
        ),
        ("A member of a list", "PUT", f"/api/maillist/{LIST}", {"addMember": USER}, {"zebulon"}),
        (
            "A throttle setting",
            "POST",
            f"/api/throttle/{USER}/inbound",
            {"period": "60", "max_msgs": "98231"},
            {"98231"},
        ),
    ):
        walk = Walk(ValueTrace(frozenset(value)))
        with walk.traced():
            answer = client.simulate_request(method, path, body=urlencode(params), headers=FORM)
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
            walk = Walk(ValueTrace(frozenset({NAME})))
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
    way = _way(walk.value, graph)
    return f"## {title}\n\n{way}\n\n{len(walk.modules)} modules in all.\n\n{table}\n\n{told}\n"


def _way(value: ValueTrace, graph: grimp.ImportGraph) -> str:
    """Write which modules handle the value."""
    modules = value.modules
    named = ", ".join(
        f"`{module}`" + (f" ({count} times)" if count > 1 else "")
        for module, count in modules.items()
    )
    stays = f"{len(value.stays)} stays, {value.climbs(graph)} of them back up"
    return f"The value: {len(modules)} modules, {stays}.\n\n{named}"


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
