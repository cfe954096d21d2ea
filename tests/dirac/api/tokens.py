"""Tokens in a file."""

from __future__ import annotations

import json
import time
from pathlib import Path

from cachingclient.dirac.api.tokens import TokenFile


def tokens(folder: Path, seconds: float) -> TokenFile:
    """Tokens that last so long."""
    file = folder / "tokens.json"
    content = {"access_token": "a.b.c", "refresh_token": "d.e.f", "expires_on": time.time() + seconds}
    file.write_text(json.dumps(content))
    file.chmod(0o600)
    return TokenFile(file)
