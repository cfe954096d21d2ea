"""Code spread over files: imports of every kind, and edits of what is used and what is not."""

from __future__ import annotations

from collections.abc import Iterator

from tests.corpus.case import Case, case

HELPER = "CUT = 7\nOTHER = 1\n\n\ndef cut(x):\n    return x + CUT\n\n\ndef other(x):\n    return x * OTHER\n"

IMPORTS: dict[str, str] = {
    "import": "import helper\ndef f(x):\n    return helper.cut(x)",
    "import as": "import helper as h\ndef f(x):\n    return h.cut(x)",
    "from import": "from helper import cut\ndef f(x):\n    return cut(x)",
    "from import as": "from helper import cut as c\ndef f(x):\n    return c(x)",
    "star import": "from helper import *\ndef f(x):\n    return cut(x)",
    "import in a function": "def f(x):\n    import helper\n    return helper.cut(x)",
    "import as in a function": "def f(x):\n    import helper as h\n    return h.cut(x)",
    "from import in a function": "def f(x):\n    from helper import cut\n    return cut(x)",
    "import used in a comprehension": "def f(x):\n    import helper\n    return [helper.cut(y) for y in (x, 2)]",
    "import used in an inner function": "def f(x):\n    import helper\n    def g(y):\n        return helper.cut(y)\n    return g(x)",
    "import in two ways": "def f(x):\n    try:\n        import missing_one as h\n    except ImportError:\n        import helper as h\n    return h.cut(x)",
    "module in a closure": "import helper\ndef make(h):\n    def f(x):\n        return h.cut(x)\n    return f\nf = make(helper)",
    "module in a class": "import helper\nclass A:\n    def g(self, x):\n        return helper.cut(x)\ndef f(x):\n    return A().g(x)",
    "import by a constant name": "import importlib\ndef f(x):\n    return importlib.import_module('helper').cut(x)",
}  # fmt: skip

PACKAGE = {
    "pkg/__init__.py": "",
    "pkg/cuts.py": "from .limits import LIMIT\n\n\ndef cut(x):\n    return x + LIMIT\n",
    "pkg/limits.py": "LIMIT = 7\nUNUSED = 1\n",
}
PACKAGED: dict[str, str] = {
    "submodule by attribute": "import pkg.cuts\ndef f(x):\n    return pkg.cuts.cut(x)",
    "from package import submodule": "from pkg import cuts\ndef f(x):\n    return cuts.cut(x)",
    "submodule imported in a function": "def f(x):\n    import pkg.cuts\n    return pkg.cuts.cut(x)",
    "submodule as another name": "def f(x):\n    import pkg.cuts as c\n    return c.cut(x)",
    "constant at the end of a chain": "import pkg.limits\ndef f(x):\n    return pkg.limits.LIMIT + x",
}


def _cases() -> Iterator[Case]:
    for name, main in IMPORTS.items():
        files = {"main.py": main, "helper.py": HELPER}
        yield case(f"{name}: helper edited", "helpers in other files count", files, [("helper.py", "CUT = 7", "CUT = 5")], runs="f")
        whole = name in ("module in a closure", "import in two ways", "import by a constant name")
        if not whole:
            yield case(f"{name}: neighbour edited", "only what is used counts", files, [("helper.py", "x * OTHER", "x / OTHER")])
    for name, main in PACKAGED.items():
        files = {"main.py": main, **PACKAGE}
        yield case(f"{name}: edited", "chains are followed", files, [("pkg/limits.py", "LIMIT = 7", "LIMIT = 5")], runs="f")
        yield case(f"{name}: neighbour edited", "only what is used counts", files, [("pkg/limits.py", "UNUSED = 1", "UNUSED = 2")])


