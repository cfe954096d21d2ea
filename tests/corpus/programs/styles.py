"""The same code as a module, a script, a notebook and executed text: one key."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

from tests.corpus.case import Case, case

PROGRAM = (
    "import math\nCUT = 7\n# %%\ndef helper(x):\n    return math.floor(x) + CUT\n# %%\nclass Box:\n    size = 2\n"
    "    def grow(self, by):\n        return self.size * by\n# %%\ndef f(x):\n    '''Do it.'''\n    return Box().grow(helper(x))\n"
)
PIECES = {
    "dataclass": "from dataclasses import dataclass\n@dataclass\nclass A:\n    x: int = 7\ndef f(x):\n    return A().x + x",
    "enum": "import enum\nclass E(enum.Enum):\n    A = 7\ndef f(x):\n    return E.A.value",
    "closure": "def make(n):\n    def f(x):\n        return x + n\n    return f\nf = make(7)",
    "slots": "class A:\n    __slots__ = ('y', 'z')\n    def __init__(self):\n        self.y = 7\ndef f(x):\n    return A().y",
    "abc": "import abc\nclass B(abc.ABC):\n    @abc.abstractmethod\n    def g(self): ...\nclass A(B):\n    def g(self):\n        return 7\ndef f(x):\n    return A().g()",
    "namedtuple": "from collections import namedtuple\nN = namedtuple('N', 'a b')\ndef f(x):\n    return N(x, 7).b",
    "recursion": "def f(n):\n    return f(n - 1) + 1 if n else 7",
    "metaclass": "class M(type):\n    def by(cls):\n        return 7\nclass A(metaclass=M): pass\ndef f(x):\n    return A.by()",
    "decorator": "import functools\ndef d(g):\n    @functools.wraps(g)\n    def w(*a):\n        return g(*a) + 7\n    return w\n@d\ndef f(x):\n    return x",
    "protocol": "from typing import Protocol, runtime_checkable\n@runtime_checkable\nclass P(Protocol):\n    def g(self): ...\nclass A:\n    def g(self):\n        return 7\ndef f(x):\n    return isinstance(A(), P) and A().g()",
    "typed namedtuple": "from typing import NamedTuple\nclass N(NamedTuple):\n    a: int = 7\ndef f(x):\n    return N().a",
    "frozen slots": "from dataclasses import dataclass, field\n@dataclass(frozen=True, slots=True)\nclass A:\n    a: int = 7\n    b: list = field(default_factory=list)\ndef f(x):\n    return A().a",
    "vectorize": "import numpy as np\n@np.vectorize\ndef g(x):\n    return x + 7\ndef f(x):\n    return g([x]).tolist()",
    "generic": "from typing import Generic, TypeVar\nT = TypeVar('T')\nclass A(Generic[T]):\n    def g(self):\n        return 7\ndef f(x):\n    return A[int]().g()",
    "logger": "import logging\nlog = logging.getLogger('analysis')\ndef f(x):\n    log.debug('x')\n    return x + 7",
    "property": "class A:\n    @property\n    def p(self):\n        return 7\n    @p.setter\n    def p(self, v): ...\ndef f(x):\n    return A().p",
}

CELLS = [
    case("cell run again", "a cell that ran twice leaves what ran last", "# %%\nCUT = 7\n# %%\ndef f(x):\n    return x + CUT\n", {"main.py": "# %%\nCUT = 7\n# %%\ndef f(x):\n    return x + CUT\n# %%\ndef f(x):\n    return x + CUT\n"}, styles=("cells", "cells")),
    case("cell edited and run again", "the last definition counts", "# %%\ndef f(x):\n    return x + 7\n", {"main.py": "# %%\ndef f(x):\n    return x + 7\n# %%\ndef f(x):\n    return x + 5\n"}, runs="f", styles=("cells", "cells")),
    case("helper's cell run again", "a helper defined twice", "# %%\ndef h(x):\n    return x + 7\n# %%\ndef f(x):\n    return h(x)\n", {"main.py": "# %%\ndef h(x):\n    return x + 5\n# %%\ndef f(x):\n    return h(x)\n# %%\ndef h(x):\n    return x + 7\n"}, styles=("cells", "cells")),
    case("class's cell run again", "a class defined twice", "# %%\nclass A:\n    v = 7\n# %%\ndef f(x):\n    return A().v\n", {"main.py": "# %%\nclass A:\n    v = 7\n# %%\ndef f(x):\n    return A().v\n# %%\nclass A:\n    v = 7\n"}, styles=("cells", "cells")),
    case("constant's cell edited", "a cell above was edited and run", "# %%\nCUT = 7\n# %%\ndef f(x):\n    return x + CUT\n", {"main.py": "# %%\nCUT = 7\n# %%\ndef f(x):\n    return x + CUT\n# %%\nCUT = 5\n"}, runs="f", styles=("cells", "cells")),
    case("cells in another order", "definitions in another order", PROGRAM, {"main.py": "# %%\nimport math\n# %%\ndef f(x):\n    return Box().grow(helper(x))\n# %%\nclass Box:\n    size = 2\n    def grow(self, by):\n        return self.size * by\n# %%\ndef helper(x):\n    return math.floor(x) + CUT\nCUT = 7"}, styles=("cells", "cells")),
    case("output between cells", "variables that nothing reads", PROGRAM, [("main.py", "# %%\nclass", "# %%\nprint_me = [1, 2]\n_ = 99\n# %%\nclass")], styles=("cells", "cells")),
]  # fmt: skip


def _cases() -> Iterator[Case]:
    for before, after in permutations(("module", "script", "cells", "exec"), 2):
        if "exec" not in (before, after):
            yield case(f"{before} and {after}", "the same source is the same code", PROGRAM, styles=(before, after))
    for name, source in PIECES.items():
        yield case(f"{name}: module and notebook", "the same source is the same code", source, styles=("module", "cells"))
        yield case(f"{name}: script edited", "code of a script counts as any other", source, source.replace("7", "5"), runs="f", styles=("script", "script"))


CASES = [*_cases(), *CELLS]
