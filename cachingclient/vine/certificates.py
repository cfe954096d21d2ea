"""Certificates for workers that are told of them by paths: temporary ones are text in memory."""

from __future__ import annotations

import tempfile
from pathlib import Path

from distributed import Security

_FIELDS = ("tls_ca_file", "tls_worker_cert", "tls_worker_key")


def as_files(security: Security, folder: Path | None = None) -> tuple[Security, Path]:
    """Return a worker's part of a security with every text in a file, and the private folder of the files.

    Parameters
    ----------
    security
        As the cluster has it.
    folder
        Where the private folder is made; it has to be one that the workers' hosts see. None takes the working
        folder, as dask-jobqueue does.

    Examples
    --------
    >>> import shutil
    >>> security, folder = as_files(Security.temporary(), Path(tempfile.gettempdir()))
    >>> Path(security.tls_worker_key).read_text().startswith("-----BEGIN")
    True
    >>> shutil.rmtree(folder)
    """
    private = Path(tempfile.mkdtemp(prefix=".vine-certificates-", dir=folder or Path.cwd()))
    texts = {name: getattr(security, name) for name in _FIELDS}
    paths = {}
    for name, text in texts.items():
        if text is not None and "\n" in text:
            paths[name] = str(private / name)
            Path(paths[name]).write_text(text)
        elif text is not None:
            paths[name] = text
    return Security(require_encryption=security.require_encryption, **paths), private
