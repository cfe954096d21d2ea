"""Classes that pydantic finishes when they are first used: those whose hints name classes that are defined later."""

from __future__ import annotations

import contextlib
import sys
from typing import Any


def finish(cls: Any) -> None:
    """Let pydantic finish a class now, if it can: the fields of an unfinished one are not yet what they will be.

    The client describes a class before it is used, and a worker may do so after.

    Examples
    --------
    >>> finish(dict)  # which has nothing to do with pydantic
    """
    if vars(cls).get("__pydantic_complete__") is not False:
        return
    # Whatever the user's own types raise here they raise again where the class is used.
    with contextlib.suppress(Exception):
        if callable(getattr(cls, "model_rebuild", None)):
            cls.model_rebuild(raise_errors=False, _types_namespace={})
        elif (dataclasses := sys.modules.get("pydantic.dataclasses")) is not None:
            dataclasses.rebuild_dataclass(cls, raise_errors=False, _types_namespace={})
