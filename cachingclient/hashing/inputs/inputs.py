"""Files and URLs that a step names: which texts count as one, and what each looked like when planned."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Literal
from urllib.error import HTTPError
from urllib.parse import urlsplit

from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.inputs.fingerprint import KNOWN, Fingerprint, is_unchanged, look_at_path, look_at_pattern
from cachingclient.hashing.inputs.remote import look_at_remote, map_concurrently, scheme_of
from cachingclient.hashing.inputs.signed import unsigned

Mode = Literal["stat", "content", "name"]

LONGEST_NAME = 4096
_OBJECT_IN_FILE = re.compile(r"^(.+):[^:/\\][^:\\]*$")
_OBJECT_IN_REMOTE_FILE = re.compile(r"^(.+\.root(?:\.\d+)?):[^:/\\][^:\\]*$")
_ONLY_SEPARATORS = re.compile(r"[./\s]*$")
_MAGIC = re.compile(r"[*?\[]")


class File(str):
    """A file or folder that a step is given by its content: the same content elsewhere is the same input.

    It is a `str` and an `os.PathLike`, so it opens like any path. The name itself is no part of the
    identity: a step that looks at the name should get it as another argument.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "a.txt").write_text("pt > 30")
    >>> open(File(folder / "a.txt")).read()
    'pt > 30'
    """

    __slots__ = ()
    __module__ = "cachingclient.hashing.inputs"  # it enters keys: those of before the module moved stay valid

    def __new__(cls, path: str | os.PathLike[str]) -> File:
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"File takes a path or a URL, got {path!r}")
        if not os.fspath(path):
            raise ValueError("File takes a path or a URL, got ''")
        return super().__new__(cls, os.fspath(path))

    def __fspath__(self) -> str:
        return str.__str__(self)

    def __repr__(self) -> str:
        return f"File({str.__repr__(self)})"


class Inputs:
    """The inputs of one plan, each looked at once.

    Parameters
    ----------
    mode
        ``"stat"``: a file is what its size and time of change say (small files: their content).
        ``"content"``: local files are read. ``"name"``: the name alone, nothing is looked at.
    timeout
        Seconds that one remote input may take to answer.
    most_files
        How many files of a folder or pattern are looked at.

    Notes
    -----
    Any text that is the path of something here names it, whatever its suffix. A local file enters no key: whether the
    step reads it, writes it or only has a text of that name is seen when the step runs, and stands in its trace.

    Examples
    --------
    >>> Inputs().of("no such file") is None
    True
    """

    def __init__(self, mode: Mode = "stat", *, timeout: float = 10.0, most_files: int = 10_000) -> None:
        if mode not in ("stat", "content", "name"):
            raise ValueError(f'mode must be "stat", "content" or "name", got {mode!r}')
        self.mode = mode
        self.timeout = timeout
        self.most_files = most_files
        self._known: dict[tuple[str, bool], Fingerprint | Unidentifiable | None] = {}
        self._silent: dict[str, str] = {}

    def of(self, text: str) -> Fingerprint | None:
        """Return what the input looks like that a text names, or None if it names none.

        Raises
        ------
        Unidentifiable
            If it is a URL that can't be looked at now.
        """
        return self._look(text, False)

    def of_path(self, path: str | os.PathLike[str]) -> Fingerprint | None:
        """Return what a path looks like that was given as a path, or None if nothing is there."""
        return self._look(os.fspath(path), True)

    def of_content(self, path: str) -> Fingerprint | None:
        """Return the fingerprint of what a `File` holds, wherever it lies."""
        scheme = scheme_of(path)
        if scheme not in (None, "file"):
            return self._ask(path)
        local = os.path.abspath(path) if scheme is None else _path_of(path)
        return look_at_path(local, "content", self.most_files)

    def look_again(self, seen: Fingerprint) -> Fingerprint | None:
        """Return what an input of another process looks like here; None if it is not here."""
        if seen.is_local and seen.in_key:
            found = look_at_path(seen.url, "content", self.most_files)
            return found and replace(found, in_key=True)
        if not seen.is_local or self.mode == "name":
            return seen
        return look_at_path(seen.url, self.mode, self.most_files)

    def prefetch(self, texts: Iterable[str]) -> None:
        """Look at many inputs at once; what goes wrong is told when one of them is asked for."""
        wanted = [text for text in dict.fromkeys(texts) if (text, False) not in self._known and _may_be_input(text)]
        map_concurrently(self._try, wanted)

    def recheck(self, fingerprints: Iterable[Fingerprint], *, remote: bool = True) -> list[Fingerprint]:
        """Return those inputs that no longer look as they did, to be asked after the step that read them.

        An input that this machine can't see counts as changed.
        """
        asked = [seen for seen in fingerprints if seen.kind != KNOWN and (remote or seen.is_local)]
        unchanged = map_concurrently(self._is_unchanged, asked)
        return [seen for seen, same in zip(asked, unchanged, strict=True) if not same]

    def _is_unchanged(self, seen: Fingerprint) -> bool:
        if seen.is_local:
            return is_unchanged(seen, self.most_files)
        with contextlib.suppress(TypeError):
            return self._ask(seen.url) == seen
        return False

    def _try(self, text: str) -> None:
        with contextlib.suppress(TypeError):
            self.of(text)

    def _look(self, text: str, is_path: bool) -> Fingerprint | None:
        if len(text) > LONGEST_NAME:
            return None
        if (text, is_path) not in self._known:
            try:
                self._known[text, is_path] = self._find(text) if is_path or _may_be_input(text) else None
            except Unidentifiable as error:
                # Without what led to it, which may hold a connection.
                self._known[text, is_path] = Unidentifiable(error.reason, refused=error.refused)
        found = self._known[text, is_path]
        if isinstance(found, Unidentifiable):
            raise Unidentifiable(found.reason, refused=found.refused)
        return found

    def _find(self, text: str) -> Fingerprint | None:
        if self.mode == "name":
            return None
        target = text.rsplit("::", 1)[-1]  # chained URLs end with the file that is really read
        scheme = scheme_of(target)
        if scheme is None:
            return self._find_local(target)
        if scheme == "file":
            return self._find_local(_path_of(target))
        return self._ask(_without_object(target, _OBJECT_IN_REMOTE_FILE))

    def _ask(self, url: str) -> Fingerprint | None:
        """Ask a server that has not failed to answer before: a plan may name thousands of files on one."""
        server = "://".join(urlsplit(url)[:2])
        if server in self._silent:
            why = self._silent[server]
            raise Unidentifiable(f"{unsigned(url)}, whose server was not asked again after this: {why}")
        try:
            return look_at_remote(url, self.timeout)
        except Unidentifiable as error:
            if error.__cause__ is not None and not isinstance(error.__cause__, (HTTPError, PermissionError)):
                self._silent[server] = error.reason
            raise

    def _find_local(self, target: str) -> Fingerprint | None:
        for candidate in dict.fromkeys((target, _without_object(target))):
            path = os.path.abspath(os.path.expanduser(os.path.expandvars(candidate)))
            found = look_at_path(_file_on_the_way(path), self.mode, self.most_files)
            if found is None and _MAGIC.search(candidate):
                found = look_at_pattern(path, self.mode, self.most_files)
            if found is not None:
                return found
        return None


def _path_of(url: str) -> str:
    """Return the path in a URL of a local file."""
    return "/" + url.partition(":")[2].lstrip("/")


def _may_be_input(text: str) -> bool:
    if "\n" in text or "\0" in text:
        return False
    # Alone these are separators of something far more often than folders.
    return _ONLY_SEPARATORS.match(text) is None


def _file_on_the_way(path: str) -> str:
    """Return the file that a path leads into, as ``"data.h5/group"`` does, or the path."""
    while True:
        try:
            os.stat(path)
        except NotADirectoryError:
            path = os.path.dirname(path)
        except (OSError, ValueError):
            return path
        else:
            return path


def _without_object(text: str, pattern: re.Pattern[str] = _OBJECT_IN_FILE) -> str:
    """Return the file's part of ``"file.root:Events"``."""
    match = pattern.match(text)
    return match[1] if match is not None else text
