"""The edits of the corpus: what their reasons name, against the parts of the source that differ."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cachingclient.graph import lower_collections
from cachingclient.hashing.step_keys import Merkle
from cachingclient.plan.explain import notes_for
from cachingclient.plan.hidden import details_of_code, for_description, shown_values
from cachingclient.plan.plan import Plan
from cachingclient.plan.planner import make_plan
from cachingclient.plan.reasons import Reasons
from cachingclient.plan.steps import Action, Constraints
from cachingclient.storage import Entry, Store, encode, open_store
from tests.corpus.case import Case, write
from tests.corpus.process import _graph as graph_of
from tests.corpus.process import enter, load
from tests.corpus.programs import CASES

ROOT = Path(__file__).parents[2]
WORD = re.compile(r"\w[\w.]*")
CHANGED = (
    re.compile(r"the body of ([\w.<>]+ changed(?: \(\w+ at)?)"),
    re.compile(r"(?:^|; )([\w.]+) in [\w.]+ changed"),
    re.compile(r"the variable ([\w.]+)(?: that [\w.<>]+ reads)? changed"),
    re.compile(r"the attribute ([\w.<>]+) changed"),
    re.compile(r"class ([\w.<>]+) changed"),
    re.compile(r"the default of (\w+) in"),
)
"""How reasons name a part that changed; its name is the group."""


def parts(source: str) -> dict[str, str]:
    """Return what a module defines, by name: functions, methods, classes, variables, and whatever else stands there.

    Examples
    --------
    >>> parts("CUT = 30\\ndef f(x, cut=1): return x")["f"] == parts("def f(x, cut=2): return x")["f"]
    False
    """
    found: dict[str, str] = {}
    _add(ast.parse(source).body, "", found)
    return found


def _add(statements: Sequence[ast.stmt], within: str, found: dict[str, str]) -> None:
    for statement in statements:
        written = ast.unparse(statement)
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names = [f"{within}{statement.name}"]
            _add(statement.body, f"{within}{statement.name}.", found)
        elif isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            names = [
                f"{within}{node.id}" for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)
            ]
            names += [node.attr for target in targets for node in ast.walk(target) if isinstance(node, ast.Attribute)]
        else:
            names = [f"{within}*"]
        for name in names:
            found[name] = f"{found.get(name, '')} {written}"


def _read_from(file: str, source: str) -> set[str]:
    """Return the names of variables and attributes that a module makes of a file which it names."""
    try:
        found = parts(source)
    except SyntaxError:
        return set()
    return {word for name, text in found.items() if file in text for word in re.findall(r"\w+", name)}


class Edited:
    """What an edit changed.

    Attributes
    ----------
    names
        The parts that differ, with all that the statements say that define a variable or do something else, and the
        arguments of functions; files that are no code, and what modules make of these.
    gone, come
        The words that are in one of the two sources alone.
    modules
        The modules that differ.
    """

    def __init__(self, case: Case) -> None:
        before, after = case.files_before(), case.files_after()
        self.names: set[str] = set()
        self.modules: set[str] = set()
        words = [[word for text in files.values() for word in WORD.findall(text)] for files in (before, after)]
        self.gone = set((Counter(words[0]) - Counter(words[1])).elements())
        self.come = set((Counter(words[1]) - Counter(words[0])).elements())
        for file in {**before, **after}:
            if before.get(file) == after.get(file):
                continue
            if file.endswith(".py"):
                self.modules.add(Path(file).stem)
                self._compare(before.get(file, ""), after.get(file, ""))
            else:
                self.names.add(file)
                self.names.update(word for text in after.values() for word in _read_from(file, text))
        # What stands in the graph as an argument is named as that.
        self.is_argument = not self.names.isdisjoint(WORD.findall(case.graph))

    def _compare(self, before: str, after: str) -> None:
        try:
            old, new = parts(before), parts(after)
        except SyntaxError:
            return
        for name in {**old, **new}:
            if old.get(name) != new.get(name):
                texts = [text.get(name, "") for text in (old, new)]
                is_code = any(text.lstrip().startswith(("def ", "class ", "async ", "@")) for text in texts)
                heads = [text.partition(":\n")[0] for text in texts] if is_code else texts
                self.names.update(re.findall(r"\w+", " ".join((name, *heads))))

    def is_named(self, text: str) -> bool:
        """Tell whether a reason names something that was edited, or its old and its new value."""
        if any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) for name in self.names):
            return True
        if re.fullmatch(r"module (\w+) changed", text):
            return text.split()[1] in self.modules
        return self.has_values(text) or (self.is_argument and "argument" in text)

    def has_values(self, text: str) -> bool:
        """Tell whether a reason gives a value that is gone and one that has come."""
        old, arrow, new = text.partition(" -> ")
        return bool(arrow) and bool(self.gone & {*WORD.findall(old)}) and bool(self.come & {*WORD.findall(new)})


def faults(case: Case, texts: dict[str, str]) -> list[str]:
    """Return what is wrong with the reasons of a case: the edit not named, or another part that did not change."""
    edited, found = Edited(case), []
    if not any(map(edited.is_named, texts.values())):
        found.append(f"LACKS {sorted(edited.names)} in {texts}")
    for name, whole in texts.items():
        for text in whole.split("; "):
            named = {match for pattern in CHANGED for match in pattern.findall(text)}
            wrong = {each for each in named if edited.names.isdisjoint(re.findall(r"\w+", each))}
            if wrong and not edited.has_values(text):
                found.append(f"WRONG {sorted(wrong)} in the reason of {name}: {whole}; not in {sorted(edited.names)}")
    return found


def judged(folder: Path) -> dict[str, list[str]]:
    """Plan the programs of the corpus before and after their edits; return what is wrong with the reasons of each.

    Only those count of which a step runs again that has a key, and a reason in its code or its arguments.
    """
    for stage, seed in (("before", "1"), ("after", "4242")):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-W", "ignore", "-m", "tests.explain.corpus", stage, str(folder)]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"the {stage} process failed:\n{done.stdout[-2000:]}\n{done.stderr[-6000:]}")
    told = json.loads((folder / "told.json").read_text())
    return {case.name: faults(case, told[case.name]) for case in CASES if told.get(case.name)}


def plan_all(stage: str, folder: Path) -> None:
    """Plan each program, before its edit to keep a description of each step, and after it to ask for the reasons."""
    told: dict[str, dict[str, str]] = {}
    for number, case in enumerate(CASES):
        if not case.runs:
            continue
        home = folder / "programs" / f"case{number}"
        write(case.files_before() if stage == "before" else case.files_after(), home)
        store = open_store((folder / "stores" / str(number)).as_uri())
        merkle = Merkle({})
        graph = _graph_of(case, home, case.styles[stage == "after"])
        plan = make_plan(*graph, merkle, store.find if stage == "after" else lambda keys: {}, Constraints())
        if stage == "before":
            _keep(plan, merkle, store)
            continue
        reasons = Reasons(plan, store).by_key
        told[case.name] = {
            plan.steps[key].name: each.text
            for key, each in reasons.items()
            if plan.steps[key].step_key is not None and not each.is_first and each.text
        }
    (folder / "told.json").write_text(json.dumps(told))


def _graph_of(case: Case, home: Path, style: str) -> Any:
    main = sys.modules["__main__"]
    enter(str(home))
    try:
        wanted = graph_of(load(home, style), case.graph)
        return lower_collections(wanted if isinstance(wanted, list) else [wanted])
    finally:
        sys.modules["__main__"] = main


def _keep(plan: Plan, merkle: Merkle, store: Store) -> None:
    """Keep what a run would, with another result."""
    for entry in notes_for(plan.new_functions, private=True, source=True):
        store.write(entry)
    for key, step in plan.steps.items():
        if step.action is Action.RUN and step.step_key is not None and (code := plan.details[key].code) is not None:
            details: dict[str, Any] = {"code": code.digest.hex(), **details_of_code(code, private=True)}
            details["arguments"] = list(for_description(plan.details[key].parts, private=True))
            details["shown"] = shown_values(merkle.looked_at, [*details["arguments"], *details.get("bound", ())])
            store.write(Entry((step.step_key,), "result", step.name, 1.0, details, encode(None)))


if __name__ == "__main__":
    plan_all(sys.argv[1], Path(sys.argv[2]))
