"""The user's classes that kept results refer to: what they are, and which ones they are in this process.

A reference holds the identity of the class, so that a result is never given another one. Where a class is found
depends on who loads:

- the client, and a step in plain Python: in the modules, as they are now (`from_modules`);
- a step that calls others: among what its own code and arguments lead to (`Scope`);
- a worker that loads for a client: among what the client sent (`sent`), since the worker's script is not the client's.
"""

from __future__ import annotations

import contextlib
import functools
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FunctionType
from typing import Any

import cloudpickle

from cachingclient.hashing.environment.environment import Environment, is_user_code
from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.identify import identify
from cachingclient.hashing.identity import Identity
from cachingclient.hashing.inputs.inputs import Inputs
from cachingclient.hashing.walk import Walk
from cachingclient.plan.module_sources import source_digest
from cachingclient.storage import ClassChangedError, EntryInfo, Reference, UncodableError
from cachingclient.storage.classes import SCRIPT, module_of, standing_at

Source = Callable[[Reference], Iterable[Any]]
"""Gives the classes and functions that a reference may mean; which of them has its identity is for others to tell."""


class UserClasses:
    """The classes and functions of the user's, as they are in this process.

    Parameters
    ----------
    environment
        How libraries count in their identities.
    *sources
        Where they are found, in this order.

    Examples
    --------
    >>> classes = UserClasses(Environment(), from_modules)
    >>> classes.reference(dict) is None
    True
    """

    def __init__(self, environment: Environment, *sources: Source) -> None:
        self.environment = environment
        self.sources = sources
        self._digests: dict[int, tuple[Any, str]] = {}

    def reference(self, thing: type | FunctionType) -> Reference | None:
        """Return a reference to a class or function; None if it is a library's, or a function without a name.

        Raises
        ------
        UncodableError
            It is the user's and has no identity, or nobody could find it by its name.
        """
        if not self.is_users(str(getattr(thing, "__module__", None) or "")):
            return None
        module, has_name = module_of(thing), "<" not in thing.__qualname__
        if module != SCRIPT and module in sys.modules:
            has_name = standing_at(module, thing.__qualname__) is not None
        if isinstance(thing, FunctionType) and not has_name:
            return None
        try:
            reference = Reference(module, thing.__qualname__, self._digest(thing))
        except Unidentifiable as error:
            raise UncodableError(f"it holds {thing.__qualname__}, which has no identity: {error.reason}") from error
        if not has_name and not any(thing is found for source in self.sources for found in source(reference)):
            raise UncodableError(f"it holds the class {thing.__qualname__}, which no module has under that name")
        return reference

    def find(self, reference: Reference) -> Any:
        """Return the class or function that is meant.

        Raises
        ------
        ClassChangedError
            It is another one here, or is not here.
        """
        kind, fault = "class", "is not known here"
        for source in self.sources:
            known = [found for found in source(reference) if isinstance(found, (type, FunctionType))]
            same = {id(found): found for found in known if self._is(found, reference)}
            if len(same) == 1:
                return same.popitem()[1]
            if known:
                kind = "class" if isinstance(known[0], type) else "function"
                fault = "is one of several that are alike" if same else "has changed"
        raise ClassChangedError(f"the {kind} {reference.qualname} {fault}")

    def is_users(self, module: str) -> bool:
        """Whether a module is the user's own."""
        return is_user_code(module) or module == "__mp_main__"

    def beside(self, *sources: Source) -> UserClasses:
        """Return the same classes, and others that are found elsewhere; each is looked at once for both."""
        both = UserClasses(self.environment, *self.sources, *sources)
        both._digests = self._digests
        return both

    def objection(self, info: EntryInfo) -> str:
        """Return why an entry must not be loaded: a class or function that it refers to has changed; else nothing.

        What is in modules that are not imported here shows when it is loaded.
        """
        try:
            for reference in references(info):
                if reference.module == SCRIPT or reference.module in sys.modules:
                    self.find(reference)
        except ClassChangedError as error:
            return str(error)
        return ""

    def changed(self, names: Mapping[str, str]) -> str:
        """Return which of some classes has another digest here, in words.

        Of modules that are not imported here the sources are compared, where `classes_of` told what they were.
        """
        for reference in _references(names):
            if not reference.qualname:
                if reference.module not in sys.modules and source_digest(reference.module) != (
                    reference.digest or None
                ):
                    return f"the module {reference.module} has changed, or can't be compared here"
                continue
            known = [found for source in self.sources for found in source(reference) if isinstance(found, type)]
            if known and not any(self._is(found, reference) for found in known):
                return f"the class {reference.qualname} has changed"
        return ""

    def classes_of(
        self, values: Iterable[tuple[object, Identity | str]], imported_at: Callable[[str], float] | None = None
    ) -> dict[str, str]:
        """Return the digests of the classes that values are of, by name: they count though no code may name them.

        With them those of their modules' sources, under names without a class.

        Parameters
        ----------
        values
            Each with what is known of it.
        imported_at
            As for `source_digest`.
        """
        found = {}
        for value, identity in values:
            if isinstance(identity, Identity) and any(label.startswith("class ") for label in identity.ingredients):
                for kind in Scope(value).classes():
                    with contextlib.suppress(UncodableError):
                        if (reference := self.reference(kind)) is not None:
                            found[reference.name] = reference.digest
                            if reference.module != SCRIPT:
                                found[Reference(reference.module, "").name] = source_digest(
                                    reference.module, imported_at
                                )
        return found

    def _is(self, thing: Any, reference: Reference) -> bool:
        with contextlib.suppress(Unidentifiable):
            return self._digest(thing) == reference.digest
        return False

    def _digest(self, thing: Any) -> str:
        known = self._digests.get(id(thing))
        if known is None:
            try:
                # Files that a class names are inputs of the steps that use it.
                digest = identify(thing, Inputs("name"), self.environment).digest
            except Unidentifiable:
                raise
            except Exception as error:  # a user's metaclass may do anything when it is looked at
                raise Unidentifiable(f"looking at it raised {type(error).__name__}: {error}") from error
            known = self._digests[id(thing)] = thing, digest
        return known[1]


