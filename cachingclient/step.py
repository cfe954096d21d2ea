"""`@step`: the options of one function, as a task of a graph or called inside a task that dask can't see into.

Importing the package imports this module, so it imports no library before a function is marked.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Generic, ParamSpec, TypeVar, overload

from cachingclient.dask_internals.fit import what_is_missing
from cachingclient.worker.options import Marked, Options

P = ParamSpec("P")
R = TypeVar("R")

RESOURCES = ("cores", "memory", "gpus")
"""What a step can ask of a worker."""
OTHER_WORDS = (
    dict.fromkeys(("cpu", "cpus", "core"), "cores") | dict.fromkeys(("mem", "ram"), "memory") | {"gpu": "gpus"}
)


class StepFunction(Marked, Generic[P, R]):
    """A function that is a step. Calling it inside a task, or in plain Python, looks its result up first."""

    function: Callable[P, R]
    __name__: str
    unkept: str = "cache=False"
    """What reports say of results that are not kept because the mark says so."""
    __cache_token_reads__: ClassVar[tuple[str, ...] | None] = "function", "options"
    """The attributes that `__cache_token__` reads: as long as they are the same, so is the token."""

    def __init__(self, function: Callable[P, R], options: Options) -> None:
        _teach_cloudpickle()
        functools.update_wrapper(self, function, updated=["__dict__"] if inspect.isfunction(function) else [])
        self.__name__, self.__qualname__, self.__module__ = _names_of(function)
        self.function = function
        self.options = options

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what was kept for equal code and equal arguments, else run the function and keep its result."""
        if not self.options.cache or what_is_missing():
            return self.function(*args, **kwargs)
        from cachingclient.worker.context import current_context
        from cachingclient.worker.direct_call import Call

        context = current_context()
        if context is None:
            return self.function(*args, **kwargs)
        result: R = Call(self, context)(*args, **kwargs)
        return result

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else BoundStep(self, instance)

    @property
    def __cache_function__(self) -> Callable[P, R]:
        """The function to look into for what a method that calls this one reads of their object."""
        return self.function

    def __cache_token__(self) -> tuple[object, ...]:
        return self.function, self.options.version, self.options.ignore

    def __reduce__(self) -> Any:
        """Pickle by name where a module has the step under its name, as functions are; else by its function."""
        return self.__qualname__ if _standing_at(self.__module__, self.__qualname__) is self else self._by_value()

    def _by_value(self) -> Any:
        return StepFunction, (self.function, self.options)

    @functools.cached_property
    def _signature(self) -> inspect.Signature | None:
        try:
            return inspect.signature(self.function)
        except (TypeError, ValueError):
            return None  # some builtins tell nobody what they take

    def __cache_arguments__(
        self, args: Iterable[Any], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments that count in the step's key: all but the ignored ones, however they were given."""
        signature = self._signature
        if signature is None:
            return tuple(args), dict(kwargs)
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
    """A step that is a method of one object: of the object, those attributes enter the key that the method reads."""

    __cache_token_reads__ = None

    def __init__(self, method: StepFunction[..., Any], instance: object) -> None:
        super().__init__(functools.partial(method.function, instance), method.options)
        functools.update_wrapper(self, method.function)
        self.__wrapped__ = self.function  # its signature has no `self`
        self.__func__ = method
        self.__self__ = instance

    def __cache_token__(self) -> tuple[object, ...]:
        from cachingclient.hashing.code.bound_methods import what_it_reads

        return self.__func__, what_it_reads(self.__self__, self.__func__.function)

    def __reduce__(self) -> Any:
        owner = self.__self__ if isinstance(self.__self__, type) else type(self.__self__)
        found = inspect.getattr_static(owner, self.__name__, None)
        found = found.__func__ if isinstance(found, classmethod) else found
        if found is self.__func__:
            return getattr, (self.__self__, self.__name__)
        return BoundStep, (self.__func__, self.__self__)


def _names_of(function: Any) -> tuple[str, str, str]:
    """Return name, qualified name and module: of the function inside a partial, of the class of a callable object."""
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__name__", None) or type(function).__name__
    return str(name), str(getattr(function, "__qualname__", None) or name), str(getattr(function, "__module__", None))


def _standing_at(module: str, qualname: str) -> Any:
    found: Any = sys.modules.get(module)
    for name in qualname.split("."):
        found = getattr(found, name, None)
    return found


@functools.cache
def _teach_cloudpickle() -> None:
    """Have cloudpickle treat steps as it treats functions: pickle's own way is by name, also in a script."""
    import cloudpickle

    cloudpickle.CloudPickler.dispatch_table[StepFunction] = _reduce_for_cloudpickle


def _reduce_for_cloudpickle(marked: StepFunction[..., Any]) -> Any:
    """Pickle a step of a script, or of a module that is sent with its code, by value."""
    import cloudpickle

    module = marked.__module__
    by_value = cloudpickle.list_registry_pickle_by_value()
    parents = (module.rsplit(".", count)[0] for count in range(module.count(".") + 1))
    travels = module == "__main__" or any(parent in by_value for parent in parents)
    return marked._by_value() if travels else marked.__reduce__()


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
    outputs: Iterable[str] = (),
    unobserved: Iterable[str] = (),
    rows: bool = False,
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
    outputs: Iterable[str] = (),
    unobserved: Iterable[str] = (),
    rows: bool = False,
) -> Any:
    """Mark a function as a step.

    In a graph this sets how the step is cached. Called inside a task that dask can't see into, such as a coffea
    processor, or in plain Python, the function is looked up by its code and the contents of its arguments, and
    its result is kept.

    Parameters
    ----------
    function
        The function, when used without parentheses; or a method, a partial, a class or an object that can be called.
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
    outputs
        Names of arguments that hold the path, or paths, of what the step writes: for libraries whose writing can't be
        seen. A kept result counts only while the files are there as the step left them.
    unobserved
        Globs of absolute paths that do not count, whether the step reads or writes them, such as ``"*/logs/*.log"``.
    rows
        True for the promise that what the step returns for a range of events is what it returns for the parts of the
        range, one after another: each row comes of one event alone. `cachingclient.coffea.run_steps` uses it.

    Raises
    ------
    TypeError
        If what is marked can't be called, or is a coroutine function or a generator function: what their calls
        return can't be kept.
    ValueError
        If `ignore` or `outputs` names an argument that the function has not, `ttl` is not above 0, a resource is none
        that is known, or is not a number above 0 or a size, or `unobserved` has a relative path.

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
    for flag, given in {"cache": cache, "rows": rows}.items():
        if not isinstance(given, bool):
            raise TypeError(f"{flag} is {given!r}; it takes True or False")
    if ttl is not None and (isinstance(ttl, bool) or not isinstance(ttl, (int, float)) or not ttl > 0):
        raise ValueError(f"ttl is {ttl!r}; it takes a number of seconds above 0, or None")
    if not (resources is None or isinstance(resources, Mapping)):
        raise TypeError(f"resources is {resources!r}; it takes a dict, such as {{'cores': 2, 'memory': '4 GB'}}")
    asked = tuple(sorted((resources or {}).items()))
    for name, amount in asked:
        _check_resource(name, amount)
    named = {"ignore": _texts("ignore", ignore), "outputs": _texts("outputs", outputs)}
    globs = _texts("unobserved", unobserved)
    for glob in globs:
        if not glob.startswith(("/", "*")):
            raise ValueError(f"unobserved has {glob!r}; it takes globs of absolute paths, such as '*/logs/*.log'")
    options = Options(version, named["ignore"], cache, ttl, asked, named["outputs"], globs, rows)

    def mark(marked: Any) -> Any:
        if isinstance(marked, (staticmethod, classmethod)):
            return type(marked)(mark(marked.__func__))
        if not callable(marked):
            raise TypeError(f"step marks a function, got {marked!r}")
        if (why := gives_no_result(marked)) is not None:
            raise TypeError(f"step marks functions whose result can be kept; {_names_of(marked)[1]} {why}")
        for option, names in named.items():
            unknown = [name for name in names if name not in inspect.signature(marked).parameters]
            if unknown:
                raise ValueError(f"{option} names {unknown[0]!r}, which is no argument of {_names_of(marked)[1]}")
        return StepFunction(marked, options)

    return mark


def gives_no_result(function: Any) -> str | None:
    """Return why a call gives nothing that could be kept; None if it may."""
    called = [function, type(function).__call__]
    if any(inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each) for each in called):
        return "is a coroutine function: its calls give nothing until they are awaited"
    if any(inspect.isgeneratorfunction(each) for each in called):
        return "is a generator function: its values are gone once they are read; return a list of them"
    return None


def _texts(option: str, given: object) -> tuple[str, ...]:
    """Return what an option lists; a text alone would be taken for its letters."""
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise TypeError(f"{option} is {given!r}; it takes a list of texts, such as [{given!r}]")
    found = tuple(given)
    if wrong := [each for each in found if not isinstance(each, str)]:
        raise TypeError(f"{option} has {wrong[0]!r}; it takes texts")
    return found


def _check_resource(name: object, amount: object) -> None:
    from dask.utils import parse_bytes

    if name not in RESOURCES:
        meant = OTHER_WORDS.get(name) if isinstance(name, str) else None
        instead = f"; did you mean {meant!r}?" if meant else ""
        raise ValueError(f"resources names {name!r}; it takes 'cores', 'memory' and 'gpus'{instead}")
    try:
        known = isinstance(name, str) and parse_bytes(amount if isinstance(amount, (int, float)) else str(amount)) > 0
    except ValueError:
        known = False
    if not known or isinstance(amount, bool):
        raise ValueError(f"resources has {name!r}: {amount!r}; it takes names with numbers above 0 or sizes as '4 GB'")
