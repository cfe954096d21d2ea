"""What a step reads without naming it: a change of it runs the step again, and a change of anything else does not."""

from __future__ import annotations

from tests.corpus.case import Case

_PATH = "from pathlib import Path\nHERE = '{HERE}'\n"
_JOINED = _PATH + "def f(x):\n    return x * float(Path(HERE, 'tables', 'sf' + '.txt').read_text())\n"
_NO_SUFFIX = _PATH + "def f(x):\n    return x * int(open(HERE + '/' + 'lumi').read())\n"
_LISTED = _PATH + "def f(x):\n    return x + len(list(Path(HERE, 'tables').glob('*.txt')))\n"
_REMEMBERED = (
    "import functools\n" + _PATH + "@functools.cache\ndef table():\n    return int(Path(HERE, 'tab' + 'le').read_text())\n"
    "def f(x):\n    return x + table()\ndef g(x):\n    return x * table()\n"
)
_LOOKED_FOR = _PATH + "def f(x):\n    return x + Path(HERE, 'extra' + '.txt').exists()\n"
_CHAIN = _JOINED + "def g(y):\n    return y + 1\ndef h(x):\n    return x + 2\n"
_SCRATCH = (
    "import os, tempfile\ndef f(x):\n    with tempfile.TemporaryDirectory() as folder:\n"
    "        path = os.path.join(folder, 'a')\n        open(path, 'w').write('5')\n"
    "        return x + int(open(path).read())\n"
)
_PACKAGE = "from helper.read import table\ndef f(x):\n    return x + table()\n"
_IN_PACKAGE = "from pathlib import Path\ndef table():\n    return int((Path(__file__).parent / 'data' / 'n').read_text())\n"
_SIZES = "import os\n" + _PATH + "def f(x):\n    return x + sum(e.stat().st_size for e in os.scandir(HERE + '/' + 'tab'))\n"
_FROM_FOLDER = (
    "import os\n" + _PATH + "def f(x):\n    folder = os.open(HERE + '/' + 'tab', os.O_RDONLY)\n"
    "    file = os.open('a.txt', os.O_RDONLY, dir_fd=folder)\n    try:\n        return x + int(os.read(file, 9))\n"
    "    finally:\n        os.close(file), os.close(folder)\n"
)
_GENERATOR = "import numpy as np\nRNG = np.random.default_rng(3)\ndef f(x):\n    return x + RNG.normal()\n"
_ENVIRONMENT = (
    "from os import environ\ndef f(x):\n    return x + int(environ.get('ANA_NOT_SET', 2))\n"
    "def g(x):\n    environ['ANA_OTHER'] = str(x)\n    return x\n"
)
_SEARCHED = _PATH + "def f(x):\n    return x + len(list(Path(HERE, 'tables').rglob('*.dat')))\n"
_MADE_AGAIN = (
    _PATH + "class Scale:\n    def __init__(self, name):\n        self.name = name\n"
    "        self.factor = int(Path(HERE, name).read_text())\n"
    "    def __reduce__(self):\n        return Scale, (self.name,)\n"
)

