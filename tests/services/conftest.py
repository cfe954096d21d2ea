"""The servers, each started once, when a test first asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services import s3, xrootd

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
