"""Clients that generators make from the served document work, without a line changed in them.

Each reads what it wrote by the types that it was given: a session as a program for bookkeeping
would have it, in the language of the client.
"""

import json
import shutil
from typing import Any

import pytest

from tests.clients.conftest import HERE, NODE, NODE_MODULES, Workshop
from tests.support.world import ADMIN, ADMIN_PASSWORD

MAIL = "ann@example.com"
ALIAS = "a@example.com"
QUOTA = str(768 * 1024 * 1024)
PARAMS = {"quota": 768, "aliases": [ALIAS]}

OPENAPI_GENERATOR = (
    "openapi-generator-cli", "generate", "--input-spec", "openapi.json", "--output", "generated",
    "--global-property",
    "apis,models,supportingFiles,apiDocs=false,modelDocs=false,apiTests=false,modelTests=false",
)  # fmt: skip


def check(read: Any) -> None:
    """Compare what a session has read with what it wrote."""
    assert read["refused"] == "ALREADY_EXISTS"
    assert read["read"] == {"quota": [QUOTA], "aliases": [ALIAS]}
    assert read["users"] == {MAIL: {"cn": ["Ann"], "mailQuota": [QUOTA]}}
    assert f"\nmail: {MAIL}\n" in read["ldif"]
    assert f"\nshadowAddress: {ALIAS}\n" in read["ldif"]
    assert read["params"] == PARAMS
    assert read["quotas"] == {MAIL: PARAMS["quota"]}


def test_openapi_python_client(workshop: Workshop) -> None:
    """It logs in, and its cookie does the rest."""
    # It has no reader for lines of JSON, and leaves out answers that it cannot read.
    (workshop.folder / "generator.yaml").write_text(
        "post_hooks: []\ncontent_type_overrides: {application/x-ndjson: text/plain}\n"
    )
    said = workshop.run(
        *("openapi-python-client", "generate", "--path", workshop.document, "--meta", "none"),
        *("--output-path", "generated", "--config", "generator.yaml", "--fail-on-warning"),
    )
    assert "Generating" in said
    script = shutil.copy(HERE / "session_of_python.py", workshop.folder)

    read = json.loads(workshop.run("python", script, workshop.url, ADMIN, ADMIN_PASSWORD))

    check(read)
    assert read["names"] == [MAIL]
    assert f"dn: mail={MAIL},ou=Users,domainName=example.com," in read["tried"]


def test_openapi_typescript(workshop: Workshop) -> None:
    """The compiler knows the types of every body and answer."""
    workshop.npm_tool("openapi-typescript", workshop.document, "--output", "generated.ts")
    (workshop.folder / "node_modules").symlink_to(NODE_MODULES)
    script = shutil.copy(HERE / "session_of_typescript.mts", workshop.folder)
    shutil.copy(HERE / "tsconfig.json", workshop.folder)
    workshop.npm_tool("tsc", "--project", ".")

    read = json.loads(workshop.run(NODE, script, workshop.url, workshop.token()))

    check(read)
    assert read["names"] == [MAIL]


def test_openapi_generator(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """PHP, the language of many panels; it finds nothing but nulls where types do not fit."""
    # A short run: what a compiler gains it does not earn back.
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
    workshop.run(*OPENAPI_GENERATOR, "--generator-name", "php")
    script = HERE / "session_of_php.php"

    read = json.loads(
        workshop.run("php", script, workshop.folder / "generated", workshop.url, workshop.token())
    )

    check(read)
