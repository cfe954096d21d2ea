"""What pytest leaves out where a library is not installed: the examples in the modules that are for it."""

from __future__ import annotations

import importlib.util

collect_ignore: list[str] = []
if importlib.util.find_spec("ROOT") is None:
    collect_ignore += ["cachingclient/hashing/libraries/cpp.py", "cachingclient/hashing/libraries/root.py"]
