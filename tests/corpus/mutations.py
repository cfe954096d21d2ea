"""Mutates programs and checks their keys: an edit that changes a result changes its step's key, and layout none.

    python -m tests.corpus.mutations --count 5000

Each mutation is of one place in one program. Half of them are edits of what the code does; whether one changed a
result is found by running both programs. The other half are changes of layout, where all keys must stay.
"""

from __future__ import annotations

import argparse
import ast
import random
import signal
import sys
import types
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.identify import identify
from tests.corpus.layouts import LAYOUTS
from tests.corpus.programs.seeds import SEEDS

OPERATORS: dict[type, list[type]] = {
    ast.Add: [ast.Sub, ast.Mult], ast.Sub: [ast.Add], ast.Mult: [ast.Add, ast.FloorDiv], ast.Div: [ast.Mult],
    ast.FloorDiv: [ast.Div], ast.Mod: [ast.Add], ast.BitAnd: [ast.BitOr],
    ast.Lt: [ast.LtE, ast.Gt], ast.LtE: [ast.Lt], ast.Gt: [ast.GtE, ast.Lt], ast.GtE: [ast.Gt],
    ast.Eq: [ast.NotEq], ast.NotEq: [ast.Eq], ast.In: [ast.NotIn], ast.And: [ast.Or], ast.Or: [ast.And],
}  # fmt: skip
ATTRIBUTES = {
    "upper": "lower", "startswith": "endswith", "append": "remove", "sqrt": "exp", "add": "mul", "pt": "scale",
    "apply": "half", "factor": "offset", "sum": "prod", "argmax": "argmin", "name": "factor",
}  # fmt: skip
MOST_SECONDS = 0.2


@dataclass
class Counts:
    """What came of the mutations."""

    edits: int = 0
    layouts: int = 0
    changed: int = 0
    same: int = 0
    untouched: int = 0
    stale: list[str] = field(default_factory=list)
    needless: list[str] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        return (
            f"mutations: {self.edits} edits and {self.layouts} changes of layout: {len(self.stale)} stale results, "
            f"{len(self.needless)} needless misses; {self.changed} results changed and their keys with them, "
            f"{self.same} keys changed with code whose result did not, {self.untouched} steps beside kept theirs"
        )


@dataclass(frozen=True)
class Outcome:
    """The keys of a program's steps, and what these give."""

    keys: dict[str, str]
    results: dict[str, str]


def outcome(source: ast.Module | str, steps: dict[str, str], name: str = "mutated") -> Outcome | None:
    """Return what a program does; None if it doesn't even start."""
    module = types.ModuleType(name)
    # Classes look for their module by its name.
    kept, sys.modules[name] = sys.modules.get(name), module
    try:
        exec(compile(source, f"<{name}>", "exec", dont_inherit=True), module.__dict__)
        keys = {step: identify(getattr(module, step)).digest for step in steps}
        results = {step: _result(getattr(module, step), arguments) for step, arguments in steps.items()}
    except Unidentifiable:
        raise
    except Exception:
        return None
    finally:
        if kept is None:
            del sys.modules[name]
        else:
            sys.modules[name] = kept
    return Outcome(keys, results)


def _result(function: Callable[..., Any], arguments: str) -> str:
    """Return what a step gives, or how it fails; an edit may have it run for ever."""
    signal.setitimer(signal.ITIMER_VIRTUAL, MOST_SECONDS)
    try:
        return repr(function(*eval(arguments)))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _stop(number: int, frame: types.FrameType | None) -> None:
    raise TimeoutError("it runs for ever")


class Sites(ast.NodeVisitor):
    """Collects what can be done to a program: the name of each change, and a function that makes it."""

    def __init__(self, tree: ast.Module) -> None:
        self.found: list[tuple[str, int, Callable[[random.Random], None]]] = []
        for number, statement in enumerate(tree.body):
            self.top = number
            self.visit(statement)
        self.names = [s.name for s in tree.body if isinstance(s, ast.FunctionDef)]

    def add(self, kind: str, change: Callable[[random.Random], None]) -> None:
        """Add a change."""
        self.found.append((kind, self.top, change))

    def generic_visit(self, node: ast.AST) -> None:
        """Look at one node."""
        for name, value in ast.iter_fields(node):
            for part in value if isinstance(value, list) else [value]:
                if isinstance(part, tuple(OPERATORS)):
                    self.add(
                        "operator", lambda r, n=node, f=name, p=part: _replace(n, f, p, r.choice(OPERATORS[type(p)])())
                    )
            if isinstance(value, list) and len(value) > 1 and all(isinstance(part, ast.stmt) for part in value):
                self.add("statement removed", lambda r, v=value: v.pop(r.randrange(len(v))))
                self.add("statements swapped", lambda r, v=value: v.insert(0, v.pop()))
        super().generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        """A constant can be another."""
        if not isinstance(node.value, (type(None), type(...))):
            self.add("constant", lambda r, n=node: setattr(n, "value", _other(n.value, r)))

    def visit_Expr(self, node: ast.Expr) -> None:
        """A docstring is no constant."""
        if not isinstance(node.value, ast.Constant):
            self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """An attribute can be another."""
        if node.attr in ATTRIBUTES:
            self.add("attribute", lambda r, n=node: setattr(n, "attr", ATTRIBUTES[n.attr]))
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """Arguments can be swapped, and another function called."""
        if len(node.args) > 1:
            self.add("arguments swapped", lambda r, n=node: n.args.reverse())
        if isinstance(node.func, ast.Name):
            self.add("callee", lambda r, n=node: setattr(n.func, "id", r.choice([*self.names, "abs", "len", "str"])))
        self.generic_visit(node)

    def visit_Dict(self, node: ast.Dict) -> None:
        """A dict can have another order."""
        if len(node.keys) > 1:
            self.add("dict order", lambda r, n=node: (n.keys.reverse(), n.values.reverse()))
        self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        """A condition can be negated."""
        self.add("negation", lambda r, n=node: setattr(n, "test", ast.UnaryOp(ast.Not(), n.test)))
        self.generic_visit(node)


