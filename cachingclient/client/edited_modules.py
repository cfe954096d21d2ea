"""Whether files of the user's modules are other ones than this process imported: who imports them now gets other code.

A worker that comes later, as with an adaptive cluster or after one was killed, imports what is on the disk by then.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from types import ModuleType

from cachingclient.hashing.environment.environment import is_user_code

_SHARE = 20  # of the time, what looking may take
_Stamp = tuple[int, int, int]


@dataclass
class _Seen:
    """A module as it was imported: its specification, which a reload replaces, and its file as it was first seen."""

    spec: object
    path: str = ""
    stamp: _Stamp | None = None


class EditedModules:
    """Looks at the files of the modules that this process has imported.

    Examples
    --------
    >>> EditedModules().look()
    False
    """

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}
        self._users: dict[tuple[str, str], bool] = {}
        self._edited = False
        self._next = 0.0

    def look(self) -> bool:
        """Tell whether the file of a module of the user's has changed, and the module was not imported again since."""
        start = time.monotonic()
        if start >= self._next:  # one call may follow another by the thousand, and a file system be slow
            # All are looked at, also once one is found: what is seen late may have been edited before.
            self._edited = sum(self._is_edited(name, module) for name, module in list(sys.modules.items())) > 0
            now = time.monotonic()
            self._next = now + (now - start) * (_SHARE - 1)
        return self._edited

    def _is_edited(self, name: str, module: ModuleType) -> bool:
        spec = getattr(module, "__spec__", None)
        known = self._seen.get(name)
        if known is None or known.spec is not spec:
            known = self._seen[name] = self._see(name, module, spec)
        return bool(known.path) and _stamp(known.path) not in (None, known.stamp)

    def _see(self, name: str, module: ModuleType, spec: object) -> _Seen:
        path = str(getattr(module, "__file__", None) or "")
        if name == "__main__" or not path.endswith(".py") or not self._is_users(name, path):
            return _Seen(spec)
        return _Seen(spec, path, _stamp(path))

    def _is_users(self, name: str, path: str) -> bool:
        """Whether a module is the user's; asked once for all in a package, of which there may be thousands."""
        top = name.partition(".")[0]
        package = top, path.partition(f"{os.sep}{top}{os.sep}")[0]
        if package not in self._users:
            self._users[package] = is_user_code(name)
        return self._users[package]


def _stamp(path: str) -> _Stamp | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


edited_modules = EditedModules()
"""Those of this process."""