LOGGER = {
    "main.py": "from logs import log\ndef f(x):\n    log.debug('f')\n    return log.shift(x) * log.factor",
    "logs.py": "import logging\nlog = logging.getLogger('logs')\nlog.factor = 7\nlog.unused = 1\nlog.shift = lambda x: x + 7",
}
PATCHED = {
    "main.py": "import patches\npatches.install()\nfrom fractions import Fraction\ndef f(x):\n    return Fraction(x).scaled()",
    "patches.py": "import fractions\ndef scaled(self):\n    return float(self) * 7\n"
    "def install():\n    setattr(fractions.Fraction, 'scaled', scaled)",
}
SETTING = {
    "main.py": "import style\nimport decimal\ndef f(x):\n    return float(decimal.Decimal(x) / 3)",
    "style.py": "import decimal\ndecimal.getcontext().prec = 3\nprint('styled')\n",
}
OTHERS = [
    case("library's setting in a module that is imported", "what it sets counts", SETTING, [("style.py", "= 3", "= 7")], runs="f"),
    case("print beside a library's setting", "it sets nothing", SETTING, [("style.py", "'styled'", "'done'")]),
    case("attribute set on a logger", "what the user sets on an object that is found by its name", LOGGER, [("logs.py", "factor = 7", "factor = 5")], runs="f"),
    case("method set on a logger", "what the user sets on an object that is found by its name", LOGGER, [("logs.py", "x + 7", "x + 5")], runs="f"),
    case("attribute set on a logger, another", "only what is used counts", LOGGER, [("logs.py", "unused = 1", "unused = 2")]),
    case("patch installed by a call", "a module that is imported sets what the functions that it calls say", PATCHED, [("patches.py", "* 7", "* 5")], runs="f"),
    case("patch installed by a call, layout", "layout is no code", PATCHED, [("patches.py", "def scaled", "# scaled\ndef scaled")]),
    case(
        "inheritance across modules", "bases count wherever they are",
        {"main.py": "from base import Base\nclass A(Base):\n    pass\ndef f(x):\n    return A().g(x)", "base.py": "class Base:\n    def g(self, x):\n        return x + 7"},
        [("base.py", "7", "5")], runs="f",
    ),
    case(
        "module __getattr__", "lazy attributes count by what they give",
        {"main.py": "import lazy\ndef f(x):\n    return lazy.limit + x", "lazy.py": "def __getattr__(name):\n    if name == 'limit':\n        return 7\n    raise AttributeError(name)"},
        [("lazy.py", "7", "5")], runs="f",
    ),
    case(
        "relative import of the parent", "relative imports are resolved",
        {"main.py": "from pkg.sub.a import g as f", "pkg/__init__.py": "", "pkg/limits.py": "L = 7", "pkg/sub/__init__.py": "", "pkg/sub/a.py": "def g(x):\n    from ..limits import L\n    return x + L"},
        [("pkg/limits.py", "7", "5")], runs="f",
    ),
    case(
        "re-export", "what a package re-exports counts",
        {"main.py": "from pkg import cut as f", "pkg/__init__.py": "from .impl import cut", "pkg/impl.py": "def cut(x):\n    return x + 7"},
        [("pkg/impl.py", "7", "5")], runs="f",
    ),
    case(
        "moved to another module", "where a function lives is no matter",
        {"main.py": "from old import cut as f", "old.py": "def cut(x):\n    return x + 7"},
        {"main.py": "from new import cut as f", "old.py": None, "new.py": "# moved\n\ndef cut(x):\n    return x + 7"},
    ),
    case(
        "helper moved into a package", "where a helper lives is no matter",
        {"main.py": "from helper import cut\ndef f(x):\n    return cut(x)", "helper.py": "def cut(x):\n    return x + 7"},
        {"main.py": "from tools.cuts import cut\ndef f(x):\n    return cut(x)", "helper.py": None, "tools/__init__.py": "", "tools/cuts.py": "def cut(x):\n    return x + 7"},
    ),
    case(
        "two helpers of one name", "a name is no identity",
        {"main.py": "import a, b\ndef f(x):\n    return a.cut(x)\ndef g(x):\n    return b.cut(x)", "a.py": "def cut(x):\n    return x + 7", "b.py": "def cut(x):\n    return x + 1"},
        [("b.py", "x + 1", "x + 2")], graph="[f(1), g(1)]", runs="g",
    ),
    case(
        "three files deep", "helpers of helpers count",
        {"main.py": "import a\ndef f(x):\n    return a.g(x)", "a.py": "import b\ndef g(x):\n    return b.h(x)", "b.py": "import c\ndef h(x):\n    return c.k(x)", "c.py": "def k(x):\n    return x + 7"},
        [("c.py", "7", "5")], runs="f",
    ),
    case(
        "circular imports", "circles of modules are followed once",
        {"main.py": "import a\ndef f(x):\n    return a.g(x)", "a.py": "import b\nL = 7\ndef g(x):\n    return b.h(x)", "b.py": "import a\ndef h(x):\n    return x + a.L"},
        [("a.py", "7", "5")], runs="f",
    ),
    case(
        "namespace package", "folders without __init__ are the user's code too",
        {"main.py": "from space.cuts import cut as f", "space/cuts.py": "def cut(x):\n    return x + 7"},
        [("space/cuts.py", "7", "5")], runs="f",
    ),
    case(
        "module that shadows another", "what is imported counts, not what it is called",
        {"main.py": "import helper\ndef f(x):\n    return helper.cut(x)", "helper.py": "def cut(x):\n    return x + 7"},
        {"helper.py": None, "helper/__init__.py": "def cut(x):\n    return x + 5"}, runs="f",
    ),
    case(
        "docstring of a module", "a module's docstring is no code",
        {"main.py": "import helper\ndef f(x):\n    return helper.cut(x)", "helper.py": HELPER},
        [("helper.py", "CUT = 7", "'''Cuts.'''\nCUT = 7")],
    ),
    case(
        "helper replaced by a library's", "a helper that becomes a library's function",
        {"main.py": "from helper import root\ndef f(x):\n    return root(x)", "helper.py": "def root(x):\n    return x + 7"},
        {"helper.py": "from math import sqrt as root"}, runs="f",
    ),
]  # fmt: skip

