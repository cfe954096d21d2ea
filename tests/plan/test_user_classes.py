"""A result refers to the user's classes; it is loaded with those that are the same, and with no others."""

from __future__ import annotations

import dataclasses
import enum
import sys
import types
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest

from cachingclient.hashing.environment.environment import Environment
from cachingclient.hashing.step_keys import Merkle
from cachingclient.plan.user_classes import Scope, UserClasses, from_modules
from cachingclient.storage import ClassChangedError, Entry, EntryLost, UncodableError, decode, encode, open_store
from cachingclient.storage.codecs import registry

CELL = """
import dataclasses, enum, typing

class Cut(enum.Enum):
    LOOSE = 1
    TIGHT = 2

@dataclasses.dataclass(frozen=True)
class Region:
    name: str
    low: float = 30.0

class Point(typing.NamedTuple):
    x: object

class Held:
    pass
"""


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A notebook of one cell."""
    module = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", module)
    exec(CELL, vars(module))
    return module


def classes(*things: object) -> UserClasses:
    """Those of the modules, and of what some things lead to."""
    return UserClasses(Environment(), from_modules, Scope(*things))


def test_results_are_of_the_newest_of_equal_classes(script: types.ModuleType) -> None:
    """A cell that is run again unchanged defines other classes: these are the ones that are meant from then on."""
    payload = b"".join(encode({script.Cut.TIGHT: script.Region("sr")}, classes()).frames)
    exec(CELL, vars(script))
    back = decode(payload, classes())
    assert back == {script.Cut.TIGHT: script.Region("sr")}
    assert next(iter(back)) is script.Cut.TIGHT


@pytest.mark.parametrize("edit", [("TIGHT = 2", "TIGHT = 3"), ("30.0", "40.0"), ("class Region", "class Area")])
def test_an_edited_class_is_a_miss(script: types.ModuleType, edit: tuple[str, str]) -> None:
    """By its members, by a default, by its name; the error names the class."""
    payload = b"".join(encode([script.Cut.TIGHT, script.Region("sr")], classes()).frames)
    vars(script).clear()
    script.__name__ = "__main__"
    exec(CELL.replace(*edit), vars(script))
    with pytest.raises(ClassChangedError, match=r"the class (Cut|Region) (has changed|is not known here)"):
        decode(payload, classes())


def test_classes_inside_functions_are_found_through_the_code(script: types.ModuleType) -> None:
    """One that a function's closure leads to is kept; one that a step makes itself is another in each call."""

    def session() -> Any:
        class Local(enum.Enum):
            A = 1

        return lambda: Local.A

    before, now = session(), session()
    payload = b"".join(encode([before()], classes(before)).frames)
    assert decode(payload, classes(now))[0] is now()
    with pytest.raises(UncodableError, match="Local, which no module has"):
        encode([before()], classes())


def test_a_class_that_an_older_version_kept_by_value_is_a_miss(script: types.ModuleType) -> None:
    """It would be a copy that nothing compares equal to; functions kept by value are still loaded."""
    old = _kept_by_value({script.Cut.LOOSE: 1})
    with pytest.raises(ClassChangedError, match="nothing was known of the class Cut"):
        decode(old, classes())
    with pytest.raises(ClassChangedError, match="nothing was known of the class Point"):
        decode(_kept_by_value(script.Point(1)), classes())
    assert decode(_kept_by_value([lambda x: x + 1, np.int64]), classes())[0](1) == 2


def _kept_by_value(value: Any) -> bytes:
    """Return a payload as version 1 of the codec wrote it."""
    encoded = encode([slice(1)])
    head_length = int.from_bytes(encoded.frames[0][:8], "little")
    assert head_length
    body = cloudpickle.dumps(value, protocol=5)
    head = b'{"tree":{"body":0,"buffers":[],"codec":"pickle"},"frames":[%d]}' % len(body)
    start = len(head).to_bytes(8, "little") + head
    return start + bytes(-len(start) % 64) + body


def test_stores_of_data_keep_plain_objects_of_the_user_s(script: types.ModuleType, tmp_path: Path) -> None:
    """Enum members, named tuples and dataclasses, without a pickle; what may hold more is refused with the reason."""
    store = open_store(tmp_path, trust="data")
    script.held = script.Held()
    script.held.weights = np.arange(3.0)
    value = {script.Cut.TIGHT: [script.Region("sr", 1.5), script.Point((1, 2)), script.held]}
    encoded = encode(value, classes(), data_only=True)
    assert "pickle" not in encoded.codecs
    store.write(Entry(("0f" * 16,), "result", "cut", 1.0, {"classes": dict(encoded.classes)}, encoded))
    (found,) = store.find(["0f" * 16]).values()
    back = store.read(found, classes())
    assert back[script.Cut.TIGHT][:2] == value[script.Cut.TIGHT][:2]
    assert type(back[script.Cut.TIGHT][2]) is script.Held
    assert back[script.Cut.TIGHT][2].weights.tolist() == [0.0, 1.0, 2.0]
    with pytest.raises(EntryLost, match="nobody can tell here whether"):
        store.read(found)
    script.Held.__reduce__ = lambda self: (script.Held, ())
    with pytest.raises(UncodableError, match="only data"):
        encode([script.held], classes(), data_only=True)


def test_what_a_store_of_data_names_is_never_called(script: types.ModuleType) -> None:
    """A function under the name of a class is no class, and no module is imported for a name."""
    reference = classes().reference(_called)
    assert reference is not None
    node = {"class": [reference.module, reference.qualname, reference.digest], "attributes": []}
    reader = types.SimpleNamespace(classes=classes(), decode=lambda node: node)
    with pytest.raises(ClassChangedError, match="is no class here"):
        registry.codec_named("objects").decode(node, reader)
    with pytest.raises(ClassChangedError, match="not known here"):
        registry.codec_named("objects").decode({**node, "class": ["antigravity", "fly", "0"]}, reader)
    assert "antigravity" not in sys.modules


def _called() -> None:
    raise AssertionError


@dataclasses.dataclass
class Kept:
    """A class of an importable module."""

    value: object


def test_a_class_of_a_module_is_compared_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its entry names it, and is a miss where the module has another one by now."""
    encoded = encode(Kept([1]), classes())
    assert list(encoded.classes) == [f"{__name__}:Kept"]
    payload = b"".join(encoded.frames)
    assert decode(payload, classes()) == Kept([1])
    monkeypatch.setattr(Kept, "unit", "GeV", raising=False)
    with pytest.raises(ClassChangedError, match="the class Kept has changed"):
        decode(payload, classes())


def test_a_class_that_a_decorator_made_anew_is_the_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a frozen dataclass generates leads to the class from before it had slots: nobody else has that one."""
    module = types.ModuleType("regions_of_tests")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(CELL.replace("frozen=True", "frozen=True, slots=True"), vars(module))
    looked_at = [(region := module.Region("sr"), Merkle({}).identity(region))]
    told = UserClasses(Environment(), from_modules).classes_of(looked_at)
    assert list(told) == ["regions_of_tests:Region", "regions_of_tests:"]
    assert UserClasses(Environment(), from_modules).changed(told) == ""
    exec(CELL.replace("frozen=True", "frozen=True, slots=True").replace("30.0", "40.0"), vars(module))
    assert UserClasses(Environment(), from_modules).changed(told) == "the class Region has changed"
