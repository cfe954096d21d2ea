"""Configurations of which steps take parts: an edit runs the steps that take what it edits."""

from __future__ import annotations

from tests.corpus.case import Case, case

CONFIG = (
    "CONFIG = {\n    'global': {'bins': 25, 'title': 'pt'},\n    'samples': {'ttbar': 729.8, 'wjets': 61457.0},\n"
    "    'regions': ['4j1b', '4j2b'],\n    'unused': 1,\n}\n"
)
READERS = (
    "from config import CONFIG\nimport config\n"
    "def bins(x):\n    return CONFIG['global']['bins'] * x\n"
    "def titled(x):\n    return config.CONFIG['global'].get('title', 'none') + str(x)\n"
    "def weighed(x):\n    return config.CONFIG['samples']['ttbar'] * x\n"
    "def region(x):\n    import config as c\n    return c.CONFIG['regions'][0] + str(x)\n"
    "def chosen(x):\n    return CONFIG['samples'][('wjets', 'ttbar')[x]]\n"
    "def era(x):\n    return CONFIG.get('era', 2018) + x\n"
    "def every(x):\n    return sorted(CONFIG['samples'])\n"
    "def whole(x):\n    return len(CONFIG) + x\n"
    "def passed(x, of=lambda table: table['unused']):\n    return of(CONFIG) + x\n"
)
GRAPH = (
    "[bins(1), titled(1), weighed(1), region(1), chosen(1), era(1), every(1), whole(1), passed(1)]"
)


def configured(name: str, why: str, old: str, new: str, runs: str) -> Case:
    """Return a case over all that reads the configuration."""
    return case(f"configuration: {name}", why, {"main.py": READERS, "config.py": CONFIG}, [("config.py", old, new)], GRAPH, runs)


CASES = [
    configured("a value", "one step reads it; others the whole", "25", "50", "bins whole passed"),
    configured("a title", "read by get", "'pt'", "'mass'", "titled whole passed"),
    configured("a cross-section", "of one sample", "729.8", "831.8", "weighed chosen every whole passed"),
    configured("a sample", "one more in the dict of samples", "61457.0}", "61457.0, 'zjets': 6077.2}", "chosen every whole passed"),
    configured("the first region", "of a list", "'4j1b'", "'4j0b'", "region whole passed"),
    configured("another region", "one more in the list", "'4j2b']", "'4j2b', '4j3b']", "whole passed"),
    configured("an unused key", "read by nobody but those that take all", "'unused': 1", "'unused': 2", "whole passed"),
    configured("one more key", "which a step asks for, and had not found", "'unused': 1", "'unused': 1, 'era': 2017", "era whole passed"),
    configured("the order of keys", "seen by those alone that go through them", "'ttbar': 729.8, 'wjets': 61457.0", "'wjets': 61457.0, 'ttbar': 729.8", "chosen every whole passed"),
    case("configuration: a namespace", "an attribute of a plain object", "from types import SimpleNamespace\nS = SimpleNamespace(cut=30, label='a')\ndef f(x):\n    return S.cut + x\ndef g(x):\n    return S.label + str(x)\ndef h(x):\n    return vars(S)", [("main.py", "30", "35")], "[f(1), g(1), h(1)]", "f h"),
    case("configuration: a property", "an attribute that its class computes of another", "class C:\n    def __init__(self):\n        self.cut = 30\n    @property\n    def twice(self):\n        return 2 * self.cut\nS = C()\ndef f(x):\n    return S.twice + x\ndef g(x):\n    return S.cut", [("main.py", "30", "35")], "[f(1), g(1)]", "f g"),
    case("configuration: a class that computes items", "a subclass of dict", "class C(dict):\n    def __missing__(self, key):\n        return self['cut'] * 2\nS = C(cut=30)\ndef f(x):\n    return S['twice'] + x", [("main.py", "30", "35")], "f(1)", "f"),
    case("configuration: a default dict", "which makes items when asked", "from collections import defaultdict\nS = defaultdict(lambda: 7, cut=30)\ndef f(x):\n    return S['other'] + x", [("main.py", "7", "8")], "f(1)", "f"),
    case("configuration: in a closure", "a dict of the function around", "def make(c):\n    def f(x):\n        return c['cut'] + x\n    def g(x):\n        return c['label']\n    return f, g\nf, g = make({'cut': 30, 'label': 'a'})", [("main.py", "30", "35")], "[f(1), g(1)]", "f"),
    case("configuration: under another name", "given to a variable, then taken apart", "C = {'cut': 30, 'other': 1}\ndef f(x):\n    c = C\n    return c['cut'] + x", [("main.py", "30", "35")], "f(1)", "f"),
    case("configuration: filled in a step", "by an item of its own", "C = {'cut': 30, 'other': 1}\ndef f(x):\n    C['other'] = C['cut'] + x\n    return C['other']", [("main.py", "30", "35")], "f(1)", "f"),
    case("configuration: read by variables", "by a text that is a name", "C = {'cut': 30, 'other': 1}\ndef f(x):\n    return C['other'] + globals()['C']['cut']", [("main.py", "30", "35")], "f(1)", "f"),
    case("configuration: read by a table's query", "which looks at the variables around", "import pandas as pd\ndef make(c):\n    def f(x):\n        cut = c\n        return c['other'], len(pd.DataFrame({'pt': [20, 33, 40]}).query('pt > @cut[\"cut\"]'))\n    return f\nf = make({'cut': 30, 'other': 1})", [("main.py", "30", "35")], "f(1)", "f"),
]  # fmt: skip
