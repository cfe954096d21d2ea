"""Credentials for tests that need no server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.services.certificates import Authority


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def proxy(authority: Authority) -> Path:
    return authority.proxy("alice", "tests_user")
