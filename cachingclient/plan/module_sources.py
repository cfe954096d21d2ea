"""The source of a module of the user's and of those that it imports, found without importing any of them.

A class that came to a step by a pickle alone may be in a module that the client never imports. Whether it is still the
class that it was is then told by the files.
"""

from __future__ import annotations

import ast
import functools
import os
import sys
import tokenize
from collections.abc import Callable, Iterator
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path

from cachingclient.hashing.digest import digest
from cachingclient.hashing.environment.environment import is_user_code

UNNAMED = "*"
"""What stands for a module that is imported by a name which is computed, or for other code that a file runs."""
_IMPORT = frozenset({"import_module", "__import__"})
_RUN_CODE = frozenset({"exec", "exec_module", "run_module", "run_path", "spec_from_file_location"})


def source_digest(module: str, imported_at: Callable[[str], float] | None = None) -> str:
    """Return a digest of the sources of a module and of the user's modules that it imports, anywhere in them.

    Empty where the module is not found from this process, has no source, or runs code that its source does not name.

    Parameters
    ----------
    module
        Its name.
    imported_at
        Gives when this process imported a module, in seconds since 1970. The digest is empty where a file was
        changed after that: it is not the source of what is in memory.

    Examples
    --------
    >>> source_digest("no_such_module")
    ''
    """
    sources: dict[str, bytes] = {}
    waiting = list(with_packages(module))
    while waiting:
        name = waiting.pop()
        if name in sources or not is_user_code(name.partition(".")[0]):  # to ask for a part would import the whole
            continue
        path = _path_of(name)
        try:
            status = os.stat(path)
            if imported_at is not None and name in sys.modules and status.st_ctime > imported_at(name):
                return ""
            sources[name], imported = _read(path, name, status.st_mtime_ns, status.st_size, status.st_ino)
        except OSError:
            continue
        if UNNAMED in imported:
            return ""
        waiting += imported
    return (
        digest(b"".join(name.encode() + sources[name] for name in sorted(sources))).hex() if module in sources else ""
    )


def imports(path: str, package: str) -> Iterator[str]:
    """Yield the names of modules that a file imports, anywhere in it, and of what may be modules, with their packages.

    `UNNAMED` is among them where it imports, or runs as code, what only a run can tell.

    Parameters
    ----------
    path
        A file of Python source.
    package
        The package that it is in, for relative imports; empty if it is in none.
    """
    try:
        with tokenize.open(path) as file:
            tree = ast.parse(file.read())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return
    followed: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                yield from with_packages(each.name)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            parts = parts[: len(parts) + 1 - node.level] if node.level else []
            base = ".".join([*parts, *([node.module] if node.module else [])])
            yield from (*with_packages(base), *(f"{base}.{each.name}" for each in node.names))
            yield from (UNNAMED for each in node.names if each.asname and each.name in {*_IMPORT, *_RUN_CODE})
        elif isinstance(node, ast.Call) and (called := _name_of(node.func)) in _IMPORT:
            followed.add(node.func)  # which comes after the call
            yield from _imported_by(node, package, relative=called == "import_module")
        elif _name_of(node) in _RUN_CODE or (_name_of(node) in _IMPORT and node not in followed):
            yield UNNAMED


def _name_of(node: ast.AST | None) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _imported_by(call: ast.Call, package: str, *, relative: bool) -> Iterator[str]:
    """Yield the names of the modules that a call imports."""
    named = {each.arg: each.value for each in call.keywords}
    name, anchor = (call.args[n] if n < len(call.args) else named.get(key) for n, key in enumerate(("name", "package")))
    text = _text(name)
    if relative and text.startswith("."):
        own = text.lstrip(".")
        parts = (package if _name_of(anchor) == "__package__" else _text(anchor)).split(".")
        text = ".".join([*parts[: len(parts) + 1 - (len(text) - len(own))], own]) if any(parts) else ""
    yield from with_packages(text) if text else (UNNAMED,)


def _text(node: ast.AST | None) -> str:
    """Return the text that a node is; empty where it is computed."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def with_packages(module: str) -> Iterator[str]:
    """Yield the names of the packages that a module is in, from the outermost, and its own: Python runs each of them.

    Examples
    --------
    >>> list(with_packages("analysis.models.linear"))
    ['analysis', 'analysis.models', 'analysis.models.linear']
    """
    parts = module.split(".")
    return (".".join(parts[:number]) for number in range(1, len(parts) + 1))


@functools.lru_cache(maxsize=256)
def _read(path: str, name: str, *_: int) -> tuple[bytes, list[str]]:
    """Return the digest of a file and what it imports; the numbers tell whether it is the same file still."""
    package = name if path.endswith("__init__.py") else name.rpartition(".")[0]
    return digest(Path(path).read_bytes()), list(imports(path, package))


def _path_of(module: str) -> str:
    """Return the source file of a module, which need not be imported; empty where there is none."""
    if (known := sys.modules.get(module)) is not None:
        path = str(getattr(known, "__file__", None) or "")
        return path if path.endswith(".py") else ""
    try:
        top, *parts = module.split(".")
        name, spec = top, find_spec(top)
        for part in parts:
            name = f"{name}.{part}"
            places = spec.submodule_search_locations if spec is not None else None
            spec = PathFinder.find_spec(name, list(places)) if places is not None else None
    except Exception:  # of a finder, or of a module without a specification
        return ""
    origin = spec.origin if spec is not None else None
    return origin if origin is not None and origin.endswith(".py") else ""
