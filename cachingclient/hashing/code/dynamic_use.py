"""Uses of code that cannot be followed, or that make equal calls differ.

What cannot be followed raises `Unidentifiable` with the line; what may differ from call to call
(a clock, unseeded random numbers, the process environment) is a warning.
"""

from __future__ import annotations

import builtins
import importlib
import sys
from types import ModuleType
from typing import Any

from cachingclient.hashing.code.attributes import describe_layout
from cachingclient.hashing.code.names import told_by
from cachingclient.hashing.code.references import NO_ARGUMENTS, Reference
from cachingclient.hashing.environment.environment import is_user_code
from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.walk import Walk

UNFOLLOWABLE = frozenset(
    {"builtins.eval", "builtins.exec", "builtins.__import__", "runpy.run_path", "runpy.run_module"}
)
FRAMES = frozenset(
    {
        "inspect.getsource",
        "inspect.getsourcelines",
        "inspect.getsourcefile",
        "inspect.currentframe",
        "inspect.stack",
        "sys._getframe",
        "traceback.extract_stack",
    }
)
HINTS = frozenset({"typing.get_type_hints", "inspect.signature", "inspect.get_annotations", "inspect.getfullargspec"})
IMPORTERS = frozenset({"importlib.import_module", "importlib.__import__"})
CLOCKS = frozenset(
    {
        f"time.{name}"
        for name in ("time", "time_ns", "localtime", "gmtime", "monotonic", "perf_counter", "strftime", "ctime")
    }
    | {f"datetime.datetime.{name}" for name in ("now", "utcnow", "today")}
    | {
        "datetime.date.today",
        "uuid.uuid1",
        "uuid.uuid4",
        "os.urandom",
        "os.getpid",
        "secrets.token_bytes",
        "secrets.token_hex",
    }
)
NOW = frozenset({"now", "utcnow", "today"})
"""What libraries call their clocks: ``pandas.Timestamp.now``, ``arrow.utcnow``, ``astropy.time.Time.now``."""
PROCESS = frozenset(
    {
        "os.environ",
        "sys.argv",
        "os.getenv",
        "os.getcwd",
        "os.listdir",
        "socket.gethostname",
        "platform.node",
        "builtins.input",
    }
)
GENERATORS = frozenset(
    {
        "numpy.random.default_rng",
        "numpy.random.RandomState",
        "numpy.random.mtrand.RandomState",
        "random.Random",
        "numpy.random._generator.default_rng",
        "numpy.random.SeedSequence",
    }
)
WATCHED = frozenset({"builtins.vars", "sys.path"}).union(
    UNFOLLOWABLE, FRAMES, HINTS, IMPORTERS, CLOCKS, PROCESS, GENERATORS
)


def library_name(obj: Any) -> str | None:
    """Return the dotted name of a function, class or module, None for any other value.

    Examples
    --------
    >>> import time, math
    >>> library_name(time.sleep), library_name(math), library_name(math.pi)
    ('time.sleep', 'math', None)
    """
    if isinstance(obj, ModuleType):
        return obj.__name__
    module = told_by(obj, "__module__")
    if module is None:
        owner = told_by(obj, "__self__")
        module = getattr(owner, "__name__", None) if isinstance(owner, ModuleType) else None
        if module is None and isinstance(owner, object) and callable(obj) and owner is not None:
            module = type(owner).__module__
    name = told_by(obj, "__qualname__") or told_by(obj, "__name__")
    return f"{module}.{name}" if isinstance(module, str) and isinstance(name, str) and callable(obj) else None


def check_use(obj: Any, reference: Reference, where: str, walk: Walk) -> None:
    """Refuse or warn of a use that an identity cannot cover.

    Raises
    ------
    Unidentifiable
        For ``eval``, for a module imported by a name known only at run time, and for the folders that modules are
        looked for in.
    """
    name = _dotted(obj, reference)
    if name is None:
        return
    is_clock = name in CLOCKS or (name.rpartition(".")[2] in NOW and not is_user_code(name.partition(".")[0]))
    if not (is_clock or name in WATCHED or name.startswith(("random.", "numpy.random.", "sys.modules"))):
        return
    line = f"line {reference.line} of {where}"
    if name in UNFOLLOWABLE:
        raise Unidentifiable(f"{name.removeprefix('builtins.')} runs code that can't be followed ({line})")
    if name in FRAMES:
        raise Unidentifiable(f"{name} reads source text or the caller's variables ({line})")
    if name in HINTS:
        walk.demand(("__annotations__",), describe_layout)
    elif name == "builtins.vars":
        walk.demand(("__dict__",), describe_layout)
    if name in IMPORTERS:
        _import_by_name(reference, line, walk)
    elif name.startswith("sys.modules"):
        raise Unidentifiable(f"sys.modules is searched by a name known only at run time ({line})")
    elif name == "sys.path":  # a worker has its own folder in it
        raise Unidentifiable(
            f"it uses sys.path, which differs from process to process, and with it what is imported ({line}); name the "
            f"folder in PYTHONPATH where client and workers start, or send its modules by client.ship"
        )
    elif is_clock:
        walk.warn(f"{where} calls {name}: its result may differ from run to run ({line})", varies=True)
    elif name in PROCESS:
        walk.warn(f"{where} reads {name}: its result may depend on the process it runs in ({line})")
    elif (name in GENERATORS and reference.argument == NO_ARGUMENTS) or _draws_unseeded(name):
        walk.warn(f"{where} draws random numbers from {name} without a seed ({line})", varies=True)


def _import_by_name(reference: Reference, line: str, walk: Walk) -> None:
    """Follow ``importlib.import_module("name")``; refuse a name that is computed."""
    if not isinstance(reference.argument, str) or reference.argument.startswith("."):
        raise Unidentifiable(f"importlib imports a module by a name known only at run time ({line})")
    try:
        walk.also(walk.encode(importlib.import_module(reference.argument)))
    except ImportError:
        raise Unidentifiable(f"the module {reference.argument!r} is not found ({line})") from None


def _dotted(obj: Any, reference: Reference) -> str | None:
    """Return the dotted name of a used object: ``datetime.datetime.now`` for the class with its attribute ``now``."""
    if obj is sys.modules:
        return "sys.modules"
    if obj is sys.argv:
        return "sys.argv"
    if obj is sys.path:
        return "sys.path"
    if type(obj).__name__ == "_Environ":
        return "os.environ"
    name = library_name(obj)
    if name is None or isinstance(obj, ModuleType):
        return name
    if obj is getattr(builtins, reference.name, None):
        name = f"builtins.{reference.name}"
    attributes = reference.attributes if isinstance(obj, type) else ()
    return ".".join([name, *attributes])


def _draws_unseeded(name: str) -> bool:
    """Tell whether a function draws from a process-wide generator."""
    module, _, function = name.rpartition(".")
    if module in (
        "random.Random",
        "numpy.random.mtrand.RandomState",
        "numpy.random.RandomState",
        "numpy.random",
        "random",
    ):
        return function not in (
            "seed",
            "Random",
            "default_rng",
            "Generator",
            "RandomState",
            "SeedSequence",
            "SystemRandom",
            "PCG64",
            "Philox",
            "MT19937",
            "SFC64",
            "setstate",
            "getstate",
            "set_state",
            "get_state",
        )
    return False
