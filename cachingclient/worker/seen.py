"""From what was observed of a step to the trace of its result, or to the reason why the result can't be kept."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from cachingclient.hashing.inputs.fingerprint import Fingerprint, look_at_path
from cachingclient.hashing.inputs.inputs import Inputs
from cachingclient.hashing.inputs.listing import LINK, LISTING, MATCHES, STAMPS, THERE, TIME, target_of
from cachingclient.hashing.inputs.merge import appended
from cachingclient.hashing.inputs.remote_names import may_name_the_same
from cachingclient.hashing.inputs.signed import unsigned
from cachingclient.hashing.inputs.trace import Trace
from cachingclient.units import without_password
from cachingclient.worker.memories import Memories
from cachingclient.worker.observe import Observed
from cachingclient.worker.observe.places import is_ignored, is_loaded_source, matches

MOST_FILES = 10_000
_MAGIC = re.compile(r"[*?\[]")


class NotKept(Exception):
    """A result that must not be kept: its text says why."""


def trace_of_run(
    seen: Observed,
    named: Iterable[Fingerprint],
    inputs: Inputs,
    inherited: Iterable[Trace],
    outputs: Iterable[str] = (),
) -> Trace:
    """Return what a result depends on beside its code and arguments.

    Parameters
    ----------
    seen
        What was observed of the step.
    named
        The inputs among its arguments and in its code, as they were before it ran.
    inputs
        How files are looked at.
    inherited
        What kept results depend on that steps called inside took.
    outputs
        The absolute paths of what the step writes, as the user said.

    Raises
    ------
    NotKept
        If something that it depends on changed meanwhile, or can't be looked at again.
    """
    if why := why_not(seen, named):
        raise NotKept(why)
    named = [each for each in named if each.kind != "folder"]
    by_content = {each.url for each in named if each.in_key}
    written = dict(_written(seen)) | dict(_stated(outputs))
    own = {each.url: each for each in named if each.is_local and not each.in_key and each.url not in written}
    if inputs.mode == "name":
        read: dict[str, Fingerprint | None] = {}
    else:
        known = {*by_content, *own, *outputs}
        read = {path: look for path, look in _read(seen, inputs) if path not in known}
    for changed in inputs.recheck([*own.values(), *(each for each in named if each.in_key)]):
        raise NotKept(f"{without_password(unsigned(changed.url))} changed while the step ran")
    folder = os.getcwd() if seen.used_cwd else None
    try:
        return Trace(own, read, written, dict(seen.variables), folder).after(inherited)
    except ValueError as error:
        raise NotKept(str(error)) from None


def with_memories(
    trace: Trace,
    seen: Observed,
    named: Iterable[Fingerprint],
    opened: Iterable[str],
    reached: Iterable[Any],
    memories: Memories,
) -> Trace:
    """Return a trace with what went into the memories that a step reaches.

    Parameters
    ----------
    trace
        What its result depends on otherwise.
    seen
        What was observed of the step.
    named
        The inputs among its arguments and in its code that count.
    opened
        The files among them that were opened, by whatever code.
    reached
        The functions behind `functools.cache` that its code reaches.
    memories
        What this process remembers.

    Raises
    ------
    NotKept
        If this process may remember a file as it was before it changed.
    """
    restart = "this process may remember it as it was; restart the workers"
    try:
        trace = trace.after([memories.behind(reached)])
    except ValueError as error:
        raise NotKept(f"{error}: {restart}") from None
    # Those whose content is in the key stand in no trace, and may be remembered all the same.
    given = {each.url: each for each in named if each.is_local and each.url not in trace.written}
    # Compiled code may open a file that it knows already, such as a header of C++, without taking what is new in it.
    taken = set(opened) - {each.url for each in named if each.in_key}
    listed = {folder for folder, _ in seen.matches}
    looked_at = {*seen.reads, *seen.folders, *seen.listings, *listed, *taken}
    changed = memories.changed_since_first_seen({**trace.read, **trace.named, **given}, looked_at)
    if changed:
        raise NotKept(f"{changed} changed, and the step did not open it: {restart}")
    return trace


def is_unread(named: Fingerprint, opened: Collection[str], seen: Observed) -> bool:
    """Tell whether a step used nothing of an input that its arguments or its code name.

    Parameters
    ----------
    named
        The input.
    opened
        What was opened of the files and folders that are watched, by whatever code.
    seen
        What was observed of the step.
    """
    if named.kind == "file":
        return named.url not in opened and named.url not in seen.reads
    if not (folder := folder_of_pattern(named)):
        return False
    if folder in seen.listings or folder in seen.folders or any(folder == each for each, _ in seen.matches):
        return False
    return not any(fnmatchcase(path, named.url) for path in (*opened, *seen.reads))


def note_opened_in(
    folders: Collection[str], seen: Observed, opened: Iterable[str], unobserved: tuple[str, ...]
) -> None:
    """Note the files in some folders that compiled code opened, and folders that it listed.

    Parameters
    ----------
    folders
        The folders that the arguments or the code name.
    seen
        What was observed of the step.
    opened
        What was opened in folders that are watched, by whatever code: the kernel tells of imports as well.
    unobserved
        The globs of files that count for nothing.
    """
    for path in opened:
        if is_loaded_source(path) or is_ignored(path) or matches(path, unobserved):
            continue
        if path in folders or os.path.dirname(path) in folders:
            seen.opened_by_itself(path)


def folder_of_pattern(named: Fingerprint) -> str:
    """Return the folder in which the files of a pattern lie; empty if it is none, or leads into several folders."""
    folder = os.path.dirname(named.url) if named.kind == "pattern" else ""
    return "" if _MAGIC.search(folder) or "**" in named.url else folder


def why_not(seen: Observed, named: Iterable[Fingerprint]) -> str:
    """Return why what a step did can't be looked at again; empty if it can."""
    if seen.drew:
        return f"varying: it draws random numbers without a seed ({', '.join(sorted(seen.drew))})"
    if seen.perhaps_drew:
        generators = ", ".join(sorted(seen.perhaps_drew))
        return f"varying: random numbers were drawn while it ran, by it or by another step beside it ({generators})"
    if seen.state:
        return f"it uses {', '.join(sorted(seen.state))}, which others may change"
    if seen.changed:
        return f"{min(seen.changed)} changed while the step ran"
    both = sorted(path for path in seen.writes if path in seen.reads)
    if both:
        return f"it reads {both[0]} and writes it"
    remote = [each.url for each in named if not each.is_local]
    if unnamed := sorted(url for url in seen.remote if not _is_named(url, remote, seen.redirected)):
        return f"it reads {unnamed[0]}, which is not among its arguments"
    if others := seen.connections - seen.asked:
        return f"it connects to {min(others)}, and what it asks there can't be seen"
    if seen.processes:
        return f"it starts {min(seen.processes)}, and what that reads can't be seen"
    return min(seen.unknown, default="")


