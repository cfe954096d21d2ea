"""The examples of the documentation are run, page by page, as a reader would."""

from __future__ import annotations

import contextlib
import doctest
import io
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import dask
import pytest
import yaml
from click.testing import CliRunner
from distributed import LocalCluster

from cachingclient import CacheWarning
from cachingclient.cli import cli
from cachingclient.cli.commands import COMMANDS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)( notest)?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")


def blocks(page: Path, *languages: str) -> Iterator[tuple[str, str]]:
    """The language and text of the blocks of a page that are meant to be run."""
    for language, notest, text in BLOCK.findall(page.read_text()):
        if language in languages and not notest:
            yield language, text


def with_examples(*languages: str) -> list[Path]:
    """The pages that have blocks of a language."""
    return [page for page in PAGES if any(blocks(page, *languages))]


@pytest.mark.parametrize("page", with_examples("python", "pycon"), ids=lambda page: page.name)
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
    names: dict[str, object] = {"__name__": "__main__"}
    settings = {"scheduler-address": cluster.scheduler_address, "cachingclient.store": store_url}
    with dask.config.set(settings), contextlib.redirect_stdout(io.StringIO()):
        try:
            for language, text in blocks(page, "python", "pycon"):
                if language == "python":
                    exec(compile(text, str(page), "exec"), names)
                else:
                    _check_prompts(text, names, page)
        finally:
            if hasattr(client := names.get("client"), "close"):
                client.close()
    assert [str(warning.message) for warning in recwarn if warning.category is CacheWarning] == []


def _check_prompts(text: str, names: dict[str, object], page: Path) -> None:
    test = doctest.DocTestParser().get_doctest(text, names, page.name, str(page), 0)
    test.globs = names  # the parser copies them, and what one block defines is for the next
    told: list[str] = []
    doctest.DocTestRunner(verbose=False).run(test, out=told.append, clear_globs=False)
    assert not told, "".join(told)


@pytest.mark.parametrize("page", with_examples("sh"), ids=lambda page: page.name)
def test_commands_of_examples_exist(page: Path) -> None:
    """Every cachectl line of a page has a command and options that exist."""
    for _, text in blocks(page, "sh"):
        for name, rest in re.findall(r"cachectl ((?:dirac )?\w+)(.*)", text):
            shown = CliRunner().invoke(cli, [*name.split(), "--help"])
            assert shown.exit_code == 0, name
            options = re.findall(r"(?<!\S)--[a-z-]+", rest.partition("|")[0])
            assert [option for option in options if option not in shown.stdout] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Links to other pages are to files that are there."""
    targets = [target for target in LINK.findall(page.read_text()) if "://" not in target]
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_setting_is_on_its_page() -> None:
    """The table of settings has each setting of the packaged defaults, with its default, and no other."""
    defaults = yaml.safe_load((ROOT / "cachingclient" / "cachingclient.yaml").read_text())["cachingclient"]
    flat: dict[str, object] = {}
    for name, value in defaults.items():
        nested = isinstance(value, dict) and value
        flat |= {f"{name}.{inner}": found for inner, found in value.items()} if nested else {name: value}
    written = {name: "a list" if isinstance(value, list) else json.dumps(value) for name, value in flat.items()}
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
