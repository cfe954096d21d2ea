"""Generators of random numbers that a whole process shares: looked at before and after a step, unless it seeds them.

A step that reads the state of one and puts it back, as around a seed of its own, has drawn nothing. One that makes
something else of it, such as ``copy.deepcopy(np.random.mtrand._rand)``, goes on from there without moving it.
"""

from __future__ import annotations

import ctypes
import functools
import os
import random
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from cachingclient.worker.observe import current
from cachingclient.worker.observe.audit import tell
from cachingclient.worker.observe.callers import who_calls
from cachingclient.worker.observe.current import Observers
from cachingclient.worker.observe.entropy import forget_draw, made_unseeded
from cachingclient.worker.observe.imports import when_imported
from cachingclient.worker.observe.record import Observed
from cachingclient.worker.observe.wrap import replace, set_in_class

Snapshot = Callable[[], object]
StateOf = Callable[[Any], object]
_HEADER = object.__basicsize__
_STATE_BYTES = 625 * 4  # of a Mersenne twister: 624 words and a position
_NUMBA_BYTES = _STATE_BYTES + 12  # numba keeps the twin of a normal number behind it: whether there is one, and which
_PYTHON, _NUMPY, _NUMBA, _TORCH = "random", "numpy.random", "numba's generators", "torch"
_MACHINERY = (
    *(f"distributed.{name}" for name in ("utils_comm", "worker", "comm.core", "protocol.compression", "scheduler")),
    *("tornado.ioloop", "urllib3.util.retry", "botocore.retryhandler", "botocore.utils", "aiohttp.connector"),
    *("dask.sizeof", "rich.style"),
)
"""Modules that draw from Python's generator to spread their work, to estimate a size, or to name something."""

_generators: dict[str, Snapshot] = {}
_seeded = object()


def look_before(observed: Observed) -> None:
    """Remember how the generators of the process are."""
    try:
        observed.generators = {name: look() for name, look in _generators.items()}
    except Exception as error:  # of a library's generator
        observed.give_reason(f"generators of random numbers can't be looked at: {type(error).__name__}: {error}")


def look_after(observed: Observed) -> None:
    """Note which generators of the process have moved."""
    for name, before in observed.generators.items():
        if before is not _seeded and (look := _generators.get(name)) is not None and look() != before:
            (observed.drew if observed.was_alone else observed.perhaps_drew).add(name)
    observed.drew.update(name for name, _ in observed.saved_states)
    observed.generators, observed.saved_states = {}, {}


def install() -> None:
    """See what is drawn from now on."""
    _observe_python()
    for name in _MACHINERY:
        when_imported(name, _give_own_generator)
    when_imported("numpy.random.mtrand", _observe_numpy)
    when_imported("numba", _observe_numba)
    when_imported("torch", _observe_torch)


def _add_generator(name: str, look: Snapshot) -> None:
    """Look at one more generator, in steps that run now too."""
    _generators[name] = look
    for seen in current.running:
        seen.generators.setdefault(name, look())


def _seeds(original: Any, name: str, state_of: StateOf | None = None) -> Any:
    """Wrap a function that seeds a generator of the process, or gives it a state: what is drawn after it is no draw."""

    def seed(*args: Any, **kwargs: Any) -> Any:
        given = next(iter((*args, *kwargs.values())), None)
        if given is not None:
            tell(_seed, (name,), who_calls())
        result = original(*args, **kwargs)
        if given is not None and state_of is not None:
            tell(_put_back, (name, state_of(given)), who_calls())
        return result

    return functools.wraps(original)(seed) if hasattr(original, "__name__") else seed


