"""Being observed changes nothing: what was wrapped is known under its name, and works as before."""

import os
import pickle
import subprocess
import sys

import pytest

PROGRAM = """
import linecache, os, random, sqlite3, ssl, uuid, secrets, tempfile, threading, concurrent.futures
import numpy as np, pyarrow.parquet, pyarrow.csv, pyarrow.dataset, pyarrow as pa, xgboost, correctionlib, fsspec.asyn
import XRootD.client, distributed
from cachingclient.hashing.identify import identify

def f1(): return os.getcwd(), os.environ["PATH"], os.environ.get("A"), os.getenv("B")
def f2(): return os.urandom(3), os.getrandom(3), ssl.RAND_bytes(3)
def f14(): return sqlite3.connect("x"), linecache.getline("x", 1)
def f3(): return random.seed(1), random.setstate(1), random.random(), random.Random(1)
def f4(): return np.random.seed(1), np.random.set_state(2), np.random.normal()
def f5(): return pa.memory_map("x"), pyarrow.csv.read_csv("x"), pyarrow.dataset.dataset("x")
def f6(): return pyarrow.parquet.read_table("x"), pyarrow.parquet.ParquetFile("x")
def f7(): return xgboost.Booster().load_model("x"), xgboost.DMatrix("x")
def f8(): return correctionlib.CorrectionSet.from_file("x"), XRootD.client.File().open("x")
def f9(): return threading.Thread(target=f1).start(), concurrent.futures.ThreadPoolExecutor().submit(f1)
def f10(): return distributed.get_worker(), distributed.Variable("x").get(), distributed.get_client()
def f12(): return os.stat("x"), os.lstat("x"), os.access("x", 0), os.readlink("x"), os.open("x", 0), os.getpid()
def f13(): return [entry.stat() for entry in os.scandir("x")], uuid.uuid1()
def f11(): return uuid.uuid4(), secrets.token_hex(), tempfile.mktemp()

def all_of_them():
    found = {}
    for name, function in sorted(globals().items()):
        if name[0] == "f" and name[1:].isdigit():
            try:
                found[name] = identify(function).digest
            except Exception as error:
                found[name] = f"{type(error).__name__}: {error}"
    return found
"""


@pytest.mark.slow
def test_code_that_uses_what_is_wrapped_has_the_same_identity(tmp_path):
    """A worker that observes and a client that does not have one key for one step."""
    program = tmp_path / "program.py"
    program.write_text(
        PROGRAM
        + "import sys\n"
        + "if sys.argv[1] == 'observed':\n    from cachingclient.worker.observe import install\n    install()\n"
        + "for name, digest in all_of_them().items(): print(name, digest)\n"
    )

    def run(how):
        return subprocess.run(
            [sys.executable, str(program), how], capture_output=True, text=True, check=True, timeout=300
        ).stdout

    assert run("observed") == run("plain")


def test_what_is_wrapped_is_pickled_by_name():
    """A step that holds one of these functions can be sent."""
    import random
    import sqlite3
    import ssl

    import cloudpickle
    import numpy as np

    from cachingclient.worker.observe import install

    install()
    wrapped = os.getcwd, os.urandom, os.getrandom, ssl.RAND_bytes, sqlite3.connect, np.random.seed, random.seed
    for function in wrapped:
        assert len(cloudpickle.dumps(function)) < 5000
    assert pickle.loads(pickle.dumps(os.getcwd))() == os.getcwd()
