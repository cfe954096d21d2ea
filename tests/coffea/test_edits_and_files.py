"""coffea's own DaskExecutor on a caching client: edited processors, and files that are added, changed or damaged."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from distributed import Client

from tests.coffea.runs import CHUNKS, calls, make_processor, run, same

pytest.importorskip("coffea.processor")

from coffea.nanoevents import NanoAODSchema
from coffea.processor.executor import DEFAULT_METADATA_CACHE

from tests.coffea.conftest import write_events

if TYPE_CHECKING:
    from cachingclient import DiracClient


@pytest.fixture(autouse=True)
def _as_in_a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """coffea remembers the files it met; a new session does not."""
    DEFAULT_METADATA_CACHE.clear()
    monkeypatch.setattr(NanoAODSchema, "warn_missing_crossrefs", False)


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
