"""Files that compiled code opens by itself."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import pytest

from cachingclient.worker.observe import Watch

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="inotify is Linux's")
LIBC = ctypes.CDLL(None)


def open_natively(path: Path) -> None:
    """Open a file as a library in C does: no audit event tells of it."""
    stream = LIBC.open(str(path).encode(), 0)
    LIBC.close(stream)


def test_only_what_is_opened_is_told(tmp_path: Path) -> None:
    """Of two files that are named, the one that compiled code opened; in a folder, the file there."""
    for name in ("read", "handed_on"):
        (tmp_path / name).write_text("x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "part-0").write_text("x")
    with Watch(str(tmp_path / name) for name in ("read", "handed_on", "folder")) as watch:
        open_natively(tmp_path / "read")
        open_natively(tmp_path / "folder" / "part-0")
    assert watch.opened == {str(tmp_path / "read"), str(tmp_path / "folder" / "part-0")}


def test_what_a_step_inside_opens_counts_for_the_step_around_it(tmp_path: Path) -> None:
    """Both watch the same file, in one thread."""
    path = tmp_path / "corrections"
    path.write_text("x")
    with Watch([str(path)]) as outer:
        with Watch([str(path)]) as inner:
            open_natively(path)
        with Watch([str(path)]) as later:
            pass
    assert outer.opened == inner.opened == {str(path)}
    assert later.opened == set()


def test_a_step_that_fails_leaves_no_watch(tmp_path: Path) -> None:
    """Its watch ends with it."""
    path = tmp_path / "corrections"
    path.write_text("x")
    watch = Watch([str(path)])
    with pytest.raises(ValueError, match="no"), watch:
        raise ValueError("no")
    open_natively(path)
    assert watch.opened == set()


def test_nobody_can_tell_of_a_file_that_can_not_be_watched(tmp_path: Path) -> None:
    """It then counts as read."""
    with Watch([str(tmp_path / "absent")]) as watch:
        pass
    assert watch.opened is None
