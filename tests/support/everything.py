"""Everything that a client can change, to compare: tree, tables and subscribable lists."""

from typing import Any

from tests.support.databases import NAMES, Script, Urls, connected
from tests.support.mlmmjadmin import MlmmjadminServer
from tests.support.world import World

# What programs write at each message, and what only tells of changes.
_BESIDE = {"greylisting_tracking", "log"}
_TABLES = {name: sorted({*Script(name, "sqlite").tables} - _BESIDE) for name in NAMES}


def everything(
    world: World, urls: Urls, mlmmjadmin: MlmmjadminServer | None = None
) -> dict[str, Any]:
    """Read all of it, without operational attributes."""
    found: dict[str, Any] = {"tree": world.snapshot()}
    for name in NAMES:
        with connected(getattr(urls, name)) as connection:
            for table in _TABLES[name]:
                every = connection.exec_driver_sql(f"SELECT * FROM {table}")
                found[table] = sorted(map(repr, every))
    if mlmmjadmin is None:
        return found
    for mail in mlmmjadmin.lists():
        folder = mlmmjadmin.folder(mail) / "control"
        found[mail] = (
            mlmmjadmin.members(mail),
            {file.name: sorted(file.read_text().split()) for file in folder.iterdir()},
        )
    return found
