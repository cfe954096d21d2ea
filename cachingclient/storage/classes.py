"""Classes and functions of the user's that results refer to: kept as references, found again in the session that loads.

A class of a script or a notebook means nothing in another process, and a copy of it is another class: no look-up by
its enum members finds anything, nothing compares equal. So a result never carries such a class. It says which one it
is, by module, name and digest, and whoever loads the result says which class that is here.
"""

from __future__ import annotations

import functools
import sys
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any, Protocol

from cachingclient.storage.model import UncodableError

SCRIPT = ""
"""The module of what a script or a notebook defines: in pickles ``__main__`` would be the loading process's own."""


class ClassChangedError(LookupError):
    """What a result refers to is another one here, or is not here."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Which class or function is meant.

    Attributes
    ----------
    module
        The name of its module; `SCRIPT` for a script or a notebook.
    qualname
        Its name there.
    digest
        Its identity, without which it is not believed to be the same; empty where nobody tells.
    """

    module: str
    qualname: str
    digest: str = ""

    @property
    def name(self) -> str:
        """Its module and name, by which a description lists it."""
        return f"{self.module}:{self.qualname}"

    @property
    def last_name(self) -> str:
        """Its name without those of the classes and functions around it."""
        return self.qualname.rpartition(".")[2]


class Classes(Protocol):
    """Tells which classes and functions are the user's, and finds them again."""

    def reference(self, thing: type | FunctionType) -> Reference | None:
        """Return a reference, or None for what is pickled as ever: of a library, or a function without a name.

        Raises
        ------
        UncodableError
            It is the user's, and could not be found again.
        """

    def find(self, reference: Reference) -> Any:
        """Return what is meant.

        Raises
        ------
        ClassChangedError
            It differs here, or is not here.
        """

    def is_users(self, module: str) -> bool:
        """Whether a module is the user's own."""


class ImportedClasses:
    """Classes by the name that they are imported by, where nobody can tell whether they changed.

    Examples
    --------
    >>> ImportedClasses().find(Reference("fractions", "Fraction"))
    <class 'fractions.Fraction'>
    """

    def reference(self, thing: type | FunctionType) -> Reference | None:
        """Return None for what has a name; a class of a script has none that another process knows."""
        if isinstance(thing, type) and module_of(thing) == SCRIPT:
            raise UncodableError(f"it holds the class {thing.__qualname__} of a script, which nobody can identify here")
        return None

    def find(self, reference: Reference) -> Any:
        """Return what is imported by that name."""
        if reference.digest:
            raise ClassChangedError(f"nobody can tell here whether {reference.qualname} has changed")
        __import__(reference.module)
        found = standing_at(reference.module, reference.qualname)
        if found is None:
            raise ClassChangedError(f"{reference.module} has no {reference.qualname}")
        return found

    def is_users(self, module: str) -> bool:
        """Tell only what is a script's."""
        return module in ("__main__", "__mp_main__")


IMPORTED = ImportedClasses()


def module_of(thing: type | FunctionType) -> str:
    """Return the name of the module that a class or function is of, as a `Reference` has it.

    Examples
    --------
    >>> module_of(Reference)
    'cachingclient.storage.classes'
    """
    module = getattr(thing, "__module__", None)
    # A process that multiprocessing spawned has the script under its second name.
    return SCRIPT if module in ("__main__", "__mp_main__") else str(module)


def standing_at(module: str, qualname: str) -> Any:
    """Return the class or function that an imported module has under a name; None if it has none.

    Examples
    --------
    >>> standing_at("fractions", "Fraction.limit_denominator").__name__
    'limit_denominator'
    """

    def inner(outer: Any, name: str) -> Any:
        return vars(outer).get(name) if isinstance(outer, (ModuleType, type)) else None

    found = functools.reduce(inner, qualname.split("."), sys.modules.get(module or "__main__"))
    if isinstance(found, (staticmethod, classmethod)):
        found = found.__func__
    return found if isinstance(found, (type, FunctionType)) else getattr(found, "__wrapped__", None)
