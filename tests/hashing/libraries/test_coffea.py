"""coffea values: chunks by file and range, processors through their compression, events without reading any."""

from __future__ import annotations

import copy
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import awkward as ak
import cloudpickle
import numpy as np
import pytest

from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.identify import identify
from cachingclient.hashing.libraries.coffea import unwrap

coffea = pytest.importorskip("coffea")
lz4_frame = pytest.importorskip("lz4.frame")
uproot = pytest.importorskip("uproot")

from coffea.analysis_tools import PackedSelection, Weights  # noqa: E402
from coffea.lookup_tools.dense_lookup import dense_lookup  # noqa: E402
from coffea.lookup_tools.jme_standard_function import jme_standard_function  # noqa: E402
from coffea.nanoevents import BaseSchema, NanoAODSchema, NanoEventsFactory  # noqa: E402
from coffea.processor import ProcessorABC  # noqa: E402
from coffea.processor.executor import FileMeta, WorkItem  # noqa: E402

from tests.support.copies import digest  # noqa: E402


def item(**changes: Any) -> WorkItem:
    """Return a chunk of a remote file."""
    fields: dict[str, Any] = {
        "dataset": "ttbar",
        "filename": "root://host//a.root",
        "treename": "Events",
        "entrystart": 0,
        "entrystop": 100,
        "fileuuid": b"1" * 16,
        "usermeta": {"xsec": 1.5, "process": "ttbar"},
    }
    return WorkItem(**(fields | changes))


CHANGES: dict[str, dict[str, Any]] = {
    "data set": {"dataset": "other"},
    "file": {"filename": "root://host//b.root"},
    "tree": {"treename": "Other"},
    "start": {"entrystart": 1},
    "stop": {"entrystop": 99},
    "identifier": {"fileuuid": b"2" * 16},
    "metadata": {"usermeta": {"xsec": 2.5, "process": "ttbar"}},
    "no metadata": {"usermeta": None},
    "number of all events": {"usermeta": {"xsec": 1.5, "process": "ttbar", "nevts": 5}},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_chunk_counts_by_all_that_a_processor_sees(change: str) -> None:
    """Each field of a work item reaches the processor, so each counts."""
    assert digest(item(**CHANGES[change])) != digest(item())
    assert digest(pickle.loads(pickle.dumps(item(**CHANGES[change])))) == digest(item(**CHANGES[change]))


def test_metadata_in_another_order_are_the_same() -> None:
    """coffea takes the keys out of a set, so their order is chance."""
    assert digest(item(usermeta={"process": "ttbar", "xsec": 1.5})) == digest(item())


def test_a_chunk_of_a_local_file_notices_its_change(tmp_path: Path) -> None:
    """The identifier that coffea remembers may be that of an earlier file of this name: the file is an input too."""
    file = tmp_path / "a.root"
    file.write_bytes(b"one")
    before = identify(item(filename=str(file)))
    file.write_bytes(b"two")
    now = identify(item(filename=str(file)))
    assert [seen.url for seen in before.inputs] == [seen.url for seen in now.inputs] == [str(file)]
    assert now.inputs != before.inputs
    assert now.digest == before.digest


def test_file_metadata_counts() -> None:
    """What is known of a file before it is chunked has an identity too."""
    one, other = (FileMeta("ttbar", "a", "Events", {"numentries": number}) for number in (1, 2))
    assert digest(one) != digest(other)
    assert digest(copy.deepcopy(one)) == digest(one)


class Processor(ProcessorABC):
    """A processor with a setting."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self.tags = {"electron", "muon", "tau", "jet"}

    def process(self, events: Any) -> Any:
        """Count what passes."""
        return ak.sum(events.pt > self.threshold)

    def postprocess(self, accumulator: Any) -> Any:
        """Keep it."""
        return accumulator


def wrapped(value: object, level: int = 1) -> bytes:
    """Return a value as coffea's executors send it."""
    return lz4_frame.compress(cloudpickle.dumps(value), compression_level=level)


def test_a_compressed_processor_is_the_processor_inside() -> None:
    """Neither compression nor pickling counts; settings do."""
    assert isinstance(unwrap(wrapped(Processor(30))), Processor)
    assert digest(wrapped(Processor(30), 1)) == digest(wrapped(Processor(30), 9))
    assert digest(wrapped(Processor(30))) != digest(wrapped(Processor(40)))


def test_a_processor_of_a_script_is_the_same_in_every_process(tmp_path: Path) -> None:
    """A class of __main__ is pickled by value, differently each time; its identity is the same."""
    script = tmp_path / "script.py"
    program = (
        "{lines}import sys, cloudpickle, lz4.frame\nfrom coffea.processor import ProcessorABC\n"
        "from cachingclient.hashing.identify import identify\n"
        "class P(ProcessorABC):\n    def __init__(self): self.cut = {cut}; self.names = {{'a', 'b', 'c', 'd'}}\n"
        "    def process(self, events): return len(events)\n    def postprocess(self, a): return a\n"
        "data = lz4.frame.compress(cloudpickle.dumps(P()))\nprint(identify(data).digest)\n"
    )

    def run(seed: str, cut: int, lines: str = "") -> str:
        script.write_text(program.format(cut=cut, lines=lines))
        environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(filter(None, sys.path)), "HOME": str(tmp_path)}
        command = [sys.executable, "-W", "ignore", str(script)]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    assert run("0", 1) == run("1", 1, "# moved\n\n") != run("0", 2)


