"""The program of the pool, in a process of its own: it runs one task, from files to files in the working folder."""

from __future__ import annotations

import io
import pickle
import resource
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import cloudpickle
from dask.typing import Key
from distributed.worker import thread_state
from tblib import pickling_support

from cachingclient.worker.credentials import VARIABLES, name_file
from cachingclient.worker.process import process

TASK, VALUE, STATUS = "task", "value", "status"
"""The files that a task is read from, and that its result and the record of how it went are written to."""
CREDENTIALS = "credentials"
"""The manager's folder of proxies and tokens, which tasks find as a `credential_file` each."""
MOST_INLINE = 16 * 1024
"""Values up to this many bytes travel with the record; a file of their own would cost more."""


@dataclass(frozen=True, slots=True)
class Input:
    """An argument whose value is in a file of the working folder."""

    file: str


@dataclass(frozen=True, slots=True)
class Inline:
    """An argument that is pickled by itself."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Status:
    """How a task went: the only thing that its success is judged by.

    Attributes
    ----------
    error
        The error that it raised, pickled with its traceback; None if it succeeded.
    inline
        Its value, pickled, if that is small; else it is in the file `VALUE`.
    nbytes, typename
        Of the value, as it is pickled.
    seconds, memory
        Its time, and the most memory that its process had, in bytes.
    records
        The records of the steps of a `DiracClient`, pickled.
    """

    error: bytes | None = None
    inline: bytes | None = None
    nbytes: int = 0
    typename: str = "object"
    seconds: float = 0.0
    memory: int = 0
    records: bytes | None = None


def run_files(folder: Path = Path()) -> None:
    """Run the task that is in a folder."""
    status, value = perform((folder / TASK).read_bytes(), folder)
    with (folder / VALUE).open("wb") as file:
        file.write(value)
    # Written last and renamed, so that a record always stands for a whole value.
    unfinished = folder / f"{STATUS}.unfinished"
    unfinished.write_bytes(pickle.dumps(status))
    unfinished.rename(folder / STATUS)


def call(payload: bytes) -> bytes:
    """Run a task, leave its value in the working folder, and return the record of how it went."""
    status, value = perform(payload)
    Path(VALUE).write_bytes(value)
    return pickle.dumps(status)


def perform(payload: bytes, folder: Path = Path()) -> tuple[Status, bytes | memoryview]:
    """Run a task; return how it went, and its pickled value if that is not in there."""
    start = time.perf_counter()
    process().collects = True
    _take_credentials(folder)
    value: bytes | memoryview = b""
    try:
        function, args, kwargs = pickle.loads(payload)
        args = [_value_of(each, folder) for each in args]
        kwargs = {name: _value_of(each, folder) for name, each in kwargs.items()}
        result = function(*args, **kwargs)
        file = io.BytesIO()
        cloudpickle.dump(result, file, protocol=pickle.HIGHEST_PROTOCOL)
        value = file.getbuffer()
        small = len(value) <= MOST_INLINE
        status = Status(
            inline=bytes(value) if small else None,
            nbytes=len(value),
            typename=f"{type(result).__module__}.{type(result).__qualname__}",
            seconds=time.perf_counter() - start,
            memory=_most_memory(),
            records=_records(),
        )
        return status, b"" if small else value
    except BaseException as error:
        # SystemExit too: it must not pass for the end of a process that was killed.
        return Status(_pickled(error), seconds=time.perf_counter() - start, records=_records()), b""


def credential_file(variable: str) -> str:
    """Return the name of the file of a task's working folder with the credential of an environment variable."""
    return f"credential-{variable}"


def _take_credentials(folder: Path) -> None:
    """Have this process find the credentials that came with its task, which nobody else may read."""
    for variable in VARIABLES.values():
        path = folder.absolute() / credential_file(variable)
        if path.exists():
            path.chmod(0o600)
            name_file(variable, path)


def run_node(node: Any, keys: tuple[Key, ...], *values: Any) -> Any:
    """Run a task of dask, given the values of its dependencies."""
    thread_state.key = node.key
    return node(dict(zip(keys, values, strict=True)))


def _value_of(argument: Any, folder: Path) -> Any:
    if isinstance(argument, Inline):
        return pickle.loads(argument.data)
    if isinstance(argument, Input):
        with (folder / argument.file).open("rb") as file:
            return pickle.load(file)
    return argument


def _most_memory() -> int:
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, others kilobytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _records() -> bytes | None:
    """Write all results that are to be kept, and return the records of these steps."""
    process().writer.flush()
    records = process().take()
    return pickle.dumps(records) if records else None


def _pickled(error: BaseException) -> bytes:
    """Return an exception and its traceback, or as much of it as can be sent.

    Libraries in C raise errors that hold what can't be pickled, and the user's own is raised from these.
    """
    pickling_support.install(error)
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    text = "".join(traceback.format_exception(error))
    error = error.with_traceback(None)
    for candidate in (lambda: error, lambda: _without_origin(error), lambda: RuntimeError(text)):
        for rest in (trace, None):
            try:
                data = cloudpickle.dumps((candidate(), rest))
                pickle.loads(data)
            except Exception:
                continue
            return data
    raise AssertionError("a RuntimeError with a text can always be pickled")


def _without_origin(error: BaseException) -> BaseException:
    """Take away from an exception what it was raised from, which may hold what can't be sent; say it in a note."""
    origin = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    error.__cause__ = error.__context__ = None
    if origin is not None:
        error.add_note(f"raised from\n{''.join(traceback.format_exception(origin))}")
    return error


def unpickled_error(data: bytes) -> tuple[BaseException, TracebackType | None]:
    """Return the error of a task with its traceback, from the task's record."""
    try:
        found: tuple[BaseException, TracebackType | None] = pickle.loads(data)
        return found
    except Exception as unreadable:
        return RuntimeError(f"the task raised an error that can't be read here: {unreadable}"), None


if __name__ == "__main__":
    from cachingclient.vine.engines.pool import runner

    runner.run_files()  # not this module: what it pickles would be of __main__
