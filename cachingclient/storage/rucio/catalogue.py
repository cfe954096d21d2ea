"""The requests of the Rucio store to Rucio: list a container's files, fetch some, add some."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rucio.client.downloadclient import DownloadClient
from rucio.client.uploadclient import UploadClient
from rucio.common import exception as rucio
from rucio.common.checksum import adler32, md5

from cachingclient.storage.model import StoreError, StoreUnavailable
from cachingclient.storage.rucio.client import SignedInClient
from cachingclient.storage.rucio.lifetimes import WEEK, Lifetimes, this_week

REST_AFTER_FAILURE = 30.0
NAME = re.compile(r"[\w-]+")
"""The name of one RSE; all else is an expression."""
REFUSALS = (rucio.CannotAuthenticate, rucio.AccessDenied, rucio.MissingClientParameter, rucio.NoAuthInformation)
_quiet = logging.getLogger("cachingclient.rucio")
_quiet.setLevel(logging.CRITICAL)  # what goes wrong is raised


class Catalogue:
    """The files of one container, in datasets of a week each.

    Rucio evicts by the lifetime of a rule, and an ordinary account can't prolong or delete much. So each week's
    files of each lifetime go into a dataset of their own, whose one rule lasts for the lifetime after that week. A file
    is prolonged by adding it to the dataset of a later week too: it goes with the last of its datasets.

    What is prolonged was used in a week after that in which it was made. Its packs go into a dataset of that week whose
    rule is for the fast RSE, where there is one, and lasts a week longer: so they stay there while they are used.
    """

    def __init__(self, scope: str, name: str, rses: Mapping[str, str], lifetimes: Lifetimes, **client: Any) -> None:
        self.scope, self.name, self.lifetimes, self.read_rse = scope, name, lifetimes, rses.get("read_rse")
        rse, self._copies, self._fast = rses["rse"], _expressions(rses.get("copies")), _expressions(rses.get("fast"))
        self._away_until = 0.0
        self._away = ""
        with self.asking():
            self._client = SignedInClient(logger=_quiet, **client)
            self.rse = self._found(rse)
            # The rule of a dataset is that of one RSE; which one an expression gives may change within the week.
            self._of_rse = "" if self.rse == rse else f".{self.rse}"
            for expression in (*self._copies, *self._fast):
                self._found(expression)
            self._check_scope()
        self._datasets: set[str] = set()

    def _found(self, expression: str) -> str:
        """Return an RSE by its name; or the first by name of an expression's that can be written to."""
        try:
            if NAME.fullmatch(expression):
                self._client.get_rse(expression)
                return expression
            names = sorted(each["rse"] for each in self._client.list_rses(expression))
        except (rucio.RSENotFound, rucio.InvalidRSEExpression):
            raise StoreUnavailable(f"Rucio knows no RSE {expression!r}") from None
        for name in names:
            if self._client.get_rse(name)["availability_write"]:
                return str(name)
        raise StoreUnavailable(f"no RSE of {expression!r} can be written to now: {', '.join(names)}")

    def _check_scope(self) -> None:
        try:
            self._client.get_did(self.scope, self.name)
        except rucio.DataIdentifierNotFound:
            if self.scope not in set(self._client.list_scopes()):
                raise StoreUnavailable(f"Rucio knows no scope {self.scope!r}") from None

    def files(self) -> list[str]:
        """The names of all files of the container."""
        with self.asking():
            try:
                return [file["name"] for file in self._client.list_files(self.scope, self.name)]
            except rucio.DataIdentifierNotFound:
                return []

    def fetch(self, names: Sequence[str], folder: Path) -> None:
        """Download files into a folder, with their checksums verified; those that can't be had are left out."""
        if not names:
            return
        # Into a folder of our own first: other processes of this host may be fetching the same.
        with self.asking(), TemporaryDirectory(prefix="fetching-", dir=folder) as arriving:
            items: list[Any] = [
                {"did": f"{self.scope}:{name}", "base_dir": arriving, "no_subdir": True, "rse": self.read_rse}
                for name in names
            ]
            with suppress(rucio.NoFilesDownloaded, rucio.NotAllFilesDownloaded, rucio.DataIdentifierNotFound):
                DownloadClient(self._client, logger=_quiet).download_dids(items, num_threads=4, trace_custom_fields={})
            for name in names:
                with suppress(FileNotFoundError):
                    os.replace(Path(arriving, name), folder / name)

    def add(self, paths: Sequence[Path], lifetime: int, overrules: bool = False) -> None:
        """Upload files, named as they are here, and register them together; those that overrule last a week longer."""
        with self.asking():
            dataset = self._dataset(lifetime, overrules)
            items: list[Any] = [
                {
                    "path": str(path),
                    "rse": self.rse,
                    "did_scope": self.scope,
                    "did_name": path.name,
                    "no_register": True,
                }
                for path in paths
            ]
            with suppress(rucio.NoFilesUploaded):  # they are there already, under names that tell their content
                UploadClient(self._client, logger=_quiet).upload(items)
            files: list[Any] = [
                {
                    "scope": self.scope,
                    "name": path.name,
                    "bytes": path.stat().st_size,
                    "adler32": adler32(str(path)),
                    "md5": md5(str(path)),
                }
                for path in paths
            ]
            self._client.add_replicas(self.rse, files)
            self._client.attach_dids(self.scope, dataset, [{"scope": f["scope"], "name": f["name"]} for f in files])

    def prolong(self, names: Iterable[str], lifetime: int, overrules: bool = False) -> None:
        """Have files of the RSE that is written to live as long as those that are added now."""
        with self.asking():
            dids: list[Any] = [{"scope": self.scope, "name": name} for name in sorted(names)]
            # Others would be copied there, or are gone.
            replicas = self._client.list_replicas(dids, rse_expression=self.rse)
            there = {each["name"] for each in replicas if self.rse in each["rses"]}
            files = [did for did in dids if did["name"] in there]
            if files:
                dataset = {"scope": self.scope, "name": self._dataset(lifetime, overrules), "dids": files}
                self._client.attach_dids_to_dids([dataset], ignore_duplicate=True)
            packs = [did for did in files if did["name"].endswith(".pack")]
            if packs and self._fast:
                dataset = {"scope": self.scope, "name": self._fast_dataset(), "dids": packs}
                self._client.attach_dids_to_dids([dataset], ignore_duplicate=True)

    def _dataset(self, lifetime: int, overrules: bool) -> str:
        """This week's dataset of a lifetime, made and put into the container if it is not there."""
        week = this_week()
        if not self.lifetimes.vary:
            name = f"{self.name}.w{week}{self._of_rse}"
        else:
            # An entry that is prolonged at the end of a week, before its removal is seen, must not outlive that.
            week += overrules
            name = f"{self.name}.w{week}.{lifetime}s{self._of_rse}"
        if name in self._datasets:
            return name
        lifetime += (week + 1) * WEEK - int(time.time())
        self._make(
            lambda: self._client.add_container(self.scope, self.name),
            lambda: self._add_dataset(name, lifetime, self.rse, *self._copies),
            lambda: self._client.attach_dids(self.scope, self.name, [{"scope": self.scope, "name": name}]),
        )
        self._datasets.add(name)
        return name

    def _fast_dataset(self) -> str:
        """This week's dataset of what is used, beside the container, made if it is not there."""
        week = this_week()
        name = f"{self.name}.w{week}.used"
        if name not in self._datasets:
            self._make(lambda: self._add_dataset(name, (week + 2) * WEEK - int(time.time()), *self._fast))
            self._datasets.add(name)
        return name

    def _add_dataset(self, name: str, lifetime: int, *expressions: str) -> None:
        rule = {"account": self._client.account, "copies": 1, "grouping": "DATASET", "lifetime": lifetime}
        rules = [{**rule, "rse_expression": expression} for expression in expressions]
        self._client.add_dataset(self.scope, name, lifetime=lifetime, rules=rules)

    def _make(self, *steps: Callable[[], object]) -> None:
        for make in steps:
            try:
                make()
            except (rucio.DataIdentifierAlreadyExists, rucio.DuplicateContent, rucio.DuplicateRule):
                continue  # another writer was first

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Turn Rucio's errors into those of a store, and stop asking a server that is away."""
        if time.monotonic() < self._away_until:
            raise StoreUnavailable(self._away)  # in the same words, so that it is told once
        try:
            yield
        except StoreError:
            raise
        except REFUSALS as error:
            raise StoreUnavailable(f"Rucio refuses us for {self.scope}:{self.name}: {error}") from error
        except (rucio.ServerConnectionException, rucio.DatabaseException) as error:
            raise self._is_away(error) from error
        except rucio.RucioException as error:
            raise StoreError(f"Rucio, for {self.scope}:{self.name}: {error}") from error
        except Exception as error:  # the transports below Rucio have errors of their own
            raise self._is_away(error) from error

    def _is_away(self, error: Exception) -> StoreUnavailable:
        self._away = f"Rucio does not answer for {self.scope}:{self.name}: {error}"
        self._away_until = time.monotonic() + REST_AFTER_FAILURE
        return StoreUnavailable(self._away)


def _expressions(text: str | None) -> list[str]:
    return text.split(",") if text else []
