"""Runs the program once, then plans each edit of it in a process of its own, and judges the reasons that are given."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distributed import LocalCluster

from cachingclient import DiracClient
from cachingclient.graph import lower_collections
from cachingclient.hashing.inputs.trace import Surroundings
from cachingclient.hashing.step_keys import Merkle
from cachingclient.plan.because import because
from cachingclient.plan.lookup import LookUp
from cachingclient.plan.planner import make_plan
from cachingclient.plan.reasons import Reasons
from cachingclient.plan.steps import Constraints
from cachingclient.storage import open_store
from cachingclient.warn_once import NoteKeeper
from tests.corpus.case import write
from tests.corpus.process import enter, load
from tests.explain.edits import EDITS, Edit
from tests.explain.program import FILES, PARTS

ROOT = Path(__file__).parents[2]
WORD = re.compile(r"[A-Za-z_][\w.]*")
LONG_AGO = 1_500_000_000
"""When the files of data were written: one that is new may be changing still."""

Told = dict[str, Any]


def reasons(edits: Sequence[Edit], folder: Path) -> dict[str, Told]:
    """Return what is said of each edit.

    Parameters
    ----------
    edits
        The edits.
    folder
        Where the program, its store and its edits go.
    """
    _write(FILES, folder)
    _process(folder, "before", [])
    return _process(folder, "after", [edit.name for edit in edits])


def _write(files: dict[str, str], folder: Path) -> None:
    write(files, folder / "program")
    for name in ("data.bin", "small.txt", "corrections.json"):
        os.utime(folder / "program" / name, (LONG_AGO, LONG_AGO))


def _process(folder: Path, stage: str, names: list[str]) -> dict[str, Told]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "tests.explain.run", stage, str(folder), json.dumps(names)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the {stage} process failed:\n{done.stdout[-2000:]}\n{done.stderr[-6000:]}")
    return {name: json.loads((folder / f"{EDITS.index(by_name[name])}.json").read_text()) for name in names}


by_name = {edit.name: edit for edit in EDITS}


def run_it(folder: Path) -> None:
    """Run the program, and keep its results."""
    _enter(folder)
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        DiracClient(cluster, cache=(folder / "store").as_uri(), policy="all") as client,
    ):
        client.compute(load(folder / "program", "module")["graph"](), sync=True)


def _enter(folder: Path) -> None:
    enter(str(folder / "program"))
    sys.path.append(str(folder / "program" / "site-packages"))


def plan_it(edit: Edit, folder: Path) -> None:
    """Plan an edit in a process of its own, and write down the reasons."""
    _write(edit.files(), folder)
    if edit.act is not None:
        edit.act(folder / "program")
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        if status:
            raise RuntimeError(f"planning after the edit of {edit.name} failed")
        return
    try:
        os.environ.update(edit.variables)
        (folder / f"{EDITS.index(edit)}.json").write_text(json.dumps(_told(folder)))
    except BaseException:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        os._exit(1)
    os._exit(0)


def _told(folder: Path) -> Told:
    _enter(folder)
    store = open_store((folder / "store").as_uri())
    lowered, wanted = lower_collections(load(folder / "program", "module")["graph"]())
    look_up = LookUp(store, NoteKeeper(), Surroundings())
    plan = make_plan(lowered, wanted, Merkle({}), look_up, Constraints())
    plan.differences = look_up.reasons
    found = Reasons(plan, store)
    return {
        "own": {plan.steps[key].name: each.text for key, each in found.by_key.items() if each.text},
        "runs": sorted({plan.steps[key].name for key in found.by_key}),
        "table": found.by_name(),
        "told": because(plan, store),
    }


def faults(edit: Edit, told: Told) -> list[str]:
    """Return what is wrong with the reasons of an edit: a step without its own, words that lack, another part named."""
    found, own = [], told["own"]
    if set(own) != set(edit.steps):
        found.append(f"LACKS {sorted(own)} have a reason of their own, not {sorted(edit.steps)}")
    may_name = {word for text in (*edit.says, *edit.may_name) for word in WORD.findall(text)}
    may_name |= {part for word in may_name for part in word.split(".")}
    for name in set(own) & set(edit.steps):
        text = own[name]
        found += [f"LACKS {word!r} in the reason of {name}: {text}" for word in edit.says if word not in text]
        named = {part for part in PARTS if re.search(rf"(?<!\w){re.escape(part)}(?!\w)", text)}
        if wrong := named - may_name:
            found.append(f"WRONG {sorted(wrong)} in the reason of {name}: {text}")
    return found


if __name__ == "__main__":
    importlib.import_module("coffea.processor")  # once, not in each child
    if sys.argv[1] == "before":
        run_it(Path(sys.argv[2]))
    for name in json.loads(sys.argv[3]):
        plan_it(by_name[name], Path(sys.argv[2]))
