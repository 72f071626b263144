"""Files that travel with the program."""

from pathlib import Path

import pytest

from iredldap import shipped as module
from iredldap.shipped import shipped


@pytest.mark.parametrize(
    "name", ["gunicorn.conf.py", "schema", "schema/iredmail.schema", "reference"]
)
def test_a_checkout_has_them_beside_the_package(name: str) -> None:
    """No installation is asked."""
    path = shipped(name)
    assert path.exists()
    assert path.is_absolute()
    assert path.as_posix().endswith(f"/{name}")


def test_a_lost_file_is_named() -> None:
    """With what to look for."""
    with pytest.raises(FileNotFoundError, match=r"no/such\.file is missing"):
        shipped("no/such.file")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed wheel, far from any checkout; returns the directory of its data."""
    site = tmp_path / "lib" / "site-packages"
    info = site / "iredldap-0.1.0.dist-info"
    data = tmp_path / "share" / "iredldap"
    info.mkdir(parents=True)
    (data / "schema").mkdir(parents=True)
    (data / "schema" / "a.schema").touch()
    (data / "gunicorn.conf.py").touch()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: iredldap\nVersion: 0.1.0\n")
    (info / "RECORD").write_text(
        "iredldap/__init__.py,,\n"
        "iredldap/schema/a.schema,,\n"
        "../../share/iredldap/gunicorn.conf.py,,\n"
        "../../share/iredldap/schema/a.schema,,\n"
    )
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr(module, "_CHECKOUT", site)
    return data


@pytest.mark.parametrize("name", ["gunicorn.conf.py", "schema", "schema/a.schema"])
def test_an_installation_remembers_where(installed: Path, name: str) -> None:
    """A file or a directory, named as in the checkout."""
    assert shipped(name).resolve() == installed / name


@pytest.mark.parametrize("name", ["schema/b.schema", "sch", "conf.py", "__init__.py"])
def test_an_installation_knows_no_others(installed: Path, name: str) -> None:
    """Not even by part of a name, or from among the package's own files."""
    with pytest.raises(FileNotFoundError):
        shipped(name)
