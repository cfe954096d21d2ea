"""The options that several commands take: a store, filters, and the choice between a table and JSON."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import yaml

from cachingclient import config, units
from cachingclient.cli.main import Unreachable
from cachingclient.config import check
from cachingclient.storage import Store, open_store
from cachingclient.storage.columns import Outline
from cachingclient.storage.files.layout import STEPS
from cachingclient.storage.open_store import local_path, scheme_of

Command = Callable[..., Any]


class Age(click.ParamType[float]):
    """An age such as ``30d``, in seconds."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return units.parse_age(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Size(click.ParamType[int]):
    """A size such as ``10MB``, in bytes."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return units.parse_size(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries a command is about; every condition that is given must hold.

    Examples
    --------
    >>> Filter(steps=("select*", "fill")).any
    False
    >>> Filter().any
    True
    """

    steps: tuple[str, ...] = ()
    older_than: float | None = None
    newer_than: float | None = None
    larger_than: int | None = None
    smaller_than: int | None = None

    @property
    def any(self) -> bool:
        """Whether nothing is filtered out."""
        return self == Filter()

    def select(self, outlines: Iterable[Outline]) -> Iterator[Outline]:
        """Those of the entries that are meant."""
        now = time.time()
        return (outline.where(self._meant(outline, now)) for outline in outlines)

    def _meant(self, outline: Outline, now: float) -> npt.NDArray[Any]:
        rows = outline.rows
        fits = [not self.steps or any(fnmatchcase(name, glob) for glob in self.steps) for _, name, _ in outline.sorts]
        age = np.maximum(0.0, now - rows["created"])
        meant = np.array(fits, bool)[rows["sort"]]
        if self.older_than is not None:
            meant &= age >= self.older_than
        if self.newer_than is not None:
            meant &= age < self.newer_than
        if self.larger_than is not None:
            meant &= rows["nbytes"] > self.larger_than
        if self.smaller_than is not None:
            meant &= rows["nbytes"] < self.smaller_than
        return meant


def filter_options(command: Command) -> Command:
    """Add the filters; the command gets them as its arguments for a `Filter`."""
    options = [
        click.option(
            "--step", "steps", metavar="GLOB", multiple=True, help="Steps by name, e.g. 'select*'; repeatable."
        ),
        click.option("--older-than", type=Age(), help="Kept at least so long ago, e.g. 30d."),
        click.option("--newer-than", type=Age(), help="Kept since, e.g. 2h."),
        click.option("--larger-than", type=Size(), help="More bytes than, e.g. 10MB."),
        click.option("--smaller-than", type=Size(), help="Fewer bytes than."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def store_option(command: Command) -> Command:
    """Add ``--store`` and ``--option``; the command gets an open `Store` as ``store``."""

    @functools.wraps(command)
    def with_store(*args: Any, store: str | None, options: dict[str, Any], **kwargs: Any) -> Any:
        return command(*args, store=_open(store, options), **kwargs)

    return store_url_options(with_store)


def store_url_options(command: Command) -> Command:
    """Add ``--store`` and ``--option``; the command gets them as ``store`` and ``options``, unopened."""
    command = click.option(
        "--option",
        "-o",
        "options",
        metavar="NAME=VALUE",
        multiple=True,
        callback=lambda ctx, param, values: dict(map(_option, values)),
        help="What else opening --store takes, e.g. endpoint_url=http://localhost:9000; repeatable.",
    )(command)
    return click.option(
        "--store",
        metavar="URL",
        help="The store, e.g. file:///scratch/cache. [default: the settings store and store-options]",
    )(command)


def _option(text: str) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE")
    return name.strip().replace("-", "_"), yaml.safe_load(value)


def open_chosen(url: str | None, options: dict[str, Any]) -> Store:
    """Open the store of a URL with these options, or the configured one.

    Raises
    ------
    ValueError, StoreError
        As `open_store` does.
    """
    if url is not None:
        return open_store(url, **options)
    return open_store(config.store(), **config.store_options() | options)


def is_missing(url: str) -> bool:
    """Tell whether a URL is that of a local store that is not there.

    Opening it would make its folder: right for an analysis, wrong for a look at a mistyped path.

    Examples
    --------
    >>> is_missing("file:///no/such/folder"), is_missing("s3://bucket")
    (True, False)

    Raises
    ------
    ValueError
        If no store has such a URL.
    """
    path = local_path(url) if scheme_of(url) == "file" else None
    if path is None or Path(path).is_file():  # which opening it says
        return False
    return not (Path(path).expanduser() / STEPS).parent.exists()


def json_option(command: Command) -> Command:
    """Add ``--json``; the command gets ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="JSON, with sizes in bytes and times in seconds.")(
        command
    )


def store_to_complete(ctx: click.Context) -> Store | None:
    """Return the store that a line is about which the shell completes; None if it is not there."""
    try:
        return _open(ctx.params.get("store"), dict(ctx.params.get("options") or {}))
    except click.ClickException:
        return None


def _open(url: str | None, options: dict[str, Any]) -> Store:
    try:
        place = url or config.store()
        if wrong := check.misspelled():
            raise Unreachable(wrong[0])
        if is_missing(place):
            raise Unreachable(f"there is no store at {place}")
        return open_chosen(url, options)
    except (ImportError, TypeError, ValueError) as error:  # a missing library is named by its error
        raise Unreachable(str(error)) from error
