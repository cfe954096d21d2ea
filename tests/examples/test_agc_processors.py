"""The example as coffea processors, and the model that assigns jets: the same physics by other ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
import ttbar
from assembly import build
from run import same
from samples import Sample, read_samples

processor = pytest.importorskip("coffea.processor")
pytest.importorskip("xgboost", reason="the model needs xgboost: pip install 'cachingclient[notebook]'")

from coffea.nanoevents import BaseSchema  # noqa: E402
from generator.train import labelled, train  # noqa: E402
from processors import AssignedTtbar, SteppedTtbar, Ttbar, fileset, normalised  # noqa: E402


@pytest.fixture(scope="module")
def few(manifest: Path) -> list[Sample]:
    """A nominal and a varied sample."""
    return read_samples(manifest)[:2]


def run(instance: Any, samples: list[Sample]) -> ttbar.Histograms:
    """What a processor fills, in this process."""
    executor = processor.IterativeExecutor(status=False)
    runner = processor.Runner(executor, schema=BaseSchema, chunksize=12_000)
    return normalised(runner(fileset(samples), processor_instance=instance), samples)


def test_processors_fill_what_the_graph_fills(few: list[Sample]) -> None:
    """All variations have the values of the delayed graph, and steps change no bit of them."""
    graph = dask.compute(build(few), scheduler="sync")[0]
    filled, stepped = (run(instance, few) for instance in (Ttbar(), SteppedTtbar()))
    assert same(filled, stepped)
    for region, histogram in graph.items():
        for variation in histogram.axes["variation"]:
            expected = histogram[:, "ttbar", variation].values()
            assert filled[region][:, "ttbar", variation].values() == pytest.approx(expected)


def test_the_model_finds_the_top_quark(few: list[Sample], tmp_path: Path) -> None:
    """Jets assigned by the model give a narrower peak than the three hardest do."""
    model = train(tmp_path / "model.json", events=4000)
    shares = []
    for instance in (Ttbar(), AssignedTtbar(model)):
        masses = run(instance, few)["4j2b"][:, "ttbar", "nominal"]
        inside = (masses.axes[0].centers > 150) & (masses.axes[0].centers < 190)
        shares.append(masses.values()[inside].sum() / masses.values().sum())
    assert shares[1] > 1.3 * shares[0]


class WithoutSteps(AssignedTtbar):
    """Observes everything itself."""

    observe_with = AssignedTtbar.observe_with.function


def test_steps_change_no_bit_of_what_the_model_finds(few: list[Sample], tmp_path: Path) -> None:
    """Variations of which the events are equal share what is observed, to the last bit."""
    model = train(tmp_path / "model.json", events=4000)
    assert same(run(AssignedTtbar(model), few), run(WithoutSteps(model), few))


def test_one_assignment_of_an_event_is_right() -> None:
    """Of the ways to assign an event's jets the truth is exactly one."""
    features, right = labelled(300, np.random.default_rng(1))
    assert len(features) == len(right)
    assert set(right) == {0, 1}
    assert 12 <= len(right) / right.sum() <= 180
