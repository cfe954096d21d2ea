"""``cachectl serve`` in a real browser, where there is one."""

from __future__ import annotations

import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from cachingclient.cli.serve import Pages
from cachingclient.storage import Entry, Store, encode

BROWSER = shutil.which("chromium")


@pytest.mark.services
@pytest.mark.skipif(BROWSER is None, reason="there is no chromium here")
def test_a_browser_follows_the_printed_address(store: Store, tmp_path: Path) -> None:
    """It keeps the token, shows entries and the map of their sizes, and runs nothing that stands in an entry."""
    name = "<img src=x onerror=\"document.title='run'\">"
    store.write(Entry(("e" * 32,), "result", name, 1.0, {}, encode(b"1" * 9_000_000)))
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}", "--dump-dom"]
    with Pages(store) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            told = subprocess.run(
                [str(BROWSER), *options, server.address], capture_output=True, text=True, timeout=300, check=True
            )
        finally:
            server.shutdown()
    assert "<title>entries</title>" in told.stdout
    assert "5 entries" in told.stdout
    assert told.stdout.count("<rect") == 4
    assert "&lt;img src=x" in told.stdout
    assert "<img" not in told.stdout
