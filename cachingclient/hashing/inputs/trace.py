"""What a step was seen to depend on beside its code and arguments: files, variables, the working folder.

A step key says what a step is; its trace says in which surroundings the kept result was made. An entry is a hit only
while all that its trace names is as it was then (`Surroundings.difference`). Steps after it inherit the trace, since
their keys know of the files only through it.
"""

from __future__ import annotations

import functools
import math
import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import xxhash

from cachingclient.forks.patience import NAME, got, in_time
from cachingclient.hashing.inputs.differs import in_what
from cachingclient.hashing.inputs.fingerprint import Fingerprint
from cachingclient.hashing.inputs.listing import TIME
from cachingclient.hashing.inputs.look_again import is_as_it_was
from cachingclient.hashing.inputs.merge import merged, one_folder
from cachingclient.hashing.inputs.stated import as_fields, as_fingerprint, as_path, as_text
from cachingclient.hashing.inputs.told import EVERYTHING, Told, tell_surroundings, view_of_files

PATIENCE = 10.0
NOT_AGAIN = 600.0
"""Seconds for which a file is left alone that took too long to look at."""
_took_too_long: dict[str, float] = {}


@dataclass(frozen=True)
class Trace:
    """What a result depends on beside the code and the arguments of the steps that made it.

    Attributes
    ----------
    named
        Local files among the arguments, by absolute path, as they were.
    read
        Files and folders that were read or listed without being named; None for one that was looked for in vain. A
        link that was followed by hand stands there too, under its path and ``" (link)"``; a file whose time was asked
        for, under its path and ``" (time)"``; and a folder that was listed for some names, under its path and their
        pattern.
    written
        Files that the steps left behind: the result counts only while they are there. One that was only appended to,
        such as a log, may have grown since.
    variables
        Environment variables that were read: a digest of the value, None for one that was not set.
    folder
        The working folder, where a relative path was used; None if it does not matter.
    classes
        The user's classes that arguments or the result are of, with their digests: no code names the class of an
        object that is unpickled.

    Examples
    --------
    >>> one = Trace(variables={"ERA": "0f" * 16})
    >>> Trace.of_json(one.as_json()) == one
    True
    >>> bool(Trace()), bool(one)
    (False, True)
    """

    named: Mapping[str, Fingerprint | None] = field(default_factory=dict)
    read: Mapping[str, Fingerprint | None] = field(default_factory=dict)
    written: Mapping[str, Fingerprint | None] = field(default_factory=dict)
    variables: Mapping[str, str | None] = field(default_factory=dict)
    folder: str | None = None
    classes: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        tables = self.named, self.read, self.written, self.variables, self.classes
        return any(tables) or self.folder is not None

    def after(self, earlier: Iterable[Trace]) -> Trace:
        """Return this trace with those of the steps before it; a file that one of them wrote need not be read again.

        Raises
        ------
        ValueError
            If two of them disagree: one of their files or variables changed between the steps.
        """
        traces = [trace for trace in earlier if trace]
        if not traces:
            return self
        written = merged(trace.written for trace in (*traces, self))
        return Trace(
            merged((trace.named for trace in (*traces, self)), written),
            merged((trace.read for trace in (*traces, self)), written),
            written,
            merged(trace.variables for trace in (*traces, self)),
            one_folder(trace.folder for trace in (*traces, self)),
            merged(trace.classes for trace in (*traces, self)),
        )

    def only(self, paths: Collection[str]) -> Trace:
        """Return the part of a trace that has these files, and the variables and the working folder."""
        named, read, written = (
            {path: seen for path, seen in files.items() if path in paths}
            for files in (self.named, self.read, self.written)
        )
        return Trace(named, read, written, self.variables, self.folder)

    def as_json(self) -> dict[str, Any]:
        """Return what an entry's description holds of it."""
        fields: dict[str, Any] = {
            name: {path: as_fields(found) for path, found in sorted(getattr(self, name).items())}
            for name in ("named", "read", "written")
        }
        fields["variables"] = dict(sorted(self.variables.items()))
        fields["folder"] = self.folder
        fields["classes"] = dict(sorted(self.classes.items()))
        return {name: value for name, value in fields.items() if value}

    @classmethod
    def of_json(cls, fields: Any) -> Trace:
        """Return the trace in an entry's description.

        Raises
        ------
        ValueError
            If it is not one: nobody can say what the entry depends on.
        """
        try:
            files = {
                name: {as_path(path): as_fingerprint(path, found) for path, found in fields.get(name, {}).items()}
                for name in ("named", "read", "written")
            }
            variables = {name: as_text(value) for name, value in fields.get("variables", {}).items()}
            folder = fields.get("folder")
            classes = {name: str(digest) for name, digest in fields.get("classes", {}).items()}
            return cls(**files, variables=variables, folder=folder and as_path(folder), classes=classes)
        except (AttributeError, TypeError, ValueError) as error:
            raise ValueError(f"an unreadable trace: {error!r}") from None

    def digest(self) -> str:
        """Return 32 hexadecimal digits that tell one trace from another."""
        return xxhash.xxh3_128_hexdigest(repr(self.as_json()).encode())


