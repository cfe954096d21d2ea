"""What the tests of identities have in common: the identity of a value, and ways to copy one."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import cloudpickle

from cachingclient.hashing.identify import identify

COPIES: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "pickle 5": lambda value: pickle.loads(pickle.dumps(value, protocol=5)),
    "cloudpickle": lambda value: cloudpickle.loads(cloudpickle.dumps(value)),
    "deepcopy": copy.deepcopy,
}


def digest(value: object) -> str:
    """Return the identity of a value alone."""
    return identify(value).digest
