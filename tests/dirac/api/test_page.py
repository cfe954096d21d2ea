"""What the page on DIRAC says of where a job's parts go, and what calls return, that no other test runs."""

from __future__ import annotations

import os
import sys
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cachingclient.dirac.api.dirac8 import Dirac8
from cachingclient.dirac.api.diracx import DiracX
from cachingclient.dirac.api.job import Job
from tests.dirac.stand_in import StandIn

JOB = Job(
    executable="run.py",
    arguments=["--region", "4j2b;'\"", "a-secret-word"],
    files={"run.py": b"print('what a file says')"},
    container="docker://ghcr.io/group/analysis:7",
)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_written: list[str] | None = None


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if _written is not None and event == "open" and (arguments[2] or 0) & WRITING:
        _written.append(str(arguments[0]))


@contextmanager
def written() -> Iterator[list[str]]:
    """The files that this process opens to write meanwhile."""
    global _written
    if not getattr(sys, "_hears_of_dirac", False):
        sys.addaudithook(_hear)
        sys._hears_of_dirac = True  # type: ignore[attr-defined]
    _written = []
    try:
        yield _written
    finally:
        _written = None


@pytest.mark.parametrize("kind", ["rest", "diracx"])
def test_a_description_holds_names_alone_and_nothing_is_written(
    kind: str, server: StandIn, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """The command line, the container and the files are in the sandbox, which is packed in memory."""
    api: Dirac8 | DiracX = request.getfixturevalue(kind)
    server.instead = {"submitJob": (200, b'{"OK": true, "Value": 7}')}
    server.bodies.clear()
    with written() as files:
        assert api.submit(JOB) == [7]
        (tmp_path / "seen").touch()
    assert files == [str(tmp_path / "seen")]
    told = urllib.parse.unquote_plus(b" ".join(server.bodies).decode(errors="replace"))
    assert "Executable" in told  # the description; what is in the sandbox is compressed
    for private in ("4j2b", "a-secret-word", "ghcr.io", "what a file says"):
        assert private not in told


def test_status_leaves_out_what_the_server_does_not_know(server: StandIn, rest: Dirac8, diracx: DiracX) -> None:
    """Of seven, which it knows, and eight."""
    server.instead = {}
    assert set(rest.status([7, 8])) == set(diracx.status([7, 8])) == {7}
