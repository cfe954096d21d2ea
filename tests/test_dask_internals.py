"""The first to run on another release of dask: what is taken from its insides is there, and stands in the list."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import distributed
import pytest
from dask._task_spec import GraphNode
from distributed.deploy.cluster import Cluster
from distributed.scheduler import TaskState, WorkerState

import cachingclient
from cachingclient import dask_internals
from cachingclient.dask_internals import INTERNALS, Internal, missing_internals

PACKAGE = Path(str(cachingclient.__file__)).parent
PUBLIC = {
    "dask",
    "dask.config",
    "dask.delayed",
    "dask.sizeof",
    "dask.typing",
    "dask.utils",
    "distributed",
    "distributed.diagnostics.plugin",
}
"""Modules of dask and distributed whose names are documented, but those with an underscore."""
INSIDE: dict[str, type] = {
    "Scheduler": distributed.Scheduler,
    "TaskState": TaskState,
    "WorkerState": WorkerState,
    "Worker": distributed.Worker,
}
"""Classes of which every attribute counts as inside; of the others those with an underscore."""
BY_NAME = {"dask_scheduler": "Scheduler", "ts": "TaskState", "dts": "TaskState", "ws": "WorkerState"}
"""What variables are that have no annotation."""
OUTSIDE_DASK = ("hashing", "storage")
"""Rooms whose private names are other libraries'; what they import from dask counts all the same."""
NOT_DASKS = {
    "_exit": "os",
    "_asdict": "namedtuples",
    "_at_fork_reinit": "threading",
    "_bit_generator": "numpy.random",
    "_bootstrap": "importlib",
    "_data": "os.environ",
    "_gcd_import": "importlib",
    "_get_running_loop": "asyncio",
    "_getframe": "sys",
    "_inst": "random",
    "_legacy_seeding": "numpy.random",
    "_rand": "numpy.random",
    "_task_table": "work_queue",
    "_work_queue": "work_queue",
}
"""Private names of other libraries in the rooms that use dask."""

MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): ast.parse(path.read_text())
    for path in sorted(PACKAGE.rglob("*.py"))
}


def defined(trees: dict[str, ast.Module]) -> set[str]:
    """Return the private names that the package defines itself."""
    names: set[str] = set()
    for tree in trees.values():
        for node in ast.walk(tree):
            match node:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                    names.add(name)
                case ast.Attribute(attr=name, ctx=ast.Store(), value=ast.Name(id="self" | "cls")):
                    names.add(name)
                case ast.Name(id=name, ctx=ast.Store()):
                    names.add(name)
    return names


OWN = defined(MODULES)


def imports(tree: ast.Module) -> Iterator[tuple[str, str, str]]:
    """Yield module, name and local name of what is imported from dask and distributed."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in ("dask", "distributed"):
            for alias in node.names:
                yield str(node.module), alias.name, alias.asname or alias.name


def used_in(tree: ast.Module) -> Iterator[str]:
    """Yield what a module takes from dask's insides: ``module:name`` of imports, ``Class.name`` or ``.name`` else."""
    imported = {local: name for _, name, local in imports(tree)}
    modules: dict[str, str] = {}
    for module, name, local in imports(tree):
        if isinstance(getattr(importlib.import_module(module), name, None), ModuleType):
            modules[local] = f"{module}.{name}"
        elif module not in PUBLIC or name.startswith("_"):
            yield f"{module}:{name}"
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name, value=ast.Name(id=variable)) if modules.get(variable, "") not in PUBLIC | {
                ""
            }:
                yield f"{modules[variable]}:{name}"
            case ast.Attribute(attr=name) if name.startswith("_") and not name.startswith("__"):
                if name not in OWN and name not in NOT_DASKS:
                    yield f".{name}"
            case ast.FunctionDef(args=args) | ast.AsyncFunctionDef(args=args):
                known = dict(BY_NAME)
                for argument in (*args.posonlyargs, *args.args, *args.kwonlyargs):
                    named = {part.id for part in ast.walk(argument) if isinstance(part, ast.Name)} - {"Any"}
                    if named:
                        known.pop(argument.arg, None)
                    for name in named & imported.keys():
                        if imported[name] in INSIDE:
                            known[argument.arg] = imported[name]
                for part in ast.walk(node):
                    match part:
                        case ast.Attribute(attr=name, value=ast.Name(id=variable)) if variable in known:
                            yield f"{known[variable]}.{name}"