class Surroundings:
    """The files as they are here, and the variables and the working folder of the processes where steps run.

    Parameters
    ----------
    told
        What these processes told, None for one that did not. Where they disagree, or nobody told, no entry is passed
        over: the process that loads it compares. By default it is this process alone.
    most_files
        How many files of a folder are looked at.
    classes
        Says which of some classes has changed, by their digests; without it none is looked at.
    seconds, most
        How long the looks at some files may take, beside what they get on, and in all (`differences`).

    Examples
    --------
    >>> here = Surroundings()
    >>> here.difference(Trace(variables={"NO_SUCH_VARIABLE": None}))
    ''
    >>> here.difference(Trace(variables={"NO_SUCH_VARIABLE": "0f" * 8}))
    'the environment variable NO_SUCH_VARIABLE has another value'
    """

    def __init__(
        self,
        told: Collection[Told | None] | None = None,
        most_files: int = 10_000,
        classes: Callable[[Mapping[str, str]], str] | None = None,
        seconds: float = PATIENCE,
        most: float = float("inf"),
    ) -> None:
        if told is not None:
            self._told = told
        self._classes = classes
        self._most_files = most_files
        self._same: dict[tuple[str, bytes], bool] = {}
        self._seconds, self._most = seconds, most
        self._now_at = self._given_up = ""

    @functools.cached_property
    def _told(self) -> Collection[Told | None]:
        return [tell_surroundings()]

    @property
    def is_elsewhere(self) -> bool:
        """Whether steps may run on another machine or in a container, with other files."""
        if "_told" not in vars(self):
            return False
        here = view_of_files()
        return not self._told or any(told is None or told.process[0] != here for told in self._told)

    def differences(self, traces: Iterable[Trace], unseen: Iterable[set[str] | None] | None = None) -> list[str]:
        """Return for each trace what `difference` does, in bounded time.

        Once a look at some file has hung, or all took too long, files that were not looked at until then count as
        different.
        """
        traces = list(traces)
        beside = list(unseen) if unseen is not None else [None] * len(traces)

        def look() -> list[str]:
            return [self.difference(trace, unseen=each) for trace, each in zip(traces, beside, strict=True)]

        if self._given_up or not any(trace.named or trace.read or trace.written for trace in traces):
            return look()
        try:
            return in_time(look, self._seconds, self._most)
        except TimeoutError:
            self._given_up = self._now_at
            _took_too_long[self._now_at] = time.monotonic()
        return look()

    def difference(self, trace: Trace, *, unseen: set[str] | None = None) -> str:
        """Return the first reason why a trace does not hold here; empty if it does.

        Parameters
        ----------
        trace
            What was seen when the result was made.
        unseen
            Files that are not on this machine are added to it instead of counting as a difference: another process
            has to look.
        """
        if trace.classes and self._classes is not None and (changed := self._classes(trace.classes)):
            return changed
        if trace.folder is not None and self._differs(trace.folder, [told and told.folder for told in self._told]):
            return f"it was made in the folder {trace.folder}, where its relative paths led"
        for name, digest in trace.variables.items():
            if self._differs(digest, [told and told.variables.get(name) for told in self._told]):
                what = "an environment variable" if name == EVERYTHING else f"the environment variable {name}"
                return f"{what} has another value"
        for files, what in (
            (trace.named, "its input {path} changed"),
            (trace.read, "it reads {path}, which is not among its arguments: it changed"),
            (trace.written, "{path}, which it wrote, is gone or was changed"),
        ):
            for name, seen in files.items():
                path = name if seen is None else seen.url
                same = self._is_same(path, seen)
                if same is None:
                    return f"{path} was not looked at: the look at {self._given_up or 'it'} took too long"
                if same:
                    continue
                if unseen is not None and seen is not None and not os.path.lexists(path):
                    unseen.add(name)
                elif seen is not None and seen.kind == TIME:
                    return (
                        f"the time or the mode of {path.removeprefix(_working_folder())}, which it asks for, is another"
                    )
                else:
                    how = in_what(path, seen) if files is not trace.written else ""
                    return what.format(path=name.removeprefix(_working_folder())) + (f" ({how})" if how else "")
        return ""

    def _differs(self, seen: str | None, now: list[str | None]) -> bool:
        """Whether all processes have another value than was seen."""
        return bool(now) and None not in self._told and len(set(now)) == 1 and now[0] != seen

    def _is_same(self, path: str, seen: Fingerprint | None) -> bool | None:
        """Whether a file is as it was; None if it is not looked at any more."""
        known = path, seen.identity if seen is not None else b""
        if known not in self._same:
            if self._given_up or time.monotonic() - _took_too_long.get(path, -math.inf) < NOT_AGAIN:
                return None
            got(NAME)
            self._now_at = path
            self._same[known] = is_as_it_was(path, seen, self._most_files)
        return self._same[known]


def _working_folder() -> str:
    """Return what paths below the working folder begin with."""
    try:
        return os.path.join(os.getcwd(), "")
    except OSError:
        return ""
