"""What libraries in C, C++ and Rust open by themselves, recorded where their functions are given the path.

A door is a Python function that takes a path and hands it to compiled code. It is wrapped when its library is imported
and recorded when it is called. docs/observation.md tells of each library what it opens, and how that was checked.
"""

from __future__ import annotations

import functools
import inspect
import os
import re
from collections.abc import Iterator
from types import FrameType
from typing import Any, NamedTuple

from cachingclient.hashing.inputs.listing import MOST_NAMES
from cachingclient.hashing.inputs.signed import unsigned
from cachingclient.worker.observe.audit import note_path, note_process, tell
from cachingclient.worker.observe.callers import asked_by_user, who_calls
from cachingclient.worker.observe.connections import follow_redirects, note_url
from cachingclient.worker.observe.current import Observers, carry, observers, unobserved
from cachingclient.worker.observe.imports import when_imported
from cachingclient.worker.observe.record import Observed
from cachingclient.worker.observe.stamps import Stamp, Written, stamp
from cachingclient.worker.observe.wrap import replace


class Door(NamedTuple):
    """A function that takes a path.

    Attributes
    ----------
    module
        Where it is defined.
    name
        Its qualified name there.
    parameter
        The parameter that holds the path, or a list of paths; ``self.NAME`` is an attribute.
    use
        ``"r"`` reads, ``"w"`` writes, ``"w/"`` writes files below a folder, ``"mode"`` does what a parameter of that
        name says, ``"onnx"`` reads a model and the files that it names, ``"asks"`` reads if the user's code asks,
        ``"empties"`` writes if that mode empties the file, which is opened for both before.
    """

    module: str
    name: str
    parameter: str
    use: str


_PARQUET, _DATASET, _FS = "pyarrow.parquet.core", "pyarrow._dataset", "pyarrow._fs"
_XGBOOST, _LIGHTGBM = "xgboost.core", "lightgbm.basic"
DOORS = (
    Door("linecache", "getlines", "filename", "r"),  # which remembers them
    Door("correctionlib._core", "CorrectionSet.from_file", "filename", "r"),
    Door("pyarrow.lib", "OSFile", "path", "mode"),
    Door("pyarrow.lib", "memory_map", "path", "mode"),
    Door("pyarrow.lib", "create_memory_map", "path", "w"),
    Door("pyarrow.lib", "input_stream", "source", "r"),
    Door("pyarrow.lib", "output_stream", "source", "w"),
    Door("pyarrow.ipc", "open_file", "source", "r"),
    Door("pyarrow.ipc", "open_stream", "source", "r"),
    Door("pyarrow.ipc", "new_file", "sink", "w"),
    Door("pyarrow.ipc", "new_stream", "sink", "w"),
    Door("pyarrow._csv", "read_csv", "input_file", "r"),
    Door("pyarrow._csv", "open_csv", "input_file", "r"),
    Door("pyarrow._csv", "write_csv", "output_file", "w"),
    Door("pyarrow._json", "read_json", "input_file", "r"),
    Door("pyarrow._json", "open_json", "input_file", "r"),
    Door("pyarrow.feather", "read_table", "source", "r"),
    Door("pyarrow.feather", "write_feather", "dest", "w"),
    Door("pyarrow.orc", "ORCFile.__init__", "source", "r"),
    Door("pyarrow.orc", "ORCWriter.__init__", "where", "w"),
    Door(_PARQUET, "ParquetFile.__init__", "source", "r"),
    Door(_PARQUET, "ParquetDataset.__init__", "path_or_paths", "r"),
    Door(_PARQUET, "ParquetWriter.__init__", "where", "w"),
    Door("pyarrow.dataset", "dataset", "source", "r"),
    Door("pyarrow.dataset", "parquet_dataset", "metadata_path", "r"),
    Door("pyarrow.dataset", "write_dataset", "base_dir", "w/"),
    Door(_DATASET, "Fragment.scanner", "self.path", "r"),
    Door(_DATASET, "Fragment.to_table", "self.path", "r"),
    Door(_DATASET, "Dataset.scanner", "self.files", "r"),
    Door(_DATASET, "Dataset.to_table", "self.files", "r"),
    Door(_FS, "FileSystem.open_input_file", "path", "r"),
    Door(_FS, "FileSystem.open_input_stream", "path", "r"),
    Door(_FS, "FileSystem.open_output_stream", "path", "w"),
    Door(_FS, "FileSystem.open_append_stream", "path", "w"),
    Door(_FS, "FileSystem.get_file_info", "paths_or_selector", "asks"),
    Door(_FS, "FileSystem.copy_file", "src", "r"),
    Door(_FS, "FileSystem.copy_file", "dest", "w"),
    Door(_FS, "FileSystem.move", "src", "r"),
    Door(_FS, "FileSystem.move", "dest", "w"),
    Door("pyarrow.fs", "copy_files", "source", "r"),
    Door("pyarrow.fs", "copy_files", "destination", "w/"),
    Door(_XGBOOST, "Booster.__init__", "model_file", "r"),
    Door(_XGBOOST, "Booster.load_model", "fname", "r"),
    Door(_XGBOOST, "Booster.save_model", "fname", "w"),
    Door(_XGBOOST, "DMatrix.__init__", "data", "r"),
    Door(_XGBOOST, "DMatrix.save_binary", "fname", "w"),
    Door(_LIGHTGBM, "Booster.__init__", "model_file", "r"),
    Door(_LIGHTGBM, "Booster.predict", "data", "r"),
    Door(_LIGHTGBM, "Booster.save_model", "filename", "w"),
    Door(_LIGHTGBM, "Dataset.construct", "self.data", "r"),
    Door(_LIGHTGBM, "Dataset.save_binary", "filename", "w"),
    Door("onnxruntime.capi.onnxruntime_inference_collection", "InferenceSession.__init__", "path_or_bytes", "onnx"),
    Door("uproot.sink.file", "FileSink.__init__", "urlpath_or_file_like", "empties"),
    Door("h5py._hl.files", "File.__init__", "name", "mode"),
    Door("tables.file", "File.__init__", "filename", "mode"),
    Door("torch", "load", "f", "r"),
    Door("torch", "save", "f", "w"),
    Door("torch", "from_file", "filename", "r"),
    Door("torch.jit._serialization", "load", "f", "r"),
    Door("torch.jit._serialization", "save", "f", "w"),
    Door("safetensors.torch", "load_file", "filename", "r"),
    Door("safetensors.torch", "save_file", "filename", "w"),
    Door("tensorflow.python.lib.io.file_io", "FileIO.__init__", "name", "mode"),
    Door("tensorflow.python.saved_model.load", "load", "export_dir", "r"),
    Door("XRootD.client.file", "File.open", "url", "r"),
    Door("XRootD.client.filesystem", "FileSystem.__init__", "url", "r"),
    Door("XRootD.client.filesystem", "FileSystem.copy", "source", "r"),
    Door("XRootD.client.filesystem", "FileSystem.copy", "target", "w"),
    Door("XRootD.client.copyprocess", "CopyProcess.add_job", "source", "r"),
    Door("XRootD.client.copyprocess", "CopyProcess.add_job", "target", "w"),
)


