"""Whether the code of a coffea processor may see what the file of its events is called.

The answer is no only where it can be proven: by the code of the processor and of all that it reaches, down to libraries
that are known to do arithmetic. Such code sees its events, whose values are in the file, and of their metadata what it
takes by constant keys. Everything else is a yes: attributes that lead to the file or to all metadata at once, names
that are made at run time, errors that are looked at, any other library.
"""

from __future__ import annotations

import builtins
import dis
import functools
import inspect
import operator
from collections.abc import Iterable, Iterator
from types import CodeType, FunctionType
from typing import Any

from cachingclient.hashing.environment.environment import Environment
from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.inputs.inputs import Inputs
from cachingclient.hashing.libraries.coffea import unwrap
from cachingclient.hashing.walk import Walk

DISTRIBUTIONS = frozenset(
    {"awkward", "boost-histogram", "coffea", "correctionlib", "hist", "numpy", "python", "scipy", "uhi", "vector"}
)
"""Those of which no function gives away what an array's parameters say of its file, but by the names below."""
PACKAGES = frozenset({"awkward", "boost_histogram", "coffea", "correctionlib", "hist", "numpy", "scipy", "vector"})
STANDARD = frozenset(
    {"abc", "bisect", "builtins", "cmath", "collections", "copy", "dataclasses", "datetime", "decimal", "enum",
     "fractions", "functools", "heapq", "itertools", "json", "math", "numbers", "posixpath", "re", "statistics",
     "string", "time", "typing"}
)  # fmt: skip
"""Modules of the standard library that know nothing of files that are open, frames or errors."""
ALSO = frozenset(
    {("io", "open"), ("_io", "open"), ("contextlib", "suppress"), ("warnings", "filterwarnings"), ("warnings", "warn")}
)
"""What of other modules only opens, which is observed, or forgets."""
EXPOSING = frozenset(
    {"__arrow_array__", "__builtins__", "__class__", "__closure__", "__dict__", "__getattr__", "__getattribute__",
     "__getstate__", "__globals__", "__mro__", "__reduce__", "__reduce_ex__", "__self__", "__subclasses__",
     "__traceback__", "_attrs", "_layout", "_parameters", "access_log", "attrs", "behavior", "cpp_type",
     "dispatch_map", "exc_info", "exception", "f_back", "fget", "file", "file_handle", "file_path", "filename",
     "form", "gi_frame", "layout", "metadata", "numba_type", "parameter", "parameters", "purelist_parameter",
     "recursively_apply", "show", "tb_frame", "to_arrow", "to_arrow_table", "to_buffers", "to_feather", "to_layout",
     "to_parquet", "to_parquet_dataset", "to_rdataframe", "transform", "type", "typeof", "typestr", "with_name",
     "with_parameter"}
)  # fmt: skip
"""Attributes, and names of modules, by which one gets to the parameters of an array or to its file."""
METADATA = "metadata"
NAME = "filename"
TEXTS = frozenset({NAME, "@events_factory", "attrs", "behavior", "highlevel", METADATA})
"""Keys, and names of arguments: by them awkward gives its functions' results without what hides the parameters."""
AT_RUN_TIME = frozenset(
    {"__build_class__", "__builtins__", "__import__", "breakpoint", "compile", "delattr", "dir", "eval", "exec",
     "getattr", "globals", "help", "locals", "setattr", "vars"}
)  # fmt: skip
"""Built-in functions that take the name of what they look at as a text."""
_RUN_TIME_FUNCTIONS = frozenset(
    {id(vars(builtins)[name]) for name in AT_RUN_TIME if name in vars(builtins)}
    | {id(kind) for kind in (operator.attrgetter, operator.methodcaller)}
)
_ATTRIBUTES = frozenset({"LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR", "IMPORT_FROM", "IMPORT_NAME", "STORE_ATTR"})
_GLOBALS = frozenset({"LOAD_GLOBAL", "LOAD_NAME"})
_SEES_ERRORS = frozenset({"DELETE_FAST", "DELETE_NAME", "DELETE_GLOBAL", "DELETE_DEREF"})
"""``except ... as error`` ends with one of them."""
_NOTHING = frozenset({"CACHE", "EXTENDED_ARG", "NOP", "PRECALL", "PUSH_NULL", "RESUME"})
_PLAIN = (type(None), bool, int, float, str)
_WORKS = "Runner._work_function"


def processor_in(function: Any, heavy: Any) -> Any:
    """Return the processor that a task of coffea's Runner calls, None if more than it and libraries may see the file.

    Parameters
    ----------
    function
        What the task calls.
    heavy
        The processor, as it came beside the work item; None if the function has it.
    """
    if type(function).__name__ == "_compression_wrapper":
        function = function.function
    inner = function.args[2] if _is_partial_of(function, "Runner.automatic_retries") else function
    if not _is_partial_of(inner, _WORKS):
        return None
    given = inspect.signature(inner.func).bind_partial(*inner.args, **inner.keywords).arguments
    processor = given.pop("processor_instance", None)
    schema, cache = given.pop("schema", None), given.pop("cache_function", None)
    while isinstance(cache, functools.partial):
        if not _is_plain((cache.args, cache.keywords)):
            return None
        cache = cache.func
    if not all(_is_librarys(each) for each in (schema, cache)) or given.pop("format", None) != "root":
        return None
    if given.pop("use_dataframes", True) or not _is_plain(given):
        return None
    processor = heavy if isinstance(processor, str) else processor
    return unwrap(processor) if isinstance(processor, bytes) else processor