_WARNS = (
    "import warnings\nHERE = '{HERE}'\ndef f(x):\n    warnings.warn('few jets', UserWarning, stacklevel=1)\n"
    "    return x * len(HERE)\n"
)
_LOGS = (
    "from cachingclient import step\nHERE = '{HERE}'\n@step(unobserved=['*/notes'])\ndef f(x):\n"
    "    with open(HERE + '/' + 'notes', 'a') as log:\n        log.write('f')\n    return x\n"
)
CASES = [
    Case(
        "observed: by an object that a pickle makes again",
        "what an object holds counts, and not only the name by which its class has it made again",
        {
            "scale.py": _MADE_AGAIN,
            "main.py": "from scale import Scale\nSCALE = Scale('sf')\ndef f(x):\n    return x * [SCALE][0].factor\n",
            "sf": "2",
        },
        {"sf": "3"},
        runs=frozenset({"f"}),
    ),
    Case(
        "observed: a pattern for another folder",
        "a pattern in the code is none of the working folder where the step searches another",
        {"main.py": _SEARCHED, "tables/a.dat": "1", "a.dat": "1"},
        {"b.dat": "1"},
    ),
    Case(
        "observed: sizes in a folder",
        "entries of os.scandir look at their files by themselves",
        {"main.py": _SIZES, "tab/a.txt": "1"},
        [("tab/a.txt", "1", "22")],
        runs=frozenset({"f"}),
    ),
    Case(
        "observed: from an open folder",
        "a path that is relative to an open folder",
        {"main.py": _FROM_FOLDER, "tab/a.txt": "1"},
        [("tab/a.txt", "1", "22")],
        runs=frozenset({"f"}),
    ),
    Case(
        "observed: a generator of the module",
        "what it draws next depends on the calls before",
        {"main.py": _GENERATOR},
        [("main.py", "import numpy", "# the same\nimport numpy")],
        runs=frozenset({"f"}),
        reason={"f": "goes on from call to call"},
    ),
    Case(
        "observed: from os import environ",
        "the variables that are read count, not all",
        {"main.py": _ENVIRONMENT},
        [("main.py", "from os", "# the same\nfrom os")],
        warns="os.environ",
    ),
    Case(
        "observed: a path put together",
        "a file that no constant names",
        {"main.py": _JOINED, "tables/sf.txt": "2"},
        [("tables/sf.txt", "2", "33")],
        runs=frozenset({"f"}),
    ),
    Case(
        "observed: a file beside it",
        "a file in the same folder that nothing reads",
        {"main.py": _JOINED, "tables/sf.txt": "2", "tables/other.txt": "2"},
        [("tables/other.txt", "2", "33")],
    ),
    Case(
        "observed: no suffix",
        "a file name without a suffix",
        {"main.py": _NO_SUFFIX, "lumi": "2"},
        [("lumi", "2", "33")],
        runs=frozenset({"f"}),
    ),
    Case(
        "observed: a file appears in a folder that is listed",
        "a listing counts",
        {"main.py": _LISTED, "tables/a.txt": ""},
        {"tables/b.txt": ""},
        runs=frozenset({"f"}),
    ),
    Case(
        "observed: a file appears that was looked for",
        "a look in vain counts",
        {"main.py": _LOOKED_FOR},
        {"extra.txt": "here"},
        runs=frozenset({"f"}),
    ),
    Case(
        "observed: a remembered file",
        "what functools.cache holds remembers its file",
        {"main.py": _REMEMBERED, "table": "2"},
        [("table", "2", "33")],
        graph="[f(1), g(2)]",
        runs=frozenset({"f", "g"}),
    ),
    Case(
        "observed: what follows",
        "a step after one that reads a file depends on it; one beside it does not",
        {"main.py": _CHAIN, "tables/sf.txt": "2"},
        [("tables/sf.txt", "2", "33")],
        graph="[g(f(1)), h(1)]",
        runs=frozenset({"f", "g"}),
    ),
    Case(
        "observed: scratch",
        "a temporary file that the step makes is no input",
        {"main.py": _SCRATCH},
        [("main.py", "import os", "# scratch\nimport os")],
    ),
    Case(
        "observed: data of a package",
        "a file beside a module of the user's",
        {"main.py": _PACKAGE, "helper/__init__.py": "", "helper/read.py": _IN_PACKAGE, "helper/data/n": "2"},
        [("helper/data/n", "2", "33")],
        runs=frozenset({"f"}),
    ),
    Case(
        "observed: a comment in a module of a folder that is named",
        "the kernel tells that its source was opened, for a warning that shows a line: it is code and counts as such",
        {"main.py": _WARNS},
        [("main.py", "def", "# the length\ndef")],
    ),
    Case(
        "observed: a log in a folder that is named",
        "the kernel tells that it was opened, and the step says that it counts for nothing",
        {"main.py": _LOGS, "notes": "begun\n"},
        [("notes", "begun", "begun again")],
    ),
]
