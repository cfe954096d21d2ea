"""`@step`: a user's word on one function, in a graph or called inside a task that dask can't see into."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, ParamSpec, TypeVar, overload

import dask
from dask.utils import parse_bytes

from cachingclient.graph import Key, Lowered, Task, with_function
from cachingclient.methods import what_it_reads

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Options:
    """What the user said about a step; see `step`."""

    version: object = None
    ignore: tuple[str, ...] = ()
    cache: bool = True
    ttl: float | None = None
    resources: tuple[tuple[str, float | str], ...] = ()


class StepFunction(Generic[P, R]):
    """A function that is a step. Calling it inside a task, or in plain Python, looks its result up first."""

    function: Callable[P, R]
    __name__: str
    __cache_token_reads__: ClassVar[tuple[str, ...] | None] = "function", "options"
    """The attributes that its token is made of, if there are no others: where they are the same, so is the token."""

    def __init__(self, function: Callable[P, R], options: Options) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.options = options

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what was kept for equal code and equal arguments, else run the function and keep its result."""
        from cachingclient.calls import Call
        from cachingclient.context import current_context

        context = current_context() if self.options.cache else None
        if context is None:
            return self.function(*args, **kwargs)
        result: R = Call(self, context)(*args, **kwargs)
        return result

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else BoundStep(self, instance)

    def __cache_token__(self) -> tuple[object, ...]:
        return self.function, self.options.version, self.options.ignore

    def __reduce__(self) -> Any:
        module = sys.modules.get(self.__module__)
        if self.__module__ != "__main__" and getattr(module, self.__name__, None) is self:
            return self.__name__
        return StepFunction, (self.function, self.options)

    @functools.cached_property
    def _signature(self) -> inspect.Signature:
        return inspect.signature(self.function)

    def __cache_arguments__(
        self, args: Iterable[Any], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments that count in the step's key: all but the ignored ones, however they were given."""
        signature = self._signature
        try:
            bound = signature.bind_partial(*args, **kwargs).arguments
        except TypeError:
            return tuple(args), dict(kwargs)  # the call itself says what is wrong
        unnamed: tuple[Any, ...] = ()
        named: dict[str, Any] = {}
        for name, value in bound.items():
            kind = signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_POSITIONAL:
                unnamed = () if name in self.options.ignore else value
            elif kind is inspect.Parameter.VAR_KEYWORD:
                named |= {f"**{each}": value[each] for each in sorted(value) if name not in self.options.ignore}
            elif name not in self.options.ignore:
                named[name] = value
        return unnamed, named


class BoundStep(StepFunction[..., Any]):
    """A step that is a method, of one object: of that only what the method reads counts."""

    __cache_token_reads__ = None

    def __init__(self, method: StepFunction[..., Any], instance: object) -> None:
        super().__init__(functools.partial(method.function, instance), method.options)
        functools.update_wrapper(self, method.function)
        self.__func__ = method
        self.__self__ = instance

    def __cache_token__(self) -> tuple[object, ...]:
        return self.__func__, what_it_reads(self.__self__, self.__func__.function)

    def __reduce__(self) -> Any:
        if getattr(type(self.__self__), self.__name__, None) is self.__func__:
            return getattr, (self.__self__, self.__name__)
        return BoundStep, (self.__func__, self.__self__)


def apply_annotations(lowered: Lowered) -> Lowered:
    """Make steps of the tasks that the user annotated with options: ``dask.annotate(cache={"ttl": 3600})``.

    What steps need of their workers becomes the annotation ``needs``, which a `VineCluster` heeds. dask's own
    ``resources`` would have a task wait for ever on a cluster whose workers name none.

    Raises
    ------
    TypeError
        If the annotation is neither a bool nor a dict of the options of `step`.
    """
    nodes = dict(lowered.nodes)
    for key, value in lowered.annotations.get("cache", {}).items():
        node = nodes.get(key)
        if isinstance(value, dict) and isinstance(node, Task) and not isinstance(node.func, StepFunction):
            nodes[key] = with_function(node, step(**value)(node.func))
        elif not isinstance(value, (bool, dict)):
            raise TypeError(f"the annotation cache is {value!r}; it takes True, False or a dict of options of step")
    needs = {
        key: dict(node.func.options.resources)
        for key, node in nodes.items()
        if isinstance(node, Task) and isinstance(node.func, StepFunction) and node.func.options.resources
    }
    if not needs:
        return Lowered(nodes, lowered.annotations)
    return Lowered(nodes, {**lowered.annotations, "needs": {**needs, **lowered.annotations.get("needs", {})}})


def uncached(lowered: Lowered) -> frozenset[Key]:
    """Return the keys that the user wants neither loaded nor kept, by annotation or by ``@step(cache=False)``."""
    if dask.get_annotations().get("cache") is False:
        return frozenset(lowered.nodes)
    annotated = {key for key, value in lowered.annotations.get("cache", {}).items() if value is False}
    marked = {
        key
        for key, node in lowered.nodes.items()
        if isinstance(node, Task) and isinstance(node.func, StepFunction) and not node.func.options.cache
    }
    return frozenset(annotated | marked)


@overload
def step(function: Callable[P, R], /) -> StepFunction[P, R]: ...


@overload
def step(
    *,
    version: object = None,
    ignore: Iterable[str] = (),
    cache: bool = True,
    ttl: float | None = None,
    resources: Mapping[str, float | str] | None = None,
) -> Callable[[Callable[P, R]], StepFunction[P, R]]: ...


def step(
    function: Callable[..., Any] | None = None,
    /,
    *,
    version: object = None,
    ignore: Iterable[str] = (),
    cache: bool = True,
    ttl: float | None = None,
    resources: Mapping[str, float | str] | None = None,
) -> Any:
    """Mark a function as a step.

    In a graph this sets how the step is cached. Called inside a task that dask can't see into, such as a coffea
    processor, or in plain Python, the function is looked up by its code and the contents of its arguments, and
    its result is kept.

    Parameters
    ----------
    function
        The function, when used without parentheses.
    version
        Part of the step's key beside its code: change it to have the step run again.
    ignore
        Names of arguments that do not change the result, such as a number of threads.
    cache
        False to neither load nor keep this step's results. Steps after it are cached all the same.
    ttl
        Seconds after which a kept result counts as missing.
    resources
        What a worker must have to run the step where it is a task, such as
        ``{"cores": 2, "memory": "4 GB", "gpus": 1}``: a `VineCluster` heeds it. It is no part of the step's key.

    Raises
    ------
    TypeError
        If what is marked is no function.
    ValueError
        If `ignore` names an argument that the function has not, `ttl` is not above 0, or a resource is not a number
        above 0 or a size.

    Examples
    --------
    >>> @step(version=2, ignore=["threads"])
    ... def total(values, threads=1):
    ...     return sum(values)
    >>> total([1, 2, 3], threads=4)
    6
    """
    if function is not None:
        return step()(function)
    if ttl is not None and not ttl > 0:
        raise ValueError(f"ttl is {ttl!r}; it takes a number of seconds above 0, or None")
    asked = tuple(sorted((resources or {}).items()))
    for name, amount in asked:
        _check_resource(name, amount)
    options = Options(version, tuple(ignore), cache, ttl, asked)

    def mark(marked: Callable[..., Any]) -> StepFunction[..., Any]:
        if not callable(marked):
            raise TypeError(f"step marks a function, got {marked!r}")
        unknown = [name for name in options.ignore if name not in inspect.signature(marked).parameters]
        if unknown:
            raise ValueError(f"ignore names {unknown[0]!r}, which is no argument of {marked.__qualname__}")
        return StepFunction(marked, options)

    return mark


def _check_resource(name: object, amount: object) -> None:
    try:
        known = isinstance(name, str) and parse_bytes(amount if isinstance(amount, (int, float)) else str(amount)) > 0
    except ValueError:
        known = False
    if not known or isinstance(amount, bool):
        raise ValueError(f"resources has {name!r}: {amount!r}; it takes names with numbers above 0 or sizes as '4 GB'")