def _is_partial_of(function: Any, name: str) -> bool:
    inner = getattr(function, "func", None)
    return (
        isinstance(function, functools.partial)
        and getattr(inner, "__qualname__", "") == name
        and getattr(inner, "__module__", "") == "coffea.processor.executor"
    )


def _is_librarys(part: Any) -> bool:
    module = getattr(part, "__module__", None)
    return isinstance(module, str) and module.partition(".")[0] == "coffea"


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return _is_plain((*value, *value.values()))
    return all(map(_is_plain, value)) if isinstance(value, (tuple, list)) else isinstance(value, _PLAIN)


class _Looking(Walk):
    """A walk that notes what of libraries the code takes."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(Inputs("name"), environment)
        self.taken: set[tuple[str, str]] = set()
        self.at_run_time = False

    def library(self, module: str, name: str) -> bytes:
        """Note what is taken of a library."""
        self.taken.add((module, name))
        return super().library(module, name)

    def encode(self, obj: object) -> bytes:
        """Note the functions that look attributes up by a text."""
        self.at_run_time = self.at_run_time or id(obj) in _RUN_TIME_FUNCTIONS
        return super().encode(obj)


def why_it_may_see(processor: Any, environment: Environment) -> str:
    """Return why a processor may see the name of the file that its events are from; empty if it can't.

    Examples
    --------
    >>> why_it_may_see(len, Environment()), why_it_may_see(operator.attrgetter("metadata"), Environment())
    ('', 'it looks attributes up by texts')
    """
    walk = _Looking(environment)
    try:
        walk.finish(walk.encode(processor))
    except (Unidentifiable, RecursionError) as error:
        return f"it can't be followed: {error}"
    if walk.at_run_time:
        return "it looks attributes up by texts"
    if others := walk._distributions - DISTRIBUTIONS:
        return f"it uses {min(others)}"
    for module, name in sorted(walk.taken):
        known = module.partition(".")[0] in PACKAGES or module in STANDARD or (module, name) in ALSO
        if not known or (module == "builtins" and (not name or name in AT_RUN_TIME)):
            return f"it uses {module}.{name}"
        if found := EXPOSING.intersection(name.split(".")):
            return f"it takes {min(found)}"
    for described, _, _ in walk._queue:
        for code in _codes_of(described):
            if why := _why_code_may_see(code):
                return why
    return ""


def _codes_of(obj: Any) -> Iterator[CodeType]:
    """Yield the code of a function, or of all functions in a class."""
    if isinstance(obj, type):
        for member in vars(obj).values():
            yield from _codes_of(member)
    elif isinstance(obj, (staticmethod, classmethod)):
        yield from _codes_of(obj.__func__)
    elif isinstance(obj, property):
        for part in (obj.fget, obj.fset, obj.fdel):
            yield from _codes_of(part)
    elif isinstance(obj, functools._lru_cache_wrapper):
        yield from _codes_of(obj.__wrapped__)
    elif isinstance(obj, FunctionType):
        yield from _with_inner(obj.__code__)


def _with_inner(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _with_inner(constant)


def _why_code_may_see(code: CodeType) -> str:
    """Return why a piece of code may see the name of a file."""
    if code.co_name in ("__exit__", "__aexit__"):
        return f"it is told of errors by {code.co_name}"
    steps = [step for step in dis.get_instructions(code) if step.opname not in _NOTHING]
    for number, step in enumerate(steps):
        name = step.argval
        if step.opname in _SEES_ERRORS:
            return f"it may look at an error, by {name}"
        if step.opname == "MATCH_CLASS":
            return "it takes attributes by a pattern"
        if step.opname in _ATTRIBUTES and isinstance(name, str):
            if name == METADATA:
                if not _is_by_key(steps[number + 1 : number + 4]):
                    return "it takes metadata other than by constant keys"
            elif found := EXPOSING.intersection(name.split(".")):
                return f"it takes {min(found)}"
        if step.opname in _GLOBALS and name in AT_RUN_TIME:
            return f"it uses {name}"
    if texts := {text for text in _texts(code.co_consts) if text in TEXTS or "proc" in text.split("/")}:
        return f"it has the text {min(texts)!r}"
    return ""


def _is_by_key(after: list[dis.Instruction]) -> bool:
    """Whether what comes after ``events.metadata`` takes one of them by a constant key, or asks whether it is there."""
    names = [step.opname for step in after]
    if names[:1] == ["CONTAINS_OP"]:
        return True
    if names[:1] in (["LOAD_ATTR"], ["LOAD_METHOD"]) and after[0].argval == "get":
        return names[1:2] == ["LOAD_CONST"] and _is_key(after[1].argval)
    if names[:1] != ["LOAD_CONST"] or not _is_key(after[0].argval):
        return False
    return names[1:2] == ["BINARY_SUBSCR"] or (names[1:2] == ["BINARY_OP"] and after[1].argrepr == "[]")


def _is_key(key: object) -> bool:
    return isinstance(key, str) and key != NAME


def _texts(constants: Iterable[Any]) -> Iterator[str]:
    for constant in constants:
        if isinstance(constant, str):
            yield constant
        elif isinstance(constant, (tuple, frozenset)):
            yield from _texts(constant)
