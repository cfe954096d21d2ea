"""What other systems than Linux lack, taken away here: no /proc, no inotify, no hard links; other units."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from distributed import LocalCluster

from cachingclient import DiracClient
from cachingclient.vine.engines.pool import runner, workers
from cachingclient.worker import memory_peak
from cachingclient.worker.observe import native_opens, observing, open_folders


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This process as it would find macOS: nothing in /proc, no inotify, no clear_refs; and links that are refused."""
    monkeypatch.setattr(memory_peak, "_CLEAR", tmp_path / "no" / "clear_refs")
    monkeypatch.setattr(memory_peak, "_STATUS", tmp_path / "no" / "status")
    monkeypatch.setattr(native_opens, "_local", SimpleNamespace())
    monkeypatch.setattr(native_opens.ctypes, "CDLL", lambda *name, **options: SimpleNamespace())

    def refuse(*names: object, **options: object) -> None:
        raise OSError(errno.ENOTSUP, "no hard links here")

    monkeypatch.setattr(os, "link", refuse)


def read_all(path: str, factor: int) -> int:
    with open(path) as file:
        return factor * int(file.read())


def test_steps_are_kept_found_and_run_again(elsewhere: None, tmp_path: Path, store_url: str) -> None:
    """Results are right, found again, and computed anew when the file that they read changed."""
    path = tmp_path / "number"
    path.write_text("7")
    assert not hasattr(ctypes.CDLL(None), "inotify_init1")
    with (
        LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as cluster,
        DiracClient(cluster, cache=store_url, policy="all") as client,
    ):
        for number, ran in (("7", 1), ("7", 0), ("8", 1), ("8", 0)):
            path.write_text(number)
            assert client.submit(read_all, str(path), 2).result() == 2 * int(number)
            assert client.report is not None
            assert client.report.to_dict()["total"]["ran"] == ran


def test_without_a_proc_folder_an_open_folder_is_asked_for_its_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """macOS tells it by fcntl; the file counts as any other."""
    (tmp_path / "part").write_text("x")

    def refuse(path: str) -> str:
        raise FileNotFoundError(path)

    def told(descriptor: int, command: int, room: bytes) -> bytes:
        assert command == 50
        return os.fsencode(tmp_path).ljust(len(room), b"\0")

    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        with observing() as seen:
            monkeypatch.setattr(open_folders, "os", _with(os, readlink=refuse))
            monkeypatch.setattr(open_folders, "fcntl", SimpleNamespace(fcntl=told, F_GETPATH=50))
            os.mkdir("made", dir_fd=folder)
        assert str(tmp_path / "made") in seen.writes
    finally:
        os.close(folder)


def _with(module: Any, **changed: Any) -> SimpleNamespace:
    return SimpleNamespace(**{**vars(module), **changed})


@pytest.mark.parametrize(("platform", "unit"), [("linux", 1024), ("darwin", 1)])
def test_the_peak_of_memory_is_told_in_bytes(monkeypatch: pytest.MonkeyPatch, platform: str, unit: int) -> None:
    """The kernel's counter is in kilobytes, on macOS in bytes."""
    monkeypatch.setattr(runner, "sys", _with(sys, platform=platform))
    monkeypatch.setattr(runner, "resource", _with(resource, getrusage=lambda who: SimpleNamespace(ru_maxrss=3)))
    assert runner._most_memory() == 3 * unit


def test_processes_are_listed_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    """POSIX's program tells them; a child of this process is among them."""

    def refuse(path: str) -> list[str]:
        raise FileNotFoundError(path)

    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        monkeypatch.setattr(workers, "os", _with(os, listdir=refuse))
        assert {os.getpid(), child.pid} <= set(workers._all_processes())
    finally:
        child.communicate(b"\n")
