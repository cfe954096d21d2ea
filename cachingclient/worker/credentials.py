"""X.509 proxies and tokens at workers, for what they read from storage elements: in private files, never in variables.

The client's process follows the user's own files, and sends what is new in them; workers write it into files that only
their user may read, and have ``X509_USER_PROXY`` and ``BEARER_TOKEN_FILE`` name these.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from distributed import Worker, WorkerPlugin
from tornado.ioloop import PeriodicCallback

from cachingclient import units

logger = logging.getLogger("cachingclient")

VARIABLES = {"proxy": "X509_USER_PROXY", "token": "BEARER_TOKEN_FILE"}
"""The environment variables that name the files."""
LOOK_EVERY = 30.0
"""Seconds between two looks at the user's files."""
SOON = 600.0
"""Seconds before its end when a credential that was not renewed is warned of."""

Given = bool | Mapping[str, str | os.PathLike[str]] | None
Contents = Mapping[str, bytes]
"""Credentials by the variables that name their files."""


class Credentials:
    """The user's files with a proxy and a token.

    Parameters
    ----------
    given
        Their paths, under ``"proxy"`` and ``"token"``; True takes those that the user's environment names, or that
        are where proxies and tokens usually are; None or False takes none.

    Attributes
    ----------
    contents
        What they held when last looked at.

    Raises
    ------
    ValueError
        If there is none, others can read it, or it has ended.

    Examples
    --------
    >>> Credentials(None).contents
    {}
    >>> Credentials({"proxy": "/nowhere/x509up_u1000"})
    Traceback (most recent call last):
    ...
    ValueError: credentials: the proxy /nowhere/x509up_u1000 can't be read: No such file or directory
    """

    def __init__(self, given: Given) -> None:
        self.files = _files(given)
        self.contents = {VARIABLES[kind]: _read(kind, path) for kind, path in self.files.items()}
        self._warned: set[bytes] = set()
        self._trouble: dict[str, str] = {}

    def look(self) -> bool:
        """Return whether a file holds a new credential now; warn of one that ends soon and was not renewed."""
        found = dict(self.contents)
        for kind, path in self.files.items():
            variable = VARIABLES[kind]
            try:
                found[variable] = _read(kind, path)
                self._trouble.pop(kind, None)
            except ValueError as error:  # it may be written just now: what was there is good for longer
                if self._trouble.get(kind) == str(error):
                    self._warn(str(error), str(error).encode())
                self._trouble[kind] = str(error)
                continue
            end = ends(found[variable])
            if end is not None and end - time.time() < SOON:
                left = units.duration(max(end - time.time(), 0))
                self._warn(f"the {kind} {path} ends in {left}; a new one there reaches the workers", found[variable])
        changed, self.contents = found != self.contents, found
        return changed

    def _warn(self, text: str, once: bytes) -> None:
        if once not in self._warned:
            self._warned.add(once)
            logger.warning("%s", text)


class Renewal:
    """Delivers credentials now, and again whenever the user's files hold new ones.

    Parameters
    ----------
    given
        As for `Credentials`.
    deliver
        Called with them.
    encrypted
        Whether what is delivered goes over connections that nobody else can read.

    Raises
    ------
    ValueError
        If `Credentials` does, or connections are not encrypted.
    """

    def __init__(self, given: Given, deliver: Callable[[Contents], None], *, encrypted: bool) -> None:
        self.credentials = Credentials(given)
        self._deliver = deliver
        self._callback: PeriodicCallback | None = None
        if not self.credentials.files:
            return
        if not encrypted:
            raise ValueError("credentials are given, and security=False would send them for everybody to read")
        deliver(self.credentials.contents)

    def start(self) -> None:
        """Look at the files from now on, in the event loop that runs."""
        if self.credentials.files:
            self._callback = PeriodicCallback(self._look, LOOK_EVERY * 1000)
            self._callback.start()

    def stop(self) -> None:
        """Look no more."""
        if self._callback is not None:
            self._callback.stop()

    def _look(self) -> None:
        if self.credentials.look():
            self._deliver(self.credentials.contents)


