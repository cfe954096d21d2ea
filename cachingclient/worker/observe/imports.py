"""What is to be done once a module has been imported."""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from cachingclient.warn_once import logger
from cachingclient.worker.observe.current import unobserved

Action = Callable[[Any], None]
_actions: dict[str, list[Action]] = {}


def when_imported(name: str, action: Action) -> None:
    """Call a function with a module: now if it is imported, else as soon as it is.

    A failure of the function is logged: the import goes on.

    Examples
    --------
    >>> when_imported("json", lambda module: print(module.__name__))
    json
    """
    if (module := sys.modules.get(name)) is not None and not _is_loading(module):
        _act(action, module)
        return
    _actions.setdefault(name, []).append(action)
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def _is_loading(module: ModuleType) -> bool:
    return bool(getattr(module.__spec__, "_initializing", False))


def _act(action: Action, module: ModuleType) -> None:
    try:
        with unobserved():
            action(module)
    except Exception:
        logger.warning("%s can't be observed", module.__name__, exc_info=True)


class _Finder(MetaPathFinder):
    """Finds the modules waited for as everybody else does, and stays beside them while they are loaded."""

    def __init__(self) -> None:
        self._asking = threading.local()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a module that is waited for, None for all others."""
        if fullname not in _actions or getattr(self._asking, "name", None) == fullname:
            return None
        self._asking.name = fullname
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._asking.name = None
        if spec is not None and spec.loader is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(Loader):
    """Loads a module with its own loader, then does what was to be done."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Return the module as its own loader makes it."""
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code, then the actions; the module shows its own loader."""
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        for action in _actions.pop(module.__name__, ()):
            _act(action, module)
