"""Clients of both kinds of server, at a stand-in for these."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cachingclient.dirac.api.credentials import find_proxy
from cachingclient.dirac.api.dirac8 import Dirac8
from cachingclient.dirac.api.diracx import DiracX
from tests.dirac.api.tokens import tokens
from tests.dirac.stand_in import StandIn, stand_in


@pytest.fixture(scope="module")
def server() -> Iterator[StandIn]:
    with stand_in() as server:
        yield server


@pytest.fixture(scope="module")
def rest(server: StandIn, proxy: Path) -> Dirac8:
    return Dirac8(server.url, "tests", find_proxy(proxy))


@pytest.fixture(scope="module")
def diracx(server: StandIn, tmp_path_factory: pytest.TempPathFactory) -> DiracX:
    return DiracX(server.url, "tests", tokens(tmp_path_factory.mktemp("tokens"), 3600))
