"""The examples of the documentation are run, page by page, as a reader would."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import dask
import pytest
import yaml
from click.testing import CliRunner
from distributed import LocalCluster

from cachingclient import CacheWarning
from cachingclient.cli import cli
from cachingclient.cli.main import COMMANDS
from tests.support.pages import blocks, run, shows

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")


def with_examples(*languages: str) -> list[Path]:
    """The pages that have blocks of a language."""
    return [page for page in PAGES if any(blocks(page, *languages))]


SHOWING = [page for page in PAGES if any(block.mark in ("shows", "again") for block in blocks(page, "text"))]


def name_of(page: Path) -> str:
    """The name of a page's test."""
    return page.name


@pytest.mark.parametrize(
    "page", [page for page in with_examples("python", "pycon") if page not in SHOWING], ids=name_of
)
def test_python_examples_run(
    page: Path,
    cluster: LocalCluster,
    store_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    recwarn: pytest.WarningsRecorder,
) -> None:
    """The Python of a page runs from top to bottom without a warning of ours, and shows what its prompts say."""
    monkeypatch.chdir(tmp_path)
    settings = {"scheduler-address": cluster.scheduler_address, "cachingclient.store": store_url}
    with dask.config.set(settings):
        list(run(page, {"__name__": "__main__"}))
    assert [str(warning.message) for warning in recwarn if warning.category is CacheWarning] == []


@pytest.mark.parametrize("page", SHOWING, ids=name_of)
def test_pages_show_what_is_printed(page: Path, cluster: LocalCluster, store_url: str, tmp_path: Path) -> None:
    """What a page shows after its Python is what that prints: in a first process, and in a second on the same store."""
    settings = {"DASK_SCHEDULER_ADDRESS": cluster.scheduler_address, "DASK_CACHINGCLIENT__STORE": store_url}
    settings["DASK_CACHINGCLIENT__KEEP_BUDGET"] = "100%"  # what a smaller one leaves out differs by the machine
    if page.name == "coffea.md":  # its steps take long where many events are read, and here they may be quick
        settings["DASK_CACHINGCLIENT__POLICY"] = "all"
    first, second = (_run_in_a_process(page, tmp_path, settings) for _ in range(2))
    place = -1
    for block in blocks(page, "python", "text"):
        place += block.language == "python"
        if block.mark in ("shows", "again"):
            printed = (first if block.mark == "shows" else second)[place]
            assert shows(block.text, printed), f"{printed}\n\nand the page shows:\n\n{block.text}"


def _run_in_a_process(page: Path, folder: Path, settings: dict[str, str]) -> list[str]:
    command = [sys.executable, str(ROOT / "tests" / "support" / "pages.py"), str(page)]
    ended = subprocess.run(command, cwd=folder, env=os.environ | settings, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert told["warnings"] == []
    return list(told["printed"])


@pytest.mark.parametrize("page", with_examples("sh"), ids=name_of)
def test_commands_of_examples_exist(page: Path) -> None:
    """Every cachectl line of a page has a command and options that exist."""
    for block in blocks(page, "sh"):
        for name, rest in re.findall(r"cachectl ((?:(?:dirac|trust) )?\w+)(.*)", block.text):
            shown = CliRunner().invoke(cli, [*name.split(), "--help"])
            assert shown.exit_code == 0, name
            options = re.findall(r"(?<!\S)--[a-z-]+", rest.partition("|")[0])
            assert [option for option in options if option not in shown.stdout] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    """Links to other pages are to files that are there."""
    targets = [target for target in LINK.findall(page.read_text()) if "://" not in target]
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_setting_is_on_its_page() -> None:
    """The table of settings has each setting of the packaged defaults, with its default, and no other."""
    defaults = yaml.safe_load((ROOT / "cachingclient" / "config" / "cachingclient.yaml").read_text())["cachingclient"]
    flat: dict[str, object] = {}
    for name, value in defaults.items():
        nested = isinstance(value, dict) and value
        flat |= {f"{name}.{inner}": found for inner, found in value.items()} if nested else {name: value}
    written = {
        name: "a list" if isinstance(value, list) and value else json.dumps(value) for name, value in flat.items()
    }
    rows = dict(re.findall(r"^\| `([\w.-]+)` \| `?([^|`]+)`? \|", (ROOT / "docs" / "settings.md").read_text(), re.M))
    assert rows == {name: text.strip('"') for name, text in written.items()}


def test_every_command_is_on_its_page() -> None:
    """The table of commands has each command."""
    assert set(re.findall(r"^\| `cachectl (\w+)", (ROOT / "docs" / "cachectl.md").read_text(), re.M)) == set(COMMANDS)


def test_every_dependency_is_explained() -> None:
    """The page on dependencies names each that the package asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *(each for extra in project["optional-dependencies"].values() for each in extra)]
    names = {re.split(r"[<>=;\[ ]", requirement)[0] for requirement in asked} - {"cachingclient"}
    page = (ROOT / "docs" / "dependencies.md").read_text()
    assert {name for name in names if name not in page} == set()