def foreign_bases(cls: type) -> list[type]:
    return [base for base in cls.__mro__ if base.__module__.partition(".")[0] in ("dask", "distributed")]


def overridden_in(name: str, tree: ast.Module) -> Iterator[str]:
    """Yield what classes on top of distributed's override of them, or use of them by ``self`` and ``super()``."""
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.bases]
    if not classes:
        return
    module = importlib.import_module(f"cachingclient.{name}")
    for node in classes:
        cls = getattr(module, node.name, None)
        bases = foreign_bases(cls) if isinstance(cls, type) else []
        inside = next((kind for kind, base in INSIDE.items() if base in bases), None)
        if not any(issubclass(base, (distributed.Client, Cluster, *INSIDE.values())) for base in bases):
            continue
        taken = {each for each in vars(cls) if any(each in vars(base) for base in bases)}
        for part in ast.walk(node):
            match part:
                case ast.Attribute(attr=attribute, value=ast.Name(id="self")):
                    if any(dask_internals._instances_have(base, attribute) for base in bases):
                        taken.add(attribute)
                case ast.Attribute(attr=attribute, value=ast.Call(func=ast.Name(id="super"))):
                    taken.add(attribute)
        for each in taken:
            if each.startswith(("__", "_abc_")):
                continue
            if inside or each.startswith("_"):
                yield f"{inside}.{each}" if inside else f".{each}"


def listed(module: str) -> set[str]:
    """Return the names that the list has for a module, in each of the forms that they are found in."""
    forms: set[str] = set()
    for internal in INTERNALS:
        if module in internal.used_by.split():
            for name in internal.name.split("|"):
                path = name.partition(":")[2]
                forms |= {name, path, f".{path.rpartition('.')[2]}"}
    return forms


@pytest.mark.parametrize("module", MODULES)
def test_what_a_module_takes_is_listed(module: str) -> None:
    """Private modules, private names, and attributes of the scheduler's and the worker's state stand in the list."""
    tree = MODULES[module]
    found = set(used_in(tree))
    if module.partition(".")[0] in OUTSIDE_DASK:
        found = {name for name in found if ":" in name}
    else:
        found |= set(overridden_in(module, tree))
    assert not found - listed(module)


@pytest.mark.parametrize("internal", INTERNALS, ids=lambda internal: internal.name)
def test_what_is_listed_is_used(internal: Internal) -> None:
    """An entry goes when the last module that used it does, and names the modules that do."""
    names = {name.partition(":")[2].rpartition(".")[2] for name in internal.name.split("|")}
    for module in internal.used_by.split():
        text = (PACKAGE / (module.replace(".", "/") + ".py")).read_text()
        assert any(name in text for name in names), module


def test_the_installed_release_has_all_that_is_listed() -> None:
    """Every name is there and takes the arguments that are given."""
    assert missing_internals() == []


def test_what_is_gone_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release without a method, and one in which it takes other arguments, are told with the module that needs it."""

    def _graph_to_futures(self: Any, graph: Any) -> None:
        """Take other arguments."""

    monkeypatch.setattr(distributed.Client, "_graph_to_futures", _graph_to_futures)
    monkeypatch.delattr(GraphNode, "substitute")
    told = missing_internals()
    assert len(told) == 2
    assert "Client._graph_to_futures does not take keys" in "".join(told)
    assert "GraphNode.substitute is not there" in "".join(told)
    assert [text for text in told if "GraphNode" in text] == missing_internals("graph", "vine")


def test_a_new_use_is_found() -> None:
    """The search sees an import, a private name, and an attribute of a scheduler's task."""
    tree = ast.parse(
        "from distributed.scheduler import TaskState\n"
        "def look(task: TaskState, client):\n"
        "    return task.suspicious, client._pending_msg_buffer\n"
    )
    assert set(used_in(tree)) == {"distributed.scheduler:TaskState", "TaskState.suspicious", "._pending_msg_buffer"}
