"""The servers, each started once, when a test first asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services import rucio, s3, xrootd

pytest.register_assert_rewrite("tests.storage.contract")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs a server."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.services)


@pytest.fixture(scope="session", params=["ceph", "moto", "rclone"])
def s3_service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.S3Service]:
    kinds = {"ceph": s3.Ceph, "moto": s3.Moto, "rclone": s3.Rclone}
    with kinds[request.param](tmp_path_factory.mktemp(request.param)) as service:
        yield service


@pytest.fixture(scope="session")
def xrootd_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[xrootd.XRootD]:
    pytest.importorskip("XRootD", reason="pip install xrootd")
    with xrootd.XRootD(tmp_path_factory.mktemp("xrootd")) as service:
        yield service


@pytest.fixture(scope="session")
def rucio_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[rucio.Rucio]:
    pytest.importorskip("rucio.client", reason="pip install rucio-clients")
    with rucio.Rucio(tmp_path_factory.mktemp("rucio")) as service, pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUCIO_CONFIG", str(service.client_cfg))
        yield service