MADE = {
    "main.py": "import decimal, style\ndef f(x):\n    return float(decimal.Decimal(x) / 3)",
    "style.py": "import decimal\nclass Settings:\n    digits = 3\n    def apply(self):\n        decimal.getcontext().prec = self.digits\n"
    "class Unused:\n    digits = 9\nSettings().apply()\nunused = Unused()\n",
}
DECORATED = {
    "main.py": "import patches\nfrom fractions import Fraction\ndef f(x):\n    return Fraction(x).doubled()",
    "tools.py": "import fractions\ndef patch(f):\n    setattr(fractions.Fraction, f.__name__, f)\n    return f\n",
    "patches.py": "from tools import patch\n@patch\ndef doubled(self):\n    return float(self) * 7\ndef unused(self):\n    return 9\n",
}
RESULT = {
    "main.py": "import decimal, style\ndef f(x):\n    return float(decimal.Decimal(x) / 3)",
    "style.py": "import decimal\ndef install():\n    decimal.getcontext().prec = 3\n    return True\ndef table():\n    return {'pt': 9}\n"
    "assert install()\nTABLE = table()\n",
}
TAGGED = {
    "main.py": "import yaml, cuts\ndef f(x):\n    return yaml.load('!Cut {v: 3}', Loader=yaml.Loader).apply(x)",
    "cuts.py": "import yaml\nclass Cut(yaml.YAMLObject):\n    yaml_tag = '!Cut'\n    def apply(self, x):\n        return x + 7 * self.v\n"
    "class Unused:\n    v = 9\n",
}
EFFECTS = [
    case("setting by a method", "what a class of the user's sets on import counts", MADE, [("style.py", "digits = 3", "digits = 7")], runs="f"),
    case("setting by a method, another class", "a class that sets nothing counts where it is used", MADE, [("style.py", "digits = 9", "digits = 8")]),
    case("setting by a call whose result is used", "what it sets counts", RESULT, [("style.py", "prec = 3", "prec = 7")], runs="f"),
    case("table by a call whose result is used", "it sets nothing in libraries", RESULT, [("style.py", "'pt': 9", "'pt': 8")]),
    case("patch by a decorator of the user's", "a function that it installs is named nowhere else", DECORATED, [("patches.py", "* 7", "* 5")], runs="f"),
    case("beside a patch by a decorator", "a function that nobody installs", DECORATED, [("patches.py", "return 9", "return 8")]),
    case("class that a library's metaclass keeps", "yaml makes objects of it by a tag", TAGGED, [("cuts.py", "x + 7", "x + 5")], runs="f"),
    case("beside a class that a library keeps", "a class that nobody uses", TAGGED, [("cuts.py", "v = 9", "v = 8")]),
    case(
        "registry of a metaclass", "classes count by the table that they are found in",
        {"main.py": "from registry import KNOWN, Meta\nclass Cut(metaclass=Meta):\n    def __call__(self, x):\n        return x > 7\ndef f(x):\n    return KNOWN['Cut']()(x)",
         "registry.py": "KNOWN = {}\nclass Meta(type):\n    def __init__(cls, name, bases, space):\n        super().__init__(name, bases, space)\n        KNOWN[name] = cls\n"},
        [("main.py", "x > 7", "x > 0")], runs="f",
    ),
    case(
        "registry of __init_subclass__", "classes count by the table that they are found in",
        {"main.py": "import cuts\nfrom registry import Base\ndef f(x):\n    return Base.known['Cut']()(x)",
         "registry.py": "class Base:\n    known = {}\n    def __init_subclass__(cls, **more):\n        super().__init_subclass__(**more)\n        Base.known[cls.__name__] = cls\n",
         "cuts.py": "from registry import Base\nclass Cut(Base):\n    def __call__(self, x):\n        return x > 7\n"},
        [("cuts.py", "x > 7", "x > 0")], runs="f",
    ),
    case(
        "subclasses of a base", "who asks a class for its subclasses",
        {"main.py": "import cuts\nfrom base import Base\ndef f(x):\n    return [each()(x) for each in Base.__subclasses__()]",
         "base.py": "class Base:\n    pass\n", "cuts.py": "from base import Base\nclass Cut(Base):\n    def __call__(self, x):\n        return x > 7\n"},
        [("cuts.py", "x > 7", "x > 0")], runs="f",
    ),
    case(
        "__all__ of the second of two", "what a star import gives",
        {"main.py": "from a import *\nfrom b import *\ndef f(x):\n    return cut(x)", "a.py": "def cut(x):\n    return x + 7\n", "b.py": "__all__ = []\ndef cut(x):\n    return x + 5\n"},
        [("b.py", "[]", "['cut']")], runs="f",
    ),
]  # fmt: skip

CASES = [*_cases(), *OTHERS, *EFFECTS]
