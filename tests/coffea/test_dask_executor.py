"""coffea's own DaskExecutor on a caching client: every way of running it, cold and warm."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from distributed import Client

from tests.coffea.runs import CHUNKS, calls, make_processor, run, same

processor = pytest.importorskip("coffea.processor")

from coffea.nanoevents import NanoAODSchema  # noqa: E402
from coffea.processor.executor import DEFAULT_METADATA_CACHE, Ok  # noqa: E402

from tests.coffea.conftest import write_events  # noqa: E402

if TYPE_CHECKING:
    from cachingclient import DiracClient


@pytest.fixture(autouse=True)
def _as_in_a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """coffea remembers the files it met; a new session does not."""
    DEFAULT_METADATA_CACHE.clear()
    monkeypatch.setattr(NanoAODSchema, "warn_missing_crossrefs", False)


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
        pytest.skip("it takes files of an experiment: NANOAOD_FILES=a.root:b.root")
    plain = run(plain_client, files, tmp_path / "log")
    once = calls(tmp_path / "log")
    run(make_client(), files, tmp_path / "log")
    make_client().flush()
    warm = run(make_client(), files, tmp_path / "log")
    assert same(warm, plain)
    assert calls(tmp_path / "log") == 2 * once
