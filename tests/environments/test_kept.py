"""Packed environments in a folder: packed once, whole, the last three, by one process at a time."""

from __future__ import annotations

import os
import tarfile
import threading
import venv
from pathlib import Path

import pytest

from cachingclient.environments import Environment, kept
from cachingclient.environments.kept import pack, packed
from cachingclient.environments.lock import Lock

pytest.importorskip("venv_pack", reason="pip install venv-pack")


class Looked:
    """What is found when the environment is looked at: a small one, with versions that the test sets."""

    def __init__(self, prefix: Path) -> None:
        self.prefix = prefix
        self.versions = {"dask": "2026.8.0"}
        venv.create(prefix, symlinks=True)

    def __call__(self) -> Lock:
        return Lock(self.prefix, "venv", "CPython 3.11", dict(self.versions), {}, {})

    def pack(self, folder: Path, version: str) -> kept.Packed:
        """Pack it with another version of dask."""
        self.versions["dask"] = version
        return pack(folder, silent)


def silent(text: str) -> None:
    """Hear what is said, and say nothing."""


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Looked:
    """A small environment."""
    found = Looked(tmp_path / "small")
    monkeypatch.setattr(kept, "read_lock", found)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where it is packed into."""
    return tmp_path / "kept"


def names(folder: Path) -> list[str]:
    """What is in a folder but for its lock."""
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def test_it_is_packed_once(small: Looked, folder: Path) -> None:
    """A second time the archive is as it was; another version of a library makes another."""
    said: list[str] = []
    first = pack(folder, said.append)
    assert said[-1].startswith(f"packed {small.prefix} in ")
    with tarfile.open(first.archive) as archive:
        assert {"bin/python", "pyvenv.cfg"} <= set(archive.getnames())
    before = first.archive.stat().st_mtime_ns
    said.clear()
    assert pack(folder, said.append) == first
    assert (said, first.archive.stat().st_mtime_ns) == ([], before)
    assert small.pack(folder, "2026.9.0").archive != first.archive


def test_the_last_three_are_kept(small: Looked, folder: Path) -> None:
    """By when they were asked for; one that a cluster holds stays."""
    archives = {version: small.pack(folder, version) for version in ("1", "2", "3")}
    for age, version in enumerate(("3", "2", "1")):  # 1 was used longest ago
        os.utime(kept._description(archives[version].archive), (1000 - age, 1000 - age))
    small.pack(folder, "1")  # found, and so used last
    newest = small.pack(folder, "4")
    assert [each.archive for each in packed(folder)] == [
        each.archive for each in (newest, archives["1"], archives["3"])
    ]
    assert not archives["2"].archive.exists()
    held = Environment(packed=str(archives["3"].archive), digest=archives["3"].digest).hold()
    assert held is not None
    with held:
        small.pack(folder, "5")
        assert archives["3"].archive.exists()
    assert len(packed(folder)) == 4


def test_one_that_was_cut_short_is_packed_again(small: Looked, folder: Path) -> None:
    """Whether its end is missing or its bytes are others."""
    first = pack(folder, silent)
    whole = first.archive.read_bytes()
    for damaged in (whole[:-100], whole[:-100] + bytes(100)):
        first.archive.write_bytes(damaged)
        again = pack(folder, silent)
        assert kept.digest_of(again.archive) == again.digest
        assert again.archive.read_bytes() != damaged


def test_what_a_killed_process_left_is_cleared_away(small: Looked, folder: Path) -> None:
    """It is in a folder of its own until it is whole."""
    (folder / ".unfinished-x").mkdir(parents=True)
    (folder / ".unfinished-x" / "environment.tar.gz").write_bytes(b"half")
    found = pack(folder, silent)
    assert names(folder) == sorted([found.archive.name, kept._description(found.archive).name])


def test_two_at_once_pack_once(small: Looked, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second waits, and takes what the first packed."""
    inside, go_on, waits = threading.Event(), threading.Event(), threading.Event()
    real, packed_by = kept._archive, []

    def held(*arguments: object) -> None:
        packed_by.append(threading.current_thread().name)
        inside.set()
        assert go_on.wait()
        real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(kept, "_archive", held)
    found: list[kept.Packed] = []
    first = threading.Thread(target=lambda: found.append(pack(folder, silent)))
    first.start()
    assert inside.wait()

    def hear(text: str) -> None:
        if "another process packs an environment: waiting for it" in text:
            waits.set()

    second = threading.Thread(target=lambda: found.append(pack(folder, hear)))
    second.start()
    assert waits.wait()
    go_on.set()
    first.join()
    second.join()
    assert len(packed_by) == 1
    assert found[0] == found[1]


def test_one_that_is_changed_meanwhile_is_not_kept(
    small: Looked, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name would not be that of its contents."""
    real = kept._archive

    def upgrading(*arguments: object) -> None:
        real(*arguments)  # type: ignore[arg-type]
        small.versions["dask"] = "2026.9.0"

    monkeypatch.setattr(kept, "_archive", upgrading)
    with pytest.raises(ValueError, match="was changed while it was packed: pack it again"):
        pack(folder, silent)
    assert names(folder) == []


def test_a_full_disk_is_said_and_left_clean(small: Looked, small_disk: Path) -> None:
    """The error names the folder; nothing half packed stays there."""
    (small.prefix / "large").write_bytes(os.urandom(5_000_000))
    with pytest.raises(OSError, match="has no room for the packed environment") as error:
        pack(small_disk, silent)
    assert error.value.filename == str(small_disk)
    assert names(small_disk) == []


def test_the_library_that_packs_is_named(small: Looked, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With how to install it."""
    monkeypatch.setattr(kept.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"takes venv-pack: pip install 'cachingclient\[environments\]'"):
        pack(folder, silent)


def test_what_the_packer_refuses_is_told(small: Looked, folder: Path) -> None:
    """With its own words."""
    (small.prefix / "pyvenv.cfg").unlink()
    with pytest.raises(ValueError, match=r"venv-pack can't pack .*is not a valid virtual environment"):
        pack(folder, silent)
    assert names(folder) == []


def test_an_environment_of_condas_is_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By conda-pack, with the names of its packages; a stand-in here, since conda is not installed."""
    pytest.importorskip("conda_pack", reason="pip install conda-pack")
    prefix = tmp_path / "conda"
    (prefix / "conda-meta").mkdir(parents=True)
    (prefix / "bin").mkdir()
    (prefix / "bin" / "tool").write_text(f"#!{prefix}/bin/python\nprint('here')\n")
    (prefix / "conda-meta" / "history").write_text("")
    (prefix / "conda-meta" / "tool-1.0-0.json").write_text(
        '{"name": "tool", "version": "1.0", "build": "0", "url": "", "link": null, "files": ["bin/tool"]}'
    )
    monkeypatch.setattr(
        kept, "read_lock", lambda: Lock(prefix, "conda", "CPython 3.11", {}, {}, {"tool-1.0-0.json": ""})
    )
    found = pack(tmp_path / "kept", silent)
    with tarfile.open(found.archive) as archive:
        assert {"bin/tool", "bin/conda-unpack", "conda-meta/tool-1.0-0.json"} <= set(archive.getnames())
