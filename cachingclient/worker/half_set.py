"""Looking once more at code that another thread of this process may be putting together.

Where workers run in the client's own process, cloudpickle gives a class of a script its attributes again each time
that it unpickles something with the class in it, one after the other, and some of its methods before they are
whole. Who looks at the class meanwhile sees other code than it has before and after.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from cachingclient.hashing.keys import Code
from cachingclient.worker.process import process

PAUSES = (0.001, 0.002, 0.004, 0.008, 0.016)
"""Seconds before each further look, for the other thread to go on. All of it is lost where the code does differ."""


def settles(code: Code | str, right: bytes | None, look: Callable[[], Code | str]) -> bool:
    """Tell whether code that is not what it should be soon is.

    Parameters
    ----------
    code
        The code as it was seen, or why it has no identity. Where there is no class in it, it is not looked at again.
    right
        The digest that it should have, if that is known.
    look
        Looks anew.

    Examples
    --------
    >>> right = Code(b"right", ())
    >>> settles(right, right.digest, lambda: right)  # it is what it should be
    False
    """
    if right is None or _is(code, right) or process().gets_copies or not _may_be_half_set(code):
        return False
    for seconds in PAUSES:
        time.sleep(seconds)
        if _is(look(), right):
            return True
    return False


def _is(code: Code | str, right: bytes) -> bool:
    return isinstance(code, Code) and code.digest == right


def _may_be_half_set(code: Code | str) -> bool:
    labels = () if isinstance(code, str) else (label for each in code.functions for label in each.ingredients)
    return isinstance(code, str) or any(label.startswith("class ") for label in labels)
