"""Objects that their classes make again where they are unpickled: what a worker gets has to be what was sent."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cloudpickle import dumps, loads
from dask._task_spec import Task

from cachingclient.hashing.step_keys import Merkle
from cachingclient.worker.context import Context
from cachingclient.worker.remade import ANOTHER
from cachingclient.worker.tasks import RunAndKeep
from tests.worker.running import Heard


class Again:
    """Reads its table whenever it is made, and gives a pickle the path."""

    def __init__(self, path: str) -> None:
        self.path, self.memory = path, None
        self.factor = int(Path(path).read_text())

    def __reduce__(self) -> Any:
        return type(self), (self.path,)

    def __call__(self, x: int) -> int:
        return x * self.factor


class Late:
    """Reads its table when it is unpickled, and not before."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __setstate__(self, state: Any) -> None:
        vars(self).update(state, factor=int(Path(state["path"]).read_text()))

    def __call__(self, x: int) -> int:
        return x * self.factor  # type: ignore[attr-defined, no-any-return]


def use(scale: Any, x: int) -> int:
    """Weigh by what is given."""
    found = scale[0] if isinstance(scale, list) else scale
    return int(found(x))


CALLS: dict[str, Callable[[Any], tuple[Any, ...]]] = {
    "an argument": lambda scale: (use, scale, 3),
    "in a list": lambda scale: (use, [scale], 3),
    "bound": lambda scale: (functools.partial(use, scale), 3),
    "the function": lambda scale: (scale, 3),
}


def run(call: tuple[Any, ...], context: Context, heard: Heard, before: Callable[[], object] = lambda: None) -> Any:
    """Send a call as a client does and run it as a worker does; return the result, whether it was kept, and why not."""
    sent = Merkle({}).steps({"a": Task("a", *call)}, ["a"])["a"]
    assert sent.code is not None
    before()
    function, *arguments = loads(dumps(call))
    task = RunAndKeep(function, sent.key, sent.code.digest, "use", context, sent.parts, remade=sent.remade)
    result = task(*arguments)
    (record,) = heard.take()
    return result, record.kept, record.note


@pytest.mark.parametrize("way", CALLS)
def test_what_is_as_it_was_sent_is_kept(way: str, context: Context, heard: Heard, tmp_path: Path) -> None:
    """Also where a memory of the client's object is not there on the worker."""
    path = tmp_path / "sf"
    path.write_text("2")
    scale = Again(str(path))
    scale.memory = "filled on the client"  # type: ignore[assignment]
    assert run(CALLS[way](scale), context, heard) == (6, True, "")


@pytest.mark.parametrize("way", CALLS)
def test_what_was_read_anew_is_not_kept(way: str, context: Context, heard: Heard, tmp_path: Path) -> None:
    """The file was edited after the object was made, and the key is that of what it held then."""
    path = tmp_path / "sf"
    path.write_text("2")
    result, kept, note = run(CALLS[way](Again(str(path))), context, heard, lambda: path.write_text("3"))
    assert (result, kept) == (9, False)
    assert ANOTHER in note


@pytest.mark.parametrize("way", CALLS)
def test_what_is_read_when_unpickled_is_not_kept(way: str, context: Context, heard: Heard, tmp_path: Path) -> None:
    """No key of the client's has what only the worker reads."""
    path = tmp_path / "sf"
    path.write_text("2")
    result, kept, note = run(CALLS[way](Late(str(path))), context, heard)
    assert (result, kept) == (6, False)
    assert note
