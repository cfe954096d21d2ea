"""Code that cannot be followed all the way: the whole module counts, or the step is uncacheable and says why."""

from __future__ import annotations

from tests.corpus.case import case

HELPER = "def a(x):\n    return x + 7\n\n\ndef b(x):\n    return x\n"

CASES = [
    case("getattr of a module", "a name at run time: the whole module counts", {"main.py": "import helper\ndef f(x):\n    return getattr(helper, 'a' if x else 'b')(x)", "helper.py": HELPER}, [("helper.py", "7", "5")], runs="f"),
    case("getattr of a module, the other", "a name at run time: the whole module counts", {"main.py": "import helper\ndef f(x):\n    return getattr(helper, 'a' if x else 'b')(x)", "helper.py": HELPER}, [("helper.py", "return x\n", "return x - 1\n")], runs="f"),
    case("getattr of a module, unchanged", "a whole module that stays the same", {"main.py": "import helper\ndef f(x):\n    return getattr(helper, 'a' if x else 'b')(x)", "helper.py": HELPER}, [("helper.py", "def b", "# b\ndef b")]),
    case("vars of a module", "the namespace of a module", {"main.py": "import helper\ndef f(x):\n    return vars(helper)['a'](x)", "helper.py": HELPER}, [("helper.py", "7", "5")], runs="f"),
    case("dict of a module", "the namespace of a module", {"main.py": "import helper\ndef f(x):\n    return helper.__dict__['a'](x)", "helper.py": HELPER}, [("helper.py", "7", "5")], runs="f"),
    case("module as an argument", "a module passed on", {"main.py": "import helper\ndef g(m, x):\n    return m.a(x)\ndef f(x):\n    return g(helper, x)", "helper.py": HELPER}, [("helper.py", "7", "5")], runs="f"),
    case("module in a table", "modules in a dict", {"main.py": "import helper\nTABLE = {'h': helper}\ndef f(x):\n    return TABLE['h'].a(x)", "helper.py": HELPER}, [("helper.py", "7", "5")], runs="f"),
    case("globals of a module", "globals() makes the whole module count", {"main.py": "from helper import f", "helper.py": "A = 7\ndef f(x):\n    return globals()['A'] + x"}, [("helper.py", "A = 7", "A = 5")], runs="f"),
    case("globals of a script", "a worker has no such namespace", "A = 7\ndef f(x):\n    return globals()['A'] + x if x > 9 else x", runs="f", reason={"f": "globals() of __main__ is searched at run time (line 3"}, styles=("script", "script")),
    case("eval", "text run as code", "def f(x):\n    return eval('x + 7')", runs="f", reason={"f": "eval runs code that can't be followed (line 2"}),
    case("exec", "text run as code", "def f(x):\n    out = {}\n    exec('y = 7', out)\n    return out['y']", runs="f", reason={"f": "exec runs code that can't be followed (line 3"}),
    case("eval in a helper", "text run as code further down", {"main.py": "import helper\ndef f(x):\n    return helper.g(x)", "helper.py": "def g(x):\n    return eval('x + 7')"}, runs="f", reason={"f": "line 2 of helper.g"}),
    case("import by a runtime name", "a module known only at run time", {"main.py": "import importlib\ndef f(x):\n    name = 'help' + 'er'\n    return importlib.import_module(name).a(x)", "helper.py": HELPER}, [("helper.py", "7", "5")], runs="f", reason={"f": "known only at run time (line 4"}),
    case("__import__", "a module known only at run time", {"main.py": "def f(x):\n    return __import__('helper').a(x)", "helper.py": HELPER}, [("helper.py", "7", "5")], runs="f", reason={"f": "can't be followed (line 2"}),
    case("sys.modules", "a module known only at run time", {"main.py": "import sys\nimport helper\ndef f(x):\n    return sys.modules['helper'].a(x)", "helper.py": HELPER}, [("helper.py", "7", "5")], runs="f", reason={"f": "line 4"}),
    case("rebinds a global", "a step with a memory", "count = 0\ndef f(x):\n    global count\n    count += 1\n    return x", runs="f", reason={"f": "rebinds the global variable 'count' (line 4), and this run did"}),
    case("may rebind a global", "a model that is loaded where it is asked for", "model = None\ndef load():\n    global model\n    model = 7\ndef f(x):\n    if x > 9:\n        load()\n    return model, x"),
    case("rebinds a global to the same", "a memory that was filled before", "model = 7\ndef f(x):\n    global model\n    model = 7\n    return x"),
    case("another value of a rebound global", "a memory that is filled otherwise", "model = 7\ndef f(x):\n    global model\n    if x > 9:\n        model = 8\n    return x", [("main.py", "model = 7", "model = 5")], runs="f"),
    case("reads its source", "source text is layout", "import inspect\ndef g(x):\n    return x\ndef f(x):\n    return len(inspect.getsource(g)) > 1", runs="f", reason={"f": "inspect.getsource"}),
    case("caller's frame", "variables of whoever calls", "import sys\ndef f(x):\n    return sys._getframe(0).f_code.co_name", runs="f", reason={"f": "line 3"}),
    case("a generator's own code", "what a step iterates over", "def count():\n    yield 7\ndef f(x):\n    return [v for v in make()]\ndef make():\n    return count()", [("main.py", "7", "5")], runs="f"),
    case("open file", "an open file has no identity", "import os\nlog = open(os.devnull)\ndef make():\n    return os.devnull\ndef f(x):\n    return log.mode if x > 9 else x", runs="f", reason={"f": "reads as 'log'"}),
    case("lock", "a lock has no identity", "import threading\nlock = threading.Lock()\ndef f(x):\n    with lock:\n        return x", runs="f", reason={"f": "reads as 'lock'"}),
    case("lock of a class", "what has no identity is named where it is", "import threading\nclass A:\n    lock = threading.Lock()\ndef f(x):\n    return A and x", runs="f", reason={"f": "in attribute 'lock' of class A"}),
    case("environment", "one warning, not a refusal", "import os\ndef f(x):\n    return os.environ.get('NO_SUCH_THING', 7)", warns="os.environ"),
    case("getenv", "one warning, not a refusal", "import os\ndef f(x):\n    return os.getenv('NO_SUCH_THING', 7)", warns="os.getenv"),
    case("unseeded generator", "a draw is another draw each time", "import numpy as np\ndef f(x):\n    return np.random.default_rng().random() < 2", runs="f", reason={"f": "varying"}, warns="without a seed"),
    case("process-wide generator", "a draw is another draw each time", "import random\ndef f(x):\n    return random.random() < 2", runs="f", reason={"f": "varying"}, warns="without a seed"),
    case("seeded generator", "a seed makes it pure", "import numpy as np\ndef f(x):\n    return np.random.default_rng(7).integers(100).item()", [("main.py", "7", "5")], runs="f"),
    case("docstring that is read", "a docstring counts where code reads it", "def g():\n    'seven'\ndef f(x):\n    return g.__doc__", [("main.py", "seven", "five")], runs="f"),
    case("qualified name that is read", "a full name counts where code reads it", "class A:\n    def g(self): ...\ndef f(x):\n    return A.g.__qualname__", [("main.py", "class A", "class B"), ("main.py", "A.g", "B.g")], runs="f"),
    case("hints that are read", "type hints count where code reads them", "from typing import get_type_hints\ndef g(x: int): ...\ndef f(x):\n    return str(get_type_hints(g))", [("main.py", "x: int", "x: str")], runs="f"),
    case("builtins replaced", "a name of the module hides a builtin", "def f(x):\n    return abs(x)\n", [("main.py", "def f", "def abs(x):\n    return 7\ndef f")], runs="f"),
    case("builtin no longer replaced", "a name of the module hides a builtin", "def abs(x):\n    return 7\ndef f(x):\n    return abs(x)\n", [("main.py", "def abs(x):\n    return 7\n", "")], runs="f"),
]  # fmt: skip
