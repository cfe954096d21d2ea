"""Programs that the mutations start from: a source, and the steps in it with an argument for each."""

from __future__ import annotations

SEEDS: dict[str, tuple[str, dict[str, str]]] = {
    "analysis": (
        "import numpy as np\nPT = 30\nETA = 2.4\nREGIONS = {'low': (0, 40), 'mid': (40, 70), 'high': (70, 100)}\nXSEC = {'ttbar': 729.8, 'wjets': 61457.0}\n"
        "def good(event):\n    pt, eta = event\n    return pt > PT and abs(eta) < ETA\n"
        "def select(events):\n    'Keep.'\n    kept = []\n    for event in events:\n        if good(event):\n            kept.append(event)\n    return kept\n"
        "def weight(process, lumi=3.4):\n    return XSEC[process] * lumi / 1000\n"
        "def assign(events):\n    found = {}\n    for name, (low, high) in REGIONS.items():\n        found[name] = [pt for pt, eta in events if low <= pt < high]\n    return found\n"
        "def fill(values, bins=5, low=0, high=100):\n    counts, edges = np.histogram(values, bins=bins, range=(low, high))\n    return counts.tolist(), float(edges[1])\n"
        "def total(events):\n    return {name: fill(values) for name, values in assign(select(events)).items()}\n",
        {"select": "[[(i * 7 % 100, i % 5 - 2.5) for i in range(60)]]", "weight": "['ttbar']", "assign": "[[(i * 7 % 100, 0.0) for i in range(60)]]", "fill": "[[1, 5, 30, 99, 50]]", "total": "[[(i * 7 % 100, i % 5 - 2.5) for i in range(60)]]"},
    ),
    "classes": (
        "from dataclasses import dataclass, field\nimport enum\n@dataclass(frozen=True)\nclass Config:\n    pt: float = 25.0\n    labels: tuple = ('a', 'b')\n    scale: int = 3\n"
        "class Kind(enum.Enum):\n    SIGNAL = 1\n    BACKGROUND = 2\n    def label(self):\n        return self.name.lower() + str(self.value)\n"
        "class Base:\n    factor = 2\n    def apply(self, x):\n        return x * self.factor\n    @property\n    def name(self):\n        return type(self).__name__ + '!'\n"
        "class Derived(Base):\n    factor = 5\n    def __init__(self, offset=1):\n        self.offset = offset\n    def apply(self, x):\n        return super().apply(x) + self.offset\n    @staticmethod\n    def half(x):\n        return x // 2\n    @classmethod\n    def make(cls):\n        return cls(offset=4)\n"
        "CONFIG = Config()\nMODEL = Derived.make()\n"
        "def run(x):\n    return MODEL.apply(x) - Derived.half(x)\ndef describe(x):\n    return MODEL.name, Kind(x).label()\ndef configured(x):\n    return x > CONFIG.pt, CONFIG.labels[0], CONFIG.scale - x\ndef plain(x):\n    return x + 1\n",
        {"run": "[9]", "describe": "[2]", "configured": "[30]", "plain": "[4]"},
    ),
    "configuration": (
        "from types import SimpleNamespace\nCONFIG = {'global': {'bins': 25, 'title': 'pt'}, 'samples': {'ttbar': 729.8, 'wjets': 61457.0}, 'regions': ['4j1b', '4j2b', '5j'], 3: (1, 2, 5)}\nOPTIONS = SimpleNamespace(cut=30, labels={'x': 'mass', 'y': 'events'}, bins=[5, 7, 9])\n"
        "def make(table, scale=2):\n    def inner(x):\n        return table['global']['bins'] * x + scale, table.get('era', 2018)\n    def other(x):\n        return [table[key] for key in (3, 'regions')], x\n    return inner, other\ninner, other = make(CONFIG)\n"
        "def bins(x):\n    return CONFIG['global']['bins'] * x, CONFIG['regions'][-1]\ndef titled(x):\n    return CONFIG['global'].get('title', 'none').upper() + str(x)\ndef weighed(x):\n    return {name: CONFIG['samples'][name] * x for name in ('ttbar', 'wjets')}, CONFIG[3][1]\n"
        "def attributes(x):\n    return OPTIONS.cut + x, OPTIONS.labels['y'], sum(OPTIONS.bins[n] for n in range(2))\ndef absent(x):\n    try:\n        return CONFIG['era'][x]\n    except KeyError:\n        return CONFIG['regions'][0], CONFIG[3][-1] if x > 2 else CONFIG['samples']\ndef whole(x):\n    return len(CONFIG), sorted(map(str, CONFIG)), vars(OPTIONS)['cut'] * x\n",
        {"bins": "[3]", "titled": "[3]", "weighed": "[2]", "attributes": "[4]", "absent": "[5]", "whole": "[2]", "inner": "[3]", "other": "[1]"},
    ),
    "functions": (
        "import functools\nimport math\nimport operator\nTABLE = {}\n"
        "def register(name):\n    def wrap(function):\n        TABLE[name] = function\n        return function\n    return wrap\n"
        "def twice(function):\n    @functools.wraps(function)\n    def wrapper(*args, **kwargs):\n        return 2 * function(*args, **kwargs)\n    return wrapper\n"
        "@register('square')\ndef square(x):\n    return x * x\n@register('shift')\ndef shift(x, by=3):\n    return x + by\n@twice\ndef root(x):\n    return math.sqrt(x) + 1\n"
        "def make(n, m=2):\n    def inner(x):\n        return x * n - m\n    return inner\nscale = make(5)\npart = functools.partial(shift, by=7)\n"
        "@functools.lru_cache(maxsize=8)\ndef fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\n"
        "def even(n):\n    return True if n == 0 else odd(n - 1)\ndef odd(n):\n    return False if n == 0 else even(n - 1)\n"
        "def dispatch(x):\n    return TABLE['square'](x), TABLE['shift'](x)\ndef curried(x):\n    return scale(x), part(x)\ndef recursive(x):\n    return fib(x % 12), even(x % 9)\ndef reduced(x):\n    return functools.reduce(operator.add, map(root, range(1, x % 9)), 0)\n",
        {"dispatch": "[6]", "curried": "[6]", "recursive": "[7]", "reduced": "[5]", "root": "[16]"},
    ),
    "control": (
        "LIMIT = 4\nWORDS = ['jet', 'muon', 'electron', 'tau']\n"
        "def loop(x):\n    out = []\n    for i in range(10):\n        if i == x:\n            continue\n        if i > x + LIMIT and i % 2 or i == 9:\n            break\n        out.append(i * 2 if i < 5 else -i)\n    else:\n        out.append(99)\n    return out\n"
        "def guarded(x):\n    try:\n        value = WORDS[x]\n        if not value.startswith('m'):\n            raise ValueError(value)\n        return value.upper()\n    except IndexError:\n        return 'none'\n    except ValueError as error:\n        return str(error)[:2]\n    finally:\n        x = 0\n"
        "def matched(x):\n    match x:\n        case 0 | 1:\n            return 'few'\n        case int() if x > LIMIT:\n            return 'many'\n        case [first, *rest]:\n            return first, len(rest)\n        case {'pt': pt}:\n            return pt\n        case _:\n            return 'some'\n"
        "def comprehended(x):\n    squares = {n: n * n for n in range(x) if n % 2}\n    lengths = sorted(len(w) for w in WORDS if 'e' in w)\n    pairs = [(a, b) for a in range(3) for b in range(a)]\n    return squares, lengths, pairs, {w[0] for w in WORDS} == {'j', 'm', 'e', 't'}\n"
        "def generated(x):\n    def numbers(n):\n        a, b = 0, 1\n        while a < n:\n            yield a\n            a, b = b, a + b\n    return list(numbers(x)), sum(numbers(x + 1))\n"
        "def formatted(x):\n    text = f'{x:>4d}|{x / 3:.2f}|{WORDS[0]!r}'\n    first, *middle, last = text\n    return text, last + first, len(middle), (y := x + 1), y - x\n",
        {"loop": "[3]", "guarded": "[2]", "matched": "[5]", "comprehended": "[6]", "generated": "[20]", "formatted": "[7]"},
    ),
    "arrays": (
        "import numpy as np\nEDGES = np.linspace(0.0, 10.0, 6)\nWEIGHTS = np.array([1.0, 0.5, 2.0])\n"
        "def smear(x, seed=7):\n    rng = np.random.default_rng(seed)\n    return (np.asarray(x) + rng.normal(0, 0.1, len(x))).round(3).tolist()\n"
        "def binned(x):\n    return np.histogram(x, bins=EDGES)[0].tolist()\n"
        "def weighted(x):\n    values = np.asarray(x)[:3] * WEIGHTS\n    return values.sum().item(), np.where(values > 2, 1, 0).tolist()\n"
        "def masked(x):\n    a = np.asarray(x)\n    mask = (a > 1) & (a < 8)\n    return a[mask].tolist(), np.argmax(a).item(), np.sort(a)[::-1].tolist()\n"
        "def chained(x):\n    return binned(smear(x)), weighted(x)[0]\n",
        {"smear": "[[1.0, 5.0, 9.0]]", "binned": "[[1.0, 5.0, 9.0]]", "weighted": "[[1.0, 5.0, 9.0]]", "masked": "[[1, 5, 9, 3]]", "chained": "[[1.0, 5.0, 9.0]]"},
    ),
}  # fmt: skip
