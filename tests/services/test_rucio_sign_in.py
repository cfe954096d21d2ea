"""Rucio stores of users who are known by a proxy of their certificate, or by a token of an OpenID provider."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.services.conftest import service_folder
from tests.services.openid import OpenIdProvider, log_in
from tests.services.rucio import Rucio
from tests.services.rucio_front import RucioFront
from tests.services.service import needs
from tests.services.test_bad_input import ROOT, warning_of

PROGRAM = """
import sys
from cachingclient.storage import Entry, encode, open_store
store = open_store(sys.argv[1])
store.write(Entry(("0f" * 16,), "result", "answer", 1.5, {}, encode(42)))
store.flush()
print(store.read(store.find(["0f" * 16])["0f" * 16]))
"""
LOG_IN = "from rucio.client import Client; Client().whoami()"
HOUR = timedelta(hours=1)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def front(rucio_service: Rucio) -> Iterator[RucioFront]:
    with (
        service_folder() as folder,
        OpenIdProvider(folder / "openid") as provider,
        RucioFront(folder / "front", rucio_service, provider) as front,
    ):
        yield front


def environment(configuration: Path) -> dict[str, str]:
    """What processes need to be a user with this configuration."""
    place = {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(configuration.parent)}
    return {**place, "RUCIO_CONFIG": str(configuration), "REQUESTS_CA_BUNDLE": ""}


def kept_and_read(url: str, **variables: str) -> None:
    """Keep a result and read it, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, url], capture_output=True, text=True, env={**os.environ, **variables}
    )
    assert done.stdout.split() == ["42"], done.stderr


def delegated(proxy: Path, folder: Path) -> Path:
    """A proxy that a proxy has signed, as jobs get them."""
    needs("openssl", package="openssl")
    subject = ["openssl", "x509", "-noout", "-subject", "-nameopt", "compat", "-in", proxy]
    name = "".join(subprocess.run(subject, capture_output=True, text=True, check=True).stdout.split("subject=")).strip()
    key, request, signed, extensions = (folder / part for part in ("key", "request", "signed", "extensions"))
    extensions.write_text("keyUsage=critical,digitalSignature\nproxyCertInfo=critical,language:id-ppl-inheritAll\n")
    ask = ["req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-subj", f"{name}/CN=1234", "-out", request]
    sign = ["x509", "-req", "-in", request, "-CA", proxy, "-CAkey", proxy, "-extfile", extensions, "-out", signed]
    for command in (ask, sign):
        subprocess.run(["openssl", *map(str, command)], check=True, capture_output=True)
    path = folder / "delegated"
    path.write_bytes(b"".join(part.read_bytes() for part in (signed, key, proxy)))
    path.chmod(0o600)
    return path


def test_a_proxy_is_enough(front: RucioFront, tmp_path: Path) -> None:
    """Rucio's own configuration names it; nothing of it is an option of the store."""
    proxy = front.authority.proxy("alice")
    configuration = front.client(tmp_path, auth_type="x509_proxy", client_x509_proxy=proxy)
    kept_and_read(front.server.url("proxy"), **environment(configuration))


def test_a_delegated_proxy_is_enough(front: RucioFront, tmp_path: Path) -> None:
    """That is a proxy of a proxy, where Rucio and everyone else looks for it."""
    configuration = front.client(tmp_path, auth_type="x509_proxy")
    proxy = {"X509_USER_PROXY": str(delegated(front.authority.proxy("alice"), tmp_path))}
    kept_and_read(front.server.url("delegated"), **environment(configuration), **proxy)


@pytest.mark.parametrize(("begins", "why"), [(-14 * HOUR, "has expired at"), (2 * HOUR, "is not valid before")])
def test_a_proxy_out_of_its_time_is_a_plain_run(front: RucioFront, tmp_path: Path, begins: timedelta, why: str) -> None:
    """With one warning that says what is wrong with it."""
    proxy = front.authority.proxy("alice", begins=begins)
    configuration = front.client(tmp_path, auth_type="x509_proxy", client_x509_proxy=proxy)
    said = warning_of(front.server.url("proxy"), **environment(configuration))
    assert "without the cache: Rucio refuses us" in said
    assert f"{proxy} {why}" in said


def test_a_login_is_enough(front: RucioFront, tmp_path: Path) -> None:
    """What Rucio's own client leaves when a person has logged in at the provider is used, and renewed."""
    configuration = front.client(
        tmp_path,
        auth_type="oidc",
        oidc_polling="true",
        oidc_scope="openid profile",
        auth_oidc_refresh_active="true",
        auth_oidc_refresh_before_exp="120",
    )
    login = [sys.executable, "-u", "-c", LOG_IN]
    with subprocess.Popen(
        login, text=True, stdout=subprocess.PIPE, env={**os.environ, **environment(configuration)}
    ) as process:
        assert process.stdout is not None
        try:
            address = next(found for line in process.stdout if (found := re.search("https://.*", line)))
            log_in(address.group().strip(), "alice", front.trusted())
            process.stdout.read()
            assert process.wait() == 0
        finally:
            process.terminate()
    kept_and_read(front.server.url("login"), **environment(configuration))
    assert (tmp_path / "tokens" / "auth_token_exp_for_account_alice").read_text().isdigit()


def test_a_token_is_enough(front: RucioFront, tmp_path: Path) -> None:
    """One that a tool got from the provider for a job, where jobs find theirs."""
    configuration = front.client(tmp_path, auth_type="oidc")
    kept_and_read(front.server.url("token"), **environment(configuration), BEARER_TOKEN=front.provider.token("alice"))


def test_an_expired_token_is_a_plain_run(front: RucioFront, tmp_path: Path) -> None:
    """With one warning that says how to get another: nobody is asked to log in where nobody is."""
    configuration = front.client(tmp_path, auth_type="oidc")
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens" / "token").write_text(front.provider.token("alice", begins=-7200, lasts=3600))
    said = warning_of(front.server.url("token"), **environment(configuration))
    assert "without the cache: Rucio refuses us" in said
    assert "expired: log in anew" in said
