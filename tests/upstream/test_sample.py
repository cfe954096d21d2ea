"""A sample of dask's and coffea's own tests with the client exchanged: other ones each day.

``python -m tests.upstream.run --project dask`` runs all of them.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import random
from pathlib import Path

import pytest

from tests.upstream.run import compare
from tests.upstream.sources import PROJECTS, of_index
from tests.upstream.table import differing, listed, table

RELEASES = {"dask": "2026.8.0"}
"""The releases whose suites were run whole, so that what differs by nature is known."""
SUITES = {"dask": ["dask/tests/test_delayed.py"]}
"""The suites that were run whole."""
TESTS = 40


@pytest.mark.matrix
@pytest.mark.parametrize("name", RELEASES)
def test_sample_of_the_day(name: str, tmp_path: Path) -> None:
    """Tests of dask's and coffea's authors that pass with dask's client pass with ours, cold and warm."""
    installed = importlib.metadata.version(name)
    if installed != RELEASES[name]:
        pytest.skip(f"{name} {installed} is installed, whose tests were not run whole yet: {RELEASES[name]} was")
    try:
        source = of_index(name)
    except OSError as error:
        pytest.skip(str(error))
    project, day = PROJECTS[name], datetime.date.today().isoformat()
    settings = project.unfold(source, tmp_path)
    suites = random.Random(day).sample(SUITES[name], min(2, len(SUITES[name])))
    outcomes = compare(project, settings, suites, [f"--sample={TESTS}:{day}"])
    print(f"\nthe sample of {day}:", table({" and ".join(suites): outcomes}, listed()), sep="\n")
    differ = differing(outcomes)
    logs = {
        client: (tmp_path / f"{client}.log").read_text()[-5000:] for clients in differ.values() for client in clients
    }
    assert differ.keys() <= listed().keys(), "\n".join(logs.values())
    assert outcomes["plain"].keys() == outcomes["cold"].keys() == outcomes["warm"].keys()
    assert "passed" in outcomes["warm"].values()