def _seed(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    (name,) = args
    for seen in found:
        before = seen.generators.get(name, _seeded)
        if before is not _seeded and _generators[name]() != before:
            (seen.drew if seen.was_alone else seen.perhaps_drew).add(name)
        seen.generators[name] = _seeded


def _read(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    """Note a state that the step reads, unless it comes of a seed of its own."""
    name, state = args
    for seen in found:
        if seen.generators.get(name, _seeded) is not _seeded:
            seen.saved_states[name, state] = _generators[name]()


def _put_back(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    """Note that a generator has the state again that the step had read: what it gives from there on is drawn."""
    for seen in found:
        before = seen.saved_states.pop(args, None)
        if before is not None:
            seen.generators[args[0]] = before


def _observe_python() -> None:
    generator: Any = random._inst
    _add_generator(_PYTHON, _python_snapshot(generator))
    seed, setstate, getstate = random.Random.seed, random.Random.setstate, random.Random.getstate

    def choose(name: str, original: Any) -> Any:
        @functools.wraps(original)
        def chosen(self: random.Random, *args: Any, **kwargs: Any) -> Any:
            if self is generator:
                state_of = repr if name == "setstate" else None
                return _seeds(functools.partial(original, self), _PYTHON, state_of)(*args, **kwargs)
            if name == "seed" and not any(value is not None for value in (*args, *kwargs.values())):
                tell(made_unseeded, (self,), who_calls())
            return original(self, *args, **kwargs)

        return chosen

    @functools.wraps(getstate)
    def read(self: random.Random) -> tuple[Any, ...]:
        state = getstate(self)
        if self is generator:
            tell(_read, (_PYTHON, repr(state)), who_calls())
        return state

    owner: Any = random.Random
    owner.seed, owner.setstate, owner.getstate = choose("seed", seed), choose("setstate", setstate), read
    random.seed, random.setstate, random.getstate = generator.seed, generator.setstate, generator.getstate


def _give_own_generator(module: Any) -> None:
    """Let machinery draw from a generator apart: a step that computes or prints by it draws nothing."""
    own = random.Random(os.getpid())
    for name, value in vars(module).copy().items():
        if value is random:
            setattr(module, name, own)
        elif getattr(value, "__self__", None) is random._inst:
            setattr(module, name, getattr(own, value.__name__))


def _python_snapshot(generator: Any) -> Snapshot:
    """Return a function that copies the generator's state, thirty times faster than ``getstate`` where it can.

    ``gauss`` makes two numbers at once and keeps the second for the next call: that is compared too.
    """
    memory = (ctypes.c_char * _STATE_BYTES).from_address(id(generator) + _HEADER)
    words = memoryview(memory).cast("B").cast("I").tolist()
    *state, position = generator.getstate()[1]
    if words != [position, *state]:
        looked: Snapshot = generator.getstate
        return looked
    return lambda: (memory.raw, generator.gauss_next)


def _observe_numpy(module: Any) -> None:
    _add_generator(_NUMPY, _numpy_snapshot(module))
    if not _observe_twisters(module):
        for name in ("set_state", "seed"):
            replace(module, name, functools.partial(_seeds, name=_NUMPY))


def _observe_twisters(module: Any) -> bool:
    """See each seed and state that is given to an old generator of numpy; return False where that can't be done.

    ``RandomState(7)`` makes an unseeded generator, which asks for entropy, and seeds it then: compiled code all of it.
    Only the methods that seed it are looked up by name.
    """
    twister: Any = sys.modules["numpy.random._mt19937"].MT19937
    seed, state = twister._legacy_seeding, twister.state
    were_called: set[str] = set()

    @functools.wraps(seed)
    def legacy_seeding(self: Any, value: Any) -> Any:
        were_called.add("seed")
        if value is not None:
            tell(_seed_twister, (self is module._rand._bit_generator,), who_calls())
        return seed(self, value)

    def get_state(self: Any) -> Any:
        found = state.__get__(self)
        if self is module._rand._bit_generator:
            tell(_read, (_NUMPY, _of_twister(found)), who_calls())
        return found

    def set_state(self: Any, value: Any) -> None:
        were_called.add("state")
        is_shared = self is module._rand._bit_generator
        tell(_seed_twister, (is_shared,), who_calls())
        state.__set__(self, value)
        if is_shared:
            tell(_put_back, (_NUMPY, _of_twister(value)), who_calls())

    set_in_class(twister, "_legacy_seeding", legacy_seeding)
    set_in_class(twister, "state", property(get_state, set_state, doc=state.__doc__))
    trial = module.RandomState(1)
    trial.set_state(trial.get_state())
    return were_called == {"seed", "state"}


def _of_twister(state: Any) -> str:
    """Return a text that stands for the state of a Mersenne twister."""
    numbers = state.get("state") if isinstance(state, dict) else None
    return f"{numbers['pos']} {numbers['key'].tobytes().hex()}" if isinstance(numbers, dict) else repr(state)


def _seed_twister(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    if args[0]:
        _seed(found, (_NUMPY,), frame)
    forget_draw(frame)


def _numpy_snapshot(module: Any) -> Snapshot:
    """Return a function that copies the state of numpy's global generator, a hundred times faster than ``get_state``.

    A normal draw keeps its twin in the generator's object itself, for the next call: that is compared too.
    """
    state = module._rand
    trial = module.RandomState(0)
    words, own = _numpy_memory(trial)
    looks = []
    for _ in range(3):
        looks.append((words.raw, own.raw))
        trial.normal()
    if (trial.get_state()[1].tobytes() != words.raw[: 624 * 4]) or len(set(looks)) < 3 or looks[1][0] != looks[2][0]:
        return lambda: repr(state.get_state())
    words, own = _numpy_memory(state)
    return lambda: (words.raw, own.raw)


def _numpy_memory(state: Any) -> tuple[Any, Any]:
    address = state._bit_generator.ctypes.state_address
    return (
        (ctypes.c_char * _STATE_BYTES).from_address(address),
        (ctypes.c_char * (type(state).__basicsize__ - _HEADER)).from_address(id(state) + _HEADER),
    )


def _observe_numba(module: Any) -> None:
    """Compiled code has generators of its own, one a thread; a seed that compiled code sets can't be seen."""
    from numba import _helperlib  # type: ignore[attr-defined,unused-ignore]

    of_thread = threading.local()

    def look() -> object:
        try:
            python, numpy = of_thread.states
        except AttributeError:
            pointers = _helperlib.rnd_get_py_state_ptr(), _helperlib.rnd_get_np_state_ptr()  # type: ignore[attr-defined]
            python, numpy = of_thread.states = [(ctypes.c_char * _NUMBA_BYTES).from_address(at) for at in pointers]
        return python.raw, numpy.raw

    _add_generator(_NUMBA, look)


def _observe_torch(module: Any) -> None:
    generator = module.default_generator
    _add_generator(_TORCH, lambda: generator.get_state().numpy().tobytes())
    get_state = module.get_rng_state

    @functools.wraps(get_state)
    def read() -> Any:
        state = get_state()
        tell(_read, (_TORCH, state.numpy().tobytes()), who_calls())
        return state

    wrapped = {
        "manual_seed": _seeds(module.manual_seed, _TORCH),
        "set_rng_state": _seeds(module.set_rng_state, _TORCH, lambda state: state.numpy().tobytes()),
        "get_rng_state": read,
    }
    for name, function in wrapped.items():
        for owner in (module, module.random):
            setattr(owner, name, function)
