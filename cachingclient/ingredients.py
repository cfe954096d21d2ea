"""What a step's code is made of, kept once for each function so that misses and mismatches can be told apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cachingclient.hashing.identities import Code
from cachingclient.hashing.walk import Identity
from cachingclient.storage import Entry, Store, encode

KIND = "code"
CODE_LABELS = ("function", "class", "module")


def notes_for(functions: Iterable[Identity]) -> Iterator[Entry]:
    """Yield an entry for each function: its ingredients, filed under its digest.

    Examples
    --------
    >>> [entry.kind for entry in notes_for([Identity("0f" * 16, {"function cuts.select": "ab" * 16})])]
    ['code']
    """
    for function in functions:
        name = next(iter(function.ingredients), "function").partition(" ")[2]
        details = {"ingredients": function.ingredients}
        yield Entry((function.digest,), KIND, name, 0.0, details, encode(None))


def describe_difference(here: Code | str, clients: bytes, store: Store, function: Any) -> str:
    """Say how the code on a worker differs from the client's.

    Parameters
    ----------
    here
        The code as it stands on the worker, or why it has no identity there.
    clients
        The digest of the client's.
    store
        Where the client kept its ingredients.
    function
        The function that was to be run.
    """
    where = f"{getattr(function, '__module__', None)}.{getattr(function, '__qualname__', type(function).__name__)}"
    if isinstance(here, str):
        return f"the code of {where} has no identity on this worker: {here}"
    ours = {label: digest for found in here.functions for label, digest in found.ingredients.items()}
    note = store.find([clients.hex()]).get(clients.hex())
    theirs: Mapping[str, str] = note.details["ingredients"] if note is not None else {}
    different = sorted(
        label for label in ours.keys() | theirs.keys() if theirs and ours.get(label) != theirs.get(label)
    )
    named = different or sorted(label for label in ours if label.partition(" ")[0] in CODE_LABELS)
    return (
        f"on the worker, the code of {where} is not the client's; restart the workers if it was edited or "
        f"upgraded since they started: {', '.join(named[:5])}"
    )
