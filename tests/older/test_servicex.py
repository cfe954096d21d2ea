"""What ServiceX delivers as inputs of steps and of coffea: by its real client, from a stand-in for its server."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.older.conftest import RunIn
from tests.services.s3 import Moto
from tests.services.servicex import running
from tests.support.reported import counts

if TYPE_CHECKING:
    from cachingclient import DiracClient

pytestmark = pytest.mark.matrix

DELIVER = """
import json, sys
from servicex import ServiceXSpec, General, Sample, deliver, query, dataset
from servicex.servicex_client import ProgressBarFormat

delivery, cache, cut = sys.argv[1:]
found = deliver(
    ServiceXSpec(
        General=General(Delivery=delivery, OutputFormat="root-ttree"),
        Sample=[
            Sample(
                Name="ttbar",
                Dataset=dataset.FileList(["root://host//1.root", "root://host//2.root"]),
                Query=query.UprootRaw([{"treename": "Events", "filter_name": ["pt"], "cut": cut}]),
            )
        ],
    ),
    config_path="servicex.yaml", cache_dir=cache, progress_bar=ProgressBarFormat.none,
)
print(json.dumps(sorted(found["ttbar"])))
"""
Deliver = Callable[..., list[str]]


@pytest.fixture
def deliver(run_in: RunIn, tmp_path: Path) -> Iterator[Deliver]:
    """Have a request delivered, as URLs or as files; gives their names."""
    with Moto(tmp_path / "moto") as storage, running(storage, tmp_path) as server:
        endpoint = f"api_endpoints:\n  - endpoint: {server.url}\n    name: stand-in\n"
        (tmp_path / "servicex.yaml").write_text(endpoint)
        (tmp_path / "deliver.py").write_text(DELIVER)

        def run(delivery: str, cache: Path, cut: str = "pt > 30") -> list[str]:
            told = run_in("servicex", "deliver.py", delivery, str(cache), cut)
            names: list[str] = json.loads(told.splitlines()[-1])
            return names

        yield run


def total(url: str) -> float:
    import uproot

    with uproot.open({url: "Events"}) as tree:
        return float(tree["pt"].array(library="np").sum())


def session(make_client: Callable[..., DiracClient], urls: list[str]) -> tuple[list[Any], int]:
    """Return what a step gives for each URL, and how many ran, in a session of their own."""
    client = make_client()
    found = client.gather(client.map(total, urls))
    client.flush()
    ran = counts(client)[0]
    client.close()
    return found, ran


def coffea_session(make_client: Callable[..., DiracClient], names: list[str]) -> tuple[Any, int]:
    """Return what a run of coffea gives, and how many chunks ran."""
    from coffea import processor
    from coffea.nanoevents import BaseSchema

    class Sum(processor.ProcessorABC):
        def process(self, events: Any) -> Any:
            import awkward as ak

            return {"pt": float(ak.sum(events.pt))}

        def postprocess(self, accumulator: Any) -> Any:
            return accumulator

    client = make_client()
    executor = processor.DaskExecutor(client=client, status=False)
    run = processor.Runner(executor=executor, schema=BaseSchema)
    with client.reporting() as report:
        found = run({"ttbar": {"files": dict.fromkeys(names, "Events")}}, processor_instance=Sum())
    ran = sum(record.action == "ran" and record.name == "Sum" for record in report.records)
    client.close()
    return found, ran


def test_a_delivery_with_other_signatures_is_found(
    deliver: Deliver, make_client: Callable[..., DiracClient], tmp_path: Path
) -> None:
    """Files and URLs that a request gives twice are the same data; those of another request are not."""
    here, there = tmp_path / "here", tmp_path / "there"
    files = deliver("LocalCache", here)
    shutil.copytree(here, there)
    first, again = deliver("URLs", here), deliver("URLs", there)
    assert first != again
    assert [urlsplit(url).path for url in first] == [urlsplit(url).path for url in again]
    other = deliver("URLs", there, "pt > 50")
    expected = [total(file) for file in files]

    assert session(make_client, first) == (expected, 2)
    assert session(make_client, again) == (expected, 0)
    found, ran = session(make_client, other)
    assert ran == 2
    assert found != expected

    by_url, ran = coffea_session(make_client, first)
    assert (by_url, ran) == ({"pt": pytest.approx(sum(expected))}, 2)
    assert coffea_session(make_client, again) == (by_url, 0)
    assert coffea_session(make_client, other)[1] == 2

    moved = [str(there / Path(file).relative_to(here)) for file in files]
    assert coffea_session(make_client, files)[0] == by_url
    assert coffea_session(make_client, moved) == (by_url, 0)


def test_a_request_that_is_done_again_makes_other_files(
    deliver: Deliver, make_client: Callable[..., DiracClient], tmp_path: Path
) -> None:
    """Another client asks the server anew: its files have other identifiers, so that the steps run."""
    first, anew = (deliver("URLs", tmp_path / name) for name in ("here", "elsewhere"))
    found, ran = session(make_client, first)
    assert ran == 2
    assert session(make_client, anew) == (found, 2)
