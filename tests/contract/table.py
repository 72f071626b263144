"""The contract's file: it lies beside the repository, or is absent."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from iredldap.web.routes import ENDPOINTS

CONTRACT_FILE = Path(__file__).resolve().parents[3] / "shared" / "api.yaml"

# Ten times as fast, where PyYAML was built with it.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@cache
def document() -> dict[str, Any]:
    """All of the contract's file."""
    found: dict[str, Any] = yaml.load(CONTRACT_FILE.read_text(encoding="utf-8"), _LOADER)
    return found


def contract() -> dict[str, Any]:
    """The endpoints of the contract by their ids; empty where its file is absent."""
    if not CONTRACT_FILE.exists():
        return {}
    return {endpoint["id"]: endpoint for endpoint in document()["endpoints"]}


def told() -> str:
    """What a run of the tests says of the contract at its end."""
    theirs = contract()
    if not theirs:
        return "no contract file: tables were not compared with it"
    ours = {endpoint.id: endpoint for endpoint in ENDPOINTS if endpoint.id in theirs}
    wanted = {(id_, row["name"]) for id_, found in theirs.items() for row in found["params"]}
    served = {(id_, row.name) for id_, found in ours.items() for row in found.table} & wanted
    words = f"{len(ours)} of {len(theirs)} endpoints, {len(served)} of {len(wanted)} parameters"
    return f"{words} of the contract are served"
