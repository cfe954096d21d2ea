"""Tests of where code comes from: the user's own, a library with a version, the standard library."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cachingclient.hashing import distributions
from cachingclient.hashing import environment as module
from cachingclient.hashing.distributions import find_distribution, required_name
from cachingclient.hashing.environment import Environment, is_user_code, required_by, version_of
from cachingclient.hashing.walk import identify

Installer = Callable[..., str]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installer]:
    """Install small libraries as pip leaves them, and import them."""
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    caches = (
        is_user_code,
        version_of,
        required_by,
        find_distribution,
        module._distributions_of_top,
        module._versions,
        distributions._folders,
    )
    made: list[str] = []

    def forget() -> None:
        for cache in caches:
            cache.cache_clear()

    def make(name: str, version: str | None = "1.0", direct: str = "", requires: str = "", loaded: str = "") -> str:
        (site / f"{name}.py").write_text(f"__version__ = {(loaded or version)!r}\ndef scale(x):\n    return 2 * x\n")
        if version is not None:
            info = site / f"{name}-{version}.dist-info"
            info.mkdir()
            head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}"
            (info / "METADATA").write_text(f"{head}\nText.\n")
            if direct:
                (info / "direct_url.json").write_text(direct)
        forget()
        importlib.import_module(name)
        made.append(name)
        return name

    yield make
    for name in made:
        sys.modules.pop(name, None)
    forget()


def test_an_installed_library_goes_by_its_version(install: Installer) -> None:
    """A distribution from an index is a library."""
    name = install("tinylib", "1.2.3")
    assert not is_user_code(name)
    assert version_of(name) == "1.2.3"


@pytest.mark.parametrize("info", ['{"editable": true}', "{}"])
def test_what_was_installed_from_a_folder_is_the_users_own(install: Installer, info: str) -> None:
    """Editable installs, and those from a path, change without their version."""
    assert is_user_code(install("tinyeditable", direct=f'{{"url": "file:///lib", "dir_info": {info}}}'))


def test_a_file_put_beside_the_libraries_is_the_users_own(install: Installer) -> None:
    """What has no distribution has no version to go by."""
    assert is_user_code(install("tinystray", None))


def test_a_library_from_a_repository_has_its_commit(install: Installer) -> None:
    """Two commits of one version are two versions."""
    direct = '{"url": "https://example.org/r", "vcs_info": {"vcs": "git", "commit_id": "abc123"}}'
    name = install("tinygit", direct=direct)
    assert version_of(name) == "1.0+abc123"


def test_a_library_counts_with_what_it_requires(install: Installer) -> None:
    """A result of a library depends on the versions of those below it."""
    install("tinybase", "3.0")
    name = install("tinytop", requires='Requires-Dist: tinybase>=2\nRequires-Dist: tinyextra; extra == "x"\n')
    assert Environment().versions([name]) == {"tinybase": "3.0", "tinytop": "1.0"}
    assert Environment(ignore=frozenset({"tinybase"})).versions([name]) == {"tinytop": "1.0"}
    assert Environment(precision="major.minor").versions(["tinybase"]) == {"tinybase": "3.0"}
    assert "numpy" in Environment(pin="all").versions([name])


def test_an_upgrade_under_a_running_process_is_noticed(install: Installer) -> None:
    """The version in memory counts beside the one on disk: it is what runs."""
    name = install("tinyupgraded", "1.1", loaded="1.0")
    assert Environment().versions([name]) == {name: "1.1, 1.0 loaded"}


def test_the_standard_library_goes_by_the_minor_version() -> None:
    """Python's own modules count by its first two numbers."""
    assert not is_user_code("json")
    assert version_of("python") == f"{sys.version_info.major}.{sys.version_info.minor}"
    identity = identify(lambda x: importlib.reload(x))
    assert any(label.startswith("package python ") for label in identity.ingredients)


@pytest.mark.parametrize(
    ("requirement", "name"),
    [
        ("numpy", "numpy"),
        ("Foo_Bar>=1,<2", "foo-bar"),
        ("a.b[x,y] (>=1)", "a-b"),
        ('tomli>=1; python_version < "3"', None),
        ('numpy; python_version >= "3"', "numpy"),
        ('pytest; extra == "test"', None),
        ("name @ https://example.org/x.whl", "name"),
    ],
)
def test_requirements_are_read(requirement: str, name: str | None) -> None:
    """Only what holds here without extras counts."""
    assert required_name(requirement) == name
