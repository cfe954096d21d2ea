"""Workers that run other code than the client has: nothing of theirs is kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HELPER = "def cut(x):\n    return x + {by}\n"
CLIENT = """
import json, sys, warnings
warnings.simplefilter("always")
from cachingclient import DiracClient
import analysis
if __name__ == "__main__":
    with DiracClient(sys.argv[1], cache=sys.argv[2], policy="all") as client:
        value = client.submit(*analysis.CALL).result()
        client.flush()
        report = client.report
        print(json.dumps({
            "value": value,
            "actions": [record.action for record in report.records],
            "kept": [record.kept for record in report.records],
            "notes": [record.note for record in report.records],
        }))
"""
CLUSTER = """
import sys
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""


class Programs:
    """Starts clusters and clients in processes of their own, over one folder of modules."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        paths = os.pathsep.join(map(str, (folder, ROOT)))
        self.environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
        self.clusters: list[subprocess.Popen[str]] = []
        (folder / "client.py").write_text(CLIENT)
        (folder / "cluster.py").write_text(CLUSTER)
        (folder / "analysis.py").write_text(
            "import helper\ndef select(x):\n    return helper.cut(x)\nCALL = select, 1\n"
        )

    def write(self, by: int) -> None:
        """Write the module that is edited."""
        (self.folder / "helper.py").write_text(HELPER.format(by=by))

    def cluster(self) -> str:
        """Start a cluster with one worker and return its address."""
        command = [sys.executable, str(self.folder / "cluster.py")]
        started = subprocess.Popen(
            command, env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=self.folder
        )
        self.clusters.append(started)
        assert started.stdout is not None
        return started.stdout.readline().strip()

    def run(self, address: str) -> tuple[dict[str, list[object]], str]:
        """Run the analysis in a client of its own; return what it reports, and its warnings."""
        command = [sys.executable, "client.py", address, (self.folder / "cache").as_uri()]
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, cwd=self.folder, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout), done.stderr

    def close(self) -> None:
        """Stop the clusters."""
        for started in self.clusters:
            started.communicate()


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    """A folder of modules with clusters and clients over it."""
    made = Programs(tmp_path)
    yield made
    made.close()


def test_a_stale_worker_keeps_nothing(programs: Programs) -> None:
    """Workers that imported a module before it was edited keep no result, and the warning names the module."""
    programs.write(by=7)
    old = programs.cluster()
    assert programs.run(old)[0] == {"value": 8, "actions": ["ran"], "kept": [True], "notes": [""]}
    programs.write(by=5)
    seen, warned = programs.run(old)
    assert seen["value"] == 8, "the old worker runs the old code, as with a plain client"
    assert seen["kept"] == [False]
    assert "helper" in str(seen["notes"][0])
    assert "helper" in warned
    new = programs.cluster()
    assert programs.run(new)[0] == {"value": 6, "actions": ["ran"], "kept": [True], "notes": [""]}
    assert programs.run(new)[0]["actions"] == ["loaded"]
    programs.write(by=7)
    assert programs.run(new)[0] == {"value": 8, "actions": ["loaded"], "kept": [False], "notes": [""]}


@pytest.mark.parametrize(
    "call",
    [
        "def apply(by, x):\n    return by(x)\nCALL = apply, helper.cut, 1",
        "def apply(by, x):\n    return by['cut'][0](x)\nCALL = apply, {'cut': [helper.cut]}, 1",
    ],
    ids=["alone", "in a dict"],
)
def test_a_stale_worker_keeps_nothing_of_a_function_among_the_arguments(programs: Programs, call: str) -> None:
    """What the old worker gives must not be found where workers have the new code."""
    (programs.folder / "analysis.py").write_text(f"import helper\n{call}\n")
    programs.write(by=7)
    old = programs.cluster()
    assert programs.run(old)[0]["kept"] == [True]
    programs.write(by=5)
    seen, _ = programs.run(old)
    assert (seen["value"], seen["kept"]) == (8, [False])
    assert "among its arguments is not the client's" in str(seen["notes"][0])
    assert programs.run(programs.cluster())[0] == {"value": 6, "actions": ["ran"], "kept": [True], "notes": [""]}


MADE = "def make(by):\n    def inner(x):\n        return x + by\n    return inner\ncut = make({by})\n"


def test_a_stale_worker_keeps_nothing_of_what_its_module_made(programs: Programs) -> None:
    """A function that another one returned stands in a module: it does not travel with the functions that read it."""
    reads = "import helper\ndef read(x):\n    return helper.cut(x)\n"
    (programs.folder / "analysis.py").write_text(f"{reads}def apply(by, x):\n    return by(x)\nCALL = apply, read, 1\n")
    (programs.folder / "helper.py").write_text(MADE.format(by=7))
    old = programs.cluster()
    assert programs.run(old)[0]["kept"] == [True]
    (programs.folder / "helper.py").write_text(MADE.replace("x + by", "x - by").format(by=7))
    seen, _ = programs.run(old)
    assert (seen["value"], seen["kept"]) == (8, [False])
    assert programs.run(programs.cluster())[0] == {"value": -6, "actions": ["ran"], "kept": [True], "notes": [""]}


UNTOLD = """
import helper, threading
class Held:
    told = False
    def __init__(self):
        self.told = True
    def __getstate__(self):
        return {}
    def __cache_token__(self):
        return "held" if self.told else threading.Lock()
