"""What was seen while one step ran."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from typing import Any

from cachingclient.hashing.inputs.listing import list_folder, stamp_folder, target_of, time_of, what_is_there
from cachingclient.worker.observe.stamps import Stamp, Written, after, stamp

MOST_FILES = 1000
"""More files than this are told by their folders."""

MOST_REASONS = 100


@dataclass(slots=True, eq=False)
class Observed:
    """What a step read, wrote and drew, apart from its arguments.

    Attributes
    ----------
    reads
        Files that were opened for reading, by absolute path, as they looked then. What the step had written itself
        is not among them.
    folders
        Where more than `MOST_FILES` files were read: the digest of each folder's, as `stamp_folder` has it.
    missing
        Paths that were to be read and were not there.
    there
        Files and folders of which it was asked whether they are there, and which were: what each is, as
        `what_is_there` has it.
    listings
        Folders that were listed, with the digest of the names in them, as `list_folder` has it.
    matches
        Folders that were listed for some names alone, by their pattern, with the digest of those that were there.
    links
        Symbolic links that were followed by hand, as ``os.path.realpath`` does, with where they lead.
    times
        Files and folders whose time the step's own code asked for, with the mode, as `time_of` has them; without the
        time where it only asked who may use it.
    writes
        What the step left behind. What it made and removed again is not among it.
    changed
        Files that were read and changed meanwhile, by somebody else.
    variables
        Environment variables that were read: the digest of each value, None if it was not set. ``"*"`` stands for
        all of them.
    variables_set
        Environment variables that the step set or removed.
    used_cwd
        Whether the working folder counted.
    asked_folder
        The working folder, where a library asked for it: relative paths may be made absolute by it.
    processes
        Programs that were started, and ``"fork"``.
    connections
        ``host:port`` of what was connected to, without connections that dask made for itself.
    asked, remote
        The connections among them whose requests told their URLs, and the URLs that were opened, as far as told.
    redirected
        URLs that servers sent the step to, each with the one that was asked for.
    drew, perhaps_drew
        From where random numbers were drawn without a seed; generators that steps beside this one may have moved.
    made_up
        Names that were made up for temporary files.
    asked_process
        Whether the user's code asked for the process's id.
    sent
        The keys of tasks that it sent to the cluster, each with why what they do is not told; empty if it is.
    state
        What of distributed's own state was used.
    unknown
        Why what it read or wrote can't be looked at again.
    by_name
        The user's functions and classes that pickles found by name: module and name. Of a module that a library
        imported because it was given its name there is no other name.
    unpacked_users
        Whether code of the user's was unpickled otherwise: by a library itself, of a script, or by value.
    drawn_names
        Folders whose names `tempfile` drew: one that is left behind is a draw.
    """

    reads: dict[str, Stamp] = field(default_factory=dict)
    folders: dict[str, str] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    there: dict[str, str] = field(default_factory=dict)
    listings: dict[str, str] = field(default_factory=dict)
    matches: dict[tuple[str, str], str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    times: dict[str, tuple[int | None, str]] = field(default_factory=dict)
    writes: dict[str, Written] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    variables: dict[str, str | None] = field(default_factory=dict)
    variables_set: set[str] = field(default_factory=set)
    used_cwd: bool = False
    asked_folder: str = ""
    processes: set[str] = field(default_factory=set)
    connections: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    remote: set[str] = field(default_factory=set)
    redirected: dict[str, str] = field(default_factory=dict)
    drew: set[str] = field(default_factory=set)
    perhaps_drew: set[str] = field(default_factory=set)
    made_up: set[str] = field(default_factory=set)
    asked_process: bool = False
    sent: dict[Any, str] = field(default_factory=dict)
    state: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    unobserved: tuple[str, ...] = ()
    is_open: bool = True
    by_name: set[tuple[str, str]] = field(default_factory=set)
    unpacked_users: bool = False
    drawn_names: set[str] = field(default_factory=set, repr=False)
    # Bookkeeping of the recorder: the generators as they were, and when their states were read, by name and state;
    # whether another step ran at the same time.
    generators: dict[str, object] = field(default_factory=dict, repr=False)
    saved_states: dict[tuple[str, object], object] = field(default_factory=dict, repr=False)
    was_alone: bool = True

    @property
    def is_empty(self) -> bool:
        """Whether nothing was seen, as of most steps."""
        return not (
            self.reads or self.missing or self.there or self.listings or self.matches or self.links or self.folders
            or self.times or self.writes or self.changed or self.variables or self.used_cwd or self.processes
            or self.connections or self.remote or self.drew or self.perhaps_drew or self.state
            or self.unknown or self.sent or self.by_name
        )  # fmt: skip

    def read(self, path: str) -> None:
        """Note that a file is about to be read."""
        if path in self.reads or (self.folders and os.path.dirname(path) in self.folders):
            return
        written = self.writes.get(path)
        if written is not None:
            if written.how != "appended" or written.before is None:
                return
            self.reads[path] = written.before
        elif (found := self._look(path)) is not None:
            self.reads[path] = found
            if len(self.reads) > MOST_FILES:
                self._tell_by_folder()

    def opened_by_itself(self, path: str) -> None:
        """Note a file or folder that compiled code opened: which way is not known, but what was written is."""
        if path in self.writes or path in self.reads or path in self.listings:
            return
        if os.path.isdir(path):
            self.listed(path)
        else:
            self.read(path)

    def asked_for(self, path: str) -> None:
        """Note that it is asked whether a file or folder is there."""
        if path in self.writes or path in self.there or path in self.missing:
            return
        what = what_is_there(path)
        if len(self.missing if what is None else self.there) >= 2 * MOST_FILES:
            self.give_reason(f"more than {2 * MOST_FILES} files were looked for" + " and not there" * (what is None))
        elif what is None:
            self.missing.add(path)
        else:
            self.there[path] = what

    def followed(self, path: str) -> None:
        """Note that it is asked where a symbolic link leads."""
        if path in self.writes or path in self.links:
            return
        if (target := target_of(path)) is None:
            self.asked_for(path)
        else:
            self.add(self.links, path, target)

    def asked_for_time(self, path: str) -> None:
        """Note that the step's own code asks when a file was changed, among other things."""
        if (
            os.path.dirname(path) not in self.folders
            and path not in self.writes
            and (found := time_of(path)) is not None
        ):
            known = self.times.get(path)
            self.add(self.times, path, found if known is None or known[0] is None else known)

    def asked_for_mode(self, path: str) -> None:
        """Note that the step's own code asks who may use a file."""
        known = path in self.writes or path in self.times or os.path.dirname(path) in self.folders
        if not known and (found := time_of(path)) is not None:
            self.add(self.times, path, (None, found[1]))

    def wrote(self, path: str, how: str) -> None:
        """Note that a file is about to be written, or removed."""
        if (known := self.writes.get(path)) is None:
            before = self.reads.get(path) or stamp(path)
            if (before is None) if how == "removed" else os.path.isdir(path):
                return  # tempfile opens a folder by name, and something else in it
            known = Written("created" if before is None and how not in ("removed", "appended") else how, before)
        else:
            known = known._replace(how="created" if known.before is None else how)
        self.add(self.writes, path, known)

    def made_folder(self, path: str) -> None:
        """Note that a folder is about to be made."""
        if path not in self.writes and not os.path.lexists(path):
            self.add(self.writes, path, Written("folder", None))

    def moved(self, source: str, target: str) -> None:
        """Note that a file or folder is about to get another name."""
        own, is_folder = self.writes.pop(source, None), os.path.isdir(source)
        if own is None or own.before is not None:
            if not is_folder:
                self.read(source)
            self.writes[source] = Written("removed", own.before if own else self.reads.get(source) or stamp(source))
        if not is_folder:
            self.wrote(target, "changed")
        else:
            self.writes[target] = Written("folder", None)
            for path in [path for path in self.writes if path.startswith(source + os.sep)]:
                self.writes[target + path[len(source) :]] = self.writes.pop(path)

    def listed(self, folder: str, wanted: str = "") -> None:
        """Note that a folder is about to be listed, for names that match a pattern."""
        if folder in self.listings or (folder, wanted) in self.matches:
            return
        if (digest := list_folder(folder, wanted)) is None:
            self.missing.add(folder)
        elif wanted:
            self.add(self.matches, (folder, wanted), digest)
        else:
            self.add(self.listings, folder, digest)

    def add(self, where: dict[Any, Any], key: object, value: object) -> None:
        """Note something among what is bounded."""
        where[key] = value
        if len(where) > 2 * MOST_FILES:
            del where[key]
            self.unknown.add(f"more than {2 * MOST_FILES} files or folders were written or listed")

    def give_reason(self, text: str) -> None:
        """Note why what was read or written can't be looked at again."""
        if len(self.unknown) < MOST_REASONS:
            self.unknown.add(text)

    def found_by_name(self, module: str, name: str) -> None:
        """Note what a pickle found, or a library imported, by a name that it was given."""
        if len(self.by_name) < MOST_FILES:
            self.by_name.add((module, name))
        else:
            self.give_reason("it finds more functions and classes by name than can be looked at again")

    def close(self) -> None:
        """Look at the end at what was read and written; nothing is noted any more."""
        self.is_open = False
        # A thread that outlives the step may be noting something right now.
        written = dict(self.writes).items()
        self.writes = {path: done for path, one in written if (done := after(path, one, path in self.reads))}
        if any(written.how == "folder" and path in self.drawn_names for path, written in self.writes.items()):
            self.drew.add("the name of a folder that is left behind")  # for whoever takes the result to write into
        for path, before in dict(self.reads).items():
            if path not in self.writes and stamp(path) != before:
                self.changed.add(path)
        for folder, digest in self.folders.items():
            if stamp_folder(folder) != digest:
                self.changed.add(folder)

    def _look(self, path: str) -> Stamp | None:
        try:
            found = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            self.asked_for(path)
        except (OSError, ValueError) as error:
            self.give_reason(f"{path} can't be looked at: {error}")
        else:
            if stat.S_ISREG(found.st_mode):
                return Stamp(found.st_size, found.st_mtime_ns, found.st_ino)
            if not stat.S_ISDIR(found.st_mode):
                self.give_reason(f"{path} is no file")
        return None

    def _tell_by_folder(self) -> None:
        """Put the files of the folder that most were read from under the folder's name."""
        counts: dict[str, int] = {}
        for path in self.reads:
            folder = os.path.dirname(path)
            counts[folder] = counts.get(folder, 0) + 1
        most = max(counts, key=lambda folder: counts[folder])
        digest = stamp_folder(most)
        if digest is None or len(self.folders) >= MOST_FILES:
            self.give_reason(f"more files of {most} were read than can be looked at again")
            digest = ""
        for path in [path for path in self.reads if os.path.dirname(path) == most]:
            if self.reads.pop(path) != stamp(path) and path not in self.writes:
                self.changed.add(path)
        self.folders[most] = digest  # which holds their times and modes too
        self.times = {path: time for path, time in self.times.items() if os.path.dirname(path) != most}
