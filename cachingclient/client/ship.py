"""What `DiracClient.ship` sends to workers and a scheduler that lack this package or the user's modules.

What arrives there is taken apart by code that travels along by value: nothing of this package need be there. What is
installed there already stays as it is, in whatever version.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import io
import sys
import sysconfig
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle
from distributed import Client, WorkerPlugin
from tornado.ioloop import PeriodicCallback

from cachingclient.client.worker_check import WorkerCheck
from cachingclient.hashing.environment.environment import OWN_PACKAGE, required_by
from cachingclient.scheduler.new_workers import SHIPPED
from cachingclient.warn_once import NoteKeeper
from cachingclient.worker import credentials
from cachingclient.worker.credentials import Credentials

Packed = dict[str, tuple[bytes, str]]
"""A zip file for each top-level module, and the platform that it is for, empty if it is for all."""

TOO_LARGE = frozenset({"numpy"})
"""Libraries that workers of dask have, or must be given another way."""


class Unpacker(WorkerPlugin):
    """Unpacks modules where there are none, and puts secrets into files; travels by value, so it imports as it runs.

    Parameters
    ----------
    packed
        The modules.
    secrets
        The content of a file for each variable of the environment that names one.
    """

    name = SHIPPED

    def __init__(self, packed: Packed, secrets: Mapping[str, bytes]) -> None:
        self.packed = packed
        self.secrets = secrets

    def setup(self, worker: Any) -> None:
        """Unpack into the worker's folder, before its first task."""
        self.unpack(worker.local_directory)

    def __call__(self) -> None:
        """Unpack into a new folder, on the scheduler."""
        import tempfile

        self.unpack(tempfile.mkdtemp())

    def unpack(self, folder: str) -> None:
        """Put what is missing into a folder at the end of the path, and the secrets beside it."""
        import importlib.util
        import io
        import os
        import sys
        import sysconfig
        import tempfile
        import zipfile

        place = os.path.join(folder, self.name)
        platform = f"{sys.implementation.cache_tag}-{sysconfig.get_platform()}"
        os.makedirs(place, mode=0o700, exist_ok=True)
        for name, (content, only_on) in self.packed.items():
            try:
                spec = importlib.util.find_spec(name)
            except ValueError:  # it was imported without one
                continue
            is_ours = spec is not None and place in (spec.origin or "")
            if (spec is None or is_ours) and only_on in ("", platform):
                zipfile.ZipFile(io.BytesIO(content)).extractall(place)
                for known in [each for each in sys.modules if is_ours and each.partition(".")[0] == name]:
                    if name != "cachingclient":
                        del sys.modules[known]  # the next task imports what was sent now
        if place not in sys.path:
            sys.path.append(place)
        importlib.invalidate_caches()
        for variable, secret in self.secrets.items():
            path = os.path.join(place, variable)
            descriptor, unfinished = tempfile.mkstemp(dir=place)  # for its user alone
            with open(descriptor, "wb") as file:
                file.write(secret)
            os.replace(unfinished, path)  # a task may be reading the one before
            os.environ[variable] = path
            if variable == "BEARER_TOKEN_FILE":
                os.environ.pop("BEARER_TOKEN", None)  # it would be looked at first


class Parcel(WorkerPlugin):
    """An `Unpacker` that pickles as its class and its content."""

    def __init__(self, packed: Packed, secrets: Mapping[str, bytes]) -> None:
        self.name = Unpacker.name if packed else f"{Unpacker.name}-credentials"  # the one does not replace the other
        module = sys.modules[__name__]
        cloudpickle.register_pickle_by_value(module)
        try:
            self._content = cloudpickle.dumps(Unpacker(packed, secrets))
        finally:
            cloudpickle.unregister_pickle_by_value(module)

    def __reduce__(self) -> tuple[Any, ...]:
        return cloudpickle.loads, (self._content,)


def make_parcel(modules: Iterable[ModuleType | str]) -> Parcel:
    """Pack this package with what it requires, and the user's modules.

    Raises
    ------
    ValueError
        If a module can't be found, or has no file.
    """
    return Parcel({**_own_package(), **{name: (_zip(path), "") for name, path in map(_find, modules)}}, {})


class ShippedCredentials:
    """A proxy and a token that workers get, and new ones as long as the client is open.

    Parameters
    ----------
    client
        The client.
    proxy, token
        The user's files.

    Raises
    ------
    ValueError
        If `Credentials` finds none in them.
    """

    def __init__(self, client: Client, proxy: str | None, token: str | None) -> None:
        given = {kind: path for kind, path in (("proxy", proxy), ("token", token)) if path is not None}
        self._credentials = Credentials(given or None)
        self._client = client
        self._callback: PeriodicCallback | None = None

    async def send(self) -> None:
        """Send them to the workers, those that come later too, and look for new ones from now on."""
        if self._credentials.files:
            await self._client.register_plugin(Parcel({}, self._credentials.contents))
            self._callback = PeriodicCallback(self._look, credentials.LOOK_EVERY * 1000)
            self._callback.start()

    def stop(self) -> None:
        """Look no more."""
        if self._callback is not None:
            self._callback.stop()

    async def _look(self) -> None:
        if self._client.status in ("closing", "closed"):
            self.stop()
        elif self._credentials.look():
            await self._client.register_plugin(Parcel({}, self._credentials.contents))


async def send(
    parcel: Parcel, secrets: ShippedCredentials, client: Client, notes: NoteKeeper, check: WorkerCheck
) -> None:
    """Have the scheduler and the workers unpack; those that lacked the package are asked again."""
    try:
        await client.run_on_scheduler(parcel)
    except Exception as error:
        notes.add(f"nothing was sent to the scheduler, which refused it ({type(error).__name__}: {error})")
    await client.register_plugin(parcel)
    await secrets.send()
    await check.look_again()


def _own_package() -> Packed:
    packed: Packed = {OWN_PACKAGE: (_zip(_find(OWN_PACKAGE)[1]), "")}
    for distribution in sorted(required_by(OWN_PACKAGE) - required_by("distributed") - TOO_LARGE - {OWN_PACKAGE}):
        for name, path, only_on in _modules_of(distribution):
            packed[name] = _zip(path), only_on
    return packed


def _modules_of(distribution: str) -> Iterable[tuple[str, Path, str]]:
    files = importlib.metadata.files(distribution) or []
    tops = {file.parts[0] for file in files if file.suffix == ".py" and file.parts[0] != ".."}
    compiled = any(file.suffix in (".so", ".dylib", ".pyd") for file in files)
    only_on = f"{sys.implementation.cache_tag}-{sysconfig.get_platform()}" if compiled else ""
    for top in sorted(tops):
        if not top.endswith(".dist-info"):
            yield _find(top.removesuffix(".py"))[0], _find(top.removesuffix(".py"))[1], only_on


def _find(module: ModuleType | str) -> tuple[str, Path]:
    """Return the name of a top-level module, and its file or folder."""
    try:
        name = (module.__name__ if isinstance(module, ModuleType) else module).partition(".")[0]
        spec = importlib.util.find_spec(name)
    except (AttributeError, ValueError):  # neither a module nor a name, or a name of none
        spec = None
    if spec is None or not spec.has_location or spec.origin is None:
        raise ValueError(f"modules has {module!r}; it takes modules with a file, or their names")
    path = Path(spec.origin)
    return name, path.parent if path.name == "__init__.py" else path


def _zip(path: Path) -> bytes:
    target = io.BytesIO()
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for file in files:
            if "__pycache__" not in file.parts:
                packed.write(file, file.relative_to(path.parent))
    return target.getvalue()
