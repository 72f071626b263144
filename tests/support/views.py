"""Views of parameters, read and sent back."""

from typing import Any

from tests.support.client import Client, done
from tests.support.patience import PATIENCE
from tests.support.world import World


def view(api: Client, path: str) -> dict[str, Any]:
    """Give the view of what a path names."""
    answer = api.get(path, view="params")
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["_data"]
    return data


def round_trip(api: Client, world: World, path: str, *, tagged: bool = True) -> dict[str, Any]:
    """Send a view back under strict handling: nothing is ignored, and nothing changes; give it."""
    before, data = world.snapshot(), view(api, path)
    tag = api.get(path, view="params").headers.get("ETag")
    headers = {"Prefer": "handling=strict"}
    back = done(api.session.put(api.url + path, json=data, headers=headers, timeout=PATIENCE))
    assert not {"X-Ignored-Parameters", "X-Ignored-Values"} & back.headers.keys()
    if tagged:
        assert back.headers["ETag"] == tag
        assert "X-Change-Id" not in back.headers
    assert api.get(path, view="params").headers.get("ETag") == tag
    assert world.snapshot() == before
    return data
