"""What libraries in C, C++ and Rust open by themselves, checked against what the kernel was asked for."""

import json
import re
import shutil
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.slow

MAKE = """
import numpy as np, pandas as pd, pyarrow as pa, pyarrow.parquet as pq, pyarrow.feather
import awkward as ak, gzip, json, uproot, xgboost
frame = pd.DataFrame({"pt": [1.0, 2.0], "n": [1, 2]})
table = pa.table(frame)
pq.write_table(table, "a.parquet")
pq.write_to_dataset(table, "tree", partition_cols=["n"])
pa.feather.write_feather(table, "a.feather")
frame.to_csv("a.csv")
open("a.jsonl", "w").write('{"a": 1}\\n')
with pa.OSFile("a.arrow", "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
    writer.write_table(table)
from pyarrow import orc
orc.write_table(table, "a.orc")
ak.to_parquet(ak.Array([1, 2]), "ak.parquet")
with uproot.recreate("a.root") as file:
    file["Events"] = {"pt": np.ones(3)}
model = xgboost.train({}, xgboost.DMatrix(np.ones((4, 2)), label=[0, 1, 0, 1]), 1)
model.save_model("a.ubj")
open("a.libsvm", "w").write("1 0:1\\n0 1:1\\n")
correction = {"schema_version": 2, "corrections": [{"name": "c", "version": 1, "inputs": [],
    "output": {"name": "w", "type": "real"}, "data": 2.0}]}
open("c.json", "w").write(json.dumps(correction))
gzip.open("c.json.gz", "wt").write(json.dumps(correction))
np.savez("a.npz", x=np.ones(3))
import lz4.frame; lz4.frame.open("a.lz4", "wb").write(b"x")
"""

# What is done, by library; every file of the folder that the kernel opened must have been recorded.
USES = {
    "correctionlib": """
        import correctionlib, correctionlib._core
        correctionlib.CorrectionSet.from_file("c.json")
        correctionlib.CorrectionSet.from_file("c.json.gz")
    """,
    "correctionlib, compiled": """
        import correctionlib._core
        correctionlib._core.CorrectionSet.from_file("c.json")
    """,
    "pyarrow.parquet": """
        import pyarrow.parquet as pq
        pq.read_table("a.parquet"); pq.ParquetFile("a.parquet").read(); pq.read_schema("a.parquet")
        pq.read_metadata("a.parquet"); pq.ParquetDataset("tree").read(); pq.read_table("tree")
        pq.read_table("a.parquet", memory_map=True)
        pq.write_table(pq.read_table("a.parquet"), "new.parquet")
        pq.write_to_dataset(pq.read_table("a.parquet"), "new-tree", partition_cols=["n"])
    """,
    "pyarrow.dataset": """
        import pyarrow.dataset as ds
        table = ds.dataset("tree", partitioning="hive").to_table()
        ds.dataset(["a.parquet"]).to_table()
        import pickle
        fragment = next(ds.dataset("a.parquet").get_fragments())
        pickle.loads(pickle.dumps(fragment)).to_table()
        ds.write_dataset(table, "new-dataset", format="parquet")
    """,
    "pyarrow, others": """
        import pyarrow as pa, pyarrow.csv, pyarrow.json, pyarrow.feather, pyarrow.ipc, pyarrow.fs
        from pyarrow import orc
        table = pa.csv.read_csv("a.csv"); pa.csv.open_csv("a.csv").read_all(); pa.json.read_json("a.jsonl")
        pa.feather.read_table("a.feather"); pa.feather.read_table("a.feather", memory_map=True)
        pa.ipc.open_file(pa.memory_map("a.arrow")).read_all()
        pa.input_stream("a.csv").read()
        orc.read_table("a.orc"); orc.ORCFile("a.orc").read()
        pa.csv.write_csv(table, "new.csv"); pa.feather.write_feather(table, "new.feather")
        with pa.OSFile("a.csv") as file: assert isinstance(file, pa.OSFile) and isinstance(file, pa.NativeFile)
        pa.OSFile("new.os", "wb").write(b"x"); assert issubclass(pa.OSFile, pa.NativeFile)
        local = pa.fs.LocalFileSystem(); local.open_input_file("a.csv").read(); local.open_input_stream("a.jsonl")
        local.open_output_stream("new.stream").write(b"x"); local.copy_file("a.csv", "new.copy")
        pa.output_stream("new.bin").write(b"x"); orc.write_table(table, "new.orc")
    """,
    "pandas": """
        import pandas as pd
        frame = pd.read_parquet("a.parquet"); pd.read_feather("a.feather"); pd.read_csv("a.csv")
        pd.read_csv("a.csv", engine="pyarrow"); pd.read_orc("a.orc"); frame.to_parquet("new.parquet")
        frame.to_feather("new.feather"); frame.to_csv("new.csv")
    """,
    "dask.dataframe": """
        import dask, dask.dataframe as dd
        with dask.config.set(scheduler="sync"):
            dd.read_parquet("a.parquet").compute(); dd.read_csv("a.csv").compute()
            dd.read_parquet("tree").compute()
    """,
    "xgboost": """
        import xgboost, numpy as np
        booster = xgboost.Booster(); booster.load_model("a.ubj"); xgboost.Booster(model_file="a.ubj")
        data = xgboost.DMatrix("a.libsvm?format=libsvm"); booster.save_model("new.json"); data.save_binary("new.bin")
    """,
    "uproot": """
        import uproot
        uproot.open("a.root")["Events"]["pt"].array()
        uproot.open("a.root", handler=uproot.source.file.MemmapSource)["Events"]["pt"].array()
        uproot.open("a.root", handler=uproot.source.file.MultithreadedFileSource)["Events"]["pt"].array()
    """,
    "awkward": """
        import awkward as ak
        ak.to_parquet(ak.from_parquet("ak.parquet"), "new.parquet")
        ak.from_feather("a.feather")
    """,
    "coffea": """
        from coffea.nanoevents import NanoEventsFactory, BaseSchema
        NanoEventsFactory.from_root({"a.root": "Events"}, schemaclass=BaseSchema, mode="virtual").events().pt.to_numpy()
        from coffea.lookup_tools import extractor
        from coffea.util import save, load
        save({"a": 1}, "new.coffea"); load("new.coffea")
    """,
    "numpy": """
        import numpy as np
        np.load("a.npz")["x"]; np.fromfile("a.csv", dtype="u1"); np.memmap("a.csv", mode="r")
        np.ones(3).tofile("new.bin"); np.savetxt("new.txt", np.ones(3)); np.loadtxt("new.txt")
    """,
    "lz4, sqlite": """
        import lz4.frame, sqlite3
        lz4.frame.open("a.lz4").read()
        sqlite3.connect("new.db").execute("create table a (b int)")
    """,
    "matplotlib": """
        import matplotlib
        matplotlib.use("agg")
        import matplotlib.pyplot as plt
        plt.plot([1, 2]); plt.savefig("new.png"); plt.savefig("new.pdf"); plt.imread("new.png")
    """,
}