class Scope:
    """What the code of a call and its arguments lead to.

    Parameters
    ----------
    *things
        The function and its arguments. Each is looked at only if those before it do not lead there.
    """

    def __init__(self, *things: object) -> None:
        self._unseen = list(reversed(things))
        self._met: dict[tuple[str, str], list[Any]] = {}

    def __call__(self, reference: Reference) -> list[Any]:
        """Return what a reference may mean here."""
        while not (found := self._met.get((reference.module, reference.last_name), [])) and self._unseen:
            self._look()
        return [thing for thing in found if thing.__qualname__ == reference.qualname] or found

    def classes(self) -> list[type]:
        """Return all classes that are met, but for those that a decorator made anew under the same name."""
        return [thing for thing in self._all() if isinstance(thing, type) and not _was_made_anew(thing)]

    def names(self) -> set[str]:
        """Return the names of all classes and functions that are met, with their modules'."""
        return {f"{module_of(thing)}.{thing.__qualname__}" for thing in self._all()}

    def _all(self) -> list[Any]:
        while self._unseen:
            self._look()
        return [thing for met in self._met.values() for thing in met]

    def _look(self) -> None:
        with contextlib.suppress(Exception):  # what was met until then counts
            walk = _Collecting(self._met)
            walk.finish(walk.encode(self._unseen.pop()))


def _was_made_anew(kind: type) -> bool:
    """Tell whether the class of this name was made of this one: ``dataclass(slots=True)`` does, and keeps its methods.

    What is generated before, such as the ``__setattr__`` of a frozen one, still leads to the first class.
    """
    now = standing_at(module_of(kind), kind.__qualname__)
    if now is kind or not isinstance(now, type):
        return False
    own = vars(now)
    return any(own.get(name) is value for name, value in vars(kind).items() if isinstance(value, FunctionType))


class _Collecting(Walk):
    """A walk that notes each class and function that it meets."""

    def __init__(self, met: dict[tuple[str, str], list[Any]]) -> None:
        super().__init__(Inputs("name"))
        self._met_so_far = met

    def encode(self, obj: object) -> bytes:
        if isinstance(obj, (type, FunctionType)):
            self._met_so_far.setdefault((module_of(obj), obj.__name__), []).append(obj)
        return super().encode(obj)


def from_script(reference: Reference) -> list[Any]:
    """Return what this process's script or notebook has under a name now."""
    return from_modules(reference) if reference.module == SCRIPT else []


def from_modules(reference: Reference) -> list[Any]:
    """Return what a module has under a name now. A script that multiprocessing ran again is none of the user's."""
    if reference.module == SCRIPT and sys.modules.get("__main__") is sys.modules.get("__mp_main__"):
        return []
    found = standing_at(reference.module, reference.qualname)
    if found is None and reference.module == SCRIPT:
        # A class inside another one reaches workers without the other's name.
        return list(_inside(vars(sys.modules["__main__"]), reference.qualname, set()))
    return [found]


def _inside(namespace: Mapping[str, Any], name: str, seen: set[int]) -> Iterator[type]:
    """Yield the classes of a name that are defined inside a script's classes."""
    for each in list(namespace.values()):
        if isinstance(each, type) and module_of(each) == SCRIPT and id(each) not in seen:
            seen.add(id(each))
            if each.__name__ == name:
                yield each
            yield from _inside(vars(each), name, seen)


def references(info: EntryInfo) -> list[Reference]:
    """Return what an entry refers to, by its description."""
    return _references(info.details.get("classes") or {})


def _references(listed: Mapping[str, str]) -> list[Reference]:
    names = {name: name.partition(":") for name in listed}
    return [Reference(module, qualname, listed[name]) for name, (module, _, qualname) in names.items()]


def packed(info: EntryInfo, classes: UserClasses) -> bytes | None:
    """Return what a worker can't find of what an entry refers to; there it is what the client's functions use too.

    Raises
    ------
    ClassChangedError
        It can't be sent.
    """
    by_value = cloudpickle.list_registry_pickle_by_value()
    found = {
        (each.module, each.qualname): classes.find(each)
        for each in references(info)
        if each.module == SCRIPT or "<" in each.qualname or each.module.partition(".")[0] in by_value
    }
    try:
        return cloudpickle.dumps(found) if found else None
    except Exception as error:
        raise ClassChangedError(f"classes that it refers to can't be sent: {error}") from error


def sent(classes: bytes | None) -> Source:
    """Return the source of what a client sent."""

    def find(reference: Reference) -> list[Any]:
        return [_unpacked(classes).get((reference.module, reference.qualname))] if classes else []

    return find


@functools.lru_cache(maxsize=64)
def _unpacked(classes: bytes) -> dict[tuple[str, str], Any]:
    found: dict[tuple[str, str], Any] = pickle.loads(classes)
    return found
