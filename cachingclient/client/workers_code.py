"""Whether the workers would run the code that a graph is planned with: else a hit is not what running would give.

A task names the functions of modules; what they are, a worker's own modules say. A worker compares its code with the
client's before it keeps a result, but for a hit nothing runs. So once the user did something that may give workers
other code or other values of variables than the client has, a restart, `Client.run`, a plugin or an uploaded file, they
are asked, once for each function, before anything is loaded. While the file of a module is another than the client
imported, they are asked each time: workers that come meanwhile import that file.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import importlib.util
import pickletools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from distributed import Worker
from distributed.protocol.pickle import dumps, loads

from cachingclient.client.edited_modules import edited_modules
from cachingclient.client.port import Port
from cachingclient.graph import Key
from cachingclient.hashing.identity import Identity
from cachingclient.hashing.keys import Code, Step
from cachingclient.hashing.step_keys import Merkle
from cachingclient.worker.context import Context
from cachingclient.worker.half_set import settles

OTHER = (
    "a worker has other code of it, or other values: a restart, `client.run`, a plugin or `upload_file` may have "
    "changed them; reload a module that was edited, or restart the workers"
)
UNASKED = (
    "workers may have other code of it since a restart, `client.run`, a plugin, `upload_file` or an edit of a module, "
    "and could not be asked"
)
_may_ask: contextvars.ContextVar[bool] = contextvars.ContextVar("may_ask", default=True)


class WorkersCode:
    """Asks workers for their code, once they may have another than the client.

    Parameters
    ----------
    port
        The client whose workers they are.
    """

    def __init__(self, port: Port) -> None:
        self._port = port
        self._stirred = False
        edited_modules.look()  # what is edited from now on is seen
        self._same: dict[bytes, bool] = {}

    def stir(self) -> None:
        """Take note that from now on the workers may have other code."""
        self._stirred = True
        self._same = {}

    @contextlib.contextmanager
    def unasked(self) -> Iterator[None]:
        """Ask nobody in this block: whoever holds the client's lock must not wait for its loop."""
        token = _may_ask.set(False)
        try:
            yield
        finally:
            _may_ask.reset(token)

    def refused(self, merkle: Merkle, steps: Mapping[Key, Step], context: Context) -> dict[Key, str]:
        """Return the steps that a worker would run with other code, or may, each with the reason.

        Parameters
        ----------
        merkle
            What looked at the functions and values of the steps.
        steps
            The steps of a graph.
        context
            Says how the workers look at theirs.
        """
        edited = edited_modules.look()
        if not self._stirred and not edited:
            return {}
        users = _code_of_user(merkle)
        new = {digest: each for digest, each in users.items() if edited or digest not in self._same}
        unasked = self._ask(new, context) if new and _may_ask.get() else set()
        other = {digest for digest in users if not self._same.get(digest, True)}
        return {**dict(_with(unasked, steps, UNASKED)), **dict(_with(other, steps, OTHER))}

    def _ask(self, new: Mapping[bytes, object], context: Context) -> set[bytes]:
        """Learn of which code the workers have the same; return that of which it is not known now."""
        answers = self._port.ask_workers(_codes_here, [dumps(each) for each in new.values()], list(new), context)
        told = [said for said in (answers or {}).values() if isinstance(said, list)]
        for number, digest in enumerate(new):
            self._same[digest] = all(said[number] for said in told)
        if answers and len(told) == len(answers):
            return set()
        # One that was gone before it could answer is followed by one that can be asked next time; so is none at all.
        unknown = {digest for digest in new if self._same[digest]}
        for digest in unknown:
            del self._same[digest]
        return unknown


def _code_of_user(merkle: Merkle) -> dict[bytes, object]:
    """Return the functions, and the values with code in them, that are the user's: by the digest of their code."""
    found = {
        code.digest: function
        for function, code in merkle.codes.values()
        if isinstance(code, Code) and code.is_users and code.digest == bytes.fromhex(code.functions[0].digest)
    }
    values = ((value, each.users_code) for value, each in merkle.looked_at if isinstance(each, Identity))
    return found | {code: value for value, code in values if code}


def _with(codes: set[bytes], steps: Mapping[Key, Step], why: str) -> Iterator[tuple[Key, str]]:
    """Yield the steps that have one of some codes, each with a reason."""
    for key, step in steps.items() if codes else ():
        functions = (bytes.fromhex(each.digest) for each in step.code.functions) if step.code is not None else ()
        values = (each.users_code for each in step.code.values) if step.code is not None else ()
        if not codes.isdisjoint([*functions, *step.codes, *(each for each in values if each)]):
            yield key, why


async def _codes_here(
    packed: Sequence[bytes], digests: Sequence[bytes], context: Context, dask_worker: Worker
) -> list[bool]:
    """Return which functions and values have the same code in this process; run on each worker.

    Modules that it takes are imported where steps run: the event loop does not wait for a large one.
    """
    look = functools.partial(_are_here, packed, digests, context)
    if all(map(_is_imported, packed)):
        return look()
    return await asyncio.get_running_loop().run_in_executor(dask_worker.executors["default"], look)


def _is_imported(packed: bytes) -> bool:
    """Whether nothing has to be imported for what a pickle holds: each text in it that names a module counts."""
    names = (text.split(" ")[0] for _, text, _ in pickletools.genops(packed) if isinstance(text, str))
    return all(name in sys.modules or not _is_module(name) for name in names)


def _is_module(name: str) -> bool:
    top, dot, _ = name.partition(".")
    if not all(part.isidentifier() for part in name.split(".")):
        return False
    if top in sys.modules:
        return bool(dot)  # perhaps: to find out would import what it is in
    try:
        return importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):
        return False


def _are_here(packed: Sequence[bytes], digests: Sequence[bytes], context: Context) -> list[bool]:
    return [_is_here(each, digest, context.merkle) for each, digest in zip(packed, digests, strict=True)]


def _is_here(packed: bytes, digest: bytes, look: Callable[[], Merkle]) -> bool:
    """Tell whether a function has this digest in this process, or the user's code in a value has."""
    try:
        value: Any = loads(packed)
    except Exception:  # such as of a module that is not there
        return False
    identity = look().identity(value)
    if isinstance(identity, Identity) and digest in (bytes.fromhex(identity.digest), identity.users_code):
        return True
    return callable(value) and settles(look().code(value), digest, lambda: look().code(value))
