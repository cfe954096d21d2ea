"""The servers, each started once, when a test first asks for it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cachingclient.dirac import DiracApi, open_api
from cachingclient.dirac.api.http import Http
from tests.services import dirac9, diracx, rucio, s3, webdav, xrootd

pytest.register_assert_rewrite("tests.storage.contract")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Everything in this folder needs a server; DIRAC 9, which takes minutes to install, is only started on demand."""
    here = Path(__file__).parent
    skip = pytest.mark.skip(reason="only with -m dirac9: installing a DIRAC 9 server takes minutes")
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.services)
        if item.get_closest_marker("dirac9") and "dirac9" not in config.option.markexpr:
            item.add_marker(skip)


@contextmanager
def service_folder() -> Iterator[Path]:
    """A folder for a server: some run as users of their own, who can't enter those of pytest."""
    with tempfile.TemporaryDirectory(prefix="cachingclient-service-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@pytest.fixture(scope="session", params=s3.SERVERS)
def s3_service(request: pytest.FixtureRequest) -> Iterator[s3.S3Service]:
    with service_folder() as folder, s3.SERVERS[request.param](folder) as service:
        yield service


@pytest.fixture(scope="session")
def xrootd_service() -> Iterator[xrootd.XRootD]:
    pytest.importorskip("XRootD", reason="pip install xrootd")
    with service_folder() as folder, xrootd.XRootD(folder) as service:
        yield service


@pytest.fixture(scope="session")
def webdav_service() -> Iterator[webdav.WebDAV]:
    with service_folder() as folder, webdav.WebDAV(folder) as service:
        yield service


@pytest.fixture(scope="session")
def rucio_service() -> Iterator[rucio.Rucio]:
    pytest.importorskip("rucio.client", reason="pip install rucio-clients")
    with service_folder() as folder, rucio.Rucio(folder) as service, pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUCIO_CONFIG", str(service.client_cfg))
        yield service


@pytest.fixture(scope="session")
def diracx_service() -> Iterator[diracx.DiracX]:
    with service_folder() as folder, diracx.DiracX(folder) as service:
        yield service


@pytest.fixture(scope="module")
def alice(diracx_service: diracx.DiracX) -> Iterator[DiracApi]:
    """The API as a user of the server."""
    with open_api(diracx_service.url, diracx.VO, diracx_service.credentials(), ca=diracx_service.ca) as api:
        yield api


@pytest.fixture
def requests_sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that were asked."""
    sent: list[str] = []
    ask = Http.ask

    def counted(self: Http, method: str, url: str, **arguments: object) -> tuple[int, bytes]:
        sent.append(url)
        return ask(self, method, url, **arguments)

    monkeypatch.setattr(Http, "ask", counted)
    return sent


@pytest.fixture(scope="session")
def dirac9_service() -> Iterator[dirac9.Dirac9]:
    with service_folder() as folder, dirac9.Dirac9(folder) as service:
        yield service
