"""What analyses in high-energy physics are made of, with the edits of a working day."""

from __future__ import annotations

from tests.corpus.case import Case, case

ANALYSIS = {
    "main.py": (
        "from selection import select\nfrom regions import REGIONS, assign\nfrom weights import Weights\nfrom histograms import fill, merge\n"
        "EVENTS = {'ttbar': [(i % 60, (i * 3) % 7, i % 3) for i in range(200)], 'wjets': [(i % 45, i % 5, i % 2) for i in range(150)]}\n"
        "def load(process):\n    return EVENTS[process]\n"
        "def weigh(events, process):\n    return [(pt, n, Weights(process).of(pt)) for pt, n, b in events]\n"
        "def regions(events):\n    return {name: assign(events, name) for name in REGIONS}\n"
    ),
    "selection.py": (
        "from config import Config\n\nPT_CUT = 30\nETA_CUT = 2.4\nCONFIG = Config()\n\n\n"
        "def is_good(event):\n    return event[0] > PT_CUT and event[1] >= CONFIG.least_jets\n\n\n"
        "def select(events):\n    '''Keep good events.'''\n    return [event for event in events if is_good(event)]\n"
    ),
    "config.py": "from dataclasses import dataclass, field\n\n\n@dataclass(frozen=True)\nclass Config:\n    least_jets: int = 2\n    tagger: str = 'deep'\n    systematics: tuple = ('up', 'down')\n",
    "regions.py": "REGIONS = {'4j1b': (2, 3), '4j2b': (3, 9)}\n\n\ndef assign(events, name):\n    low, high = REGIONS[name]\n    return [event for event in events if low <= event[1] < high]\n",
    "weights.py": "XSEC = {'ttbar': 729.8, 'wjets': 61457.0}\nLUMI = 3378.0\n\n\nclass Weights:\n    def __init__(self, process):\n        self.scale = XSEC[process] * LUMI\n\n    def of(self, pt):\n        return self.scale * (1 + pt / 1000)\n",
    "histograms.py": (
        "import numpy as np\n\nBINS, LOW, HIGH = 10, 0.0, 100.0\n\n\n"
        "def fill(regions):\n    edges = np.linspace(LOW, HIGH, BINS + 1)\n"
        "    return {name: np.histogram([e[0] for e in events], edges, weights=[e[2] for e in events])[0].tolist() for name, events in regions.items()}\n\n\n"
        "def merge(parts):\n    return {name: np.sum([part[name] for part in parts], axis=0).tolist() for name in parts[0]}\n"
    ),
}
GRAPH = "merge([fill(regions(weigh(select(load(p)), p))) for p in ('ttbar', 'wjets')])".replace(
    "[fill(regions(weigh(select(load(p)), p))) for p in ('ttbar', 'wjets')]",
    "[fill(regions(weigh(select(load('ttbar')), 'ttbar'))), fill(regions(weigh(select(load('wjets')), 'wjets')))]",
)
AFTER_SELECT = "select weigh regions fill merge"


def analysis(name: str, why: str, file: str, old: str, new: str, runs: str) -> Case:
    """Return a case over the whole little analysis."""
    return case(name, why, ANALYSIS, [(file, old, new)], GRAPH, runs)


