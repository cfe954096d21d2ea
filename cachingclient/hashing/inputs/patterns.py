"""The files that match a pattern, found without going through more than one can wait for.

Many texts that look like patterns are only the rest of one: of ``folder + "/**/*.root"`` the second part stands in the
code, and `glob` would look for it on the whole machine, until it has gone through everything.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterator

from cachingclient.forks.patience import NAME, got

MOST_NAMES_LOOKED_AT = 100_000
"""After so many names of files and folders that were gone through, a pattern is searched no further."""
_A_FOLDER = 20
"""The names that listing one more folder is as good as."""
_MAGIC = re.compile(r"[*?\[]")


class Search:
    """A search for the files that match a pattern.

    Parameters
    ----------
    pattern
        An absolute path with ``*``, ``?``, ``[...]``, or ``**`` for folders in folders, as `glob.glob` takes it with
        ``recursive=True``.
    most_names
        How many names are gone through.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> (folder / "run1").mkdir()
    >>> _ = (folder / "run1" / "a.root").write_text(""), (folder / "run1" / "a.log").write_text("")
    >>> [os.path.basename(path) for path in Search(f"{folder}/**/*.root")]
    ['a.root']
    """

    def __init__(self, pattern: str, most_names: int = MOST_NAMES_LOOKED_AT) -> None:
        head = _MAGIC.split(pattern, maxsplit=1)[0]
        self.base = os.path.dirname(head) or os.sep
        """The folder that is searched."""
        self._parts = pattern[len(self.base) :].strip(os.sep).split(os.sep)
        self.most_names = self._left = most_names
        self.is_cut = False
        """Whether there were more names than it went through."""

    @property
    def is_rest_of_a_path(self) -> bool:
        """Whether the pattern begins with any folder of the machine, as only what is put behind another path does."""
        return self.base == os.sep and self._parts[0] in ("*", "**")

    def __iter__(self) -> Iterator[str]:
        """Yield the absolute paths that match, in no order."""
        return self._below(self.base, self._parts, ())

    def _below(self, folder: str, parts: list[str], above: tuple[tuple[int, int], ...]) -> Iterator[str]:
        part, rest = parts[0], parts[1:]
        if part == "**":
            if not rest:
                yield folder
            else:
                yield from self._below(folder, rest, above)
            yield from self._into_folders(folder, parts, above)
        elif not _MAGIC.search(part):
            path = os.path.join(folder, part)
            if rest and os.path.isdir(path):
                yield from self._below(path, rest, above)
            elif not rest and os.path.lexists(path):
                yield path
        else:
            for entry in self._entries(folder):
                if not fnmatch.fnmatch(entry.name, part) or (entry.name[0] == "." and part[0] != "."):
                    continue
                if not rest:
                    yield entry.path
                elif _is_folder(entry):
                    yield from self._below(entry.path, rest, above)

    def _into_folders(self, folder: str, parts: list[str], above: tuple[tuple[int, int], ...]) -> Iterator[str]:
        """Search on in the folders of a folder; links can form a circle, in which nothing new is found."""
        try:
            status = os.stat(folder)
        except OSError:
            return
        here = (status.st_dev, status.st_ino)
        if here in above:
            return
        for entry in self._entries(folder):
            if entry.name[0] == ".":
                continue
            if _is_folder(entry):
                yield from self._below(entry.path, parts, (*above, here))
            elif len(parts) == 1:
                yield entry.path

    def _entries(self, folder: str) -> Iterator[os.DirEntry[str]]:
        self._left -= _A_FOLDER
        got(NAME)
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    self._left -= 1
                    if self._left < 0:
                        self.is_cut = True
                        return
                    yield entry
        except OSError:
            return


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
