"""Of a coffea processor counts what ``process`` reads, where coffea's Runner calls it; everything else all of it."""

from __future__ import annotations

import functools
from typing import Any, ClassVar

import awkward as ak
import cloudpickle
import pytest
from dask._task_spec import Task, TaskRef, parse_input

processor = pytest.importorskip("coffea.processor")

import lz4.frame  # noqa: E402
from coffea.nanoevents import NanoAODSchema  # noqa: E402
from coffea.nanoevents.methods.base import NanoEvents  # noqa: E402
from coffea.processor.executor import Runner, WorkItem, _compression_wrapper  # noqa: E402

from cachingclient.hashing.content_keys import look_at_call  # noqa: E402
from cachingclient.hashing.step_keys import Merkle  # noqa: E402

PROCESSOR = """
from collections import OrderedDict
from coffea.processor import ProcessorABC
OPTIONS = {'year': 2018, 'unused': 1}

def scaled(pt, factor):
    return pt * factor

class Base(ProcessorABC):
    threshold = 5
    def passes(self, pt):
        return pt > self.config['cuts']['pt']
    def postprocess(self, accumulator):
        return accumulator

class Analysis(Base):
    def __init__(self):
        self.config = {'cuts': {'pt': 30, 'eta': 2.4}, 'global': {'bins': 25, 'title': 'mass'}}
        self.label = 'unused'
        self.samples = {'ttbar': 831.8, 'wjets': 61457.0}
        self.factor = 1.5
    @property
    def twice(self):
        return 2 * self.factor
    def unused(self):
        return 1
    def process(self, events):
        jets = events.Jet[self.passes(events.Jet.pt) & (events.Jet.pt > self.threshold)]
        year = OPTIONS['year']
        return dict(n=scaled(jets.pt, self.twice), bins=self.config.get('global')['bins'])
"""
NOT = {
    "another part": ("'eta': 2.4", "'eta': 2.5"),
    "a text that is not read": ("'title': 'mass'", "'title': 'pt'"),
    "one key more": ("'eta': 2.4", "'eta': 2.4, 'phi': 1"),
    "the order of keys": ("'pt': 30, 'eta': 2.4", "'eta': 2.4, 'pt': 30"),
    "an attribute": ("self.label = 'unused'", "self.label = 'other'"),
    "an attribute more": ("self.label = 'unused'", "self.label = self.era = 'unused'"),
    "a dict that is not read": ("'wjets': 61457.0", "'wjets': 61457.0, 'zjets': 6077.2"),
    "a method that is not called": ("return 1", "return 2"),
    "postprocess": ("return accumulator", "return accumulator or {}"),
    "a global's other part": ("'unused': 1", "'unused': 2"),
}
COUNTS = {
    "a part": ("'pt': 30", "'pt': 35"),
    "the type of a part": ("'pt': 30", "'pt': 30.0"),
    "a part by get": ("'bins': 25", "'bins': 50"),
    "a part that goes": ("'pt': 30, ", ""),
    "an attribute of the class": ("threshold = 5", "threshold = 6"),
    "one of its own in its place": ("self.label = 'unused'", "self.threshold = 6"),
    "what a property reads": ("self.factor = 1.5", "self.factor = 1.6"),
    "a property": ("2 * self.factor", "3 * self.factor"),
    "an inherited method": ("pt > self.config", "pt >= self.config"),
    "a method in its place": ("def unused(self):\n        return 1", "def passes(self, pt):\n        return pt > 1"),
    "a helper": ("return pt * factor", "return pt / factor"),
    "a global's part": ("'year': 2018", "'year': 2017"),
    "process": ("bins=self", "n_bins=self"),
    "a dict that computes": ("self.factor = 1.5", "self.factor = 1.5; self.config = OrderedDict(self.config)"),
    "its name": ("Analysis", "Other"),
}  # fmt: skip
END = "bins=self.config.get('global')['bins']"
"""What `process` ends with; in its place comes what may look at all, while another part changes."""
WHOLE = {
    "passed on": "bins=len(self.config)",
    "passed on itself": "bins=repr(self)",
    "its class": "bins=type(self).__name__",
    "its class by name": "bins=self.__class__.__name__",
    "all attributes": "bins=vars(self)",
    "attributes by name": "bins=getattr(self, 'config')",
    "a computed key": "bins=self.config[year and 'cuts']",
    "gone through": "bins=[x for x in self.config]",
    "a default set": "bins=self.config.setdefault('global', 1)",
    "written to": "bins=self.config.update(a=1)",
    "unpacked": "**self.config",
    "asked for": "bins='cuts' in self.config",
    "a whole branch": "bins=self.config['cuts']",
    "by a lambda": "bins=(lambda: self.config)()",
    "by a bound method": "bins=self.unused.__self__.config",
    "by super": "bins=super().passes(1), c=self.config",
    "by the variables": "bins=locals()['self'].config",
    "by an iterator": "bins=next(iter(self.config.items()))",
    "by another name": "bins=(c := self.config)['cuts']['eta']",
}
MADE = {
    "unpacking runs code": "def __setstate__(self, state):\n        vars(self).update(state, factor=state['config'])",
    "packing runs code": "def __getstate__(self):\n        return {**self.__dict__, 'factor': 1}",
    "it is made otherwise": "def __reduce__(self):\n        return object.__reduce__(self)",
    "attributes are computed": "def __getattribute__(self, name):\n        return object.__getattribute__(self, name)",
}  # fmt: skip


