"""Where the memory of files is: beside a local store of the user's own, else beside the configured one."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from cachingclient import config
from cachingclient.hashing.inputs.remembered import Remembered, use_memory
from cachingclient.storage import Store

PLACE = os.path.join("v1", "files")


def memory_of(store: Store) -> Path | None:
    """Return the folder of the memory that belongs to a store; None if there is no folder of the user's own.

    Examples
    --------
    >>> from cachingclient.storage import open_store
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> memory_of(open_store(f"file://{folder}")) == Path(folder, "v1", "files")
    True
    """
    url = store.url if store.private and store.url.startswith("file://") else _configured()
    return Path(url2pathname(urlsplit(url).path)) / PLACE if url.startswith("file://") else None


def _configured() -> str:
    """Return the URL of the configured store; nothing for a setting that is none, which nobody may have asked for."""
    try:
        return config.store()
    except Exception:
        return ""


@functools.lru_cache(maxsize=1)  # the last one stays in use
def remember_beside(store: Store, *, writes: bool) -> None:
    """Have this process remember the files that it looks at beside a store.

    Parameters
    ----------
    store
        The store.
    writes
        Whether what is new is kept.
    """
    folder = memory_of(store)
    use_memory(None if folder is None else Remembered(folder, writes=writes))