_PATHS_OF_FSSPEC = ("path", "rpath", "path1", "url", "paths")
"""By which its methods take what they read, where it is named."""


def install() -> None:
    """Wrap the doors of libraries that are imported, and of the others as soon as they are."""
    by_module: dict[str, dict[str, list[Door]]] = {}
    for door in DOORS:
        by_module.setdefault(door.module, {}).setdefault(door.name, []).append(door)
    for module, doors in by_module.items():
        when_imported(module, functools.partial(_wrap_all, doors))
    when_imported("fsspec.asyn", _wrap_fsspec)
    when_imported("http.client", _follow_redirects)
    when_imported("multiprocessing.process", _wrap_processes)
    when_imported("distributed.profile", _leave_out_profiler)


def _leave_out_profiler(module: Any) -> None:
    """Let the lines that dask's profiler takes from linecache count for nobody: it asks for each frame of a sample."""
    replace(module, "info_frame", lambda original: carry(original, None))


def _wrap_all(doors: dict[str, list[Door]], module: Any) -> None:
    for name, same in doors.items():
        replace(module, name, functools.partial(_wrap, same))


def _wrap(doors: list[Door], original: Any) -> Any:
    try:
        parameters = list(inspect.signature(original).parameters)
    except (TypeError, ValueError):
        parameters = []

    def opening(*args: Any, **kwargs: Any) -> Any:
        if not observers():  # the workers' profiler asks linecache for a line of each frame of each sample
            return original(*args, **kwargs)
        given = {**dict(zip(parameters or [doors[0].parameter, "mode"], args, strict=False)), **kwargs}
        frame = who_calls()
        trees = [door for door in doors if door.use == "w/"]
        before = {door: _files_below(given.get(door.parameter)) for door in trees}
        for door in doors:
            if door.use != "w/":
                tell(_open, (door, given), frame)
        result = original(*args, **kwargs)
        for door in trees:
            tell(_wrote_below, (given.get(door.parameter), before[door]), frame)
        return result

    return opening


