"""The source of an editable package is told from what it was before by what would be built of it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from cachingclient.environments import building
from cachingclient.environments.sources import read_source
from tests.environments.made import MODULE, PROJECT, commit


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A package in a repository of its own."""
    source = tmp_path / "analysis"
    (source / "src" / "cuts").mkdir(parents=True)
    (source / "pyproject.toml").write_text(PROJECT)
    (source / ".gitignore").write_text("*.root\n")
    (source / "src" / "cuts" / "__init__.py").write_text(MODULE)
    commit(source)
    return source


def test_a_commit_is_named_and_changes_count(source: Path) -> None:
    """An edit, a new file, its content, a removed one and a mode give other digests; taken back, the first again."""
    module, new = source / "src" / "cuts" / "__init__.py", source / "src" / "cuts" / "weights.py"
    first = read_source(source)
    assert (len(first.commit), first.changed) == (40, ())
    digests = [first.digest]
    module.write_text(MODULE.replace("25", "30"))
    assert read_source(source).changed == ("src/cuts/__init__.py",)
    digests.append(read_source(source).digest)
    module.write_text(MODULE)
    assert read_source(source) == first
    for text in ("w = 1\n", "w = 2\n"):
        new.write_text(text)
        digests.append(read_source(source).digest)
    new.unlink()
    module.chmod(0o755)
    digests.append(read_source(source).digest)
    module.unlink()
    digests.append(read_source(source).digest)
    assert len(set(digests)) == len(digests)
    assert "src/cuts/__init__.py" not in read_source(source).files


def test_a_new_commit_counts(source: Path) -> None:
    """Also when nothing differs from it."""
    before = read_source(source)
    (source / "src" / "cuts" / "__init__.py").write_text(MODULE.replace("25", "30"))
    commit(source)
    after = read_source(source)
    assert after.changed == ()
    assert before.commit != after.commit
    assert before.digest != after.digest


def test_what_git_ignores_does_not_count(source: Path) -> None:
    """Data beside the code neither make another environment nor travel."""
    before = read_source(source)
    (source / "events.root").write_bytes(bytes(1000))
    assert read_source(source) == before


def test_a_hook_of_git_looks_at_the_right_repository(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that a hook sets name another one."""
    before = read_source(source)
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert read_source(source) == before


def test_a_folder_without_a_repository_counts_by_all_its_files(tmp_path: Path) -> None:
    """But for what was built there, and environments in it."""
    (tmp_path / "cuts.py").write_text(MODULE)
    for path in ("build/lib/cuts.py", "cuts.egg-info/PKG-INFO", ".hidden/x.py", "venv/pyvenv.cfg", "venv/lib/x.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    found = read_source(tmp_path)
    assert (found.commit, found.files) == ("", ("cuts.py",))
    (tmp_path / "cuts.py").write_text(MODULE + "\n")
    assert read_source(tmp_path).digest != found.digest


def test_changes_in_a_submodule_count(source: Path, tmp_path: Path) -> None:
    """What the repository holds of it is a commit, and its files are copied."""
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "scale.py").write_text("x = 1\n")
    commit(inner)
    add = [
        "git",
        "-C",
        str(source),
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        str(inner),
        "sub",
    ]
    subprocess.run(add, check=True)
    commit(source)
    before = read_source(source)
    before.copy(tmp_path / "copy")
    assert (tmp_path / "copy" / "sub" / "scale.py").read_text() == "x = 1\n"
    (source / "sub" / "scale.py").write_text("x = 2\n")
    after = read_source(source)
    assert after.changed == ("sub",)
    assert after.digest != before.digest


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user's")
def test_a_repository_that_git_does_not_trust_counts_by_all_its_files(source: Path) -> None:
    """git refuses those of other users: nothing it says then is taken."""
    os.chown(source, 12345, 12345)
    os.chown(source / ".git", 12345, 12345)
    found = read_source(source)
    assert found.commit == ""
    assert "src/cuts/__init__.py" in found.files


def test_what_can_not_be_built_is_said(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the package's name and the builder's last words; the source stays as it is."""
    (source / "pyproject.toml").write_text(PROJECT.replace('packages = ["src/cuts"]', "packages = 7"))
    monkeypatch.setattr(building, "distribution", lambda name: SimpleNamespace(version="0.1"))
    building_it = building.build({"cuts": read_source(source)}, tmp_path / "staged", lambda text: None)
    with pytest.raises(ValueError, match=r"package cuts of .* can't be built:\n"):
        list(building_it)
    assert sorted(path.name for path in source.iterdir()) == [".git", ".gitignore", "pyproject.toml", "src"]
