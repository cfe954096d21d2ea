"""Whether a step's inputs are here what they were where its key was made: a key speaks of those that the client saw.

A local file that is named by its path is no part of a key; its trace says how it looked where the step ran. A `File`
is, and so is what a server says of a URL. The worker may see another file at the same path (a container, another
mount), and the result of an earlier step may name a file that no key knows of.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from cachingclient.hashing.inputs.fingerprint import KNOWN, Fingerprint
from cachingclient.hashing.inputs.inputs import Inputs
from cachingclient.hashing.inputs.signed import unsigned
from cachingclient.units import without_password


def as_planned(
    here: Iterable[Fingerprint], planned: Iterable[Fingerprint], before: Iterable[Fingerprint]
) -> tuple[list[Fingerprint], list[str], str]:
    """Compare the inputs of a step with what the client saw of them.

    Parameters
    ----------
    here
        The inputs as they look where the step runs.
    planned
        Those that the client found among the step's arguments and in its code, as they looked there.
    before
        Those of the steps before it that stand in their keys.

    Returns
    -------
    inputs
        The inputs. A `File` that came with the result of another step counts like any other file: by the trace.
    unplanned
        The URLs that came with the result of another step: no key says how they looked.
    why_not
        Why the result is not that of the step as it was planned; empty if it is.

    Examples
    --------
    >>> seen = Fingerprint("/data/a.json", "file", 2, checksum="xxh3:0f", in_key=True)
    >>> as_planned([seen], [seen], []) == ([seen], [], "")
    True
    >>> as_planned([replace(seen, checksum="xxh3:ab")], [seen], [])[2]
    '/data/a.json is another file here than on the client'
    >>> as_planned([seen], [], [])[0][0].in_key
    False
    """
    stated = [each for each in planned if stands_in_key(each)]
    known: dict[str, set[bytes]] = {}
    for each in (*stated, *before):
        known.setdefault(_name(each), set()).add(each.identity)
    inputs: list[Fingerprint] = []
    unplanned: list[str] = []
    elsewhere: set[bytes] = set()
    for each in here:
        if not stands_in_key(each):
            inputs.append(each)
        elif (name := _name(each)) in known:
            # A server may tell a checksum later than a time: then the client's key has the time.
            by_time = each if each.is_local else replace(each, checksum=each.stamp)
            if not {each.identity, by_time.identity} & known[name]:
                return [], [], f"{name} is another file here than on the client"
            inputs.append(each)
        elif each.is_local:
            elsewhere.add(each.identity)
            inputs.append(replace(each, in_key=False))
        else:
            if each.kind != KNOWN:
                unplanned.append(name)
            inputs.append(each)
    met = {each.url for each in inputs}
    unsized = {_name(each) for each in inputs if each.kind == KNOWN and each.size is None}
    if unknown := unsized & {_name(each) for each in stated}:
        return [], [], f"the size of {min(unknown)}, which is in its key, can't be had here"
    absent = [each for each in stated if each.is_local and each.url not in met]
    # A relative path leads elsewhere here; of several it would not be known which is which.
    if absent and (len(absent) > 1 or absent[0].identity not in elsewhere):
        return [], [], f"{_name(absent[0])}, as the client sees it, is not here"
    return inputs, unplanned, ""


def look_again(planned: Iterable[Fingerprint], inputs: Inputs) -> tuple[Fingerprint, ...]:
    """Return the inputs that the client saw, as they look here.

    Examples
    --------
    >>> look_again([], Inputs())
    ()
    """
    return tuple(each for seen in planned if (each := inputs.look_again(seen)) is not None)


def stands_in_key(seen: Fingerprint) -> bool:
    """Tell whether the look at an input is a part of the key of the step that is given it.

    Examples
    --------
    >>> stands_in_key(Fingerprint("/data/a.json", "file", 2)), stands_in_key(Fingerprint("s3://b/a.json", "remote", 2))
    (False, True)
    """
    return seen.in_key or seen.kind == "remote" or (seen.kind == KNOWN and seen.size is not None)


def _name(seen: Fingerprint) -> str:
    return without_password(unsigned(seen.url))
