"""What a result depends on beside its key, in words."""

from __future__ import annotations

from collections.abc import Iterator

from cachingclient.hashing.inputs.told import EVERYTHING
from cachingclient.hashing.inputs.trace import Trace


def in_words(trace: Trace) -> Iterator[str]:
    """Yield a line for each thing.

    Examples
    --------
    >>> list(in_words(Trace(variables={"ERA": None}, folder="/home/alice")))
    ['the environment variable ERA, not set', 'the working folder /home/alice']
    """
    yield from (f"its input {path}" for path in trace.named)
    for path, seen in trace.read.items():
        yield f"{path}, which it reads" if seen is not None else f"{path} not being there"
    for path, seen in trace.written.items():
        yield f"{path}, which it wrote" if seen is not None else f"{path}, which it removed"
    for name, digest in sorted(trace.variables.items()):
        unset = "" if digest is not None else ", not set"
        yield "all environment variables" if name == EVERYTHING else f"the environment variable {name}{unset}"
    if trace.folder is not None:
        yield f"the working folder {trace.folder}"
