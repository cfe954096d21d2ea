"""What pytest leaves out where a library is not installed, and how it shares out the tests between processes."""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import Any

import pytest

collect_ignore: list[str] = []
if importlib.util.find_spec("ROOT") is None:
    collect_ignore += ["cachingclient/hashing/libraries/cpp.py", "cachingclient/hashing/libraries/root.py"]

# Tests write a module and edit it within a second, which bytecode in a file would outlive: it goes by whole seconds.
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
sys.dont_write_bytecode = True

TOGETHER = ("tests/services/", "tests/older/")
"""Folders whose tests share servers, or environments that take long to install: one process runs all of one."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With ``-n``, one process runs all tests of a file: fixtures of modules are set up once, and order stays."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return next((folder for folder in TOGETHER if file.startswith(folder)), file)

    return ByFile(config, log)
