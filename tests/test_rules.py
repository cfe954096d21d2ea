"""The rule of who may import whom is kept by a machine: the contracts in ``pyproject.toml``."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the imports of the package that lies in a folder."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    return subprocess.run([*command, "--no-cache"], cwd=folder, capture_output=True, text=True)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a folder with a copy of the package and its contracts."""
    shutil.copytree(ROOT / "cachingclient", tmp_path / "cachingclient", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_package_keeps_its_contracts(copy: Path) -> None:
    """As it is, no import runs upwards and there is no circle."""
    found = lint_imports(copy)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize(
    ("module", "added", "refused"),
    [
        ("plan/policy", "import cachingclient.client.client", "cachingclient.plan is not allowed to import"),
        ("units", "def later():\n    import cachingclient.config", "cachingclient.units is not allowed to import"),
        (
            "worker/options",
            "import typing\nif typing.TYPE_CHECKING:\n    from cachingclient.step import step",
            "cachingclient.worker is not allowed to import cachingclient.step",
        ),
        ("hashing/keys", "import cachingclient.storage.model", "cachingclient.hashing is not allowed to import"),
        ("storage/model", "import distributed", "cachingclient.storage is not allowed to import distributed"),
        (
            "client/reports",
            "import cachingclient.vine.sites",
            "cachingclient.client is not allowed to import cachingclient.vine",
        ),
        ("vine/sites", "import cachingclient.dirac.api", "cachingclient.vine is not allowed to import"),
        ("storage/files/store", "import cachingclient.storage.rucio.store", "cachingclient.storage.files"),
        ("plan/steps", "import cachingclient.plan.planner", "No cycles are allowed in cachingclient.plan"),
        ("more", "", "cachingclient.more"),
        ("hashing/more", "", "cachingclient.hashing.more"),
    ],
    ids=lambda value: value if "/" in value and "\n" not in value else None,
)
def test_an_import_against_the_rule_is_refused(copy: Path, module: str, added: str, refused: str) -> None:
    """Upwards, in a function, for type checkers, between rooms that ignore each other, in a circle, without a floor."""
    with (copy / "cachingclient" / f"{module}.py").open("a") as file:
        file.write(f"\n{added}\n")
    found = lint_imports(copy)
    assert found.returncode == 1
    assert refused in " ".join(found.stdout.split())
