"""A small analysis in a few files, which everyday edits are made of."""

from __future__ import annotations

MAIN = """
import functools
import json
import os
from pathlib import Path

import cloudpickle
import coffea.processor
import lz4.frame
import tinylib
from dask import delayed

import cuts
import helpers
from cuts import Window
from helpers import scale

PT_CUT = 30
ETA_CUT = 2.4
ERA = "2017"
NAMES = ["pt", "eta"]
REGIONS = {
    "signal": {"njets": 4, "met": 100, "leptons": 1},
    "control": {"njets": 4, "met": 50, "leptons": 2},
    "top": {"njets": 6, "met": 20},
}
HERE = "{HERE}"


def load(number):
    return [number * 10, number * 40, 50 * len(NAMES)]


def select(values, factor=1.5):
    return [value for value in values if cuts.passes(scale(value), PT_CUT) and abs(value) * factor > ETA_CUT]


def smear(values, width, seed=1):
    return [value + width * seed for value in values]


def fill(values, bins, regions=None):
    window = Window(3)
    return [int(value) // len(range(bins)) for value in values if window.holds(value)] + [REGIONS["signal"]["met"]]


def label(values):
    return ERA + str(values)


def weigh(values):
    return [tinylib.weight(value) for value in values]


def tag(values):
    return [os.environ.get("ERA_TAG", ""), *values]


def correct(values):
    text = Path(HERE, "corrections.json").read_text()
    return [value * json.loads(text)["jec"] for value in values]


def read(path):
    return len(Path(path).read_bytes())


class Analysis:
    version = 1

    def __init__(self, pt_cut=25, systematic="nominal"):
        self.pt_cut = pt_cut
        self.systematic = systematic

    def process(self, number):
        return self.tally(number) if number > self.pt_cut else 0

    def tally(self, number):
        return number + 1


def work(instance, number):
    return cloudpickle.loads(lz4.frame.decompress(instance)).process(number)


PROCESSOR = Analysis()


def chain(number, factor=1.5, width=3, bins=50):
    loaded = delayed(load)(number, dask_key_name=f"load-{number}")
    selected = delayed(select)(loaded, factor, dask_key_name=f"select-{number}")
    smeared = delayed(smear)(selected, width=width, dask_key_name=f"smear-{number}")
    return delayed(fill)(smeared, bins=bins, dask_key_name=f"fill-{number}")


def graph():
    chains = [chain(number) for number in (1, 2, 3)]
    more = [delayed(each)([1, 2, 3], dask_key_name=each.__name__) for each in (label, weigh, tag, correct)]
    files = [delayed(read)(f"{HERE}/{name}", dask_key_name=f"read-{name}") for name in ("data.bin", "small.txt")]
    packed = lz4.frame.compress(cloudpickle.dumps(PROCESSOR))
    chunks = [delayed(functools.partial(work, packed))(number, dask_key_name=f"work-{number}") for number in (40, 50)]
    direct = delayed(Analysis.process)(PROCESSOR, 60, dask_key_name="process")
    total = delayed(sum)(list(map(delayed(len), chains)), dask_key_name="total")
    return [total, *chains, *more, *files, *chunks, direct]
"""

CUTS = """
def passes(value, cut):
    return value > cut


class Window:
    def __init__(self, low):
        self.low = low

    def holds(self, value):
        return value > self.low
"""

HELPERS = """
SHIFT = 0.5


def scale(value):
    return shift(value) * 1.1


def shift(value):
    return value + SHIFT
"""

FILES = {
    "main.py": MAIN,
    "cuts.py": CUTS,
    "helpers.py": HELPERS,
    "corrections.json": '{"jec": 2}',
    "data.bin": "x" * 100_000,
    "small.txt": "one",
    "site-packages/tinylib.py": "def weight(value):\n    return value * 2\n",
    "site-packages/tinylib-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tinylib\nVersion: 1.0\n",
    "site-packages/tinylib-1.0.dist-info/RECORD": "tinylib.py,,\n",
}

PARTS = (
    "PT_CUT", "ETA_CUT", "ERA", "NAMES", "REGIONS", "load", "select", "smear", "fill", "label", "weigh", "tag",
    "correct", "read", "version", "pt_cut", "systematic", "process", "tally", "work", "passes", "holds", "low",
    "SHIFT", "scale", "shift", "tinylib", "ERA_TAG", "corrections.json", "data.bin", "small.txt", "factor",
    "width", "bins", "seed", "regions",
)  # fmt: skip
"""All that a reason may name."""
