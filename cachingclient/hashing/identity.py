"""What an identification gives: the identity of an object, and the encoding of a part that may be used again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cachingclient.hashing.digest import digest
from cachingclient.hashing.inputs.fingerprint import Fingerprint

_CODE = ("body ", "default ", "function ", "module ", "setting ", "settings ", "variable ")
"""What the ingredients are called that functions of the user's are made of."""
_TRAVELS = ("__main__", "<locals>")
"""Of what has such a name the code goes with the task."""
Place = tuple[str, int, str]
"""The file, the line and the name of code."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What `identify` found.

    Attributes
    ----------
    digest
        32 hexadecimal characters, the same in every process that runs the same code on the same values.
    ingredients
        The named parts that went into it: of a number the encoding after a ``=``, of anything else its digest, of a
        list or dict after a ``~`` that of its contents without their order, and after a blank how Python writes a
        small value.
    warnings
        What was seen that a key can't cover.
    varying
        Those of the warnings that say equal calls may give different results: a clock, unseeded random numbers.
    inputs
        The files it names and what they looked like.
    memories
        The functions behind `functools.cache` that it reaches: what they remember is seen by nobody.
    rebinds
        Where its code rebinds global variables. Their values are part of the digest, so it holds for as long as a
        run leaves them as they are.
    places
        Where each function among the ingredients stands, and where code first uses a container as a whole.
    held
        A digest of 32 characters for each thing that its objects hold beside what their classes give a pickle. They are
        no part of the digest: what is unpickled elsewhere may hold something else, such as nothing yet.
    remade
        Whether code of the user's makes some of it again where it is unpickled.
    made
        What was made of it, so that the next look at the same code need not make it again.
    """

    digest: str
    ingredients: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    varying: tuple[str, ...] = ()
    inputs: tuple[Fingerprint, ...] = ()
    rebinds: tuple[str, ...] = ()
    memories: tuple[Any, ...] = field(default=(), compare=False)
    places: dict[str, Place] = field(default_factory=dict, compare=False)
    held: str = ""
    remade: bool = False
    made: dict[str, Any] = field(default_factory=dict, init=False, compare=False, repr=False)

    @property
    def key(self) -> str:
        """The digest together with what is held."""
        return digest(f"{self.digest} {self.held}".encode()).hex() if self.held else self.digest

    def is_what_was_sent(self, remade: bytes) -> bool:
        """Whether it is what somebody sent, as `as_remade` has it: it may hold less, and nothing else.

        Examples
        --------
        >>> sent = Identity("0f" * 16, held="0a" * 16 + "0b" * 16, remade=True)
        >>> here = [Identity("0f" * 16, held=held * 16) for held in ("", "0b", "0c")]
        >>> [each.is_what_was_sent(*sent.as_remade()) for each in here]
        [True, True, False]
        """
        sent = remade.hex()
        known = {sent[at : at + 32] for at in range(32, len(sent), 32)}
        return sent.startswith(self.digest) and all(
            self.held[at : at + 32] in known for at in range(0, len(self.held), 32)
        )

    def as_remade(self) -> tuple[bytes, ...]:
        """Return what tells a worker whether what it unpickled is this; nothing where Python alone unpickles it."""
        return (bytes.fromhex(self.digest + self.held),) if self.remade else ()

    @property
    def users_code(self) -> bytes:
        """The digest of the functions of the user's modules in it, with what they read; empty if there are none.

        Another process has them from its own modules, with the functions that these make. There is nothing in it of an
        object's state, nor where all of the code is pickled by value: both are what was sent.
        """
        found: bytes | None = self.made.get("users code")
        if found is None:
            code = [label for label in self.ingredients if label.startswith((*_CODE, "class "))]
            by_name = any(not any(name in label for name in _TRAVELS) for label in code)
            lines = sorted(f"{label} {self.ingredients[label]}" for label in code if label.startswith(_CODE))
            found = self.made["users code"] = digest("\n".join(lines).encode()) if lines and by_name else b""
        return found

    @property
    def is_users(self) -> bool:
        """Whether there is code of the user's own in it, which counts by what it does."""
        return any(not label.startswith("package ") for label in self.ingredients)


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
