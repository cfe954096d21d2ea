"""What an editable package looks like when it is installed: its source, copied and built, in a folder of its own."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import distribution
from pathlib import Path

from cachingclient.environments.sources import Source


def build(sources: Mapping[str, Source], folder: Path, report: Callable[[str], None]) -> Iterator[tuple[str, str]]:
    """Install packages into a folder, and yield the files there with their paths in an environment.

    Raises
    ------
    ValueError
        If one can't be built; the text ends as that of its builder does.
    """
    for name, source in sources.items():
        since = f", {len(source.changed):,} files changed since" if source.commit and source.changed else ""
        report(f"building {name} from {source.folder}{f' at {source.commit[:12]}' if source.commit else ''}{since}")
        copied = folder / "sources" / name
        source.copy(copied)
        _install(name, source.folder, copied, folder / "installed")
    for path in sorted((folder / "installed").rglob("*")):
        if path.is_file() or path.is_symlink():
            yield str(path), str(path.relative_to(folder / "installed"))


def _install(name: str, folder: Path, copied: Path, target: Path) -> None:
    # The repository is not copied, from which some builders take the version.
    variables = {**os.environ, "SETUPTOOLS_SCM_PRETEND_VERSION": distribution(name).version}
    words: list[str] = []
    # Builders are downloaded, as for any other package; without a network those that are installed have to do.
    for isolation in ([], ["--no-build-isolation"]):
        command = [*_installer(), "--no-deps", "--prefix", str(target), *isolation, str(copied)]
        done = subprocess.run(command, env=variables, capture_output=True, text=True)
        if done.returncode == 0:
            return
        words.append("\n".join((done.stderr or done.stdout).strip().splitlines()[-15:]))
    raise ValueError(f"the editable package {name} of {folder} can't be built:\n{words[0]}")


def _installer() -> list[str]:
    if importlib.util.find_spec("pip") is not None:
        # What is installed here is not looked at, or pip would uninstall it.
        options = ["--ignore-installed", "--no-compile", "--no-warn-script-location", "--disable-pip-version-check"]
        return [sys.executable, "-m", "pip", "install", "--quiet", "--retries", "1", *options]
    if (uv := shutil.which("uv")) is not None:
        return [uv, "pip", "install", "--quiet", "--no-cache", "--python", sys.executable]
    raise ValueError(f"packing editable packages takes pip or uv, and {sys.prefix} has neither: python -m ensurepip")


def files_of(names: Mapping[str, Source]) -> Iterator[str]:
    """Yield the files by which packages are installed as editable, by their paths in the environment."""
    for name in names:
        found = distribution(name)
        for file in found.files or ():
            yield os.path.relpath(os.path.abspath(str(found.locate_file(file))), sys.prefix)
