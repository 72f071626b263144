"""Take the viewer of `/docs`, swagger-ui, from npm's registry: `python -m tools.vendor VERSION`.

It needs `npm`, which compares what it fetches with the registry's digest. The manifest that is
written beside the files has a digest of each, by which the tests tell that nothing was changed.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

PACKAGE = "swagger-ui-dist"
FILES = (
    "swagger-ui-bundle.js",
    "swagger-ui-bundle.js.LICENSE.txt",
    "swagger-ui.css",
    "LICENSE",
    "NOTICE",
)
FOLDER = Path(__file__).resolve().parents[1] / "reference" / "swagger-ui"
MANIFEST = FOLDER / "manifest.json"


def digests() -> dict[str, str]:
    """SHA-256 of each file as it stands here."""
    return {name: hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name in FILES}


def main() -> int:
    """Replace the files and the manifest."""
    parser = argparse.ArgumentParser(prog="python -m tools.vendor", description=__doc__)
    parser.add_argument("version", help="of the package, 5.35.0 say")
    described = fetch(parser.parse_args().version)
    manifest = {name: described[name] for name in ("name", "version", "license")}
    manifest |= {"sha256": digests()}
    MANIFEST.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    print(f"{PACKAGE} {described['version']}")
    return 0


def fetch(version: str) -> dict[str, Any]:
    """Write the files of a version; return what the package says of itself."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", f"{PACKAGE}@{version}"], cwd=folder, check=True)
        (archive,) = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as package:
            for name in FILES:
                (FOLDER / name).write_bytes(_content(package, name))
            described: dict[str, Any] = json.loads(_content(package, "package.json"))
            return described


def _content(package: tarfile.TarFile, name: str) -> bytes:
    file = package.extractfile(f"package/{name}")
    if file is None:
        raise FileNotFoundError(name)
    return file.read()


if __name__ == "__main__":
    sys.exit(main())
