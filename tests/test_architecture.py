"""The pages for those who change the package say what is there."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "cachingclient"
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()
README = (ROOT / "README.md").read_text()
LINE = re.compile(r"^( *)([\w.]+)(/?) +(\S.*)$")
MOST_LINES = 320


def tree(page: str) -> dict[str, str]:
    """Return the folders and files of a page's tree, as paths within the package, with what is said of each."""
    found: dict[str, str] = {}
    folders: list[str] = []
    for line in page.partition("<!-- tree -->")[2].partition("<!-- end of tree -->")[0].splitlines():
        if (match := LINE.match(line)) is not None:
            depth = len(match[1]) // 2 - 1
            folders[depth:] = [match[2]]
            found["/".join(folders) + match[3]] = match[4]
    return found


def folders(under: Path) -> Iterator[Path]:
    """Yield the folders that hold code, at any depth."""
    yield from sorted(path.parent for path in under.rglob("__init__.py") if path.parent != PACKAGE)


def in_root() -> set[str]:
    """Return the rooms and modules that lie directly in the package."""
    rooms = {f"{path.name}/" for path in folders(PACKAGE) if path.parent == PACKAGE}
    return rooms | {path.name for path in PACKAGE.glob("*.py") if path.name != "__init__.py"}


def test_the_tree_in_the_architecture_is_that_on_disk() -> None:
    """Every folder has its line, and so has every module of the root; no line is of something that has gone."""
    on_disk = {f"{path.relative_to(PACKAGE).as_posix()}/" for path in folders(PACKAGE)}
    assert set(tree(ARCHITECTURE)) == on_disk | in_root()


def test_the_tree_in_the_readme_is_that_of_the_root() -> None:
    """It has the rooms and modules of the root, in the same words."""
    shown = tree(README)
    assert set(shown) == in_root()
    assert shown.items() <= tree(ARCHITECTURE).items()


def test_the_tree_stands_in_the_order_of_the_floors() -> None:
    """From the top floor down, as the contract has them."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(each["layers"] for each in contracts if each.get("containers") == ["cachingclient"])
    floor = {name.strip(): number for number, names in enumerate(layers) for name in names.split("|")}
    shown = [name.removesuffix("/").removesuffix(".py") for name in tree(README)]
    assert [floor[name] for name in shown] == sorted(floor[name] for name in shown)


@pytest.mark.parametrize("page", [ARCHITECTURE, GLOSSARY, (ROOT / "CONTRIBUTING.md").read_text()])
def test_every_file_that_is_named_exists(page: str) -> None:
    """Paths are written from the package's folder or from the repository's."""
    named = set(re.findall(r"`([\w.]+(?:/[\w.]+)+|\w+\.py)/?`", page))
    missing = [name for name in named if not (ROOT / name).exists() and not (PACKAGE / name).exists()]
    assert len(named) > 3
    assert missing == []


def test_every_name_that_is_named_is_in_the_code() -> None:
    """Identifiers on the page of the architecture are defined in the package, or are dask's."""
    code = " ".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    named = re.findall(r"`(\w+)`", ARCHITECTURE)
    assert [name for name in named if not re.search(rf"\b{name}\b", code) and not hasattr(Client, name)] == []


def test_walks_take_four_files_at_most() -> None:
    """Each of the four walks names the files to open."""
    walks = ARCHITECTURE.partition("<!-- walks -->")[2].partition("<!-- end of walks -->")[0].strip().split("\n\n")
    assert len(walks) == 4
    assert all(1 <= len(re.findall(r"`[\w./]+\.\w+`", walk)) <= 4 for walk in walks)


def test_the_glossary_begins_with_ten_words() -> None:
    """A stranger needs no more to begin with."""
    first = GLOSSARY.partition("## Ten to begin with")[2].partition("## ")[0]
    assert len(re.findall(r"^\| (?!word|---)", first, re.M)) == 10


def test_few_files_lie_in_the_root() -> None:
    """At most eight beside the rooms."""
    assert len([path for path in PACKAGE.iterdir() if path.is_file()]) <= 8


@pytest.mark.parametrize("folder", ["cachingclient", "tests", "benchmarks", "examples", "docs"])
def test_no_file_is_long(folder: str) -> None:
    """Tests have the limit of modules; the programs of the corpus are as users write them."""
    corpus = ROOT / "tests" / "corpus" / "programs"
    files = [path for path in (ROOT / folder).rglob("*.py") if not path.is_relative_to(corpus)]
    lines = {path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in files}
    assert lines
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def test_every_module_says_what_it_is_for() -> None:
    """Each has a docstring but the empty ``__init__``."""
    texts = {path: path.read_text() for path in PACKAGE.rglob("*.py")}
    assert [path for path, text in texts.items() if text.strip() and not ast.get_docstring(ast.parse(text))] == []
