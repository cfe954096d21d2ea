"""What other tools got wrong, from their issue trackers, and the facts that the design starts from."""

from __future__ import annotations

from tests.corpus.case import case

LOG = "import math\ndef log_transform(x):\n    return math.log(x)\ndef transform(x):\n    return [log_transform(v) for v in x]\ndef plain(x):\n    return sum(x)"

CASES = [
    case("redun#23", "a helper that is no task of its own", LOG, [("main.py", "math.log(x)", "math.log(x + 1)")], "[transform([1, 2]), plain([1, 2])]", "transform"),
    case(
        "redun#99", "code that a task reaches through another module",
        {"main.py": "from lib import clean\ndef task(x):\n    return clean(x)", "lib.py": "from deep import strip\ndef clean(x):\n    return strip(x) + 1", "deep.py": "def strip(x):\n    return x * 7"},
        [("deep.py", "7", "5")], "task(1)", "task",
    ),
    case("joblib#680", "a cached function moves to other lines", "def f(x):\n    return x + 7", [("main.py", "def f", "import os\n\nUNRELATED = 3\n\n\ndef f")]),
    case("joblib#1287", "an edit in what a cached function calls", "def inner(x):\n    return x + 7\ndef f(x):\n    return inner(x)", [("main.py", "7", "5")], runs="f"),
    case("joblib#1374", "two inner functions of one name", "def a():\n    def nested(x):\n        return x + 1\n    return nested\ndef b():\n    def nested(x):\n        return x + 2\n    return nested\nf, g = a(), b()", [("main.py", "x + 2", "x + 3")], "[f(1), g(1)]", "g"),
    case("joblib#1096", "functions of one name in two notebooks", "def f(x):\n    return 'A'", [("main.py", "'A'", "'B'")], runs="f", styles=("cells", "cells")),
    case("joblib#490", "a result of many equal parts", "def f(x):\n    return ['a' * 10] * 10", [("main.py", "'a'", "'b'")], runs="f"),
    case("joblib#1301", "a curried function", "import toolz\n@toolz.curry\ndef add(a, b):\n    return a + b\nf = add(7)", [("main.py", "add(7)", "add(5)")], runs="f"),
    case("joblib#1497", "two partials of one function", "from functools import partial\ndef foo(a, b):\n    return a + b\nf, g = partial(foo, b='one'), partial(foo, b='two')", [("main.py", "b='two'", "b='2'")], "[f('x'), g('x')]", "g"),
    case("hamilton#1715", "a constant of the module that a node reads", "SCALE = 7\ndef node(x):\n    return x * SCALE\ndef after(x):\n    return x + 1", [("main.py", "SCALE = 7", "SCALE = 5")], "after(node(1))", "node after"),
    case("hamilton#1116", "a partial as a node", "from functools import partial\ndef g(n, x):\n    return n * x\nf = partial(g, 7)", [("main.py", "n * x", "n - x")], runs="f"),
    case("prefect#16925", "a task's source without the tasks it calls", "def nested(x):\n    return x * 7\ndef outer(x):\n    return nested(x)", [("main.py", "* 7", "* 5")], "outer(1)", "outer"),
    case("prefect#15861", "objects of equal value are equal inputs", "class Box:\n    def __init__(self, v):\n        self.v = v\nBOX = Box({'a', 'b', 'c'})\ndef f(box):\n    return sorted(box.v)", [("main.py", "{'a', 'b', 'c'}", "{'c', 'b', 'a'}")], "f(raw.BOX)"),
    case("prefect#23062", "equal source text over different closures", "def make(n):\n    def task(x):\n        return x + n\n    return task\nf, g = make(1), make(2)", [("main.py", "make(2)", "make(3)")], "[f(1), g(1)]", "g"),
    case("prefect#17611", "a data frame as an input", "import pandas as pd\nDATA = pd.DataFrame({'b': [1, 2], 'a': ['x', 'y']})\ndef f(data):\n    return data.b.sum()", [("main.py", "DATA =", "# the same\nDATA =")], "f(raw.DATA)"),
    case("snakemake#1694: comment", "a comment or a blank line reruns", "def f(x):\n    y = x + 7\n    return y", [("main.py", "    y = x + 7", "    # seven\n\n    y = x + 7   ")]),
    case("snakemake#1694: parameter", "a changed parameter reruns", "PARAM = 1\ndef f(x):\n    return x + 7", [("main.py", "PARAM = 1", "PARAM = 2")], "f(PARAM)", "f"),
    case("snakemake#1694: set of inputs", "a changed set of inputs reruns", "PARTS = [1, 2]\ndef f(x):\n    return sum(x)", [("main.py", "[1, 2]", "[1, 2, 3]")], "f(PARTS)", "f"),
    case("cloudpickle#385", "a line inserted anywhere changes the pickle", "def f(x):\n    return 7\n\nprint", [("main.py", "\n\nprint", "\n\n\n\nprint")], styles=("script", "script")),
    case("cloudpickle#453: interning", "equal strings, shared or not", "class A:\n    arg_1 = 'join'\n    def join(self, arg_1):\n        return self.arg_1 + arg_1\ndef f(x):\n    return A().join('x')", [("main.py", "'join'\n", "''.join(['jo', 'in'])\n")], styles=("script", "script")),
    case("cloudpickle#453: order of attributes", "attributes of a rebuilt class come in another order", "class A:\n    'Doc.'\n    def __init__(self):\n        'Doc.'\n        self.x = 7\n    def b(self):\n        return self.x\n    def a(self):\n        return self.b()\ndef f(x):\n    return A().a()", [("main.py", "    def b(self):\n        return self.x\n    def a(self):\n        return self.b()\n", "    def a(self):\n        return self.b()\n    def b(self):\n        return self.x\n")], styles=("script", "script")),
    case("cloudpickle#510", "a class of the script gets a new id in every session", "class A:\n    def g(self):\n        return 7\ndef f(x):\n    return A().g()", styles=("script", "script")),
    case("cloudpickle#538", "the file name of a notebook's cell", "# %%\ndef f(x):\n    return 7\n", [("main.py", "# %%", "a = 1\n# %%\nb = 2\n# %%")], styles=("cells", "cells")),
    case("dask#9135", "equal lambdas on other lines", "a, f = (lambda a: a, lambda a: a + 7)", [("main.py", "lambda a: a, lambda", "lambda a: a,\nlambda")]),
    case("dask#10876", "an object without a token of its own", "class A:\n    def __init__(self):\n        self.v = [1, {'x': 7}]\nIT = A()\ndef f(a):\n    return a.v[1]['x']", [("main.py", "7", "5")], "f(raw.IT)", "f"),
    case("dask#10876: unchanged", "an object without a token of its own, in another process", "class A:\n    def __init__(self):\n        self.v = [1, {'x': 7}]\nIT = A()\ndef f(a):\n    return a.v[1]['x']", graph="f(raw.IT)"),
    case("dask-awkward#468", "an array among the arguments", "import awkward as ak\nARRAY = ak.Array([[1, 2], [7]])\ndef f(a):\n    return ak.sum(a).item()", [("main.py", "[7]", "[5]")], "f(raw.ARRAY)", "f"),
    case("dask-awkward#468: unchanged", "an array of equal form and content", "import awkward as ak\nARRAY = ak.Array([[1, 2], [7]])\ndef f(a):\n    return ak.sum(a).item()", [("main.py", "[[1, 2], [7]]", "[[1, 2]] + [[7]]")], "f(raw.ARRAY)"),
    case("dask-awkward#553", "a function packed into an object", "class Packed:\n    def __init__(self, fn):\n        self.fn = fn\n    def __call__(self, x):\n        return self.fn(x)\ndef fun(x):\n    return x + 7\nf = Packed(fun)", [("main.py", "class Packed", "# packed\nclass Packed")]),
    case("dask-awkward#553: edited", "a function packed into an object", "class Packed:\n    def __init__(self, fn):\n        self.fn = fn\n    def __call__(self, x):\n        return self.fn(x)\ndef fun(x):\n    return x + 7\nf = Packed(fun)", [("main.py", "x + 7", "x + 5")], runs="f"),
    case("TaskVine's task cache", "inc and dec of one argument", "def inc(x):\n    return x + 1\nf = inc", [("main.py", "def inc(x):\n    return x + 1\nf = inc", "def dec(x):\n    return x - 1\nf = dec")], runs="f"),
    case("graphchain", "a dependency of the same name gives another value", "def load():\n    return 7\ndef f(x):\n    return x * 2", [("main.py", "7", "5")], "f(load())", "load f"),
    case("fact: order of attribute calls", "LOAD_METHOD or LOAD_ATTR, by the lines", "class A:\n    def g(self, y):\n        return y + 7\nit = A()\ndef f(x):\n    return it.g(x)", [("main.py", "it.g(x)", "(it\n        .g(\n            x))")]),
    case("fact: swapped stores", "stores of an unpacking, by the lines", "def f(x):\n    a, b, c = x, 7, x * 3\n    a, b = b, a\n    return a - b - c", [("main.py", "a, b = b, a", "(a,\n     b) = (b,\n           a)")]),
    case("fact: duplicated exit blocks", "short blocks are copied, by the lines", "def f(x):\n    for i in range(9):\n        if i > x and i % 2 or i == 8:\n            return i\n    return None", [("main.py", "if i > x and i % 2 or i == 8:\n            return i", "if (i > x\n            and i % 2\n            or i == 8):\n            return (\n                i)")]),
    case("fact: importable function's token", "dask's token of an importable function outlives its body", {"main.py": "from helper import f", "helper.py": "def f(x):\n    return x + 7"}, [("helper.py", "7", "5")], runs="f"),
    case("fact: order of a set", "sets among the arguments", "S = {'alpha', 'beta', 'gamma', 'delta', 'epsilon'}\ndef f(s):\n    return sorted(s)", graph="f(raw.S)"),
    case("fact: memoised equal values", "one list twice, or two equal lists", "def f(x):\n    return x", graph="f([[1, 2]] + [[1, 2]])"),
    case("fact: kept result of equal content", "a refactored upstream costs itself alone", "def up(x):\n    return [v * 2 for v in x]\ndef down(x):\n    return sum(x)", [("main.py", "[v * 2 for v in x]", "[v + v for v in x]")], "down(up([1, 2]))", "up"),
    case("fact: keyword order", "keywords in another order are seen by **kwargs", "def f(**k):\n    return list(k)", [("main.py", "list(k)", "list(k)  # same")], "f(a=1, b=2)"),
]  # fmt: skip
