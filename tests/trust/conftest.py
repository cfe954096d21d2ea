"""A process of its own for each attack, with little time and memory."""

from __future__ import annotations

import atexit
import functools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cloudpickle
import pytest

from tests.trust.attacker import receive, send
from tests.trust.crafting import Scene


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A store's folder, and a home with what must stay there."""
    home = tmp_path / "home"
    for name in ("thesis.tex", ".ssh/id", "site-packages/good.py", f"{'c' * 2}/{'cc' * 16}"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("years of work")
        os.utime(home / name, (1e9, 1e9))
    (tmp_path / "store").mkdir(mode=0o700)
    yield Scene(tmp_path / "store", home, tmp_path / "CANARY")
    subprocess.run(["rm", "-rf", tmp_path / "store"], check=True)  # deeper than Python can remove


@functools.cache
def _attacker() -> subprocess.Popen[bytes]:
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-m", "tests.trust.attacker"],
        cwd=root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    atexit.register(process.kill)
    return process


def attacked(action: Callable[[], object]) -> None:
    """Run an action in a process that may neither crash, nor hang, nor take much memory, and that must succeed."""
    process = _attacker()
    assert process.stdin is not None
    assert process.stdout is not None
    send(process.stdin, cloudpickle.dumps(action))  # type: ignore[arg-type]
    if wrong := receive(process.stdout).decode(errors="replace"):  # type: ignore[arg-type]
        pytest.fail(wrong)


def contents(folder: Path) -> dict[str, str]:
    """Return all files of a folder with what is in them."""
    return {str(path): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}
