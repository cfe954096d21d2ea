"""coffea's own DaskExecutor on a caching client: every way of running it, cold, warm and after edits."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from distributed import Client

processor = pytest.importorskip("coffea.processor")

from coffea.nanoevents import NanoAODSchema  # noqa: E402
from coffea.processor.executor import DEFAULT_METADATA_CACHE, Ok  # noqa: E402

from tests.coffea.conftest import write_events  # noqa: E402

if TYPE_CHECKING:
    from cachingclient import DiracClient

CHUNKS = 4


@pytest.fixture(autouse=True)
def _as_in_a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """coffea remembers the files it met; a new session does not."""
    DEFAULT_METADATA_CACHE.clear()
    monkeypatch.setattr(NanoAODSchema, "warn_missing_crossrefs", False)


def make_processor(cut: float = 30.0, fails: str = "") -> Any:
    """Return a processor whose class goes to the workers by value, as one of a notebook does."""
    import awkward as ak
    import hist
    from coffea.processor import ProcessorABC

    class Analysis(ProcessorABC):
        def __init__(self) -> None:
            self.cut = cut

        def process(self, events: Any) -> Any:
            if fails == "always":
                raise ValueError("this chunk can't be processed")
            with open(events.metadata["log"], "a") as log:
                log.write("process\n")
            jets = events.Jet[events.Jet.pt > self.cut]
            filled = hist.Hist.new.Reg(20, 0, 200, name="pt").StrCat([], growth=True, name="dataset").Weight()
            filled.fill(ak.flatten(jets.pt), dataset=events.metadata["dataset"])
            return {"pt": filled, "events": len(events)}

        def postprocess(self, accumulator: Any) -> Any:
            return accumulator

    return Analysis()


def fileset(files: list[Path], log: Path) -> dict[str, Any]:
    """Return a data set; its metadata tell the processor where to leave a trace of each call."""
    return {"ttbar": {"files": {str(file): "Events" for file in files}, "metadata": {"log": str(log), "xsec": 1.0}}}


def run(client: Client, files: list[Path], log: Path, *, executor: dict[str, Any] | None = None, **options: Any) -> Any:
    """Run the processor as an analyst does; gives what coffea returns."""
    DEFAULT_METADATA_CACHE.clear()
    used = options.pop("processor", None) or make_processor()
    executed = processor.DaskExecutor(client=client, status=False, **(executor or {}))
    runner = processor.Runner(executor=executed, schema=NanoAODSchema, chunksize=30, **options)
    return runner(fileset(files, log), processor_instance=used)


def calls(log: Path) -> int:
    """How often `process` ran."""
    return len(log.read_text().splitlines()) if log.exists() else 0


def same(one: Any, other: Any) -> bool:
    """Whether two results are equal, their histograms bit for bit."""
    return (
        one["events"] == other["events"]
        and one["pt"].axes == other["pt"].axes
        and one["pt"].view(flow=True).tobytes() == other["pt"].view(flow=True).tobytes()
    )


VARIANTS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "without compression": {"executor": {"compression": None}},
    "highest compression": {"executor": {"compression": 9}},
    "tree of twos": {"executor": {"treereduction": 2}},
    "no retries": {"executor": {"retries": 0}},
    "processor not compressed": {"processor_compression": None},
    "bad files skipped": {"skipbadfiles": True},
    "worker affinity": {"executor": {"worker_affinity": True}},
    "separate pre-executor": {"pre_executor": processor.IterativeExecutor(status=False)},
    "aligned to clusters": {"align_clusters": True},
}


def test_a_warm_run_looks_into_no_file(
    make_client: Callable[..., DiracClient], two_files: list[Path], tmp_path: Path
) -> None:
    """coffea's own look at the files is loaded too, until one of them is another file."""

    def steps_that_ran() -> dict[str, int]:
        client = make_client()
        run(client, two_files, tmp_path / "log")
        client.flush()
        ran = Counter(record.name for report in client.reports for record in report.records if record.action == "ran")
        client.close()
        return ran

    cold = steps_that_ran()
    assert (cold["get_metadata"], cold["Analysis"]) == (2, CHUNKS)  # the look at each file, and each chunk
    assert not steps_that_ran()
    write_events(two_files[1], 7)
    edited = steps_that_ran()
    assert (edited["get_metadata"], edited["Analysis"]) == (1, CHUNKS // 2)
    assert not steps_that_ran()


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_second_session_processes_nothing(
    variant: str,
    make_client: Callable[..., DiracClient],
    plain_client: Client,
    two_files: list[Path],
    tmp_path: Path,
) -> None:
    """Histograms equal the plain client's bit for bit, and are loaded by the next client without a call of process."""
    plain = run(plain_client, two_files, tmp_path / "log", **VARIANTS[variant])
    once = calls(tmp_path / "log")
    cold = run(make_client(), two_files, tmp_path / "log", **VARIANTS[variant])
    make_client().flush()
    assert calls(tmp_path / "log") == 2 * once
    warm = run(make_client(), two_files, tmp_path / "log", **VARIANTS[variant])
    assert calls(tmp_path / "log") == 2 * once
    assert same(cold, plain)
    assert same(warm, plain)


def test_metrics_come_with_the_results(
    make_client: Callable[..., DiracClient], two_files: list[Path], tmp_path: Path
) -> None:
    """With savemetrics the second session loads results and metrics, those of the run that made them."""
    cold, measured = run(make_client(), two_files, tmp_path / "log", savemetrics=True)
    make_client().flush()
    warm, loaded = run(make_client(), two_files, tmp_path / "log", savemetrics=True)
    assert calls(tmp_path / "log") == CHUNKS
    assert same(warm, cold)
    assert loaded["entries"] == measured["entries"] == 120
    assert loaded["columns"] == measured["columns"]


def test_results_as_values_or_errors(
    make_client: Callable[..., DiracClient], two_files: list[Path], tmp_path: Path
) -> None:
    """With use_result_type a run gives Ok, the next one from the store."""
    options = {"skipbadfiles": True, "use_result_type": True}
    cold = run(make_client(), two_files, tmp_path / "log", **options)
    make_client().flush()
    warm = run(make_client(), two_files, tmp_path / "log", **options)
    assert isinstance(cold, Ok)
    assert calls(tmp_path / "log") == CHUNKS
    assert same(warm.unwrap(), cold.unwrap())


def test_another_setting_of_the_processor_runs_again(
    make_client: Callable[..., DiracClient], two_files: list[Path], tmp_path: Path
) -> None:
    """A processor that was made with another cut is another step."""
    run(make_client(), two_files, tmp_path / "log", processor=make_processor(30.0))
    make_client().flush()
    run(make_client(), two_files, tmp_path / "log", processor=make_processor(35.0))
    assert calls(tmp_path / "log") == 2 * CHUNKS


NOTEBOOK = """
import awkward as ak
from coffea.processor import ProcessorABC

CUT = 30

class Analysis(ProcessorABC):
    def process(self, events):
        with open(events.metadata["log"], "a") as log:
            log.write("process\\n")
        return {"count": counted(events)}

    def postprocess(self, accumulator):
        return accumulator

def counted(events):
    return int(ak.sum(events.MET.pt > CUT))
"""


def test_edits_in_a_notebook_are_seen(
    make_client: Callable[..., DiracClient], plain_client: Client, two_files: list[Path], tmp_path: Path
) -> None:
    """A variable, a function and then a method are changed in a living session: each run is of what stands there."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(NOTEBOOK, names)

    def results() -> list[int]:
        return [
            run(client, two_files, tmp_path / "log", processor=names["Analysis"]())["count"]
            for client in (plain_client, make_client())
        ]

    found = [results()]
    names["CUT"] = 50
    found.append(results())
    exec("def counted(events):\n    return 2 * len(events) + CUT", names)
    found.append(results())
    exec("Analysis.process = lambda self, events: {'count': CUT}", names)
    found.append(results())
    assert [len(set(pair)) for pair in found] == [1, 1, 1, 1]
    assert len({pair[0] for pair in found}) == 4


def test_compression_is_no_part_of_a_processor(
    make_client: Callable[..., DiracClient], two_files: list[Path], tmp_path: Path
) -> None:
    """How strongly the processor is compressed on its way changes no key."""
    run(make_client(), two_files, tmp_path / "log", processor_compression=1)
    make_client().flush()
    run(make_client(), two_files, tmp_path / "log", processor_compression=9)
    assert calls(tmp_path / "log") == CHUNKS


def test_another_file_runs_its_own_chunks_only(
    make_client: Callable[..., DiracClient], two_files: list[Path], tmp_path: Path
) -> None:
    """Adding a file to a data set processes that file and no other."""
    run(make_client(), two_files[:1], tmp_path / "log")
    make_client().flush()
    assert calls(tmp_path / "log") == CHUNKS // 2
    both = run(make_client(), two_files, tmp_path / "log")
    assert calls(tmp_path / "log") == CHUNKS
    assert both["events"] == 120


def test_a_rewritten_file_runs_again(
    make_client: Callable[..., DiracClient], two_files: list[Path], tmp_path: Path
) -> None:
    """A file with other events under an old name is noticed, and only its chunks run."""
    run(make_client(), two_files, tmp_path / "log")
    make_client().flush()
    write_events(tmp_path / "other.root", 7).replace(two_files[1])
    run(make_client(), two_files, tmp_path / "log")
    assert calls(tmp_path / "log") == CHUNKS + CHUNKS // 2


@pytest.mark.parametrize("damage", ["cut", "no ROOT file"])
def test_a_corrupt_file_is_skipped_as_without_a_cache(
    damage: str,
    make_client: Callable[..., DiracClient],
    plain_client: Client,
    two_files: list[Path],
    tmp_path: Path,
) -> None:
    """With skipbadfiles the rest of the data set comes out as with the plain client, cold and warm."""
    content = two_files[1].read_bytes()
    two_files[1].write_bytes(content[: len(content) // 3] if damage == "cut" else b"not a ROOT file at all")
    options: dict[str, Any] = {"skipbadfiles": (OSError, ValueError, Exception), "executor": {"retries": 0}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = run(plain_client, two_files, tmp_path / "log", **options)
        once = calls(tmp_path / "log")
        cold = run(make_client(), two_files, tmp_path / "log", **options)
        make_client().flush()
        warm = run(make_client(), two_files, tmp_path / "log", **options)
    assert same(cold, plain)
    assert same(warm, plain)
    assert calls(tmp_path / "log") == 2 * once


def test_a_corrupt_file_fails_as_without_a_cache(
    make_client: Callable[..., DiracClient], plain_client: Client, two_files: list[Path], tmp_path: Path
) -> None:
    """Without skipbadfiles the same error is raised, and nothing of it is kept."""
    two_files[1].write_bytes(b"not a ROOT file at all")
    raised = []
    for client in (plain_client, make_client(), make_client()):
        with pytest.raises(Exception) as caught:
            run(client, two_files, tmp_path / "log", executor={"retries": 0})
        raised.append((type(caught.value), str(caught.value).splitlines()[0]))
    assert raised[1:] == raised[:1] * 2


def test_a_mended_file_is_processed(
    make_client: Callable[..., DiracClient], two_files: list[Path], tmp_path: Path
) -> None:
    """What was skipped because its file was corrupt runs when the file is whole."""
    content = two_files[1].read_bytes()
    two_files[1].write_bytes(content[:2000])
    options: dict[str, Any] = {"skipbadfiles": (Exception,), "executor": {"retries": 0}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first = run(make_client(), two_files, tmp_path / "log", **options)
    make_client().flush()
    two_files[1].write_bytes(content)
    second = run(make_client(), two_files, tmp_path / "log", **options)
    assert (first["events"], second["events"]) == (60, 120)
    assert calls(tmp_path / "log") == CHUNKS


def test_a_chunk_that_fails_for_good_fails_the_run(
    make_client: Callable[..., DiracClient], two_files: list[Path], tmp_path: Path
) -> None:
    """A processor that raises ends the run after its retries, as with the plain client."""
    with pytest.raises(Exception, match="this chunk can't be processed"):
        run(make_client(), two_files, tmp_path / "log", processor=make_processor(fails="always"),
            executor={"retries": 1})  # fmt: skip


def test_a_processor_that_can_not_be_hashed_runs(
    make_client: Callable[..., DiracClient], two_files: list[Path], tmp_path: Path
) -> None:
    """A processor with a member that has no identity runs every time, and the report says why."""

    class Opaque:
        def __cache_token__(self) -> Any:
            return (line for line in ())

    for count in (1, 2):
        used = make_processor()
        used.member = Opaque()
        client = make_client()
        run(client, two_files, tmp_path / "log", processor=used, processor_compression=None)
        client.flush()
        assert calls(tmp_path / "log") == count * CHUNKS
    reasons = Counter(step.reason for report in client.reports for step in report.plan.steps.values())
    assert any("generator" in reason for reason in reasons)


def test_files_of_an_experiment(make_client: Callable[..., DiracClient], plain_client: Client, tmp_path: Path) -> None:
    """Real NanoAOD gives the plain client's histograms, the second time without a call of process."""
    files = [Path(name) for name in os.environ.get("NANOAOD_FILES", "").split(os.pathsep) if name]
    if not files:
        pytest.skip("NANOAOD_FILES names no files")
    plain = run(plain_client, files, tmp_path / "log")
    once = calls(tmp_path / "log")
    run(make_client(), files, tmp_path / "log")
    make_client().flush()
    warm = run(make_client(), files, tmp_path / "log")
    assert same(warm, plain)
    assert calls(tmp_path / "log") == 2 * once
