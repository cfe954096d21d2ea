"""The files' catalogue of DIRAC 8 and 9: names of files, and where their replicas are."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cachingclient.dirac.api.dirac8_rpc import Rpc
from cachingclient.dirac.api.errors import Refused
from cachingclient.dirac.api.parse import a_dict, a_text

SERVICE = "DataManagement/FileCatalog"


@dataclass(frozen=True, slots=True)
class Listing:
    """The content of a folder of the catalogue: files by their names in it, folders by their whole names.

    Examples
    --------
    >>> Listing(("a.root",), ("/gridpp/user/a/alice/old",)).files
    ('a.root',)
    """

    files: tuple[str, ...]
    folders: tuple[str, ...]


class FileCatalogue:
    """Files by their logical names (``/vo/user/a/alice/...``).

    Calls for several files return those that failed, with the server's reasons.
    """

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc

    def listing(self, folder: str) -> Listing:
        """List a folder."""
        found = a_dict("listDirectory", self._one(folder, "listDirectory", False))
        names = [tuple(sorted(a_dict("listDirectory", found.get(kind, {})))) for kind in ("Files", "SubDirs")]
        return Listing(*names)

    def create(self, folder: str) -> None:
        """Make a folder, with those above it."""
        self._one(folder, "createDirectory")

    def add(self, name: str, replica: str, *, storage: str, size: int, adler32: str) -> None:
        """Register a file that lies in a storage element already.

        Parameters
        ----------
        name
            Its logical name.
        replica
            Its URL in the storage element.
        storage
            The storage element's name.
        size
            Its size in bytes.
        adler32
            Its checksum, as eight hexadecimal digits.
        """
        description = {
            "PFN": replica,
            "SE": storage,
            "Size": size,
            "GUID": str(uuid.uuid4()).upper(),
            "Checksum": adler32,
        }
        self._call({name: description}, name, "addFile")

    def replicas(self, names: Iterable[str]) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
        """Where files are, as URLs by storage element; and those that failed.

        A URL is empty where the catalogue leaves it to the storage element's rule for names.
        """
        wanted = list(names)
        if not wanted:
            return {}, {}
        good, failed = self._all(wanted, "getReplicas", False)
        places = {
            name: {storage: a_text("getReplicas", url) for storage, url in a_dict("getReplicas", found).items()}
            for name, found in good.items()
        }
        return places, failed

    def remove(self, names: Iterable[str]) -> dict[str, str]:
        """Forget files, but not their replicas; those that failed."""
        wanted = list(names)
        return self._all(wanted, "removeFile")[1] if wanted else {}

    def remove_folder(self, folder: str) -> None:
        """Remove an empty folder."""
        self._one(folder, "removeDirectory")

    def _one(self, name: str, method: str, *arguments: Any) -> Any:
        return self._call([name], name, method, *arguments)

    def _call(self, names: list[str] | Mapping[str, Any], name: str, method: str, *arguments: Any) -> Any:
        good, failed = self._all(names, method, *arguments)
        if name not in good:
            raise Refused(f"{method} {name}: {failed.get(name, 'no reason given')}")
        return good[name]

    def _all(self, names: Any, method: str, *arguments: Any) -> tuple[dict[str, Any], dict[str, str]]:
        value = a_dict(method, self._rpc(SERVICE, method, names, *arguments))
        failed = {name: str(why) for name, why in a_dict(method, value.get("Failed", {})).items()}
        return a_dict(method, value.get("Successful")), failed
