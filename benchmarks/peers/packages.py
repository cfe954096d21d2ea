"""The peers, and what is in the environment of each: the newest that goes together."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the tests' environments are used

from tests.older.environments import Recipe, made

TABLES = ("numpy<2", "pandas<3", "pyarrow<19")
NOW = ("dask==2026.8.0", "distributed==2026.8.0", *TABLES)
OLD = ("dask==2024.8.0", "distributed==2024.8.0", "setuptools<80", *TABLES)  # the last that these two were made for
COFFEA = ("coffea==2026.9.0", "coffea-workflow==0.2.0", "dask==2026.8.0", "distributed==2026.8.0", "pandas")


@dataclass(frozen=True, slots=True)
class Peer:
    """A way to run the analysis, what is installed for it (None: where this runs), and the plain way beside it."""

    title: str
    packages: tuple[str, ...] | None
    plain: str = "plain"
    merges: bool = True
    """Whether the merged histogram is a result of its own; with coffea it is what the runner returns."""

    @property
    def environment(self) -> str:
        """A name for its environment."""
        return hashlib.sha256(" ".join(self.packages or ()).encode()).hexdigest()[:8]

    def python(self) -> str:
        """The interpreter of its environment, which is made when it is not there: one for each list of packages."""
        if self.packages is None:
            return sys.executable
        return str(made("peers", Recipe(self.packages)))


PEERS = {
    "ours": Peer("cachingclient, auto", None),
    "ours, all": Peer("cachingclient, all", None),
    "ours, coffea": Peer("cachingclient, auto, with coffea", None, "coffea", merges=False),
    "persist": Peer("dask 2026.8.0, persist", NOW),
    "joblib": Peer("joblib 1.5.3, Memory in tasks", (*NOW, "joblib==1.5.3")),
    "graphchain": Peer("graphchain 1.3.0", (*OLD, "graphchain==1.3.0", "joblib==1.5.3"), "threads"),
    "dask-dirac": Peer("dask-dirac 2025.3.1", (*OLD, "dask-dirac==2025.3.1")),
    "SimpleCheckpointer": Peer("coffea 2026.9.0, SimpleCheckpointer", COFFEA, "coffea", merges=False),
    "coffea-workflow": Peer("coffea-workflow 0.2.0", COFFEA, "coffea", merges=False),
}