@pytest.mark.parametrize("data", [b"\x04\x22\x4d\x18 no frame", lz4_frame.compress(b"no pickle"), b"plain", b""])
def test_other_bytes_are_bytes(data: bytes) -> None:
    """What only looks like a compressed object stands for itself."""
    assert digest(data) == digest(bytes(bytearray(data)))
    assert digest(data) != digest(data + b"x")


def test_looking_into_bytes_happens_once() -> None:
    """A processor that goes with every chunk is unpacked for the first."""
    data = wrapped(Processor(30))
    assert unwrap(data) is unwrap(bytes(bytearray(data)))


def test_lookup_tools_count_by_their_tables() -> None:
    """Corrections are told apart by values and edges, and survive a pickle."""
    edges = np.array([0.0, 1.0, 2.0])
    one, other = (dense_lookup(np.array([1.0, value]), edges) for value in (2.0, 3.0))
    assert digest(one) != digest(other)
    assert digest(pickle.loads(pickle.dumps(one))) == digest(one)


def test_formulas_of_jet_corrections_have_an_identity() -> None:
    """A lookup that compiles a formula counts by the formula."""

    def make(formula: str) -> Any:
        bins = ({"JetEta": np.array([-5.0, 0.0, 5.0])}, ["JetEta"])
        limits = np.array([0.0, 0.0]), np.array([100.0, 100.0])
        clamps = ({"JetPt": limits[0]}, {"JetPt": limits[1]}, ["JetPt"])
        parameters = ([np.array([1.0, 2.0])], ["p0"])
        return jme_standard_function(formula, bins, clamps, parameters)

    assert digest(make("p0*JetPt")) == digest(make("p0*JetPt"))
    assert digest(make("p0*JetPt")) != digest(make("p0+JetPt"))


def test_selections_and_weights_count() -> None:
    """The tools of an analysis are told apart by what was put into them."""

    def selection(flag: bool) -> PackedSelection:
        packed = PackedSelection()
        packed.add("cut", np.array([True, flag]))
        return packed

    def weights(value: float) -> Weights:
        made = Weights(2)
        made.add("pileup", np.array([1.0, value]))
        return made

    assert digest(selection(True)) == digest(selection(True)) != digest(selection(False))
    assert digest(weights(2.0)) == digest(weights(2.0)) != digest(weights(3.0))


