"""A look at the package costs nothing: its names are imported when they are asked for."""

from __future__ import annotations

import ast
import importlib
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import cachingclient
from cachingclient.cli.main import COMMANDS, cli

PACKAGES = ["cachingclient", "cachingclient.coffea", "cachingclient.dirac", "cachingclient.vine"]


def run(code: str) -> str:
    """Run a program in a process of its own and return what it printed."""
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def libraries_after(statement: str) -> set[str]:
    """Return the libraries that a statement imports in a process of its own; Python's own don't count."""
    text = run(
        "import sys\nbefore = set(sys.modules)\n"
        f"{statement}\n"
        "names = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(*names - sys.stdlib_module_names - {'cachingclient', '__main__'}, sep='\\n')"
    )
    return set(text.split())


def test_importing_the_package_imports_no_library() -> None:
    """Neither dask nor numpy is loaded before a name needs it."""
    assert libraries_after("import cachingclient") == set()


def test_help_of_the_command_line_imports_no_library_but_its_own() -> None:
    """``cachectl --help`` loads click alone."""
    help_shown = (
        "from cachingclient.cli import main\nsys.argv = ['cachectl', '--help']\ntry: main()\nexcept SystemExit: pass"
    )
    shown = "import contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()):\n    exec(" + repr(help_shown) + ")"
    assert libraries_after(shown) == {"click"}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_the_group_says_what_the_command_says(name: str) -> None:
    """The lines that are shown without loading a command begin its own help; another name says whose it is."""
    implementation, line = COMMANDS[name]
    if line.startswith("The same as "):
        assert implementation == COMMANDS[line.removeprefix("The same as ").rstrip(".")][0]
    else:
        assert line.rstrip(".") in " ".join(CliRunner().invoke(cli, [name, "--help"]).output.split())


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_found(package: str) -> None:
    """Names that are imported late can be had by ``from package import *``, and are listed."""
    names = run(f"from {package} import *\nimport {package}\nprint(*set(dir({package})) & set(dir()))").split()
    assert set(importlib.import_module(package).__all__) <= set(names)


@pytest.mark.parametrize("package", PACKAGES)
def test_type_checkers_see_the_names_that_programs_get(package: str) -> None:
    """The imports for type checkers and the table of late imports name the same modules."""
    module = importlib.import_module(package)
    tree = ast.parse(Path(str(module.__file__)).read_text())
    typed: dict[str, tuple[str, str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith(f"{package}."):
            typed |= {alias.asname or alias.name: (str(node.module), alias.name) for alias in node.names}
    typed.pop("lazy_names", None)
    assert typed.keys() == set(module.__all__)
    for name, (source, own) in typed.items():
        assert getattr(module, name) is getattr(importlib.import_module(source), own)


def test_step_is_the_decorator_whatever_was_imported_first() -> None:
    """The module of the same name does not take the decorator's place."""
    for first in ("cachingclient.step", "cachingclient.client.client", "cachingclient.storage"):
        assert run(f"import {first}\nfrom cachingclient import step\nprint(callable(step))") == "True\n"


def test_rooms_are_attributes_without_an_import() -> None:
    """``cachingclient.storage`` is there after ``import cachingclient``."""
    assert run("import cachingclient\nprint(cachingclient.storage.prune.__name__)") == "prune\n"


def test_an_unknown_name_is_an_attribute_error() -> None:
    """Misspelled names are told as for any module, and by the import statement too."""
    with pytest.raises(AttributeError, match="has no attribute 'DiracKlient'"):
        _ = cachingclient.DiracKlient  # type: ignore[attr-defined]
    with pytest.raises(ImportError, match="DiracKlient"):
        exec("from cachingclient import DiracKlient")


@pytest.mark.parametrize("name", [name for name in cachingclient.__all__ if name not in ("step", "__version__")])
def test_public_names_are_pickled_by_name(name: str) -> None:
    """What a pickle names in one process is found in another, which has imported nothing."""
    pickled = pickle.dumps(getattr(cachingclient, name))
    read = run(f"import pickle\nprint(pickle.loads({pickled!r}).__name__)")
    assert read.strip() == getattr(cachingclient, name).__name__
