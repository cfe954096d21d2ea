"""Programs that change themselves before the steps run: what is in memory counts."""

from __future__ import annotations

from tests.corpus.case import case

LIBRARY_SETTING = "import decimal\ndef f(x):\n    return str(decimal.Decimal(1) / 3)"

CASES = [
    case("class attribute set", "a class changed at run time", "class A:\n    by = 1\nA.by = 7\ndef f(x):\n    return A.by", [("main.py", "A.by = 7", "A.by = 5")], runs="f"),
    case("method replaced", "a method replaced at run time", "class A:\n    def g(self):\n        return 1\ndef other(self):\n    return 7\nA.g = other\ndef f(x):\n    return A().g()", [("main.py", "7", "5")], runs="f"),
    case("code replaced", "__code__ replaced, as autoreload does", "def f(x):\n    return x\ndef new(x):\n    return x + 7\nf.__code__ = new.__code__", [("main.py", "7", "5")], runs="f"),
    case("defaults replaced", "__defaults__ changed", "def f(x, by=1):\n    return x + by\nf.__defaults__ = (7,)", [("main.py", "(7,)", "(5,)")], runs="f"),
    case("keyword defaults replaced", "__kwdefaults__ changed", "def f(x, *, by=1):\n    return x + by\nf.__kwdefaults__ = {'by': 7}", [("main.py", "7", "5")], runs="f"),
    case("list changed", "a mutable global changed", "LIMITS = [1, 2]\nLIMITS[0] = 7\ndef f(x):\n    return LIMITS[0]", [("main.py", "7", "5")], runs="f"),
    case("nested list changed", "a mutable deep inside", "A = {'x': {'y': [1]}}\nA['x']['y'].append(7)\ndef f(x):\n    return A['x']['y'][-1]", [("main.py", "7", "5")], runs="f"),
    case("array changed", "an array changed in place", "import numpy as np\nA = np.zeros(10)\nA[3] = 7\ndef f(x):\n    return A.sum().item()", [("main.py", "= 7", "= 5")], runs="f"),
    case("closure changed", "a closure's variable changed", "def make():\n    n = 1\n    def f(x):\n        return x + n\n    def put(v):\n        nonlocal n\n        n = v\n    return f, put\nf, put = make()\nput(7)", [("main.py", "7", "5")], runs="f"),
    case("module attribute set", "a module of the user's changed from outside", {"main.py": "import helper\nhelper.CUT = 7\ndef f(x):\n    return helper.g(x)", "helper.py": "CUT = 1\ndef g(x):\n    return x + CUT"}, [("main.py", "7", "5")], runs="f", reason={}),
    case("library function replaced", "a function of a library replaced by the user's", "import statistics\ndef mine(x):\n    return 7\nstatistics.mean = mine\ndef f(x):\n    return statistics.mean([1])", [("main.py", "7", "5")], runs="f"),
    case("library setting", "a plain value of a library", "import json.encoder\njson.encoder.INFINITY_MARK = 7\ndef f(x):\n    return json.encoder.INFINITY_MARK", [("main.py", "7", "5")], runs="f"),
    case("library table", "a table of a library", "import mimetypes\nmimetypes.common_types['.hep'] = 'a7'\ndef f(x):\n    return mimetypes.common_types['.hep']", [("main.py", "a7", "a5")], runs="f"),
    case("dask's configuration", "what code asks for in dask's configuration", "import dask\ndask.config.set({'analysis.cut': 7})\ndef f(x):\n    return dask.config.get('analysis.cut') + x", [("main.py", "7", "5")], runs="f", reason={"f": "dask's setting 'analysis.cut'"}),
    case("numpy's generator", "methods of numpy's own generator, by name", "import numpy as np\ndef f(x):\n    np.random.seed(7)\n    return np.random.rand() < 2, random() < 2\nfrom random import random", runs="f", reason={"f": "varying"}, warns="without a seed"),
    case("object's attribute set", "an attribute of an object", "class A: pass\nit = A()\nit.by = 7\ndef f(x):\n    return it.by", [("main.py", "7", "5")], runs="f"),
    case("registered later", "a handler registered after the function was defined", "HANDLERS = {}\ndef f(x):\n    return HANDLERS['a'](x)\ndef a(x):\n    return x + 7\nHANDLERS['a'] = a", [("main.py", "7", "5")], runs="f"),
    case("singledispatch registered elsewhere", "a case of a generic function in another file", {"main.py": "import cases\nfrom generic import g\ndef f(x):\n    return g(x)", "generic.py": "import functools\n@functools.singledispatch\ndef g(x):\n    return x", "cases.py": "from generic import g\n@g.register(int)\ndef _(x):\n    return x + 7"}, [("cases.py", "7", "5")], runs="f"),
    case("subclass replaces a method", "the class of an argument", "class A:\n    def g(self):\n        return 1\nclass B(A):\n    def g(self):\n        return 7\nit = B()\ndef f(a):\n    return a.g()", [("main.py", "7", "5")], "f(raw.it)", "f"),
    case("result of a user's class", "a step that returns an object, another that uses it", "class Jet:\n    def __init__(self, pt):\n        self.pt = pt\n    def scaled(self):\n        return self.pt * 7\ndef make(x):\n    return Jet(x)\ndef use(jet):\n    return jet.scaled()", [("main.py", "7", "5")], "use(make(2))", "make use"),
    case("class without the step's help", "a step that gets objects through another", "class Jet:\n    pt = 7\ndef make(x):\n    return [Jet()]\ndef first(jets):\n    return jets[0]\ndef use(jet):\n    return jet.pt", [("main.py", "7", "5")], "use(first(make(2)))", "make first use"),
    case("argument of another type", "1 is not 1.0", "ARG = 1\ndef f(x):\n    return x / 2, str(x)", [("main.py", "ARG = 1", "ARG = 1.0")], "f(ARG)", "f"),
    case("True is not 1", "True is not 1", "ARG = 1\ndef f(x):\n    return str(x)", [("main.py", "ARG = 1", "ARG = True")], "f(ARG)", "f"),
    case("negative zero", "-0.0 is not 0.0", "def f(x):\n    return str(0.0 * x)", [("main.py", "0.0", "-0.0")], runs="f"),
    case("constant of another type", "1 in code is not 1.0", "def f(x):\n    return str(x + 1)", [("main.py", "x + 1", "x + 1.0")], runs="f"),
    case("text and bytes", "'a' is not b'a'", "def f(x):\n    return str('a')", [("main.py", "str('a')", "str(b'a')")], runs="f"),
    case("tuple and list", "(1,) is not [1]", "A = (1,)\ndef f(x):\n    return str(A)", [("main.py", "(1,)", "[1]")], runs="f"),
    case("statement removed", "a statement less", "def f(x):\n    x += 1\n    x *= 7\n    return x", [("main.py", "    x *= 7\n", "")], runs="f"),
    case("statements swapped", "the order of statements", "def f(x):\n    x += 1\n    x *= 7\n    return x", [("main.py", "    x += 1\n    x *= 7\n", "    x *= 7\n    x += 1\n")], runs="f"),
    case("arguments swapped", "the order of arguments", "def g(a, b):\n    return a - b\ndef f(x):\n    return g(x, 7)", [("main.py", "g(x, 7)", "g(7, x)")], runs="f"),
    case("keys swapped", "the order of a dict", "def f(x):\n    return list({'a': 1, 'b': 2})", [("main.py", "'a': 1, 'b': 2", "'b': 2, 'a': 1")], runs="f"),
    case("condition negated", "not", "def f(x):\n    return 7 if x else 5", [("main.py", "if x", "if not x")], runs="f"),
    case("early return", "a return earlier", "def f(x):\n    for i in range(5):\n        x += i\n    return x", [("main.py", "        x += i\n", "        x += i\n        return x\n")], runs="f"),
    case("exception widened", "what is caught", "def f(x):\n    try:\n        return {}['a']\n    except KeyError:\n        return 7\n    except Exception:\n        return 5", [("main.py", "except KeyError", "except IndexError")], runs="f"),
    case("dead code", "code that never runs is compiled away, or not: the result is kept either way", "def f(x):\n    if False:\n        return 5\n    return 7", [("main.py", "return 5", "return 6")]),
    case("parentheses", "parentheses that change nothing", "def f(x):\n    return x + 7 * 2", [("main.py", "x + 7 * 2", "(x + ((7) * (2)))")]),
    case("constant folding", "the compiler's arithmetic", "def f(x):\n    return x + 14", [("main.py", "14", "7 * 2")]),
    case("quotes and underscores", "other spellings of a constant", "def f(x):\n    return 'a\\'b', 1000000", [("main.py", "'a\\'b', 1000000", '"a\'b", 1_000_000')]),
    case("semicolons", "two statements on a line", "def f(x):\n    x += 1\n    return x", [("main.py", "    x += 1\n    return x", "    x += 1; return x")]),
    case("def on other lines", "arguments one a line", "def g(a, b=2, *, c=3):\n    return a + b + c\ndef f(x):\n    return g(x, b=7, c=1)", [("main.py", "g(x, b=7, c=1)", "g(\n        x,\n        b=7,\n        c=1,\n    )"), ("main.py", "(a, b=2, *, c=3)", "(\n    a,\n    b=2,\n    *,\n    c=3,\n)")]),
    case("methods reordered", "methods in another order", "class A:\n    def g(self):\n        return self.h()\n    def h(self):\n        return 7\ndef f(x):\n    return A().g()", [("main.py", "    def g(self):\n        return self.h()\n    def h(self):\n        return 7\n", "    def h(self):\n        return 7\n    def g(self):\n        return self.h()\n")]),
    case("functions reordered", "functions in another order", "def a(x):\n    return x + 7\ndef b(x):\n    return a(x)\ndef f(x):\n    return b(x)", {"main.py": "def f(x):\n    return b(x)\ndef b(x):\n    return a(x)\ndef a(x):\n    return x + 7"}),
    case("with another new function", "a function that nothing uses", "def f(x):\n    return x + 7", [("main.py", "def f", "def unused(y):\n    return y\n\n\ndef f")]),
    case("future import", "annotations as text", "def f(x: int) -> int:\n    return x + 7", [("main.py", "def f", "from __future__ import annotations\ndef f")]),
]  # fmt: skip