@pytest.fixture(scope="module")
def nano(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small file in the shape of NanoAOD."""
    path = tmp_path_factory.mktemp("nano") / "nano.root"
    counts = np.arange(200) % 4
    jets = ak.zip(
        {name: ak.unflatten(np.arange(counts.sum(), dtype="f4"), counts) for name in ("pt", "eta", "phi", "mass")}
    )
    columns = {
        "MET_pt": "float32",
        "MET_phi": "float32",
        "run": "uint32",
        "luminosityBlock": "uint32",
        "event": "uint64",
    }
    with uproot.recreate(path) as file:
        tree = file.mktree(
            "Events", {"Jet": "var * {pt: float32, eta: float32, phi: float32, mass: float32}", **columns}
        )
        numbers = {name: np.arange(200, dtype=kind) for name, kind in columns.items()}
        tree.extend({"Jet": jets, **numbers})
    return path


def events(path: Path, start: int = 0, stop: int = 100) -> tuple[Any, list[Any]]:
    """Return events that are read when needed, and the list of what has been read."""
    log: list[Any] = []
    factory = NanoEventsFactory.from_root(
        {str(path): "Events"},
        schemaclass=NanoAODSchema,
        metadata={"dataset": "ttbar"},
        mode="virtual",
        entry_start=start,
        entry_stop=stop,
        access_log=log,
    )
    return factory.events(), log


@pytest.mark.filterwarnings("ignore")
def test_events_are_told_apart_without_reading_any(nano: Path) -> None:
    """File and range say what events are; nothing is read for it."""
    first, log = events(nano)
    assert digest(first) == digest(events(nano)[0])
    assert digest(first) != digest(events(nano, 100, 200)[0])
    assert digest(first.Jet) == digest(events(nano)[0].Jet)
    assert digest(first.Jet) != digest(first)
    assert log == []
    momentum, angle = first.Jet.pt, first.Jet.eta
    log.clear()  # awkward itself reads how many jets there are
    assert digest(momentum) != digest(angle)
    assert log == []


@pytest.mark.filterwarnings("ignore")
def test_reading_events_does_not_change_them(nano: Path) -> None:
    """A step that was loaded leaves events unread, one that ran has read them: the next step's key is the same."""
    first, log = events(nano)
    whole, jets = digest(first), digest(first.Jet)
    assert ak.sum(first.Jet.pt) > 0
    assert log
    assert (digest(first), digest(first.Jet)) == (whole, jets)
    other = events(nano)[0]
    assert (digest(other), digest(other.Jet)) == (whole, jets)


def test_events_are_the_same_in_every_process(nano: Path) -> None:
    """coffea takes the collections out of a set, so their order is that of the process's hashes."""
    program = (
        "import sys, tests.hashing.libraries.test_coffea as t\nfrom pathlib import Path\n"
        "found, log = t.events(Path(sys.argv[1]))\nprint(t.digest(found), t.digest(found.Jet))"
    )
    path = [str(Path(__file__).parents[3]), *filter(None, sys.path)]
    found = {
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program, str(nano)],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(path)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in "012"
    }
    assert len(found) == 1


@pytest.mark.filterwarnings("ignore")
def test_slices_of_events_differ(nano: Path) -> None:
    """Two slices of equal length share their buffers' keys and differ."""
    first, log = events(nano)
    assert digest(first.MET.pt[:10]) != digest(first.MET.pt[10:20])
    assert digest(first[:10]) != digest(first[10:20])
    assert log == []


@pytest.mark.filterwarnings("ignore")
def test_a_rewritten_file_gives_other_events(nano: Path, tmp_path: Path) -> None:
    """The local file is an input of the events, as it looks now."""
    copied = tmp_path / "copy.root"
    shutil.copy(nano, copied)
    one = events(copied)[0]
    before = identify(one).inputs
    assert [seen.url for seen in before] == [str(copied)]
    copied.write_bytes(copied.read_bytes() + b"\0")
    assert identify(one).inputs != before


@pytest.mark.filterwarnings("ignore")
def test_the_factory_of_events_has_an_identity(nano: Path) -> None:
    """A factory is its file, range and schema."""
    one, same, other = (events(nano, 0, stop)[0].attrs["@events_factory"] for stop in (100, 100, 50))
    assert digest(one) == digest(same) != digest(other)


@pytest.mark.filterwarnings("ignore")
def test_events_from_memory_are_refused() -> None:
    """A source that is no file has nothing to go by."""
    from coffea.nanoevents.mapping import SimplePreloadedColumnSource

    columns = {"pt": ak.Array([1.0, 2.0, 3.0])}
    source = SimplePreloadedColumnSource(columns, "0" * 32, 3, object_path="/Events")
    factory = NanoEventsFactory.from_preloaded(source, schemaclass=BaseSchema)
    with pytest.raises(Unidentifiable, match="read from a"):
        identify(factory)