STEP = """
import sys, json
from cachingclient.worker.observe import observing
import os
try: os.stat("/START-OF-STEP")
except OSError: pass
with observing() as seen:
{body}
try: os.stat("/END-OF-STEP")
except OSError: pass
print("SEEN", json.dumps([sorted({{*seen.reads, *seen.writes, *seen.listings}}), sorted(seen.unknown)]))
"""

_OPENED = re.compile(r'^\d+ +(?:openat\(AT_FDCWD|open\(|creat\()[, ]*"([^"]+)", ([A-Z_|]+).*= \d+')


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """One file of each kind."""
    folder = tmp_path_factory.mktemp("samples")
    subprocess.run([sys.executable, "-c", MAKE], cwd=folder, check=True, timeout=300)
    return folder


def traced(body, folder):
    """Run a step under strace; return what the kernel opened in its folder, and what was recorded."""
    program = STEP.format(body=textwrap.indent(textwrap.dedent(body), "    "))
    (folder.parent / "trace").unlink(missing_ok=True)
    calls = "trace=open,openat,creat,stat,newfstatat"
    command = ["strace", "-f", "-qq", "-e", calls, "-o", str(folder.parent / "trace"), sys.executable, "-c", program]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-3000:]
    seen, unknown = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("SEEN "))[5:])
    lines = (folder.parent / "trace").read_text().splitlines()
    start = next(n for n, line in enumerate(lines) if "/START-OF-STEP" in line)
    end = next(n for n, line in enumerate(lines) if "/END-OF-STEP" in line)
    opened = set()
    for line in lines[start:end]:
        if (match := _OPENED.match(line)) and "O_DIRECTORY" not in match[2]:
            path = match[1] if match[1].startswith("/") else f"{folder}/{match[1]}"
            if path.startswith(f"{folder}/") and not path.endswith("-journal"):  # sqlite's own, gone again
                opened.add(path)
    return opened, set(seen), unknown


@pytest.mark.skipif(sys.platform != "linux", reason="strace is Linux's")
@pytest.mark.parametrize("library", USES)
def test_everything_that_the_kernel_opened_was_recorded(library, samples, tmp_path):
    """Nothing that a library opens in the step's folder goes unseen."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    folder = tmp_path / "work"
    shutil.copytree(samples, folder)
    opened, seen, unknown = traced(USES[library], folder)
    assert opened - seen == set()
    assert not unknown
    assert opened
