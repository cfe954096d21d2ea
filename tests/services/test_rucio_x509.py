"""Rucio stores of users who are known by a certificate, or by a token."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services.rucio import Rucio
from tests.services.rucio_x509 import start_front
from tests.services.test_bad_input import ROOT, warning_of

PROGRAM = """
import sys
from cachingclient.storage import Entry, encode, open_store
store = open_store(sys.argv[1])
store.write(Entry(("0f" * 16,), "result", "answer", 1.5, {}, encode(42)))
store.flush()
print(store.read(store.find(["0f" * 16])["0f" * 16]))
"""


@pytest.mark.slow
def test_a_proxy_is_enough_and_an_expired_one_is_a_plain_run(rucio_service: Rucio, tmp_path: Path) -> None:
    """Rucio's own configuration names it; nothing of it is an option of the store."""
    authority, configuration = start_front(rucio_service)

    def configured(proxy: Path) -> dict[str, str]:
        path = tmp_path / f"{proxy.stem}.cfg"
        path.write_text(configuration.replace("{proxy}", str(proxy)).replace("token-x509", f"token-{proxy.stem}"))
        return {"RUCIO_CONFIG": str(path), "XDG_CACHE_HOME": str(tmp_path)}

    url = rucio_service.url("x509")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, url],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **configured(authority.certify("Alice"))},
    )
    assert done.stdout.split() == ["42"], done.stderr
    said = warning_of(url, **configured(authority.certify("Alice", expired=True)))
    assert "without the cache" in said


@pytest.mark.slow
def test_a_token_is_enough(rucio_service: Rucio, tmp_path: Path) -> None:
    """What an OIDC login has left in Rucio's token file is used; here the token is one of the server's own."""
    token = rucio_service.token("alice", "secret")
    place = tmp_path / "token"
    place.write_text(token)
    text = rucio_service.client_cfg.read_text()
    line = next(line for line in text.splitlines() if line.startswith("auth_token_file_path"))
    configuration = tmp_path / "oidc.cfg"
    without = "\n".join(each for each in text.splitlines() if not each.startswith(("username", "password")))
    configuration.write_text(
        without.replace("auth_type = userpass", "auth_type = oidc").replace(line, f"auth_token_file_path = {place}")
    )
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, rucio_service.url("token")],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "RUCIO_CONFIG": str(configuration),
            "XDG_CACHE_HOME": str(tmp_path),
        },
    )
    assert done.stdout.split() == ["42"], done.stderr