class CredentialFiles(WorkerPlugin):
    """Puts credentials into private files of a worker.

    Parameters
    ----------
    contents
        The credentials.
    """

    name = "cachingclient-credentials"

    def __init__(self, contents: Contents) -> None:
        self._contents = dict(contents)
        self._made_in = os.getpid()

    def setup(self, worker: Worker) -> None:
        """Write the files, in the place of earlier ones; not in the client's process, which has its own."""
        if os.getpid() == self._made_in:
            return
        folder = Path(worker.local_directory) / "credentials"
        folder.mkdir(mode=0o700, exist_ok=True)
        for variable, content in self._contents.items():
            write_private(folder / variable, content)
            name_file(variable, folder / variable)


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its user may read, whole or not at all."""
    descriptor, unfinished = tempfile.mkstemp(dir=path.parent, prefix=".")  # 0600
    with open(descriptor, "wb") as file:
        file.write(content)
    os.replace(unfinished, path)


def name_file(variable: str, path: Path) -> None:
    """Have this process find a credential in a file."""
    os.environ[variable] = str(path)
    if variable == VARIABLES["token"]:
        os.environ.pop("BEARER_TOKEN", None)  # it would be looked at first, and is not renewed


def ends(credential: bytes) -> float | None:
    """Return when a proxy or a token ends, as `time.time` counts; None for a token that does not tell.

    Examples
    --------
    >>> import base64
    >>> claims = base64.urlsafe_b64encode(b'{"exp": 1790000000}').decode().strip("=")
    >>> ends(f"eyJhbGciOiJSUzI1NiJ9.{claims}.c2ln".encode())
    1790000000.0
    >>> ends(b"a token without claims")
    """
    if b"-----BEGIN" in credential:
        from cryptography import x509

        chain = x509.load_pem_x509_certificates(credential)
        return min(each.not_valid_after_utc.timestamp() for each in chain)
    parts = credential.strip().split(b".")
    if len(parts) != 3:
        return None
    try:
        claims: Any = json.loads(base64.urlsafe_b64decode(parts[1] + b"=" * (-len(parts[1]) % 4)))
        return float(claims["exp"])
    except (ValueError, KeyError, TypeError):
        return None


def _files(given: Given) -> dict[str, Path]:
    if given is None or given is False:
        return {}
    if given is True:
        usual = {kind: next((path for path in _usual(kind) if path.is_file()), None) for kind in VARIABLES}
        found = {kind: path for kind, path in usual.items() if path is not None}
        if not found:
            looked = ", ".join(str(path) for kind in VARIABLES for path in _usual(kind))
            raise ValueError(f"credentials is True, and there is neither a proxy nor a token at {looked}")
        return found
    if not isinstance(given, Mapping) or not given or not set(given) <= set(VARIABLES):
        kinds = " and ".join(f"{kind!r}" for kind in VARIABLES)
        shown = sorted(given) if isinstance(given, Mapping) else type(given).__name__
        raise ValueError(f"credentials has {shown}; it takes True, or a dict with the paths of {kinds}")
    for kind, path in given.items():
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"credentials: the {kind} is {path!r}; it takes the path of a file")
    return {kind: Path(path).absolute() for kind, path in given.items()}


def _usual(kind: str) -> list[Path]:
    """Return where credentials usually are: what the environment names, then where programs put them."""
    name = f"x509up_u{os.getuid()}" if kind == "proxy" else f"bt_u{os.getuid()}"
    folders = [os.environ.get("XDG_RUNTIME_DIR") if kind == "token" else None, "/tmp"]
    usual = [os.path.join(folder, name) for folder in folders if folder]
    return [Path(path).absolute() for path in (os.environ.get(VARIABLES[kind]), *usual) if path]


def _read(kind: str, path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode, content = os.fstat(file.fileno()).st_mode, file.read()
    except OSError as error:
        raise ValueError(f"credentials: the {kind} {path} can't be read: {error.strerror}") from None
    if mode & 0o077:
        raise ValueError(f"credentials: others can read the {kind} {path}; chmod 600 {path}")
    try:
        end = ends(content)
    except ValueError:
        end = None
    if not content.strip() or (kind == "proxy" and end is None):
        raise ValueError(f"credentials: there is no {kind} in {path}")
    if end is not None and end <= time.time():
        raise ValueError(f"credentials: the {kind} {path} has ended; make a new one there")
    return content