def _is_named(url: str, named: Collection[str], redirected: Mapping[str, str]) -> bool:
    """Whether a URL is one that the arguments name, or one that a server sent the step to for it."""
    followed: set[str] = set()
    while url not in followed:
        if any(may_name_the_same(url, each) for each in named):
            return True
        followed.add(url)
        url = redirected.get(url, url)
    return False


def _read(seen: Observed, inputs: Inputs) -> Iterable[tuple[str, Fingerprint | None]]:
    for path, stamp in seen.reads.items():
        found = look_at_path(path, inputs.mode, MOST_FILES)
        if found is None or found.size != stamp.size:
            raise NotKept(f"{path} changed while the step ran")
        yield path, found
    yield from ((path, None) for path in seen.missing if path not in seen.writes)
    there = ((path, what) for path, what in seen.there.items() if path not in {*seen.reads, *seen.writes})
    yield from ((path, Fingerprint(path, THERE, uuid=what)) for path, what in there)
    yield from ((f"{path} (link)", Fingerprint(path, LINK, checksum=target)) for path, target in seen.links.items())
    times = ((path, *time) for path, time in seen.times.items() if path not in seen.writes)
    yield from ((f"{path} (time)", Fingerprint(path, TIME, mtime_ns=ns, uuid=mode)) for path, ns, mode in times)
    yield from ((path, Fingerprint(path, LISTING, checksum=digest)) for path, digest in seen.listings.items())
    for (path, wanted), digest in seen.matches.items():
        if path not in seen.listings:
            yield f"{path} ({wanted})", Fingerprint(path, MATCHES, checksum=digest, uuid=wanted)
    yield from ((path, Fingerprint(path, STAMPS, checksum=digest)) for path, digest in seen.folders.items())


def _stated(outputs: Iterable[str]) -> Iterable[tuple[str, Fingerprint]]:
    for path in outputs:
        found = look_at_path(path, "stat", MOST_FILES)
        if found is None:
            raise NotKept(f"{path}, which outputs names, is not there after it")
        yield path, found


def _written(seen: Observed) -> Iterable[tuple[str, Fingerprint | None]]:
    for path, written in seen.writes.items():
        if written.how == "removed":
            yield path, None
        elif written.how == "folder":
            is_link = os.path.islink(path)
            yield path, Fingerprint(path, LINK, checksum=target_of(path)) if is_link else Fingerprint(path, "folder")
        elif written.how == "appended" and written.after is not None:
            yield path, appended(path, written.after.size)
        else:
            yield path, look_at_path(path, "stat", MOST_FILES)
