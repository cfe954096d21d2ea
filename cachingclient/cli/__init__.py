"""``cachectl``: look at a store and look after it. Also as ``dask cache``.

Exit codes: 0, all done; 1, declined by the user or done in part; 2, wrong usage, or a store that can't be reached.
"""

from __future__ import annotations

from cachingclient.cli.main import cli, main

__all__ = ["cli", "main"]
