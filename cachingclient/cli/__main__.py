"""``python -m cachingclient.cli`` is ``cachectl``."""

from __future__ import annotations

from cachingclient.cli.main import main

main()
