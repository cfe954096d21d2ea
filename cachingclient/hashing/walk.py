"""One identification: from an object to its digest, its ingredients and what could not be known."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cachingclient.hashing.digest import CANONICAL_VERSION, compact, digest, frame
from cachingclient.hashing.environment import OWN_PACKAGE, Environment, distributions_of
from cachingclient.hashing.inputs import Fingerprint, Inputs
from cachingclient.hashing.scalars import PLAIN


class Unidentifiable(TypeError):
    """Something has no identity that a later process could find again.

    Parameters
    ----------
    reason
        What it is and where it was found, for the person who wrote it.

    Examples
    --------
    >>> raise Unidentifiable("an open file, 'data.root'")
    Traceback (most recent call last):
    cachingclient.hashing.walk.Unidentifiable: an open file, 'data.root'
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Identity:
    """What `identify` found.

    Attributes
    ----------
    digest
        32 hexadecimal characters, the same in every process that runs the same code on the same values.
    ingredients
        The named parts that went into it, each with its own digest.
    warnings
        What was seen that a key can't cover.
    varying
        Those of the warnings that say equal calls may give different results: a clock, unseeded random numbers.
    inputs
        The files it names and what they looked like.
    rebinds
        Where its code rebinds global variables. Their values are part of the digest, so it holds for as long as a
        run leaves them as they are.
    """

    digest: str
    ingredients: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    varying: tuple[str, ...] = ()
    inputs: tuple[Fingerprint, ...] = ()
    rebinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Noted:
    """An encoding that stands for itself, wherever it is met again: it refers to no code.

    Attributes
    ----------
    encoded
        The encoding.
    distributions
        The libraries whose versions count with it.
    files
        The files that it depends on, as they looked.
    """

    encoded: bytes
    distributions: frozenset[str]
    files: tuple[Fingerprint, ...]


