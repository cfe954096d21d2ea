"""Traces of entries that others wrote: what they name is looked at with care."""

from __future__ import annotations

import os
import socket
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cachingclient.hashing.inputs.fingerprint import look_at_path
from cachingclient.hashing.inputs.trace import Surroundings, Trace
from tests.trust.conftest import attacked

KINDS = ("file", "stat", "content", "root", "listing", "stamps", "folder", "appended")


@pytest.mark.parametrize("what", ["pipe", "/dev/zero", "/dev/random", "link to a pipe"])
@pytest.mark.parametrize("kind", KINDS)
def test_looking_at_what_a_trace_names_ends(tmp_path: Path, what: str, kind: str) -> None:
    """A pipe that nobody writes into, and a device without an end, are another file than was read."""
    path = Path(what)
    if not path.is_absolute():
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "link").symlink_to(tmp_path / "pipe")
        path = tmp_path / ("link" if "link" in what else "pipe")
    seen: list[Any] = [kind, 5, 7, "0f" * 16, None]

    def look() -> None:
        trace = Trace.of_json({"read": {str(path): seen}})
        assert Surroundings().difference(trace) or kind == "appended"

    attacked(look)


def hung_below(folder: Path, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Have a folder be on a mount whose server is away: what asks for it waits, until the event is set."""
    back, real = threading.Event(), os.stat

    def stat(path: Any, *args: Any, **kwargs: Any) -> os.stat_result:
        if isinstance(path, str) and path.startswith(str(folder)):
            back.wait(60)
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "stat", stat)
    return back


def test_a_mount_that_hangs_costs_what_lies_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was looked at before it counts, what is named after it is not looked at."""
    (tmp_path / "there").write_text("x")
    seen = look_at_path(str(tmp_path / "there"), "content", 10)
    there = Trace(read={str(tmp_path / "there"): seen})
    assert seen is not None
    hung = Trace(read={str(tmp_path / "hung/x"): replace(seen, url=str(tmp_path / "hung/x"))})
    other = Trace(read={str(tmp_path / "other"): None})
    here = Surroundings()
    assert here.differences([there]) == [""]
    back = hung_below(tmp_path / "hung", monkeypatch)
    here._seconds = 0.2
    reasons = here.differences([there, hung, other, Trace(folder="/no/such/folder")])
    back.set()
    assert reasons[0] == ""
    assert "took too long" in reasons[1]
    assert "was not looked at" in reasons[2]
    assert "folder" in reasons[3]


@pytest.mark.parametrize("path", ["/", "/**/no-such-file-*"])
def test_what_has_no_end_ends(path: str) -> None:
    """A whole disk is walked for the time that others' entries are given."""
    kind = "pattern" if "*" in path else "folder"
    trace = Trace.of_json({"read": {path: [kind, 1, None, "1:x", None]}})

    def look() -> None:
        assert Surroundings(seconds=0.5, most=1.0).differences([trace]) != [""]

    attacked(look)


@pytest.mark.parametrize("kind", ["remote", "known", "file", "pattern"])
def test_nobody_is_asked_what_a_trace_names(kind: str) -> None:
    """A URL in a trace is the name of no file: no server hears of it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/latest/meta-data"
        trace = Trace.of_json({"named": {url: [kind, 5, 7, "x", None]}, "folder": url, "variables": {url: "0f"}})
        assert Surroundings().differences([trace]) != [""]
        with pytest.raises(BlockingIOError):
            server.accept()
