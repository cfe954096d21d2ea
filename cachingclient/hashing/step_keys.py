"""Step keys: each step of a graph by its code, its arguments and the step keys of the steps before it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from dask.utils import key_split

from cachingclient.graph import (
    Alias,
    DataNode,
    GraphNode,
    Key,
    NestedContainer,
    SetNode,
    Task,
    TaskRef,
    execute_subgraph,
    is_coroutine_function,
    moves_data,
)
from cachingclient.hashing.code.names import told_by
from cachingclient.hashing.environment.environment import Environment
from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.identify import identify
from cachingclient.hashing.identity import Identity
from cachingclient.hashing.inputs.inputs import Inputs
from cachingclient.hashing.keys import Code, Known, Parts, Step, arguments_inside, code_of_one, join, join_held
from cachingclient.hashing.memo import identify_again, parts_of
from cachingclient.hashing.relevant import narrowed, packed_among, passed_on, relevant_arguments
from cachingclient.hashing.scalars import PLAIN

_NOTHING: Mapping[Key, Step] = {}


class Merkle:
    """Gives steps their keys, looking at every function, value and file once.

    Parameters
    ----------
    known
        The steps of earlier calls, by the key of their future.
    inputs, environment
        How files and libraries count.

    Examples
    --------
    >>> from operator import add
    >>> nodes = {"a": Task("a", add, 1, 2), "b": Task("b", add, TaskRef("a"), 1)}
    >>> steps = Merkle({}).steps(nodes, ["b"])
    >>> renamed = {"x": Task("x", add, 1, 2), "y": Task("y", add, TaskRef("x"), 1)}
    >>> steps["b"].key == Merkle({}).steps(renamed, ["y"])["y"].key
    True
    """

    def __init__(self, known: Known, inputs: Inputs | None = None, environment: Environment | None = None) -> None:
        self.known = known
        self.inputs = inputs if inputs is not None else Inputs()
        self.environment = environment if environment is not None else Environment()
        self.codes: dict[int, tuple[object, Code | str]] = {}
        self._values: dict[int, tuple[object, Identity | str]] = {}
        self._users: dict[str, Identity] = {}  # those that have code of the user's, by their digests

    @property
    def looked_at(self) -> list[tuple[object, Identity | str]]:
        """The values that were looked at, each with what was found or why it has no identity."""
        return list(self._values.values())

    def steps(self, nodes: Mapping[Key, GraphNode], wanted: Iterable[Key]) -> dict[Key, Step]:
        """Return the step of every node that the wanted keys need, those of earlier calls included; refuse circles."""
        done: dict[Key, Step] = {}
        met, stack = set[Key](), list(wanted)
        while stack:
            key = stack[-1]
            if key in done:
                stack.pop()
                continue
            node = nodes.get(key)
            if node is None:
                done[key] = self.known.get(key) or Step(None, f"{key!r} is not known from this client's earlier calls")
                stack.pop()
                continue
            waiting = [dependency for dependency in node.dependencies if dependency not in done]
            if waiting:
                if key in met:  # what it waited for then is done, so it is among what this waits for
                    raise ValueError(f"{key!r} depends on itself")
                met.add(key)
                stack.extend(waiting)
                continue
            done[key] = self._step(node, done)
            stack.pop()
        return done

    def _step(self, node: GraphNode, done: Mapping[Key, Step]) -> Step:
        """Return the step of a node whose dependencies are done."""
        if type(node) is Task:
            return self._task(node, done)
        if isinstance(node, Alias):
            return done[node.target]
        if isinstance(node, Task) and moves_data(node):
            code = self.code(node.func)
            return Step(
                None, code if isinstance(code, str) else f"it is a {type(node).__name__}, which moves data itself"
            )
        return self.value(node, done)

    def _task(self, task: Task, done: Mapping[Key, Step]) -> Step:
        """Return the step of a task."""
        if task.func is execute_subgraph:
            return self._subgraph(task, done)
        code = self.code(task.func)
        parts = self.arguments(task.func, task.args, task.kwargs, done)
        if isinstance(code, str):
            return Step(None, code)
        if parts.reason:
            return Step(None, parts.reason, code)
        inputs, packed = (*parts.inputs, *code.inputs), passed_on(task.func, task.args)
        remade = (*code.remade, *parts.remade)
        key = join_held(code.digest, parts.encodings, remade)
        return Step(key, "", code, parts.told, inputs, packed, tuple(parts.codes), remade)

    def arguments(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        done: Mapping[Key, Step] = _NOTHING,
    ) -> Parts:
        """Return the encodings of a call's arguments; the steps that they refer to are in `done`."""
        args, kwargs = relevant_arguments(function, args, kwargs)
        return self._arguments(narrowed(function, args, kwargs, done), kwargs, done)

    def _arguments(self, args: Iterable[Any], kwargs: Mapping[str, Any], done: Mapping[Key, Step]) -> Parts:
        parts = Parts()
        for argument in args:
            self._argument(argument, done, parts)
        for name, argument in kwargs.items():
            parts.encodings.append(b"=" + name.encode())
            self._argument(argument, done, parts)
        return parts

    def _argument(self, argument: Any, done: Mapping[Key, Step], parts: Parts) -> None:
        """Add the encoding of one argument."""
        kind = type(argument)
        plain = PLAIN.get(kind)
        if plain is not None and (encoded := plain(argument)) is not None:
            parts.encodings.append(encoded)
            if kind is bytearray:  # which, of all that is plain, a step can change
                self._look_at(argument)
        elif kind is TaskRef or kind is Alias or isinstance(argument, TaskRef):
            self._upstream(argument.key if kind is not Alias else argument.target, done, parts)
        elif kind is DataNode:
            self._value(argument.value, parts)
        elif isinstance(argument, GraphNode):
            self._inner(argument, done, parts)
        else:
            self._value(argument, parts)

    def _upstream(self, key: Key, done: Mapping[Key, Step], parts: Parts) -> None:
        """Add a reference to another step."""
        step = done[key]
        if step.key is None:
            parts.reason = parts.reason or f"it needs {key_split(key)!r}, which is uncacheable"
        else:
            parts.encodings.append(b"^" + step.key)
        if step.packed is not None and isinstance(inside := self._look_at(step.packed), Identity):
            parts.codes += filter(None, [inside.users_code])

    def _inner(self, node: GraphNode, done: Mapping[Key, Step], parts: Parts) -> None:
        """Add a container of references, or a task inside an argument."""
        if isinstance(node, NestedContainer):
            inner = self._arguments(node.args, {}, done)
            encodings = sorted(inner.encodings) if isinstance(node, SetNode) else inner.encodings
            parts.containers.add(len(parts.encodings))
            parts.encodings.append(join(node.klass.__name__.encode(), encodings))
            parts.inputs += inner.inputs
            parts.remade += inner.remade
            parts.codes += inner.codes
            parts.reason = parts.reason or inner.reason
            return
        step = self._step(node, done)
        parts.inputs += step.inputs
        parts.remade += step.remade
        parts.codes += step.codes
        if step.key is None:
            parts.reason = parts.reason or step.reason
        else:
            parts.encodings.append(b"T" + step.key)

    def _value(self, value: Any, parts: Parts) -> None:
        """Add a value that is no plain number, looking at the same object once."""
        identity = self._look_at(value)
        if isinstance(identity, str):
            parts.reason = parts.reason or identity
            return
        parts.encodings.append(b"V" + bytes.fromhex(identity.digest))
        parts.inputs += identity.inputs
        parts.remade += identity.as_remade()
        parts.codes += filter(None, [identity.users_code])

    def _look_at(self, value: Any) -> Identity | str:
        """Return the identity of a value, looking at the same object once."""
        if (found := self._values.get(id(value))) is None:
            found = self._values[id(value)] = value, (identity := self.identity(value))
            if isinstance(identity, Identity) and identity.is_users:
                self._users[identity.digest] = identity
        return found[1]

    def value(self, value: Any, done: Mapping[Key, Step] = _NOTHING) -> Step:
        """Return the step of a value that is known by its content, or of what an argument refers to.

        Examples
        --------
        >>> Merkle({}).value([1, 2]) == Merkle({}).value([1, 2])
        True
        """
        parts = Parts()
        self._argument(value, done, parts)
        if parts.reason:
            return Step(None, parts.reason)
        key, packed, codes = join_held(b"data", parts.encodings, parts.remade), packed_among(value), tuple(parts.codes)
        return Step(key, inputs=tuple(parts.inputs), packed=packed, codes=codes)

    def identity(self, value: Any) -> Identity | str:
        """Return the identity of a value as it is now, or why it has none.

        Examples
        --------
        >>> Merkle({}).identity([1]) == Merkle({}).identity([1])
        True
        """
        try:
            parts = parts_of(value)
            if parts is None:
                return identify(value, self.inputs, self.environment)
            return identify_again(value, parts, self.inputs, self.environment)
        except Unidentifiable as error:
            return error.reason
        except Exception as error:  # a user's class may do anything when it is looked at
            return f"looking at a {type(value).__name__} raised {type(error).__name__}: {error}"

    def code(self, function: Callable[..., Any]) -> Code | str:
        """Return the code of a function, or why it has no identity."""
        found = self.codes.get(id(function))
        if found is None:
            found = self.codes[id(function)] = function, self._code(function)
        return found[1]

    def _code(self, function: Callable[..., Any]) -> Code | str:
        if is_coroutine_function(function):
            return "it is a coroutine function, which runs in the worker's event loop"
        if str(told_by(function, "__module__") or "").startswith("distributed.shuffle"):
            return "a P2P shuffle moves data between workers outside the graph"
        if type(function) is functools.partial:
            return self._partial(function)
        identity = self.identity(function)
        return identity if isinstance(identity, str) else code_of_one(identity)

    def _partial(self, partial: functools.partial[Any]) -> Code | str:
        """Return the code of a partial; thousands of them over one function look at it once."""
        inner = self.code(partial.func)
        parts = self._arguments(partial.args, partial.keywords, {})
        if isinstance(inner, str) or parts.reason:
            return inner if isinstance(inner, str) else parts.reason
        digest, bound = join(b"partial" + inner.digest, parts.encodings), (*inner.bound, *parts.told)
        values = tuple(self._users_among((*partial.args, *partial.keywords.values())))
        inputs, remade = (*inner.inputs, *parts.inputs), (*inner.remade, *parts.remade)
        return Code(digest, inner.functions, inputs, bound, (*inner.values, *values), remade)

    def _users_among(self, arguments: Iterable[Any]) -> Iterator[Identity]:
        """Yield the identities of those arguments that have code of the user's; all were looked at."""
        looks = (self._values.get(id(argument), (None, ""))[1] for argument in arguments)
        return (found for found in looks if isinstance(found, Identity) and found.is_users)

    def _subgraph(self, task: Task, done: Mapping[Key, Step]) -> Step:
        """Return the step of a fused task."""
        nodes, out, names, *references = task.args
        bound = {name: self.value(reference, done) for name, reference in zip(names, references, strict=True)}
        return self.subgraph(nodes, out, bound)

    def subgraph(self, nodes: Mapping[Key, GraphNode], out: Key, bound: Mapping[Key, Step]) -> Step:
        """Return the step of a fused task whose inputs are bound to steps or values.

        The keys inside are random and the inputs are in the order of their hashes, so the step key is that of the
        inner Merkle. Its code is that of the functions in it: how they are joined travels with the task.
        """
        steps = self._within(bound).steps(nodes, [out])
        inner = steps[out]
        own = [step for key, step in steps.items() if key in nodes]
        functions = {function.digest: function for step in own if step.code for function in step.code.functions}
        inputs = tuple({found.url: found for step in [*own, *bound.values()] for found in step.inputs}.values())
        data = self._arguments((node for key, node in nodes.items() if key in steps and type(node) is DataNode), {}, {})
        inside = (*arguments_inside(own), *data.encodings)
        digests = (each[1:].hex() for each in inside if each.startswith(b"V"))
        values = {digest: self._users[digest] for digest in digests if digest in self._users}
        values |= {each.digest: each for step in own if step.code for each in step.code.values}
        digest = join(b"subgraph", map(bytes.fromhex, sorted(functions)))
        code = Code(digest, tuple(functions.values()), inputs, inside, tuple(values.values()))
        if inner.key is None:
            return Step(None, inner.reason, code)
        upstream = sorted(b"^" + step.key for step in bound.values() if step.key is not None)
        remade = tuple(found for step in own for found in step.remade)
        codes = (found for step in (*own, *bound.values()) for found in step.codes)
        return Step(join(b"subgraph", [inner.key]), "", code, tuple(upstream), inputs, None, tuple(codes), remade)

    def _within(self, holes: Known) -> Merkle:
        """Return a Merkle for a graph inside a task, sharing what has been looked at."""
        inner = type(self)(holes, self.inputs, self.environment)
        inner.codes, inner._values, inner._users = self.codes, self._values, self._users
        return inner
