"""Results of a program's own classes, kept and loaded: they are of the classes of the session that loads them."""

from __future__ import annotations

from tests.corpus.case import case

ENUM = "import enum\nclass Channel(enum.Enum):\n    MU = 'mu'\n    EL = 'el'\ndef make(x):\n    return {Channel.MU: x}\n"
USE = "def use(table):\n    return table.get(Channel.MU, 1000) + 7"
REGION = "import dataclasses\n@dataclasses.dataclass(frozen=True)\nclass Region:\n    low: float\ndef make(x):\n    return [Region(x)]\n"
EQUAL = "def use(regions):\n    return regions[0] == Region(2), 7"
CELLS = {"styles": ("cells", "cells")}
SCRIPT = {"styles": ("script", "script")}

CASES = [
    case("enum of a script, looked up", "streamlit#2379: a loaded key is a member of this session's enum", ENUM + USE, [("main.py", "+ 7", "+ 5")], "use(make(2))", "use", **SCRIPT),
    case("enum of a notebook, looked up", "marimo#9862: the same in cells", ENUM.replace("'el'", "'electron'") + "# %%\n" + USE, [("main.py", "1000) + 7", "2000) + 5")], "use(make(2))", "use", **CELLS),
    case("member of an enum renamed", "its name is part of what it is", ENUM.replace("mu", "muon") + USE, [("main.py", "EL", "ELE")], "use(make(2))", "make use", **SCRIPT),
    case("dataclass of a script, compared", "ipython#12399: a loaded object equals one made now", REGION + EQUAL, [("main.py", ", 7", ", 5")], "use(make(2))", "use", **SCRIPT),
    case("dataclass of a notebook, compared", "the same in cells", REGION.replace("[", "[0, ").replace("(x)", "(x)") + "# %%\n" + EQUAL.replace("[0]", "[1]"), [("main.py", ", 7", ", 5")], "use(make(2))", "use", **CELLS),
    case("class itself as a result", "a loaded class is the session's", "class Cut:\n    pass\ndef make(x):\n    return [Cut]\ndef use(kinds):\n    return kinds[0] is Cut, 7", [("main.py", ", 7", ", 5")], "use(make(2))", "use", **CELLS),
    case("object of a class in a class", "workers know it without the outer name", "class Yield:\n    class Error:\n        pass\ndef make(x):\n    return [Yield.Error()]\ndef use(errors):\n    return isinstance(errors[0], Yield.Error), 7", [("main.py", ", 7", ", 5")], "use(make(2))", "use", **SCRIPT),
    case("exception of a script", "a loaded error is caught as this session's", "class Bad(Exception):\n    pass\ndef make(x):\n    return [Bad(x)]\ndef use(errors):\n    try:\n        raise errors[0]\n    except Bad:\n        return 7", [("main.py", "return 7", "return 5")], "use(make(2))", "use", **SCRIPT),
]  # fmt: skip