def _replace(node: ast.AST, name: str, old: ast.AST, new: ast.AST) -> None:
    value = getattr(node, name)
    if isinstance(value, list):
        value[value.index(old)] = new
    else:
        setattr(node, name, new)


def _other(value: Any, chance: random.Random) -> Any:
    """Return another constant of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + chance.choice([1, 2, -1])
    return value + chance.choice(["x", "0"]) if isinstance(value, str) else value


def reaches(tree: ast.Module) -> dict[str, set[int]]:
    """Return, for each name of a module, the numbers of the top statements that it can depend on."""
    defines: dict[str, set[int]] = {}
    uses: dict[int, set[str]] = {}
    for number, statement in enumerate(tree.body):
        names = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
        names |= {
            alias.asname or alias.name
            for node in ast.walk(statement)
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        uses[number] = names
        own = {statement.name} if isinstance(statement, (ast.FunctionDef, ast.ClassDef)) else names
        # A decorator may enter the function in a table.
        decorators = {
            node.id
            for d in getattr(statement, "decorator_list", ())
            for node in ast.walk(d)
            if isinstance(node, ast.Name)
        }
        for name in own | ({"TABLE"} if "register" in decorators else set()):
            defines.setdefault(name, set()).add(number)
    found = {}
    for name in defines:
        seen: set[int] = set()
        waiting = [name]
        while waiting:
            for number in defines.get(waiting.pop(), set()) - seen:
                seen.add(number)
                waiting.extend(uses[number])
        found[name] = seen
    return found


def check_edit(program: str, chance: random.Random, base: Outcome, counts: Counts) -> None:
    """Make one edit of what a program does, and compare."""
    source, steps = SEEDS[program]
    tree = ast.parse(source)
    kind, top, change = chance.choice(Sites(tree).found)
    change(chance)
    ast.fix_missing_locations(tree)
    text = ast.unparse(tree)
    if ast.dump(ast.parse(text)) == ast.dump(ast.parse(source)) or (after := outcome(text, steps)) is None:
        return
    counts.edits += 1
    counts.kinds[kind] += 1
    reach = reaches(ast.parse(source))
    after_reach = reaches(ast.parse(text))
    for step in steps:
        what = f"{program}.{step}: {kind}\n{text}"
        if after.results[step] != base.results[step]:
            counts.changed += 1
            if after.keys[step] == base.keys[step]:
                counts.stale.append(what)
        elif after.keys[step] != base.keys[step]:
            counts.same += 1
            if top not in reach[step] and top not in after_reach[step]:
                counts.needless.append(what)
        elif top not in reach[step]:
            counts.untouched += 1


def check_layout(program: str, chance: random.Random, base: Outcome, counts: Counts) -> None:
    """Make one change of layout, and compare."""
    source, steps = SEEDS[program]
    kind = chance.choice(sorted(LAYOUTS))
    text, name = LAYOUTS[kind](source, chance)
    after = outcome(text, steps, name)
    counts.layouts += 1
    counts.kinds[kind] += 1
    shown = text if isinstance(text, str) else ast.unparse(text)
    for step in steps:
        if after is None or after.keys[step] != base.keys[step]:
            counts.needless.append(f"{program}.{step}: {kind}\n{shown}")


def mutate(count: int, seed: int = 0) -> Counts:
    """Make so many mutations, and return what came of them."""
    chance = random.Random(seed)
    counts = Counts()
    signal.signal(signal.SIGVTALRM, _stop)
    bases = {program: outcome(source, steps) for program, (source, steps) in SEEDS.items()}
    while counts.edits + counts.layouts < count:
        program = chance.choice(sorted(SEEDS))
        base = bases[program]
        assert base is not None
        check = check_edit if chance.random() < 0.6 else check_layout
        check(program, chance, base, counts)
    return counts


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    result = mutate(options.count, options.seed)
    print(*result.stale[:3], *result.needless[:5], dict(result.kinds.most_common()), result, sep="\n")
    sys.exit(bool(result.stale or result.needless))
