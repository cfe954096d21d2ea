"""A dict that code only looks things up in counts without its order; where the order can be seen, with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cachingclient.hashing.identify import identify

XSEC = {"ttbar": 831.8, "wjets": 61526.7, "zjets": 6077.2}
LOOKED_UP = {
    "a subscript": "XSEC[x]",
    "a subscript of what is computed": "XSEC[x.metadata['dataset'].lower()] * 2",
    "a text that is put together": "XSEC[f'{x}_{x!r:>3}_2018']",
    "several numbers": "XSEC[x[0], -x[1]]",
    "get": "XSEC.get(x)",
    "get with another value": "XSEC.get(name(x), 1.0)",
    "asked for": "x in XSEC",
    "not there": "x not in XSEC",
    "in a comprehension": "[XSEC[each] for each in x if each in XSEC]",
    "in a function inside": "sorted(x, key=lambda each: XSEC[each])",
    "beside a constant key": "XSEC['ttbar'] + XSEC[x]",
}
ORDER_SEEN = {
    "gone through": "[each for each in XSEC]",
    "its values": "list(XSEC.values())",
    "passed on": "list(XSEC)",
    "passed on beside a look-up": "(XSEC[x], list(XSEC))",
    "passed to what looks up": "getter(XSEC, x)[x]",
    "a key of another": "x[XSEC]",
    "asked of another": "XSEC in x",
    "its method passed on": "map(XSEC.get, x)",
    "its method passed on with a key": "x(XSEC.get, x)",
    "joined": "XSEC | x[x]",
    "chosen": "list(XSEC if x else {})[x]",  # Python 3.13 makes two look-ups of a choice that is looked up in
    "a key that is chosen": "XSEC['ttbar' if x else 'wjets']",
    "given a name": "(other := XSEC)[x] and list(other)",
    "by its variables": "locals() and XSEC[x]",
}


def digest(source: str, table: Any) -> str:
    """The digest of a function of one expression that reads a table."""
    names: dict[str, Any] = {"__name__": "__main__", "XSEC": table, "name": str, "getter": max}
    exec(f"def f(x):\n    return {source}", names)
    return identify(names["f"]).digest


def turned(table: dict[str, Any]) -> dict[str, Any]:
    return dict(reversed(table.items()))


@pytest.mark.parametrize("how", LOOKED_UP)
def test_order_does_not_count_where_code_only_looks_up(how: str) -> None:
    """What is looked up is the same in any order; each value and each key still counts."""
    before = digest(LOOKED_UP[how], XSEC)
    assert digest(LOOKED_UP[how], turned(XSEC)) == before
    assert digest(LOOKED_UP[how], {**XSEC, "zjets": 6077.3}) != before
    assert digest(LOOKED_UP[how], {**XSEC, "qcd": 1.0}) != before


@pytest.mark.parametrize("how", ORDER_SEEN)
def test_order_counts_where_code_may_see_it(how: str) -> None:
    """What goes through a dict, or hands it on, gives another result in another order."""
    assert digest(ORDER_SEEN[how], turned(XSEC)) != digest(ORDER_SEEN[how], XSEC)


def test_order_of_what_is_found_counts() -> None:
    """A dict that is looked up in another one is whole: its order can be seen."""
    inner = {"low": 0.0, "high": 200.0}
    assert digest("XSEC[x]", {"pt": inner}) != digest("XSEC[x]", {"pt": turned(inner)})


def test_functions_in_a_table_are_told_apart() -> None:
    """A table of functions counts without its order too, and with which function stands under which name."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec("def low(x): return x < 30\ndef high(x): return x > 30", names)
    cuts = {"low": names["low"], "high": names["high"]}
    before = digest("XSEC[x](x)", cuts)
    assert digest("XSEC[x](x)", turned(cuts)) == before
    assert digest("XSEC[x](x)", {"low": names["high"], "high": names["low"]}) != before


def test_keys_of_a_class_of_the_users_keep_their_order() -> None:
    """Such keys may call themselves equal to anything: which one is found may follow from the order."""
    keys = [type("Any", (), {"__hash__": lambda self: 1, "name": name})() for name in ("low", "high")]
    names: dict[str, Any] = {keys[0]: 1.0, keys[1]: 2.0}
    assert digest("XSEC[x]", names) != digest("XSEC[x]", turned(names))


def test_a_module_may_fill_its_table_from_a_set(tmp_path: Path) -> None:
    """Two processes whose sets have other orders agree on the code that looks up, not on the code that goes through."""
    (tmp_path / "tables.py").write_text(
        "XSEC = {name: len(name) for name in {'ttbar', 'wjets', 'zjets', 'qcd', 'diboson', 'data'}}\n"
        "def one(name): return XSEC[name]\n"
        "def all(): return list(XSEC)\n"
    )
    program = (
        "import tables; from cachingclient.hashing.identify import identify; "
        "one = identify(tables.one); "
        "print(one.digest, one.users_code.hex(), identify(tables.all).digest, *tables.XSEC)"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join([str(tmp_path), *filter(None, sys.path)])},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for seed in ("1", "2")
    ]
    (one, users, whole, *names), (again, users_again, other, *turned_names) = told
    assert names != turned_names
    assert (one, users) == (again, users_again)
    assert whole != other
