"""Credentials that a client sends to workers of a cluster that somebody else made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from distributed import LocalCluster

from cachingclient import DiracClient
from cachingclient.worker import credentials
from tests.support.waiting import until


def token_here() -> tuple[str, int]:
    path = Path(os.environ["BEARER_TOKEN_FILE"])
    return path.read_text(), path.stat().st_mode & 0o777


def test_a_new_token_reaches_workers(tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that run and those that come later, in private files; the scheduler and the client go without."""
    monkeypatch.setattr(credentials, "LOOK_EVERY", 0.1)
    monkeypatch.delenv("BEARER_TOKEN_FILE", raising=False)
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text("the first")
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster,
        DiracClient(cluster, cache=store_url) as client,
    ):
        client.ship(token=str(token))
        assert set(client.run(token_here).values()) == {("the first", 0o600)}
        token.write_text("the second")
        until(lambda: set(client.run(token_here).values()) == {("the second", 0o600)}, "the worker has the new token")
        cluster.scale(2)
        client.wait_for_workers(2, timeout=300)
        until(lambda: list(client.run(token_here).values()) == [("the second", 0o600)] * 2, "both have it")
        assert "BEARER_TOKEN_FILE" not in os.environ


def test_one_that_others_can_read_is_refused(client: DiracClient, tmp_path: Path) -> None:
    """Before anything is sent."""
    (tmp_path / "token").write_text("secret")
    (tmp_path / "token").chmod(0o644)
    with pytest.raises(ValueError, match="others can read the token"):
        client.ship(token=str(tmp_path / "token"))