def _open(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    door, given = args
    if door.parameter.startswith("self."):
        value = getattr(given.get("self"), door.parameter[5:], None)
    else:
        value = given.get(door.parameter)
    use = door.use
    if use == "asks" and not asked_by_user(frame):
        return
    if use == "empties":
        if given.get("mode") not in ("create", "recreate"):
            return
        use = "w"
    if use == "mode":
        use = str(given.get("mode") or "r").replace("b", "")
    owner = given.get("self")
    system = given.get("filesystem") or (owner if door.module == _FS else getattr(owner, "filesystem", None))
    elsewhere = _is_elsewhere(system)
    paths = list(_paths(value))
    if use == "asks":
        use, paths = "r", [*paths, *_paths(getattr(value, "base_dir", None))]  # of pyarrow's FileSelector
    if use == "onnx":
        use, paths = "r", [*paths, *(other for path in paths for other in _external_data(path))]
    for path in paths:
        if elsewhere or ("://" in path and not path.startswith("file://")):
            _note_remote(found, path, use)
            continue
        path = path.removeprefix("file://")
        if use not in ("w", "w-", "x"):
            note_path(found, path, frame, _read_tree if use == "r" else _read_if_there)
        if use not in ("r", "rb"):
            note_path(found, path, frame, lambda seen, full: seen.wrote(full, "changed"))


def _paths(value: Any) -> Iterator[str]:
    """Yield the paths that a parameter holds; what is no path, such as an open file, has none."""
    if isinstance(value, (list, tuple)):
        for one in value[:MOST_NAMES]:
            yield from _paths(one) if isinstance(one, (str, os.PathLike)) else ()
    elif isinstance(value, os.PathLike) or (isinstance(value, bytes) and len(value) < 4096 and os.path.exists(value)):
        yield os.fsdecode(value)
    elif isinstance(value, str):
        # xgboost takes the format of a file behind its name.
        yield value if "://" in value or os.path.exists(value) else value.partition("?")[0]


def _external_data(model: str) -> Iterator[str]:
    """Yield the files in which an ONNX model keeps its large arrays; their names stand in it."""
    with open(model, "rb") as file:
        for found in re.finditer(rb"\x0a\x08location\x12(.)", file.read(), re.DOTALL):
            file.seek(found.end())
            yield os.path.join(os.path.dirname(model), os.fsdecode(file.read(found[1][0])))


def _is_elsewhere(filesystem: Any) -> bool:
    """Whether a file system that was given to pyarrow is another than the local one."""
    return filesystem is not None and "local" not in repr(filesystem).lower()


def _note_remote(found: Observers, url: str, use: str) -> None:
    if use in ("r", "rb"):
        note_url(found, url)
        return
    for seen in found:
        seen.give_reason(f"it writes to {unsigned(url)}")


def _read_tree(seen: Observed, path: str) -> None:
    if not os.path.isdir(path):
        seen.read(path)
        return
    for folder, _, names in os.walk(path):
        seen.listed(folder)
        for name in names:
            seen.read(os.path.join(folder, name))


def _read_if_there(seen: Observed, path: str) -> None:
    if os.path.exists(path):
        seen.read(path)


def _files_below(folder: Any) -> dict[str, Stamp | None]:
    if not isinstance(folder, (str, os.PathLike)):
        return {}
    with unobserved():
        paths = (os.path.join(where, name) for where, _, names in os.walk(os.fsdecode(folder)) for name in names)
        return {path: stamp(path) for path, _ in zip(paths, range(MOST_NAMES), strict=False)}


def _wrote_below(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    folder, before = args
    for path, now in _files_below(folder).items():
        if now != before.get(path):
            written = Written("changed" if path in before else "created", before.get(path))
            note_path(found, path, frame, functools.partial(_add_written, written))


def _add_written(written: Written, seen: Observed, path: str) -> None:
    seen.writes.setdefault(path, written)


def _wrap_fsspec(module: Any) -> None:
    """See each call of an asynchronous file system: a connection that is kept is used again without a connect."""

    def make(original: Any) -> Any:
        def sync(loop: Any, func: Any, *args: Any, **kwargs: Any) -> Any:
            tell(_used_file_system, (getattr(func, "__self__", None), args, kwargs), who_calls())
            return original(loop, func, *args, **kwargs)

        return sync

    replace(module, "sync", make)


def _used_file_system(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    system, given, named = args
    protocol = getattr(system, "protocol", None) or getattr(getattr(system, "fs", None), "protocol", None)
    name = protocol if isinstance(protocol, str) else next(iter(protocol or ()), "")
    if not name or name in ("file", "local", "memory"):
        return
    wanted = given[0] if given else next((named[each] for each in _PATHS_OF_FSSPEC if each in named), None)
    if not isinstance(wanted, (str, list)):  # a part of a file, or nothing of one, such as a login
        wanted = getattr(system, "path", "")
    for url in filter(None, wanted if isinstance(wanted, list) else [wanted]):
        _note_remote(found, str(url) if "://" in str(url) else f"{name}://{url}", "r")


def _follow_redirects(module: Any) -> None:
    replace(module, "HTTPConnection.getresponse", follow_redirects(tell))


def _wrap_processes(module: Any) -> None:
    def make(original: Any) -> Any:
        def start(self: Any) -> Any:
            tell(lambda found, args, frame: note_process(found, "multiprocessing"), (), who_calls())
            return original(self)

        return start

    replace(module, "BaseProcess.start", make)
