"""Code that can't see what the file of its events is called, and the many ways in which it may."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import pytest

ak = pytest.importorskip("awkward")
hist = pytest.importorskip("hist")
processor = pytest.importorskip("coffea.processor")

import numpy as np  # noqa: E402
from awkward import type as type_of  # noqa: E402
from coffea.analysis_tools import PackedSelection, Weights  # noqa: E402

from cachingclient.hashing.environment.environment import Environment  # noqa: E402
from cachingclient.hashing.libraries.coffea_names import processor_in, why_it_may_see  # noqa: E402

look_up = getattr
KEYS = {"name": "filename"}


class Analysis(processor.ProcessorABC):
    """What processors do."""

    def __init__(self) -> None:
        self.cut = 30.0
        self.filled = hist.Hist.new.Reg(20, 0, 200, name="pt").StrCat([], growth=True, name="dataset").Weight()

    @property
    def binning(self) -> list[float]:
        return [1.0, 2.0]

    def process(self, events: Any) -> Any:
        dataset, xsec = events.metadata["dataset"], events.metadata.get("xsec", 1.0)
        weights, selection = Weights(len(events)), PackedSelection()
        if "genWeight" in events.fields and "xsec" in events.metadata:
            weights.add("xsec", np.full(len(events), xsec))
        selection.add("jets", ak.num(events.Jet) > 2)
        jets = ak.flatten(events.Jet[events.Jet.pt > self.cut][selection.all("jets")].pt)
        try:
            self.filled.fill(jets, dataset=dataset)
        except ValueError:
            return {}
        return dict(zip("ab", self.binning, strict=True))

    def postprocess(self, accumulator: Any) -> Any:
        return accumulator


class Holding:
    """A processor that is called, with a function as a part of it."""

    def __init__(self, function: Any) -> None:
        self.function = function

    def __call__(self, events: Any) -> Any:
        return self.function(events, "metadata")


class Ends:
    """Is told of errors."""

    told = ""

    def __enter__(self) -> Ends:
        return self

    def __exit__(self, *error: object) -> bool:
        self.told = str(error)
        return True


def by_an_end(events: Any) -> str:
    with Ends() as end:
        events.absent  # noqa: B018
    return end.told


def by_an_error(events: Any) -> str:
    try:
        return str(events.absent)
    except AttributeError as error:
        return repr(error)


def by_a_pattern(events: Any) -> Any:
    match events:
        case ak.Array(metadata=found):
            return found


def inside(events: Any) -> Any:
    def year() -> Any:
        return [value for name, value in events.metadata.items()]

    return year()


WAYS: dict[str, Any] = {
    "its key": lambda events: events.metadata["filename"],
    "a key of a variable": lambda events: events.metadata[KEYS["name"]],
    "get": lambda events: events.metadata.get("filename"),
    "get by a variable": lambda events: events.metadata.get(KEYS["name"]),
    "all metadata": lambda events: dict(events.metadata),
    "handed on": lambda events: sorted(events.metadata),
    "a function inside": inside,
    "getattr": lambda events: getattr(events, KEYS["name"]),
    "getattr by another name": lambda events: look_up(events, "metadata"),
    "getattr as an argument": lambda events: list(map(getattr, [events], ["metadata"])),
    "getattr as an attribute": Holding(getattr),
    "attrgetter": Holding(operator.attrgetter("metadata")),
    "attrgetter, made": lambda events: operator.attrgetter("metadata")(events),
    "a partial": functools.partial(getattr),
    "object": lambda events: object.__getattribute__(events, "metadata"),
    "its type's property": lambda events: ak.Array.layout.fget(events),
    "the layout": lambda events: str(events.layout),
    "the parameters": lambda events: ak.parameters(events),
    "the type": lambda events: str(ak.type(events)),
    "the type by another name": lambda events: str(type_of(events)),
    "the buffers": lambda events: ak.to_buffers(events),
    "a layout for a result": lambda events: str(ak.num(events, highlevel=False)),
    "a printout": lambda events: events.show(stream=None),
    "attrs": lambda events: events.attrs["@events_factory"],
    "a transformation": lambda events: ak.transform(lambda layout, **_: str(layout), events),
    "an error": by_an_error,
    "an end": by_an_end,
    "a pattern": by_a_pattern,
    "the process's files": lambda events: open("/proc/self/maps").read(),  # noqa: SIM115
}


def test_arithmetic_sees_no_name() -> None:
    assert why_it_may_see(Analysis(), Environment()) == ""


@pytest.mark.parametrize("way", WAYS)
def test_ways_to_the_name_are_seen(way: str) -> None:
    assert why_it_may_see(WAYS[way], Environment())


@pytest.mark.parametrize("module", ["gc", "inspect", "os", "pickle", "sys", "traceback", "uproot", "distributed"])
def test_other_libraries_may_see_it(module: str) -> None:
    """Whatever of them is used."""
    names: dict[str, Any] = {"__name__": "__main__"}
    taken = {"gc": "get_objects", "inspect": "isclass", "os": "listdir", "pickle": "dumps", "sys": "exc_info",
             "traceback": "format_exc", "uproot": "open", "distributed": "get_worker"}[module]  # fmt: skip
    exec(f"import {module}\ndef process(events):\n    return {module}.{taken}(events)", names)
    assert why_it_may_see(names["process"], Environment())


def runners_call(used: Any, **options: Any) -> Callable[..., Any]:
    """Return what coffea's Runner calls for a chunk, by any executor."""
    from coffea.processor import Runner

    given = {"uproot_options": {}, "iteritems_options": {}, "checkpointer": None, **options}
    schema = given.pop("schema", processor.Runner.__dataclass_fields__["schema"].default)
    work = functools.partial(
        Runner._work_function, given.pop("format", "root"), 60, schema, False, False,
        processor_instance=used, cache_function=functools.partial(Runner.get_cache, None), **given,
    )  # fmt: skip
    return functools.partial(Runner.automatic_retries, 0, False, work, use_result_type=False)


def test_nothing_else_may_be_told_of_the_file() -> None:
    """A checkpointer is, and a schema, and a source of the user's own."""
    from coffea.nanoevents import NanoAODSchema

    class Schema(NanoAODSchema):  # type: ignore[misc]
        """The user's own."""

    used = Analysis()
    assert processor_in(runners_call(used, schema=NanoAODSchema), None) is used
    assert processor_in(runners_call("heavy", schema=NanoAODSchema), used) is used
    assert processor_in(runners_call(used, schema=Schema), None) is None
    assert processor_in(runners_call(used, schema=NanoAODSchema, checkpointer=object()), None) is None
    assert processor_in(runners_call(used, schema=NanoAODSchema, uproot_options={"handler": Ends}), None) is None
    assert processor_in(runners_call(used, schema=NanoAODSchema, format="parquet"), None) is None
    assert processor_in(functools.partial(used.process), None) is None
