"""One identification: from an object to its digest, its ingredients and its warnings."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cachingclient.hashing.digest import CANONICAL_VERSION, compact, digest, frame
from cachingclient.hashing.environment.environment import OWN_PACKAGE, Environment, distributions_of
from cachingclient.hashing.environment.user_overloads import added_by_users
from cachingclient.hashing.identity import Identity, Noted, Place
from cachingclient.hashing.inputs.fingerprint import KNOWN, Fingerprint
from cachingclient.hashing.inputs.inputs import Inputs
from cachingclient.hashing.scalars import PLAIN, literal
from cachingclient.hashing.without_order import without_order

WITHOUT_ORDER = b"$looked-up:"
"""How the encoding of a dict begins that code only looks things up in."""
Describe = Callable[[Any, str, "Walk"], bytes]
_others: list[Callable[[Any, Walk], bytes]] = []


def encode_values_by(encoder: Callable[[Any, Walk], bytes]) -> Callable[[Any, Walk], bytes]:
    """Register the function by which all walks encode values that are not plain; the last one registered counts."""
    _others.append(encoder)
    return encoder


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
        self.places: dict[str, Place] = {}
        self.warnings: dict[str, bool] = {}
        self.rebinds: list[str] = []
        self.memories: list[Any] = []
        self.files: dict[str, Fingerprint] = {}
        self.held: list[bytes] = []
        """What objects hold beside their states, as `encode_beside` has it, but for those that code refers to."""
        self.remade = False
        """Whether code of the user's makes some of it again where it is unpickled."""
        self.beside: dict[int, object] = {}
        """The objects of which it was asked what they hold beside their states."""
        self.may_change = False
        """Whether more than its files may change: a file may appear, an object may change its state."""
        self._distributions: set[str] = set()
        self._also: list[bytes] = []
        self._effects: dict[str, bytes] = {}
        self._demanded: dict[str, Describe] = {}
        self._say_less: set[str] = set()
        self._numbers: dict[int, int] = {}
        self._queue: list[tuple[object, str, Callable[[Any, Walk], bytes]]] = []
        self._open: dict[int, int] = {}
        self._lowest: int | None = None
        self.describing = False
        """Whether it is about what code refers to, and no longer about the object itself."""
        self._done: dict[int, tuple[object, bytes]] = {}

    def encode(self, obj: object) -> bytes:
        """Return the canonical encoding of any object, at most 64 bytes and a tag."""
        plain = PLAIN.get(type(obj))
        if plain is not None and (encoded := plain(obj)) is not None:
            return encoded
        return self._once(obj, _others[-1])

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

    def refer(self, obj: object, label: str, describe: Callable[[Any, Walk], bytes], known_as: object = None) -> bytes:
        """Return a reference to a piece of code, to be described once when the values are done.

        What is `known_as` something else is described apart from what others refer to.
        """
        ident = id(obj if known_as is None else known_as)
        number = self._numbers.get(ident)
        if number is None:
            number = self._numbers[ident] = len(self._queue)
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

    def importing(self, effects: Iterable[tuple[str, bytes]]) -> None:
        """Add what modules that some of the code is in set elsewhere when they are imported."""
        self._effects.update(effects)

    def ingredient(self, label: str, encoded: bytes, value: object = ..., place: Place | None = None) -> None:
        """Name a part of the identity, so that a miss can be explained by it, and by its value if that is small.

        Of a function `place` is where it stands, of a container of which parts could count where code uses all of it.
        """
        if place is not None:
            self.places.setdefault(label, place)
        says_less = encoded.startswith(WITHOUT_ORDER)
        if encoded[:1] in b"idtfN" and len(encoded) < 16:
            told = f"={encoded.hex()}"
        else:
            contents = "" if says_less else without_order(value, self.encode)
            told = f"{digest(encoded).hex()}{contents} {literal(value, by_key=says_less)}".rstrip()
        other = self.ingredients.get(label, told)
        if other != told:
            if (label in self._say_less) == says_less:  # two objects have a part of that name
                told = digest(f"{other}, {told}".encode()).hex()
            elif says_less:
                return
        (self._say_less.add if says_less else self._say_less.discard)(label)
        self.ingredients[label] = told

    def warn(self, text: str, *, varies: bool = False) -> None:
        """Note something that makes the identity doubtful without ruling it out; `varies` from call to call."""
        self.warnings[text] = varies

    def goes_on(self, generator: object) -> None:
        """Note a random generator that a variable of the code holds: a draw changes what the next call gives.

        One that travels with the step, in its arguments or in the object that is called, begins anew in each task.
        """
        if self.describing:
            self.rebinds.append(f"its code holds a {type(generator).__name__}, which goes on from call to call")
        self.may_change = True
        self.unsure()

    def demand(self, names: Iterable[str], describe: Describe) -> None:
        """Include attributes that the identity of code leaves out otherwise, since some of the code reads them."""
        self._demanded.update(dict.fromkeys(names, describe))

    def file(self, fingerprint: Fingerprint) -> None:
        """Note a file that the identity depends on; what is known of it by its content stays known."""
        known = self.files.get(fingerprint.url)
        if known is None or not known.in_key:
            self.files[fingerprint.url] = fingerprint

    def saw_variable(self, namespace: Mapping[str, object], name: str) -> None:
        """Called when a name is looked up; `NotingWalk` notes the object that it refers to."""

    def saw_attributes(self, owner: object, *names: str) -> None:
        """Called when attributes are looked up."""

    def saw_items(self, container: Any) -> None:
        """Called when all items of a container are looked up."""

    def unsure(self) -> None:
        """Called for a look-up that can't be noted."""

    def note(self, encode: Callable[[Walk], bytes | None]) -> Noted | None:
        """Return an encoding to be used again while its files look the same; None if it depends on anything else."""
        alone = Walk(self.inputs, self.environment)
        encoded = encode(alone)
        depends = (
            alone._queue
            or alone._also
            or alone._effects
            or alone._demanded
            or alone.warnings
            or alone.ingredients
            or alone.rebinds
            or alone.remade
        )
        if encoded is None or depends or alone.may_change:
            return None
        return Noted(encoded, frozenset(alone._distributions), tuple(alone.files.values()))

    def alone(self, obj: object) -> Identity:
        """Return the identity of an object apart from what this walk is about."""
        other = Walk(self.inputs, self.environment)
        other.beside = self.beside
        return other.finish(other.encode(obj))

    def again(self, noted: Noted) -> bytes | None:
        """Return a noted encoding; None if one of its files looks different now."""
        if any(seen.kind != KNOWN and self.inputs.of_path(seen.url) != seen for seen in noted.files):
            return None
        self._distributions.update(noted.distributions)
        for seen in noted.files:
            self.file(seen)
        return noted.encoded

    def finish(self, root: bytes) -> Identity:
        """Describe all code met on the way and close the identity."""
        parts = [root]
        position = 0
        self.describing = True
        while position < len(self._queue):
            obj, label, describe = self._queue[position]
            encoded = describe(obj, self)
            code = getattr(obj, "__code__", None)
            place = (code.co_filename, code.co_firstlineno, code.co_name) if code is not None else None
            self.ingredient(label, encoded, place=place)
            parts.append(encoded)
            position += 1
            if position == len(self._queue):
                self._describe_hidden()
        for module, effects in sorted(self._effects.items()):
            self.ingredient(f"settings {module}", effects)
            self._also.append(effects)
        for label, encoded, shown in packages(self.environment, frozenset(self._distributions)):
            self.ingredients[label] = shown
            parts.append(encoded)
        whole = frame(b"$identity:", [bytes([CANONICAL_VERSION]), *parts, *self._also])
        varying = tuple(text for text, varies in self.warnings.items() if varies)
        inputs, rebinds = tuple(self.files.values()), tuple(self.rebinds)
        memories, warnings = tuple(self.memories), tuple(self.warnings)
        held = b"".join(self.held).hex()
        return Identity(
            digest(whole).hex(),
            self.ingredients,
            warnings,
            varying,
            inputs,
            rebinds,
            memories,
            self.places,
            held,
            self.remade,
        )

    def _describe_hidden(self) -> None:
        """Add demanded attributes and registered overloads; describing them may lead to more code."""
        for name, describe in sorted(self._demanded.items()):
            for obj, label, _ in self._queue[:]:
                encoded = describe(obj, name, self)
                self._also.append(encoded)
                self.ingredient(f"attribute {label.partition(' ')[2]}.{name}", encoded)
        for key, value in added_by_users(self._distributions, [obj for obj, _, _ in self._queue]):
            self._also.append(frame(b"$added:", [self.encode(key), self.encode(value)]))


@functools.cache
def packages(environment: Environment, distributions: frozenset[str]) -> tuple[tuple[str, bytes, str], ...]:
    """Return the label, encoding and digest of each package that counts; the same for all walks of a process."""
    found = []
    for name, version in environment.versions(distributions).items():
        encoded = frame(b"$package:", [name.encode(), version.encode()])
        found.append((f"package {name} {version}", encoded, digest(encoded).hex()))
    return tuple(found)
