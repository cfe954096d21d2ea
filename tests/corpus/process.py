"""What runs inside the processes of the corpus: programs, on a client with a worker process of its own."""

from __future__ import annotations

import importlib
import linecache
import sys
import types
import uuid
from pathlib import Path
from typing import Any

import dask
from dask.delayed import delayed
from dask.utils import key_split
from distributed import Client

from cachingclient import DiracClient
from cachingclient.plan.steps import Action
from cachingclient.storage import open_store
from tests.corpus.case import Case


def enter(folder: str) -> None:
    """Make a folder the one that modules are imported from, and forget those of other cases."""
    root = str(Path(folder).parent)
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), "")).startswith(root):
            del sys.modules[name]
    sys.path[:] = [folder, *(entry for entry in sys.path if not entry.startswith(root))]
    importlib.invalidate_caches()
    # What a case gave to all awkward arrays would count in the next.
    behavior = getattr(sys.modules.get("awkward"), "behavior", {})
    for name in [name for name, value in behavior.items() if getattr(value, "__module__", "") in ("main", "__main__")]:
        del behavior[name]
    linecache.clearcache()


def load(folder: Path, style: str) -> dict[str, Any]:
    """Run ``main.py`` and return its variables."""
    if style == "module":
        return vars(importlib.import_module("main"))
    name = "dynamic" if style == "exec" else "__main__"
    module = types.ModuleType(name)
    if style != "exec":
        sys.modules["__main__"] = module
    source = (folder / "main.py").read_text()
    if style == "script":
        module.__file__ = str(folder / "main.py")
    cells = source.split("# %%") if style == "cells" else [source]
    for number, cell in enumerate(cells):
        file = f"<ipython-input-{number}>" if style == "cells" else module.__dict__.get("__file__", "<string>")
        exec(compile(cell, file, "exec", dont_inherit=True), module.__dict__)
    return vars(module)


def run(case: Case, folder: Path, store: str, client: DiracClient, style: str) -> dict[str, Any]:
    """Run a program with the cache and without; return what happened."""
    home = sys.modules["__main__"]
    enter(str(folder))
    Client.run(client, enter, str(folder))  # no matter of the client's own: it would ask the worker for its code
    try:
        wanted = _graph(load(folder, style), case.graph)
        submission = client._submission
        assert submission is not None
        assert submission.links is not None
        client.cache = submission.store = submission.links.store = open_store(store)
        submission._drawn.clear()  # a new session has drawn nothing yet
        result = client.compute(wanted, sync=True)
        client.flush()
        report = client.report
        assert report is not None
        steps = [step for step in report.plan.steps.values() if step.action is not Action.DATA]
        return {
            "result": repr(result),
            "plain": repr(dask.compute(wanted, scheduler="synchronous")[0]),
            "ran": sorted({key_split(record.key) for record in report.records if record.action == "ran"}),
            "sent": sorted({step.name for step in steps if step.action is Action.RUN and not step.keep}),
            "reasons": {step.name: step.reason for step in steps if step.reason},
            "notes": [f"{record.name}: {record.note}" for record in report.records if record.note],
            "warnings": [warning for code in report.plan.codes.values() for warning in code.warnings],
        }
    finally:
        sys.modules["__main__"] = home


def _graph(variables: dict[str, Any], graph: str) -> Any:
    """Return what an expression makes of a program's functions, each delayed under its own name."""

    def step(name: str, function: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            # A key that failed before must not come back in another case.
            return delayed(function)(*args, **kwargs, dask_key_name=f"{name}-{uuid.uuid4().hex}")

        return call

    names = {name: step(name, value) if callable(value) else value for name, value in variables.items()}
    return eval(graph, {**names, "raw": types.SimpleNamespace(**variables)})