def keys(
    source: str, checkpointer: Any = None, wrap: Any = None, name: str = "Analysis", schema: Any = NanoAODSchema
) -> tuple[Any, Any]:
    """Return the key of a chunk as the client has it, and its content key as a worker has it."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(source, names)
    packed = lz4.frame.compress(cloudpickle.dumps(names[name]()), compression_level=1)
    works = functools.partial(
        Runner._work_function, "root", 60, schema, False, False,
        processor_instance="heavy", checkpointer=checkpointer, uproot_options={}, iteritems_options={},
        cache_function=None,
    )  # fmt: skip
    function: Any = _compression_wrapper(1, functools.partial(Runner.automatic_retries, 0, False, works), name=name)
    function = function if wrap is None else wrap(function)
    item = WorkItem("ttbar", "https://nowhere.invalid/a.root", "Events", 0, 10, b"0123456789abcdef", {"year": 1})
    chunk = Task("chunk", function, parse_input((item, TaskRef("heavy"))))
    merkle = Merkle({})
    steps = merkle.steps({"heavy": Task("heavy", lambda x: x, packed), "chunk": chunk}, ["chunk"])
    assert steps["chunk"].key is not None, steps["chunk"].reason
    known = Merkle({"heavy": merkle.value(packed)}).steps({"chunk": chunk}, ["chunk"])
    here = look_at_call(function, ((item, packed),), {}, Merkle({})).content_key
    assert here is not None
    return (steps["chunk"].key, known["chunk"].key), here


def differ(before: str, after: str, **options: Any) -> bool:
    """Tell whether a chunk has other keys after an edit; on the client and on a worker it is the same."""
    assert before != after
    renamed = {"name": "Other"} if "class Other" in after else {}
    (one, other), (client, worker) = keys(before, **options), keys(after, **{**options, **renamed})
    differs = {ours != theirs for ours, theirs in zip((*one, other), (*client, worker), strict=True)}
    assert len(differs) == 1
    return differs.pop()


@pytest.mark.parametrize("how", NOT)
def test_what_process_does_not_read_may_change(how: str) -> None:
    """Chunks are valid with another configuration of which they take the same."""
    assert not differ(PROCESSOR, PROCESSOR.replace(*NOT[how]))


@pytest.mark.parametrize("how", COUNTS)
def test_what_process_reads_counts(how: str) -> None:
    """Parts of attributes, methods and properties through which it reads them, helpers and globals."""
    assert differ(PROCESSOR, PROCESSOR.replace(*COUNTS[how]))


@pytest.mark.parametrize("how", WHOLE)
def test_all_counts_where_it_may_be_looked_at(how: str) -> None:
    """A configuration or processor that is used in any other way than by constant keys."""
    source = PROCESSOR.replace(END, WHOLE[how])
    assert keys(source) == keys(source)
    assert differ(source, source.replace("'eta': 2.4", "'eta': 2.5"))


@pytest.mark.parametrize("how", MADE)
def test_all_counts_of_processors_that_are_made_by_code(how: str) -> None:
    """What runs when it is unpacked may look at anything."""
    source = PROCESSOR.replace("def unused(self):\n        return 1", MADE[how])
    assert differ(source, source.replace("'eta': 2.4", "'eta': 2.5"))


def test_all_counts_where_others_are_given_the_processor() -> None:
    """A checkpointer, a function of the user's around coffea's, a process of its own for one object."""
    edited = PROCESSOR.replace(*NOT["an attribute"])

    class Checkpointer(processor.CheckpointerABC):  # type: ignore[misc]
        def load(self, metadata: Any, processor_instance: Any) -> Any:
            return processor_instance.label

        def save(self, output: Any, metadata: Any, processor_instance: Any) -> None: ...

    def first(function: Any) -> Any:
        return lambda pair: (function(pair), pair[1])

    assert differ(PROCESSOR, edited, checkpointer=Checkpointer())
    assert differ(PROCESSOR, edited, wrap=first)
    assert differ(PROCESSOR, edited, wrap=functools.partial)
    own = "self.label = 'unused'", "self.label = 'unused'; self.process = lambda events: 1"
    assert differ(PROCESSOR.replace(*own), edited.replace("'other'", "'other'; self.process = lambda events: 1"))


SAMPLES = (
    PROCESSOR.replace(
        "jets = events.Jet[", "s = events.metadata['dataset']; y = events.metadata['year']; jets = events.Jet["
    )
    .replace("year = OPTIONS['year']", "n = self.samples[s]; year = self.eras[y]")
    .replace("self.factor = 1.5", "self.factor = 1.5; self.eras = {1: 'a', 2: 'b'}")
)
"""Takes its sample by the data set of its work item, ttbar, and an era by a number of the user's in it, 1."""
OF_ITEMS = {
    "its sample": ("'ttbar': 831.8", "'ttbar': 830.0", True),
    "another sample": ("'wjets': 61457.0", "'wjets': 61526.7", False),
    "one sample more": ("'wjets': 61457.0", "'wjets': 61457.0, 'zjets': 6077.2", False),
    "its sample goes": ("'ttbar': 831.8, ", "", True),
    "by the user's metadata": ("{1: 'a'", "{1: 'c'", True),
    "by others' metadata": ("2: 'b'}", "2: 'c'}", False),
}


@pytest.mark.parametrize("how", OF_ITEMS)
def test_of_samples_that_of_the_work_item_counts(how: str) -> None:
    """What stands in the metadata of its events is known when a chunk is planned."""
    old, new, counts = OF_ITEMS[how]
    assert differ(SAMPLES, SAMPLES.replace(old, new)) is counts


def test_all_samples_count_where_metadata_may_be_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A schema of the user's, or a class of the user's for the events of coffea's."""
    edited = SAMPLES.replace("'wjets': 61457.0", "'wjets': 61526.7")

    class Own(NanoAODSchema):  # type: ignore[misc]
        pass

    class Events(ak.Array):  # type: ignore[misc]
        metadata: ClassVar[dict[str, str]] = {"dataset": "wjets"}

    class Changing(NanoEvents, ak.Array):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.metadata["dataset"] = "wjets"

    assert differ(SAMPLES, edited, schema=Own)
    for kind in (Events, Changing):
        monkeypatch.setitem(ak.behavior, ("*", "NanoEvents"), kind)
        assert differ(SAMPLES, edited)
