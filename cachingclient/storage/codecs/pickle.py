"""Anything else: pickle protocol 5, its big buffers out of band; cloudpickle for what pickle can't name.

Classes and functions of the user's are references (`storage.classes`), so that no class comes out of a store.
"""

from __future__ import annotations

import importlib
import io
import pickle
from types import FunctionType
from typing import Any

import cloudpickle

from cachingclient.storage.classes import SCRIPT, ClassChangedError, Reference
from cachingclient.storage.model import UncodableError

NAME = "pickle"
VERSION = 2
LIBRARIES = ("cloudpickle",)

FIRST_WITH_REFERENCES = 2


def encode(value: Any, writer: Any) -> dict[str, Any]:
    """Pickle, with a frame for each out-of-band buffer."""
    buffers: list[pickle.PickleBuffer] = []
    try:
        body = _dump(_ByName, value, writer, buffers)
        by_value = b"__main__" in body  # a reference into this process's script means nothing in another one
    except UncodableError:
        raise
    except Exception:  # whatever a __reduce__ raises: cloudpickle may still know better
        by_value = True
    if by_value:
        buffers.clear()
        try:
            body = _dump(_ByValue, value, writer, buffers)
        except UncodableError:
            raise
        except Exception as error:
            raise UncodableError(f"a {type(value).__qualname__} can't be serialised: {error}") from error
    try:
        views = [buffer.raw() for buffer in buffers]
    except BufferError:  # a buffer that is not contiguous can't be a frame
        views = []
        body = _dump(_ByValue, value, writer, None)
    return {"body": writer.frame(body), "buffers": [writer.frame(view) for view in views], "version": VERSION}


def decode(node: dict[str, Any], reader: Any) -> Any:
    """Unpickle onto the frames."""
    body, buffers = reader.frame(node["body"]), [reader.frame(n) for n in node["buffers"]]
    return _Unpickler(body, buffers, reader.classes, node.get("version", 1)).load()


def refer(module: str, qualname: str, digest: str) -> Any:
    """Stand in pickles for the user's classes and functions: only the reader of a store knows which are meant."""
    raise ClassChangedError(f"{qualname} can only be found by the session that loads it")


def _dump(kind: type[Any], value: Any, writer: Any, buffers: list[pickle.PickleBuffer] | None) -> bytes:
    file = io.BytesIO()
    kind(file, writer, buffers.append if buffers is not None else None).dump(value)
    return file.getvalue()


def _reference(thing: Any, writer: Any) -> Any:
    """Return what stands for a class or function of the user's; None for anything else."""
    if not isinstance(thing, (type, FunctionType)):
        return None
    reference: Reference | None = writer.refer(thing)
    return None if reference is None else (refer, (reference.module, reference.qualname, reference.digest))


class _ByName(pickle.Pickler):
    """Pickles libraries' classes and functions by name."""

    def __init__(self, file: io.BytesIO, writer: Any, buffer_callback: Any) -> None:
        super().__init__(file, protocol=5, buffer_callback=buffer_callback)
        self._writer = writer

    def reducer_override(self, obj: Any) -> Any:
        found = _reference(obj, self._writer)
        return NotImplemented if found is None else found


class _ByValue(cloudpickle.Pickler):
    """Pickles what no module has under its name by value."""

    def __init__(self, file: io.BytesIO, writer: Any, buffer_callback: Any) -> None:
        super().__init__(file, protocol=5, buffer_callback=buffer_callback)
        self._writer = writer

    def reducer_override(self, obj: Any) -> Any:
        found = _reference(obj, self._writer)
        return super().reducer_override(obj) if found is None else found


class _Unpickler(pickle.Unpickler):
    """Finds the user's classes in the session that loads, and lets none of them come out of the store."""

    def __init__(self, body: Any, buffers: Any, classes: Any, version: int) -> None:
        super().__init__(io.BytesIO(body), buffers=buffers)
        self._classes = classes
        self._version = version

    def find_class(self, module: str, name: str) -> Any:
        if module == __name__ and name == refer.__name__:
            return self._refer
        if module.startswith("cloudpickle") and name in _MAKERS:
            return self._maker(name)
        found = super().find_class(module, name)
        if self._version < FIRST_WITH_REFERENCES and isinstance(found, (type, FunctionType)):
            self._check(str(getattr(found, "__module__", module)), name)
        return found

    def _refer(self, module: str, qualname: str, digest: str) -> Any:
        if module != SCRIPT:
            importlib.import_module(module)
        return self._classes.find(Reference(module, qualname, digest))

    def _maker(self, name: str) -> Any:
        """Return what makes a class of a pickle, for classes of libraries."""
        make, module_of = super().find_class("cloudpickle.cloudpickle", name), _MAKERS[name]

        def checked(*args: Any) -> Any:
            self._check(str(module_of(args)), args[1])
            return make(*args)

        return checked

    def _check(self, module: str, name: str) -> None:
        if self._classes.is_users(module):
            raise ClassChangedError(f"it was kept when nothing was known of the class {name} in it")


_MAKERS = {
    "_make_skeleton_class": lambda args: args[3].get("__module__"),
    "_make_skeleton_enum": lambda args: args[4],
}
"""The functions of cloudpickle that make classes, and where each is told the module."""
