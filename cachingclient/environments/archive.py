"""The program that packs: it has venv-pack or conda-pack write an archive, and says how far it is.

It is a program of its own since both of them write where temporary files are, and refuse editable packages, which are
replaced here by what building them gives.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any

PACKERS = {"conda": "conda_pack", "venv": "venv_pack"}
"""The library that packs environments of a kind."""
COMPRESSION = 1
"""Higher levels take several times as long for a tenth of the size."""
EACH = 500
"""How many files are added between two words of how far it is."""


class Told(list[Any]):
    """A list that says on standard output how far a loop over it is.

    Examples
    --------
    >>> for _ in Told([1, 2]):
    ...     pass
    0 2
    2 2
    """

    def __iter__(self) -> Iterator[Any]:
        for number, each in enumerate(super().__iter__()):
            if number % EACH == 0:
                print(number, len(self), flush=True)
            yield each
        print(len(self), len(self), flush=True)


def pack(kind: str, prefix: str, leave: Iterable[str], add: Iterable[tuple[str, str]], output: str) -> None:
    """Write an archive of an environment.

    Parameters
    ----------
    kind
        ``"conda"`` or ``"venv"``.
    prefix
        The environment.
    leave
        Files to leave out, by their paths in it.
    add
        Files to add: where they are, and their paths in the environment.
    output
        The archive.
    """
    library = importlib.import_module(PACKERS[kind])
    core = importlib.import_module(f"{PACKERS[kind]}.core")
    if kind == "conda":
        environment = library.CondaEnv.from_prefix(prefix, ignore_editable_packages=True)
        added = [library.File(*each, is_conda=False, file_mode="unknown") for each in add]
    else:
        vars(core)["check_no_editable_packages"] = lambda context: None
        environment = library.Env(prefix)
        added = [library.File(*each) for each in add]
    left = {*leave, *(each.target for each in added)}
    environment.files = Told([*(each for each in environment.files if each.target not in left), *added])
    environment.pack(output=output, format="tar.gz", compress_level=COMPRESSION)


if __name__ == "__main__":
    try:
        pack(**json.loads(sys.stdin.read()))
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in PACKERS.values():
            raise
        sys.exit(str(error))  # what they say is meant for people