def apply(given, x):
    return given[1](x)
CALL = apply, [Held(), FUNCTION], 1
"""


@pytest.mark.parametrize("function", ["helper.cut", "lambda x: helper.cut(x)"], ids=["by name", "by value"])
def test_code_beside_what_a_worker_cannot_identify_is_compared(programs: Programs, function: str) -> None:
    """The client knows what the object is; that the worker can't say so keeps no result from being kept."""
    (programs.folder / "analysis.py").write_text(UNTOLD.replace("FUNCTION", function))
    programs.write(by=7)
    old = programs.cluster()
    assert programs.run(old)[0] == {"value": 8, "actions": ["ran"], "kept": [True], "notes": [""]}
    assert programs.run(old)[0]["actions"] == ["loaded"]
    programs.write(by=5)
    seen, warned = programs.run(old)
    assert (seen["value"], seen["kept"]) == (8, [False])
    assert "is not the client's" in warned, warned
    assert "lock" in str(seen["notes"][0]), seen


def wheel(folder: Path, name: str, version: str, body: str) -> Path:
    """Write a small wheel."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": body,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{file},,\n" for file in files) + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(file, text)
    return path


def keys_with(site: Path) -> dict[str, tuple[str, list[str]]]:
    """Return the keys of two steps and their packages, as a fresh process with these libraries finds them."""
    program = textwrap.dedent(
        """
        import json, tinyused, tinyother
        from cachingclient.hashing.identify import identify
        def uses(x): return tinyused.scale(x)
        def other(x): return x + 1
        found = {}
        for step in (uses, other):
            identity = identify(step)
            packages = [name for name in identity.ingredients if name.startswith("package tiny")]
            found[step.__name__] = identity.digest, packages
        print(json.dumps(found))
        """
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(site), str(ROOT)))}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    found: dict[str, tuple[str, list[str]]] = json.loads(done.stdout)
    return found


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder that libraries are installed into."""
    return tmp_path / "site-packages"


def install(site: Path, *wheels: Path) -> None:
    """Install wheels as pip does."""
    command = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--upgrade", "--quiet"]
    subprocess.run([*command, "--target", str(site), *map(str, wheels)], check=True, capture_output=True)
    for info in site.glob("*.dist-info/direct_url.json"):
        # An index leaves no such file behind; that of a local wheel would name its hash.
        info.unlink()


def test_an_upgrade_counts_where_the_library_is_used(site: Path, tmp_path: Path) -> None:
    """A new version of a library misses the steps that reach it, and says so; the others hit."""
    body = "def scale(x):\n    return 2 * x\n"
    others = wheel(tmp_path, "tinyother", "1.0", body)
    install(site, wheel(tmp_path, "tinyused", "1.0", body), others)
    before = keys_with(site)
    install(site, wheel(tmp_path, "tinyused", "1.1", body), others)
    after = keys_with(site)
    assert before["uses"][0] != after["uses"][0]
    assert before["uses"][1] == ["package tinyused 1.0"]
    assert after["uses"][1] == ["package tinyused 1.1"]
    assert before["other"] == after["other"]


def test_an_upgrade_of_a_library_that_is_not_used_hits(site: Path, tmp_path: Path) -> None:
    """A library that a step does not reach is no part of its key."""
    body = "def scale(x):\n    return 2 * x\n"
    used = wheel(tmp_path, "tinyused", "1.0", body)
    install(site, used, wheel(tmp_path, "tinyother", "1.0", body))
    before = keys_with(site)
    install(site, used, wheel(tmp_path, "tinyother", "1.1", body))
    assert keys_with(site) == before
