"""Tests of where code comes from: the user's own, a library with a version, the standard library."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cachingclient.hashing.environment import distributions
from cachingclient.hashing.environment import environment as module
from cachingclient.hashing.environment.distributions import required_name
from cachingclient.hashing.environment.environment import Environment, is_user_code, required_by, version_of
from cachingclient.hashing.identify import identify

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
        distributions._find,
        module._distributions_of_top,
        module._versions,
        distributions._folders,
        distributions.folders_of_wheels,
        distributions.stated_names,
    )
    made: list[str] = []

    def forget() -> None:
        for cache in caches:
            cache.cache_clear()

    def make(
        name: str,
        version: str | None = "1.0",
        direct: str = "",
        requires: str = "",
        loaded: str = "",
        site: Path = site,
        listed: bool = True,
    ) -> str:
        (site / f"{name}.py").write_text(f"__version__ = {(loaded or version)!r}\ndef scale(x):\n    return 2 * x\n")
        if version is not None:
            info = site / f"{name}-{version}.dist-info"
            info.mkdir()
            head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}"
            (info / "METADATA").write_text(f"{head}\nText.\n")
            if listed:
                (info / "RECORD").write_text(f"{name}.py,,\n")
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


def test_code_beside_no_library_is_the_users_without_a_look_at_all_libraries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files of all libraries are a second's work for each process, and a script's module is in none of them."""
    (tmp_path / "tinyscript.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(importlib.metadata, "packages_distributions", pytest.fail)
    importlib.import_module("tinyscript")
    try:
        assert is_user_code("tinyscript")
    finally:
        del sys.modules["tinyscript"]


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


@pytest.fixture
def folder_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as it is put on PYTHONPATH."""
    folder = tmp_path / "libraries"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


def test_a_library_in_a_folder_on_the_path_goes_by_its_version(install: Installer, folder_on_the_path: Path) -> None:
    """What pip installed with --target lies beside its description; an editable or local one is the user's own."""
    name = install("tinytarget", "1.2.3", site=folder_on_the_path)
    assert not is_user_code(name)
    assert version_of(name) == "1.2.3"
    assert is_user_code(install("tinylocal", direct='{"url": "file:///lib", "dir_info": {}}', site=folder_on_the_path))


def test_a_users_module_beside_libraries_is_the_users_own(install: Installer, folder_on_the_path: Path) -> None:
    """A working folder that pip installed into, too, keeps the user's modules theirs."""
    install("tinybeside", site=folder_on_the_path)
    assert is_user_code(install("tinymine", None, site=folder_on_the_path))


def test_a_module_that_hides_a_library_is_the_users_own(install: Installer, folder_on_the_path: Path) -> None:
    """One in the working folder with the name of an installed library is not that library."""
    install("tinyhidden")
    sys.modules.pop("tinyhidden")
    assert is_user_code(install("tinyhidden", None, site=folder_on_the_path))


def test_a_source_tree_that_was_built_is_the_users_own(install: Installer, folder_on_the_path: Path) -> None:
    """Building leaves an .egg-info beside the code, which goes on changing."""
    info = folder_on_the_path / "tinytree.egg-info"
    info.mkdir()
    (info / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: tinytree\nVersion: 1.0\n")
    (info / "top_level.txt").write_text("tinytree\n")
    name = install("tinytree", None, site=folder_on_the_path)
    assert version_of(name) == "1.0"
    assert is_user_code(name)


@pytest.mark.parametrize("listed", [True, False])
def test_a_description_beside_code_makes_a_library_of_what_it_lists(
    install: Installer, folder_on_the_path: Path, listed: bool
) -> None:
    """Whoever installs a wheel lists its files; building a tree may leave the rest of the description beside it."""
    assert is_user_code(install("tinybuilt", site=folder_on_the_path, listed=listed)) is not listed


@pytest.mark.parametrize("described", [True, False])
def test_a_library_in_a_zip_file_goes_by_its_version(
    install: Installer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, described: bool
) -> None:
    """What a zip file has with a description is a library, the user's zipped modules are their own."""
    packed = tmp_path / "libraries.zip"
    info = "tinyzipped-1.5.dist-info"
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("tinyzipped/__init__.py", "def scale(x):\n    return 2 * x\n")
        if described:
            file.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tinyzipped\nVersion: 1.5\n")
            file.writestr(f"{info}/RECORD", "tinyzipped/__init__.py,,\n")
    monkeypatch.syspath_prepend(str(packed))
    importlib.import_module("tinyzipped")
    try:
        assert is_user_code("tinyzipped") is not described
        assert version_of("tinyzipped") == ("1.5" if described else "not installed")
    finally:
        del sys.modules["tinyzipped"]


def test_a_library_under_a_link_is_a_library(
    install: Installer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A view links to where each release lies, its description too."""
    release, view = tmp_path / "release", tmp_path / "view"
    view.mkdir()
    release.mkdir()
    monkeypatch.syspath_prepend(str(release))
    install("tinylinked", "2.0", site=release)
    for file in release.iterdir():
        (view / file.name).symlink_to(file)
    sys.path.remove(str(release))
    monkeypatch.syspath_prepend(str(view))
    del sys.modules["tinylinked"]
    module = importlib.import_module("tinylinked")
    assert str(view) in str(module.__file__)
    is_user_code.cache_clear()
    assert not is_user_code("tinylinked")
    assert version_of("tinylinked") == "2.0"


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
