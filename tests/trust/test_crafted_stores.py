"""Stores that were made to harm whoever reads them: at every level nothing outside of them is touched.

Each attack is made in a process with bounds on time and memory. A good entry lies beside the bad thing, and what is
bad costs at most what it stands for: the good entry is found and read unless the whole way to it is a link.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from cachingclient.cli import cli
from cachingclient.storage import StoreError, open_store
from tests.support.entries import entry
from tests.trust import descriptions, payloads, places
from tests.trust.conftest import attacked, contents
from tests.trust.crafting import BAD, CRAFTS, Scene

LEVELS = ("private", "shared", "all", "data", "signed")
GOOD = "cc" * 16
COMMANDS = (
    ["list"],
    ["list", "--json"],
    ["list", "--limit", "5"],
    ["list", "--damaged"],
    ["stats"],
    ["stats", "--totals"],
    ["show", BAD],
    ["show", GOOD],
    ["verify"],
    ["verify", "--repair"],
    ["prune", "--max-size", "1GB"],
    ["purge", "--damaged", "--yes"],
    ["purge", "--yes"],
)
ON_THE_WAY = {"folder is a link-steps", "folder is a link-tmp", "folder is a link-blobs"}
LISTED = (places, payloads, descriptions)  # imported for the crafts that they list


def options(scene: Scene, level: str) -> dict[str, Any]:
    """Return what a store is opened with at a level; the folder is made as open as the level says."""
    scene.store.chmod(0o777 if level == "shared" else 0o700)
    if level in ("private", "shared"):
        return {}
    if level != "signed":
        return {"trust": level}
    key = scene.home.parent / "secret"
    key.write_bytes(b"k" * 40)
    key.chmod(0o600)
    return {"trust": level, "signing_key": str(key)}


def beside_a_good_entry(scene: Scene, chosen: dict[str, Any], craft: str) -> None:
    """Keep a good entry in the store, and add the bad thing."""
    open_store(scene.store, **chosen).write(entry(np.arange(40_000), GOOD))
    CRAFTS[craft](scene)


def quietly(action: Callable[[], object]) -> Callable[[], None]:
    """Return an action without its warnings."""

    def act() -> None:
        logging.disable()
        with warnings.catch_warnings(action="ignore"):
            action()

    return act


def runs_code(craft: str, level: str) -> bool:
    """Whether code of the store is run by design: where all is believed, or the folder is our own."""
    return "pickle" in craft and level in ("private", "all")


ATTACKS = [
    # What `all` and `data` read, `private` and `shared` do by default: `make slow` asks for them by name too.
    pytest.param(craft, level, marks=pytest.mark.matrix if level in ("all", "data") else ())
    for craft in sorted(CRAFTS)
    for level in LEVELS
    if not runs_code(craft, level)
]


@pytest.mark.parametrize(("craft", "level"), ATTACKS)
def test_a_reader(scene: Scene, craft: str, level: str) -> None:
    """Looking up, reading, listing and writing: the reader's files stay, and the good entry is served."""
    chosen = options(scene, level)
    beside_a_good_entry(scene, chosen, craft)
    before = contents(scene.home)

    def read() -> None:
        store = open_store(f"{scene.store}/", **chosen)  # not the one that wrote, which knows its entries
        found = store.find([BAD, GOOD])
        if BAD in found:
            with suppress(StoreError):
                store.read(found[BAD])
        if craft not in ON_THE_WAY:
            assert store.read(found[GOOD])[7] == 7
        list(store.scan())
        try:
            written = store.write(entry("mended", BAD), overwrite=BAD in found)  # as whoever found it damaged does
            assert written or store.read_only
            assert not written or store.read(store.find([BAD])[BAD]) == "mended"
        except StoreError as error:
            assert "can't be written" in str(error)  # noqa: PT017  only where a folder of the store is a link
        store.close()

    attacked(quietly(read))
    assert contents(scene.home) == before
    assert not scene.canary.exists()


@pytest.mark.parametrize("craft", sorted(CRAFTS))
def test_each_command(scene: Scene, craft: str) -> None:
    """No command fails for one bad entry, and none touches what is not the store's."""
    beside_a_good_entry(scene, {}, craft)
    before = contents(scene.home)

    def run() -> None:
        for command in COMMANDS:
            result = CliRunner().invoke(cli, [*command, "--store", str(scene.store)])
            assert result.exception is None or isinstance(result.exception, SystemExit), (command, result.exception)
            assert "\x1b[2J" not in result.output

    attacked(quietly(run))
    assert contents(scene.home) == before
    assert not scene.canary.exists()


def test_old_files_of_a_home_are_there_for_prune(scene: Scene) -> None:
    """The check of the check: the files of the home are as old as those that pruning removes."""
    assert all(Path(path).stat().st_mtime < 2e9 for path in contents(scene.home))
