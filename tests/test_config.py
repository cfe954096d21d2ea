"""The settings: defaults, dask's three ways of changing them, and what happens to wrong values."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import dask
import pytest

from cachingclient import DiracClient, config
from cachingclient.config import check


def test_defaults() -> None:
    """Without any configuration the defaults of the packaged file hold."""
    assert (config.policy(), config.mode(), config.inputs()) == ("auto", "readwrite", "stat")
    assert config.size_limit() is None
    assert config.environment().pin == "reached"


def test_default_store_is_in_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a store, results go below the user's cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with dask.config.set({"cachingclient.store": None}):
        assert config.store() == f"file://{tmp_path}/cachingclient"


def test_environment_variables_and_yaml_reach_a_new_process(tmp_path: Path) -> None:
    """A new process takes settings from the environment first, then from a YAML file of dask's."""
    (tmp_path / "mine.yaml").write_text("cachingclient:\n  policy: all\n  mode: read\n")
    code = "from cachingclient import config as c; print(c.store(), c.policy(), c.mode(), c.write_queue())"
    environment = os.environ | {
        "DASK_CONFIG": str(tmp_path),
        "DASK_CACHINGCLIENT__STORE": "s3://bucket/analysis",
        "DASK_CACHINGCLIENT__MODE": "refresh",
        "DASK_CACHINGCLIENT__WRITE_QUEUE": "1MiB",
    }
    shown = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["s3://bucket/analysis", "all", "refresh", "1048576"]


@pytest.mark.parametrize(
    ("name", "value", "read", "takes"),
    [
        ("store", 3, config.store, "a URL"),
        ("keep-budget", "101%", config.keep_budget, "a share from 0% to 100%, e.g. 3%"),
        ("keep-budget", "-1%", config.keep_budget, "a share from 0% to 100%, e.g. 3%"),
        ("keep-budget", 0.03, config.keep_budget, "a share from 0% to 100%, e.g. 3%"),
        ("keep-budget", None, config.keep_budget, "a share from 0% to 100%, e.g. 3%"),
        ("keep-budget", "", config.keep_budget, "a share from 0% to 100%, e.g. 3%"),
        ("keep-budget", "nan%", config.keep_budget, "a share from 0% to 100%, e.g. 3%"),
        ("keep-budget", "1e-1", config.keep_budget, "a share from 0% to 100%, e.g. 3%"),
        ("keep-budget", "much%", config.keep_budget, "a share from 0% to 100%, e.g. 3%"),
        ("store", "", config.store, "a URL"),
        ("store-options", ["verify"], config.store_options, "names with values"),
        ("store-options", {1: 2}, config.store_options, "names with values"),
        ("policy", "always", config.policy, "'auto' or 'all'"),
        ("mode", "write", config.mode, "'readwrite', 'read', 'refresh' or 'off'"),
        ("inputs", None, config.inputs, "'stat', 'content' or 'name'"),
        ("unobserved", "*.log", config.unobserved, "a list of globs of absolute paths"),
        ("unobserved", ["logs/*.log"], config.unobserved, "a list of globs of absolute paths"),
        ("environment.pin", True, config.environment, "'reached' or 'all'"),
        ("environment.precision", "minor", config.environment, "'full' or 'major.minor'"),
        ("environment.ignore", "rich", config.environment, "a list of names"),
        ("size-limit", "much", config.size_limit, "a number of bytes above 0"),
        ("size-limit", -1, config.size_limit, "a number of bytes above 0"),
        ("write-queue", True, config.write_queue, "a number of bytes above 0"),
        ("size-limit", float("inf"), config.size_limit, "a number of bytes above 0"),
        ("limits.depth", "deep", config.limits, "a number above 0"),
        ("limits.depth", ["deep"], config.limits, "a number above 0"),
        ("limits.count", float("inf"), config.limits, "a number above 0"),
        ("limits.bytes", {"of": 1}, config.limits, "a number above 0"),
        ("timeouts.look-up", "soon", config.look_up_timeout, "a duration above 0"),
        ("timeouts.look-up", True, config.look_up_timeout, "a duration above 0"),
        ("timeouts.flush", 0, config.flush_timeout, "a duration above 0"),
        ("timeouts.single-flight", -1, config.patience, "a duration of 0 or more"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: object, read: Callable[[], object], takes: str) -> None:
    """A wrong value raises an error that names the setting, the value and what the setting takes."""
    with (
        dask.config.set({f"cachingclient.{name}": value}),
        pytest.raises(config.ConfigurationError) as raised,
    ):
        read()
    text = str(raised.value)
    assert text.startswith(f"the setting cachingclient.{name} is {value!r}; it takes {takes}")


def test_off_in_yaml_is_off() -> None:
    """An unquoted `off`, which YAML reads as False, is the mode off."""
    with dask.config.set({"cachingclient.mode": False}):
        assert config.mode() == "off"


def test_no_patience_is_none() -> None:
    """A single-flight time of 0 is allowed: it is the way to say no."""
    with dask.config.set({"cachingclient.timeouts.single-flight": 0}):
        assert config.patience() == 0


def test_misspelled_settings_are_found() -> None:
    """Names that no setting has are listed, in either spelling of dask's; known ones are not."""
    with dask.config.set({"cachingclient.modus": "read", "cachingclient.timeouts.flush_": 1}):
        assert check.unknown() == {
            "cachingclient.modus": "cachingclient.mode",
            "cachingclient.timeouts.flush-": "cachingclient.timeouts.flush",
        }
    with dask.config.set({"cachingclient.write_queue": "1MB", "cachingclient.store-options": {"anything": 1}}):
        assert check.unknown() == {}


def test_a_setting_made_before_the_import_does_not_take_the_defaults_along() -> None:
    """When the package is first imported inside a `with dask.config.set`, all settings are there afterwards."""
    code = (
        "import dask\n"
        "with dask.config.set({'cachingclient.policy': 'all'}):\n"
        "    from cachingclient import config\n"
        "    print(config.policy(), config.mode())\n"
        "print(config.policy(), config.mode(), config.flush_timeout())\n"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["all", "readwrite", "auto", "readwrite", "300.0"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("recent-results", -1),
        ("size-limit", "-2GB"),
        ("timeouts.look-up", -1),
        ("inputs", "stats"),
        ("keep-budget", "101%"),
    ],
)
def test_a_client_refuses_senseless_settings_by_their_names(name: str, value: object) -> None:
    """Before it connects to anything, and not in the midst of a run on a worker."""
    with dask.config.set({f"cachingclient.{name}": value}):
        assert len(check.faults()) == 1
        with pytest.raises(config.ConfigurationError, match=f"cachingclient.{name} is {value!r}; it takes"):
            DiracClient("tcp://127.0.0.1:1")