CASES = [
    analysis("cut value", "a cut in a module constant", "selection.py", "PT_CUT = 30", "PT_CUT = 25", AFTER_SELECT),
    analysis("cut operator", "> is not >=", "selection.py", "event[0] > PT_CUT", "event[0] >= PT_CUT", AFTER_SELECT),
    analysis("unused cut", "a constant that nothing reads", "selection.py", "ETA_CUT = 2.4", "ETA_CUT = 2.1", ""),
    analysis("config default", "a default of a config dataclass", "config.py", "least_jets: int = 2", "least_jets: int = 3", AFTER_SELECT),
    analysis("config tuple", "systematics in a config, of which a step takes another attribute", "config.py", "('up', 'down')", "('up',)", ""),
    analysis("region bounds", "a dict of regions", "regions.py", "'4j2b': (3, 9)", "'4j2b': (4, 9)", "regions fill merge"),
    analysis("region added", "a new region", "regions.py", "'4j1b': (2, 3), ", "'4j1b': (2, 3), '4j0b': (0, 2), ", "regions fill merge"),
    analysis("regions reordered", "the order of a dict is seen", "regions.py", "'4j1b': (2, 3), '4j2b': (3, 9)", "'4j2b': (3, 9), '4j1b': (2, 3)", "regions fill merge"),
    analysis("cross section", "a table of cross sections", "weights.py", "729.8", "831.8", "weigh regions fill merge"),
    analysis("luminosity", "a constant that a class reads", "weights.py", "3378.0", "3400.0", "weigh regions fill merge"),
    analysis("weight formula", "a method of a class", "weights.py", "1 + pt / 1000", "1 - pt / 1000", "weigh regions fill merge"),
    analysis("bin count", "histogram binning", "histograms.py", "BINS, LOW, HIGH = 10", "BINS, LOW, HIGH = 20", "fill merge"),
    analysis("bin range", "histogram range", "histograms.py", "100.0", "90.0", "fill merge"),
    analysis("merge only", "the last step alone", "histograms.py", "np.sum([part", "np.max([part", "merge"),
    analysis("more data of one sample", "the input of one sample", "main.py", "range(150)", "range(180)", "load " + AFTER_SELECT),
    analysis("comment in the selection", "a comment", "selection.py", "PT_CUT = 30", "# GeV\nPT_CUT = 30  # was 25", ""),
    analysis("docstring of the selection", "a docstring", "selection.py", "'''Keep good events.'''", "'''Keep the events that are good.'''", ""),
    analysis("refactored selection", "other code, same result: what comes after is cut off", "selection.py", "return [event for event in events if is_good(event)]", "return list(filter(is_good, events))", "select"),
    analysis("constant written otherwise", "the value counts, not how it is written", "weights.py", "LUMI = 3378.0", "LUMI = 3_378.0", ""),
    analysis("constant computed", "the value counts, not how it is computed", "selection.py", "PT_CUT = 30", "PT_CUT = 60 // 2", ""),
    analysis("unused import", "an import that nothing uses", "selection.py", "PT_CUT = 30", "import math\nPT_CUT = 30", ""),
    analysis("unused method", "a class counts as a whole: its user runs again, the rest is cut off", "weights.py", "    def of", "    def unused(self):\n        return 0\n\n    def of", "weigh"),
    analysis("new helper beside", "a new function that nothing calls", "regions.py", "REGIONS =", "def later():\n    pass\n\n\nREGIONS =", ""),
    analysis("type hints", "type hints on a plain function", "selection.py", "def is_good(event):", "def is_good(event: tuple) -> bool:", ""),
    case(
        "processor subclass", "a processor and what it inherits",
        {"main.py": "from base import Processor\nclass Mine(Processor):\n    pt = 30\n    def select(self, events):\n        return [e for e in events if e > self.pt]\nproc = Mine()\ndef process(events):\n    return proc.process(events)\ndef finish(n):\n    return n * 2",
         "base.py": "class Processor:\n    def process(self, events):\n        return len(self.select(events))\n    def select(self, events):\n        return events"},
        [("base.py", "len(self", "2 * len(self")], "finish(process(list(raw.range(99))))".replace("list(raw.range(99))", "[10, 20, 31, 99]"), "process finish",
    ),
    case(
        "processor attribute", "a class attribute of a processor",
        {"main.py": "class Mine:\n    pt = 30\n    def process(self, events):\n        return [e for e in events if e > self.pt]\nproc = Mine()\ndef process(events):\n    return proc.process(events)"},
        [("main.py", "pt = 30", "pt = 15")], "process([10, 20, 31, 99])", "process",
    ),
    case(
        "coffea processor", "a processor as coffea knows it",
        {"main.py": "from coffea.processor import ProcessorABC\nclass P(ProcessorABC):\n    def __init__(self, pt):\n        self.pt = pt\n    def process(self, events):\n        return sum(e > self.pt for e in events)\n    def postprocess(self, accumulator):\n        return accumulator\nit = P(30)\ndef process(events):\n    return it.process(events)"},
        [("main.py", "P(30)", "P(40)")], "process([10, 35, 50])", "process",
    ),
    case(
        "variations", "a dict of functions, one for each systematic",
        "def up(pt):\n    return pt * 1.03\ndef down(pt):\n    return pt * 0.97\nVARIATIONS = {'up': up, 'down': down}\ndef vary(pt, name):\n    return VARIATIONS[name](pt)\ndef keep(pt):\n    return pt > 30",
        [("main.py", "0.97", "0.95")], "[keep(vary(31, 'up')), keep(vary(31, 'down'))]", "vary keep",
    ),
    case(
        "correction from a file", "a literal path is an input",
        {"main.py": "def f(x):\n    with open('{HERE}/sf.txt') as file:\n        return x * float(file.read())", "sf.txt": "1.5"},
        [("sf.txt", "1.5", "1.6")], runs="f",
    ),
    case(
        "correction beside the module", "a file found from __file__",
        {"main.py": "import tables\ndef f(x):\n    return x * tables.factor()", "tables.py": "import os\ndef factor():\n    return float(open(os.path.join(os.path.dirname(__file__), 'sf.txt')).read())", "sf.txt": "1.5"},
        [("sf.txt", "1.5", "1.6")], runs="f",
    ),
    case(
        "correction read on import", "a table read when the module was imported",
        {"main.py": "import tables\ndef f(x):\n    return x * tables.TABLE['sf']", "tables.py": "import json, os\nTABLE = json.load(open(os.path.join(os.path.dirname(__file__), 'sf.json')))", "sf.json": '{"sf": 1.5}'},
        [("sf.json", "1.5", "1.6")], runs="f",
    ),
    case(
        "histogram global", "an empty histogram as a template",
        "import hist\nTEMPLATE = hist.Hist.new.Reg(10, 0, 100, name='pt').Double()\ndef f(x):\n    h = TEMPLATE.copy()\n    h.fill(pt=[5, 15, 95])\n    return h.values().tolist()",
        [("main.py", "Reg(10,", "Reg(5,")], runs="f",
    ),
    case(
        "awkward behavior", "methods that arrays get by their name",
        "import awkward as ak\nclass Jet(ak.Record):\n    @property\n    def energy(self):\n        return self.pt * 7\nak.behavior['Jet'] = Jet\ndef f(x):\n    return ak.Array([{'pt': 1.0}], with_name='Jet')[0].energy",
        [("main.py", "* 7", "* 5")], runs="f",
    ),
    case(
        "query of a configured text", "pandas looks variables up by name",
        "import pandas as pd\nCUT = 7\nTEXTS = {'sr': 'pt > @CUT'}\ndef f(x):\n    return pd.DataFrame({'pt': [1, 6, 9]}).query(TEXTS.get('sr')).pt.tolist()",
        [("main.py", "CUT = 7", "CUT = 5")], runs="f", reason={"f": "pandas looks up 'CUT' by a text that does not stand in f"},
    ),
    case(
        "query with a variable", "pandas looks variables up by name",
        "import pandas as pd\nCUT = 7\ndef f(x):\n    return pd.DataFrame({'pt': [1, 6, 9]}).query('pt > @CUT').pt.tolist()",
        [("main.py", "CUT = 7", "CUT = 5")], runs="f",
    ),
    case(
        "data set list", "the list of data sets is an argument",
        "def count(names):\n    return len(names)\ndef one(name):\n    return name.upper()\nNAMES = ['ttbar', 'wjets']",
        [("main.py", "'wjets'", "'wjets', 'zjets'")], "[count(NAMES), one('ttbar')]", "count",
    ),
    case(
        "set of triggers", "the order of a set is chance",
        "TRIGGERS = {'HLT_Mu', 'HLT_Ele', 'HLT_Jet', 'HLT_MET'}\ndef f(x):\n    return sorted(TRIGGERS)",
        [("main.py", "{'HLT_Mu', 'HLT_Ele'", "{'HLT_Ele', 'HLT_Mu'")],
    ),
    case(
        "trigger added", "what is in a set counts",
        "TRIGGERS = {'HLT_Mu', 'HLT_Ele'}\ndef f(x):\n    return sorted(TRIGGERS)",
        [("main.py", "{'HLT_Mu'", "{'HLT_Tau', 'HLT_Mu'")], runs="f",
    ),
]  # fmt: skip
