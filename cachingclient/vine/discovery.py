"""How other programs of the same user find a cluster that runs: a private file with its address and certificates.

It is in the user's cache folder, which batch jobs see too and which outlives the session that started the cluster.
"""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

from distributed import Security

_FIELDS = ("tls_ca_file", "tls_client_cert", "tls_client_key")


def folder() -> Path:
    """Return the folder of the files of the user's clusters."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "cachingclient" / "clusters"


def publish(name: str, address: str, security: Security) -> Path:
    """Write the file of a cluster; only its user can read it."""
    folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder() / f"{name}.json"
    texts = {field: _text(getattr(security, field)) for field in _FIELDS}
    place = {"host": socket.gethostname(), "pid": os.getpid()}
    told = {"name": name, "address": address, **place, "encrypted": bool(security.require_encryption)}
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w") as file:
        json.dump({**told, **{field: text for field, text in texts.items() if text is not None}}, file)
    return path


def _text(value: str | None) -> str | None:
    return value if value is None or "\n" in value else Path(value).read_text()


def clusters() -> list[dict[str, Any]]:
    """Return the published addresses of clusters, and remove those whose programs ran on this machine and ended."""
    found = []
    for path in sorted(folder().glob("*.json")):
        try:
            told = json.loads(path.read_text())
            if told["host"] == socket.gethostname():
                os.kill(told["pid"], 0)
        except (OSError, ValueError, KeyError):
            path.unlink(missing_ok=True)
        else:
            found.append(told)
    return found


def security_of(told: dict[str, Any]) -> Security:
    """Return the certificates with which a client talks to a published cluster."""
    texts = {field: told[field] for field in _FIELDS if field in told}
    return Security(require_encryption=told["encrypted"], **texts)