class Walk:
    """The state of one identification.

    Values are encoded depth first; functions, classes and modules are given a number when first met and
    described afterwards in that order, so recursion between them needs no special case and
    their digest does not depend on where they are kept.
    """

    def __init__(self, inputs: Inputs | None = None, environment: Environment | None = None) -> None:
        self.inputs = inputs if inputs is not None else Inputs()
        self.environment = environment if environment is not None else Environment()
        self.ingredients: dict[str, str] = {}
        self.warnings: dict[str, bool] = {}
        self.rebinds: list[str] = []
        self.files: dict[str, Fingerprint] = {}
        self.may_change = False
        """Whether there is more to look at again than its files: one that is not there yet, an object with a state."""
        self._distributions: set[str] = set()
        self._also: list[bytes] = []
        self._demanded: set[str] = set()
        self._numbers: dict[int, int] = {}
        self._queue: list[tuple[object, str, Callable[[Any, Walk], bytes]]] = []
        self._open: dict[int, int] = {}
        self._lowest: int | None = None
        self._done: dict[int, tuple[object, bytes]] = {}

    def encode(self, obj: object) -> bytes:
        """Return the canonical encoding of any object, at most 64 bytes and a tag."""
        plain = PLAIN.get(type(obj))
        if plain is not None and (encoded := plain(obj)) is not None:
            return encoded
        from cachingclient.hashing.values import encode_value

        return self._once(obj, encode_value)

    def _once(self, obj: object, encoder: Callable[[Any, Walk], bytes]) -> bytes:
        """Encode an object once a walk, and an object inside itself by its distance."""
        ident = id(obj)
        if (done := self._done.get(ident)) is not None:
            return done[1]
        depth = len(self._open)
        if (start := self._open.get(ident)) is not None:
            self._lowest = start if self._lowest is None else min(self._lowest, start)
            return b"^" + (depth - start).to_bytes(4, "little")
        self._open[ident] = depth
        outer, self._lowest = self._lowest, None
        try:
            encoded = encoder(obj, self)
        finally:
            del self._open[ident]
            inner = self._lowest
            self._lowest = outer
        # The encoding of a part of a cycle depends on where the cycle was entered: not to be reused elsewhere.
        if inner is None or inner >= depth:
            self._done[ident] = (obj, encoded)
        else:
            self._lowest = inner if outer is None else min(inner, outer)
        return encoded

    def refer(self, obj: object, label: str, describe: Callable[[Any, Walk], bytes]) -> bytes:
        """Return a reference to a piece of code, to be described once when the values are done."""
        number = self._numbers.get(id(obj))
        if number is None:
            number = self._numbers[id(obj)] = len(self._queue)
            self._queue.append((obj, label, describe))
        return b"@" + number.to_bytes(4, "little")

    def library(self, module: str, name: str) -> bytes:
        """Return the encoding of a library's function, class or module, whose version then counts."""
        if module.partition(".")[0] != OWN_PACKAGE:
            self._distributions.update(distributions_of(module))
        return compact(b"L", f"{module}:{name}".encode())

    def also(self, encoded: bytes) -> None:
        """Add a part that stands at no place of its own, such as a module imported by its name."""
        self._also.append(encoded)

    def ingredient(self, label: str, encoded: bytes) -> None:
        """Name a part of the identity, so that a miss can be explained by it."""
        self.ingredients[label] = digest(encoded).hex()

    def warn(self, text: str, *, varies: bool = False) -> None:
        """Note something that makes the identity doubtful without ruling it out; `varies` from call to call."""
        self.warnings[text] = varies

    def demand(self, names: Iterable[str]) -> None:
        """Have what is otherwise left out of code described too, since some of the code reads it."""
        self._demanded.update(names)

    def file(self, fingerprint: Fingerprint) -> None:
        """Note a file that the identity depends on."""
        self.files[fingerprint.url] = fingerprint

    def saw_variable(self, namespace: Mapping[str, object], name: str) -> None:
        """Hear that a name is looked up; `NotingWalk` writes down what it stands for."""

    def saw_attributes(self, owner: object, *names: str) -> None:
        """Hear that attributes are looked up."""

    def saw_items(self, container: Any) -> None:
        """Hear that all that is in a container is looked up."""

    def unsure(self) -> None:
        """Hear of a look-up that can't be written down."""

    def note(self, encode: Callable[[Walk], bytes | None]) -> Noted | None:
        """Return an encoding to be used again while its files look the same; None if it depends on anything else."""
        alone = Walk(self.inputs, self.environment)
        encoded = encode(alone)
        depends = alone._queue or alone._also or alone._demanded or alone.warnings or alone.ingredients
        if encoded is None or depends or alone.may_change:
            return None
        return Noted(encoded, frozenset(alone._distributions), tuple(alone.files.values()))

    def again(self, noted: Noted) -> bytes | None:
        """Return a noted encoding; None if one of its files looks different now."""
        if any(self.inputs.of_path(seen.url) != seen for seen in noted.files):
            return None
        self._distributions.update(noted.distributions)
        self.files.update((seen.url, seen) for seen in noted.files)
        return noted.encoded

    def finish(self, root: bytes) -> Identity:
        """Describe all code met on the way and close the identity."""
        parts = [root]
        position = 0
        while position < len(self._queue):
            obj, label, describe = self._queue[position]
            encoded = describe(obj, self)
            self.ingredient(label, encoded)
            parts.append(encoded)
            position += 1
            if position == len(self._queue):
                self._describe_hidden()
        for label, encoded, shown in packages(self.environment, frozenset(self._distributions)):
            self.ingredients[label] = shown
            parts.append(encoded)
        whole = frame(b"$identity:", [bytes([CANONICAL_VERSION]), *parts, *self._also])
        varying = tuple(text for text, varies in self.warnings.items() if varies)
        inputs, rebinds = tuple(self.files.values()), tuple(self.rebinds)
        return Identity(digest(whole).hex(), self.ingredients, tuple(self.warnings), varying, inputs, rebinds)

    def _describe_hidden(self) -> None:
        """Add what the code met so far uses without showing it; that may lead to more code."""
        from cachingclient.hashing.layout import describe_layout
        from cachingclient.hashing.registries import added_by_users

        for name in sorted(self._demanded):
            for obj, _, _ in self._queue[:]:
                self._also.append(describe_layout(obj, name, self))
        for key, value in added_by_users(self._distributions):
            self._also.append(frame(b"$added:", [self.encode(key), self.encode(value)]))


@functools.cache
def packages(environment: Environment, distributions: frozenset[str]) -> tuple[tuple[str, bytes, str], ...]:
    """Return the label, encoding and digest of each package that counts; the same for all walks of a process."""
    found = []
    for name, version in environment.versions(distributions).items():
        encoded = frame(b"$package:", [name.encode(), version.encode()])
        found.append((f"package {name} {version}", encoded, digest(encoded).hex()))
    return tuple(found)


def identify(obj: object, inputs: Inputs | None = None, environment: Environment | None = None) -> Identity:
    """Return the identity of a function or a value.

    Parameters
    ----------
    obj
        Anything that may stand in a graph: a function, a partial, an array, an object.
    inputs
        Fingerprints of files taken before, so that one plan looks at each file once.
    environment
        Which part of the installed libraries counts.

    Raises
    ------
    Unidentifiable
        If a part of it has no identity of its own, such as an open file or a lock.

    Examples
    --------
    >>> identify([1, 2]).digest == identify([1, 2]).digest
    True
    >>> identify(lambda x: x + 1).digest == identify(lambda x: x + 2).digest
    False
    """
    walk = Walk(inputs, environment)
    try:
        return walk.finish(walk.encode(obj))
    except RecursionError:
        raise Unidentifiable(f"a {type(obj).__name__} nested too deeply to be followed") from None
