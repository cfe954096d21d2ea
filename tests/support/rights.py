"""Acting as somebody who may read what others have, and not write there: permissions do not bind root."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65534


@contextmanager
def as_another_user(place: Path) -> Iterator[None]:
    """Have this process be another user's, who can get to a place; who is not root stays who it is."""
    if os.geteuid() != 0:
        yield
        return
    for folder in (place, *place.parents):
        if not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o055)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
