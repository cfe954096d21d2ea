"""What Numba makes of functions and classes of the user's: identified by them, wherever they were made or unpacked."""

from __future__ import annotations

import importlib
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.identify import identify
from cachingclient.hashing.walk import Walk
from tests.support.copies import digest

numba = pytest.importorskip("numba")

COMPILED = """
import numba
from numba.experimental import jitclass
import thresholds

@numba.vectorize(["float64(float64)"])
def eager(pt):
    return pt > thresholds.PT

@numba.vectorize
def lazy(pt):
    return pt > thresholds.PT

@numba.guvectorize(["void(float64[:], float64[:])"], "(n)->(n)")
def whole(pt, passed):
    for event in range(pt.shape[0]):
        passed[event] = pt[event] > thresholds.PT

@numba.stencil
def slope(pt):
    return (pt[1] - pt[-1]) / thresholds.PT

@jitclass([("scale", numba.float64)])
class Cut:
    def __init__(self, scale):
        self.scale = scale

    def passes(self, pt):
        return pt > self.scale * thresholds.PT
"""


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that imports the compiled things anew, with another threshold in the module beside theirs."""
    monkeypatch.syspath_prepend(tmp_path)

    def compiled(threshold: float = 30.0, text: str = COMPILED) -> Any:
        names = ("thresholds", "compiled_by_numba")
        for name, source in zip(names, (f"PT = {threshold}\nETA = 2.4\n", text), strict=True):
            (tmp_path / f"{name}.py").write_text(f"{source}# {threshold} {len(text)}\n")
            monkeypatch.delitem(sys.modules, name, raising=False)
        importlib.invalidate_caches()
        return importlib.import_module(names[1])

    return compiled


@pytest.mark.parametrize("name", ["eager", "lazy", "whole", "Cut", "slope"])
def test_counts_by_what_it_was_made_of(make: Any, name: str) -> None:
    """A variable of another module counts, and its edit is named; the address that a compiled class has does not."""
    first = identify(getattr(make(), name))
    assert identify(getattr(make(), name)) == first
    other = identify(getattr(make(threshold=25.0), name))
    assert other.digest != first.digest
    assert any(
        "thresholds" in label for label in first.ingredients if first.ingredients[label] != other.ingredients.get(label)
    )


@pytest.mark.parametrize("name", ["eager", "lazy", "whole"])
def test_is_the_same_where_it_was_unpacked(make: Any, name: str) -> None:
    """A worker that got a vectorised function by value knows it for the client's, and so does one that called it."""
    function = getattr(make(), name)
    before = digest(function)
    assert digest(pickle.loads(pickle.dumps(function))) == before
    function(np.array([20.0, 40.0]))
    assert digest(function) == before


def test_an_edit_of_a_method_of_a_compiled_class(make: Any) -> None:
    """Methods and fields of a compiled class count, also where only its instances' type is named."""
    edits = ("", ("pt > self", "pt < self"), ("float64)]", "float32)]"))
    kinds = [make(text=COMPILED.replace(*edit) if edit else COMPILED).Cut for edit in edits]
    assert len({digest(kind) for kind in kinds}) == 3
    assert len({digest(kind.class_type.instance_type) for kind in kinds}) == 3


def test_a_type_that_holds_a_compiled_class(make: Any) -> None:
    """A container's type names the class by its address alone, so it has no identity."""
    with pytest.raises(Unidentifiable, match="stands for one object of this process"):
        identify(numba.types.ListType(make().Cut.class_type.instance_type))


PARALLEL = """
import numba
import numpy as np

@numba.njit
def smear(pt):
    return pt + np.random.normal()

@numba.njit(parallel=True)
def toys(pt):
    drawn = np.empty_like(pt)
    for event in numba.prange(len(pt)):
        drawn[event] = smear(pt[event])
    return drawn

@numba.njit(parallel=True)
def scaled(pt):
    drawn = np.empty_like(pt)
    for event in numba.prange(len(pt)):
        drawn[event] = 2 * pt[event]
    return drawn

@numba.njit
def alone(pt):
    return smear(pt)
"""


def test_draws_in_threads_of_numba(make: Any) -> None:
    """A draw there can't be seen, whoever calls it; a kernel that draws nothing, or in no threads, has an identity."""
    made = make(text=PARALLEL)
    for drawing in (made.toys, lambda: made.toys(np.ones(3))):
        with pytest.raises(Unidentifiable, match=r"smear draws random numbers .* in threads of Numba"):
            identify(drawing)
    assert digest(made.scaled) != digest(made.alone)


def test_an_intrinsic_is_known_without_the_name_that_it_drew() -> None:
    """Numba names each by a UUID, anew in each process."""

    def constant(typing: Any, pt: Any) -> Any:
        return numba.float64(pt), lambda context, *_: context.get_constant(numba.float64, 30.0)

    made = [numba.extending._Intrinsic("constant", constant) for _ in range(2)]
    assert made[0]._uuid != made[1]._uuid
    assert Walk().encode(made[0]) == Walk().encode(made[1])
    assert Walk().encode(made[0]) != Walk().encode(numba.extending._Intrinsic("other", constant))
