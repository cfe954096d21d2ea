"""Who asked: the user's code, or a library for purposes of its own."""

from __future__ import annotations

import functools
import os
import re
import site
import sys
import sysconfig
from collections.abc import Iterator, Set
from types import CodeType, FrameType, FunctionType
from typing import Any, cast

_PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) + os.sep
_OBSERVERS = os.path.dirname(os.path.abspath(__file__)) + os.sep
_STANDARD = os.path.dirname(os.__file__) + os.sep
_CARRIED = "carried"
"""What the function of `current` is called that runs in another thread on behalf of a step."""
_FOR_THEMSELVES = ("/tempfile.py", "/_colorize.py")
_PREFIX = re.compile("[A-Z][A-Z0-9]*_")
_WHOSE: dict[str, str] = {}
"""Whose the code of a file is: the observers', of this package beside them, a library's or the user's."""
_MOST_FILES = 20_000
_IMPORTERS = ("<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>")


def _library_folders() -> tuple[str, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    found = {sysconfig.get_paths()[name] for name in names}
    found.add(os.path.dirname(os.__file__))
    found.update(site.getsitepackages())
    if (personal := site.getusersitepackages()) is not None:
        found.add(personal)
    return tuple(
        sorted({spelling.rstrip(os.sep) + os.sep for name in found for spelling in (name, os.path.realpath(name))})
    )


LIBRARY_FOLDERS = _library_folders()
"""Folders of the standard library and of installed packages; an editable install lies elsewhere."""


@functools.lru_cache(maxsize=20_000)
def is_library_file(path: str) -> bool:
    """Whether a file belongs to the standard library, to an installed package, or to this package.

    Examples
    --------
    >>> import os
    >>> is_library_file(os.__file__), is_library_file("/home/alice/analysis/select.py")
    (True, False)
    """
    return path.startswith((*LIBRARY_FOLDERS, _PACKAGE, "<frozen ")) or "/site-packages/" in path


def is_library(frame: FrameType) -> bool:
    """Whether the code of a frame belongs to a library; what has no file goes by its module's."""
    name = frame.f_code.co_filename
    if name.startswith("<") and not name.startswith("<frozen "):
        name = frame.f_globals.get("__file__") or name
    return is_library_file(name)


def is_step_boundary(frame: FrameType) -> bool:
    """Whether the frame is this package's: the step was called from there."""
    return frame.f_code.co_filename.startswith(_PACKAGE)


def _frame_of_no_python() -> FrameType:
    """Return a frame that stands for a thread of compiled code: of no library, and called by nobody."""
    namespace: dict[str, Any] = {"__name__": "compiled code", "taken": sys._getframe}
    exec(compile("frame = taken()", "<a thread of compiled code>", "exec"), namespace)
    return cast("FrameType", namespace.pop("frame"))


_NO_PYTHON = _frame_of_no_python()


def who_calls() -> FrameType:
    """Return the frame that called the function which asks, or one that stands for none.

    Threads of compiled code, such as numba's and OpenMP's, call functions of Python without running any code of it; to
    raise an error there ends the process.
    """
    return sys._getframe(1).f_back or _NO_PYTHON


def is_by_user_outside() -> bool:
    """Whether code of the user's called what observes now, in a process in which no step of this thread runs.

    The outermost frame is that by which the process was started, such as dask's own program or multiprocessing's.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:  # for each class that the event loop unpickles and each file that psutil opens: some 30
        whose = _WHOSE.get(frame.f_code.co_filename)
        if whose is None:
            whose = _whose(frame)
        if whose == "user":
            return frame.f_back is not None
        if whose == "boundary":
            return False
        frame = frame.f_back
    return False


def _whose(frame: FrameType) -> str:
    """Tell whose a frame is, and remember it where its file alone tells."""
    name = frame.f_code.co_filename
    if name.startswith(_OBSERVERS):
        whose = "observers"
    elif is_step_boundary(frame):
        whose = "boundary"
    else:
        whose = "library" if is_library(frame) else "user"
    if not name.startswith("<") and len(_WHOSE) < _MOST_FILES:
        _WHOSE[name] = whose
    return whose


def is_importing(frame: FrameType) -> bool:
    """Whether the frame is the import system's."""
    return frame.f_code.co_filename in _IMPORTERS


def is_loading_by_path(frame: FrameType) -> bool:
    """Whether a loader was told a file, as by ``spec_from_file_location``, instead of finding a module by its name."""
    for one in callers(frame):
        if is_importing(one) and one.f_code.co_name == "_find_and_load":
            return False
        if not is_library(one):
            return True
    return False


def callers(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield a frame and those that called it, from the inside out."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def asked_by_user(frame: FrameType | None, accessors: Set[str] = frozenset()) -> bool:
    """Whether code of the user called what runs in a frame, directly or through modules that only pass on.

    Parameters
    ----------
    frame
        The frame that is asked about.
    accessors
        Files of modules that act for whoever calls them.
    """
    for one in callers(frame):
        if one.f_code.co_filename not in accessors:
            return not is_library(one)
    return False


def is_within_users(frame: FrameType | None) -> bool:
    """Whether code of the user's within the step called what runs in a frame, by whatever libraries.

    Between the two may stand what observes a library's function, and what a step handed to another thread.
    """
    for one in callers(frame):
        if is_step_boundary(one):
            if not one.f_code.co_filename.startswith(_OBSERVERS):
                return False
            if one.f_code.co_name == _CARRIED:
                return True
        if not is_library(one):
            return True
    return False


def is_imported_library(frame: FrameType) -> bool:
    """Whether what runs in a frame belongs to a library that is being imported."""
    for one in callers(frame):
        if is_importing(one):
            return True
        if is_step_boundary(one) or not is_library(one):
            return False
    return False


def is_standard(path: str) -> bool:
    """Whether a file belongs to the standard library.

    Examples
    --------
    >>> import os
    >>> is_standard(os.__file__), is_standard(__file__)
    (True, False)
    """
    return path.startswith((_STANDARD, "<frozen ")) and "/site-packages/" not in path


def _passes_on(code: CodeType) -> bool:
    path = code.co_filename
    return is_standard(path) and not path.endswith(_FOR_THEMSELVES) and code.co_name != "get_terminal_size"


def own_prefixes(frame: FrameType | None) -> tuple[str, ...]:
    """Return what may begin the names that a library looks for among many, as its code has it: ``"NUMBA_"``."""
    found: list[str] = []
    for one in callers(frame):
        if is_step_boundary(one) or not is_library(one):
            break
        found += _prefixes(one.f_code)
    return tuple(found)


@functools.lru_cache(maxsize=1000)
def _prefixes(code: CodeType) -> tuple[str, ...]:
    inner = [each for each in code.co_consts if isinstance(each, CodeType)]
    own = [each for each in code.co_consts if isinstance(each, str) and _PREFIX.fullmatch(each)]
    return tuple(own + [each for one in inner for each in _prefixes(one)])


def named_by_user(name: str, frame: FrameType | None, accessors: frozenset[str]) -> bool:
    """Whether a name that a library looked up was given to it, instead of being one of its own.

    A library that reads ``OMP_NUM_THREADS`` has that name among the constants of its code; one that reads a variable
    for the user got the name from outside. What is read while a library is imported is its own. The standard library
    asks for whoever called it, but for where temporary files go and how wide the terminal is.
    """
    own = False
    for one in callers(frame):
        code = one.f_code
        if code.co_filename in accessors or _passes_on(code):
            own = own or _is_constant(name, code)
        elif is_importing(one):
            return False
        elif is_step_boundary(one) or not is_library(one):
            return True
        elif own or _is_constant(name, code):
            return False
    return not own


@functools.lru_cache(maxsize=20_000)
def _is_constant(name: str, code: CodeType) -> bool:
    for constant in code.co_consts:
        if (
            constant == name
            if isinstance(constant, str)
            else isinstance(constant, (tuple, frozenset)) and name in constant
        ):
            return True
    return False


def file_of(module: str) -> str:
    """Return the file name that frames of an imported module's code carry.

    Examples
    --------
    >>> file_of("random").endswith("random.py")
    True
    """
    loaded = sys.modules[module]
    held = list(vars(loaded).values())  # another thread may import from it meanwhile
    own = (value for value in held if isinstance(value, FunctionType) and value.__module__ == module)
    return next((value.__code__.co_filename for value in own), str(getattr(loaded, "__file__", module)))


def files_of(module: str) -> Set[str]:
    """Return the file names of an imported module's code, and of those in it: `pathlib` is a package from 3.13 on.

    Examples
    --------
    >>> file_of("random") in files_of("random")
    True
    """
    inside = [name for name in list(sys.modules) if name.startswith(f"{module}.")]
    return {file_of(name) for name in (module, *(inside if hasattr(sys.modules[module], "__path__") else ()))}
