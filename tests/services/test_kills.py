"""Clients that are killed in each phase of a write to a server."""

from __future__ import annotations

import pytest

from tests.faults.kills import kill
from tests.faults.traps import TRAPS


@pytest.mark.matrix
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["s3", "root", "rucio"])
def test_clients_killed_in_each_phase(kind: str) -> None:
    """What they reported as kept is there and right, and so is all that is found."""
    if kind == "root":
        pytest.importorskip("XRootD", reason="pip install xrootd")
    if kind == "rucio":
        pytest.importorskip("rucio.client", reason="pip install rucio-clients")
    judge = kill(kind, clients=len(TRAPS[kind]), workers=0)
    assert judge.kills.total() == len(TRAPS[kind])
    assert judge.told > 0
