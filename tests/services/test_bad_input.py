"""What users get wrong, or have no part in: a plain run in bounded time, with one warning that says why."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services.rucio import RSE, Rucio
from tests.services.s3 import KEY, SECRET, Ceph, S3Service, only_on
from tests.services.service import free_port

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import json, sys, warnings
from cachingclient import CacheWarning, DiracClient
def square(x):
    return x * x
def total(numbers):
    return sum(numbers)
with warnings.catch_warnings(record=True, action="always") as seen:
    with DiracClient(cache=sys.argv[1], policy="all", processes=False, dashboard_address=None) as client:
        result = client.submit(total, client.map(square, range(5))).result()
print(json.dumps([result, [str(w.message) for w in seen if issubclass(w.category, CacheWarning)]]))
"""


def warning_of(url: str, **environment: str) -> str:
    """Run an analysis whose store is at a URL, in a process of its own that nobody types into; its one warning."""
    silent, keyboard = os.pipe()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, url],
        capture_output=True,
        text=True,
        stdin=silent,
        env={**os.environ, "PYTHONPATH": str(ROOT), "DASK_CACHINGCLIENT__TIMEOUTS__LOOK_UP": "20s", **environment},
    )
    for end in (silent, keyboard):
        os.close(end)
    assert done.returncode == 0, done.stderr
    result, warned = json.loads(done.stdout.splitlines()[-1])
    assert result == 30
    (only,) = warned
    return str(only)


def credentials(endpoint: str, key: str = KEY, secret: str = SECRET) -> dict[str, str]:
    """What makes S3's clients use a server."""
    return {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}


@pytest.mark.slow
@only_on("ceph", "moto")
def test_unknown_buckets(s3_service: S3Service) -> None:
    """The warning names the bucket."""
    said = warning_of("s3://no-such-bucket/cache", **credentials(s3_service.endpoint))
    assert "without the cache" in said
    assert "no-such-bucket" in said


@pytest.mark.slow
@only_on("ceph")
def test_wrong_secrets_and_read_only_buckets(s3_service: Ceph) -> None:
    """A store that refuses us is told from one that only takes nothing."""
    s3_service.make_bucket("published")
    s3_service.let_read("published", "reader", "readerkey", "readersecret")
    wrong = credentials(s3_service.endpoint, secret="wrong")
    assert "refuses us" in warning_of("s3://published/cache", **wrong)
    reader = credentials(s3_service.endpoint, "readerkey", "readersecret")
    assert "not kept: s3://published/cache" in warning_of("s3://published/cache", **reader)


@pytest.mark.slow
def test_hosts_that_refuse_or_say_nothing() -> None:
    """Neither holds an analysis up for longer than a look-up may take."""
    assert "does not answer" in warning_of("s3://bucket/cache", **credentials(f"http://127.0.0.1:{free_port()}"))
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(50)
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        patience = {"DASK_CACHINGCLIENT__TIMEOUTS__LOOK_UP": "2s"}
        assert "no answer within 2 s" in warning_of("s3://bucket/cache", **credentials(endpoint), **patience)


@pytest.mark.slow
def test_an_xrootd_server_that_is_not_there() -> None:
    """The warning names it."""
    pytest.importorskip("XRootD", reason="pip install xrootd")
    assert "does not answer" in warning_of(f"root://127.0.0.1:{free_port()}//cache")


@pytest.mark.slow
def test_rucio(rucio_service: Rucio, tmp_path: Path) -> None:
    """Wrong password, expired token, unknown RSE and scope, and no server."""
    text = rucio_service.client_cfg.read_text().replace("token-alice", "token-other")
    expired = tmp_path / "token"
    expired.write_text("eyJhbGciOiJub25lIn0.eyJleHAiOjF9.")

    def said(url: str, old: str = "", new: str = "") -> str:
        configuration = tmp_path / "rucio.cfg"
        configuration.write_text(text.replace(old, new) if old else text)
        return warning_of(url, RUCIO_CONFIG=str(configuration), XDG_CACHE_HOME=str(tmp_path))

    url = rucio_service.url("cache")
    assert "refuses us" in said(url, "= secret", "= wrong")
    assert "refuses us" in said(url, "auth_type = userpass", "auth_type = oidc\nauth_oidc_refresh_active = false")
    assert "no RSE 'NOWHERE'" in said("rucio://user.alice/cache?rse=NOWHERE")
    assert "no scope 'user.bob'" in said(f"rucio://user.bob/cache?rse={RSE}")
    assert "does not answer" in said(url, f":{rucio_service.port}", f":{free_port()}")
