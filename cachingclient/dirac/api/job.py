"""A job to run at a site, and its description for the server."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cachingclient.dirac.api import jdl
from cachingclient.dirac.api import start_script as start

OWN_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A job for a DIRAC server; every field is checked when the job is made.

    Parameters
    ----------
    executable
        A program at the site or in the container, or one of ``files``.
    arguments
        Its arguments, of any characters: they travel in a start script in the sandbox, not in the description, which
        others can read.
    name, group
        The job's name, and its job group.
    files
        Files that travel along, by name, with their contents.
    container
        An image to run it in, by apptainer or singularity, e.g. ``docker://ghcr.io/...`` or a path on CVMFS.
    outputs
        Names of files to send back; ``*`` and ``?`` stand for any characters.
    sites, banned_sites
        Where it may run, and where not; no sites is any.
    tags
        Tags that the site must offer, e.g. ``["GPU"]``.
    platform
        The platform it needs, as the server names them.
    cpu_time
        Seconds of processor time that it may take.
    processors
        How many processors it takes.
    memory
        How many MB of memory it needs.
    owner_group
        The group that it is meant to be submitted as: submitting as another is refused.

    Examples
    --------
    >>> job = Job(executable="run.sh", files={"run.sh": b"#!/bin/sh\\nhostname"}, sites=["LCG.RAL.uk"], cpu_time=600)
    >>> print(job.describe("SB:SandboxSE|/a/b.tar.bz2"))
    [
      JobName = "cachingclient";
      Executable = "start.sh";
      StdOutput = "std.out";
      StdError = "std.err";
      InputSandbox = {"SB:SandboxSE|/a/b.tar.bz2"};
      OutputSandbox = {"std.out", "std.err"};
      Site = {"LCG.RAL.uk"};
      CPUTime = 600;
      NumberOfProcessors = 1;
    ]
    >>> Job(executable="run.sh", sites=['RAL"; Owner = "bob'])
    Traceback (most recent call last):
    ...
    ValueError: sites is 'RAL"; Owner = "bob'; it takes letters, digits and any of _ . / : @ | * ? + ~ - only
    """

    executable: str
    arguments: Sequence[str] = ()
    name: str = "cachingclient"
    group: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    container: str | None = None
    outputs: Sequence[str] = ("std.out", "std.err")
    sites: Sequence[str] = ()
    banned_sites: Sequence[str] = ()
    tags: Sequence[str] = ()
    platform: str = ""
    cpu_time: int | None = None
    processors: int = 1
    memory: int | None = None
    owner_group: str = ""

    def __post_init__(self) -> None:
        for what in ("name", "group", "platform", "owner_group"):
            if getattr(self, what) != "" or what == "name":
                jdl.checked(what, getattr(self, what))
        for what in ("arguments", "outputs", "sites", "banned_sites", "tags"):
            if isinstance(getattr(self, what), str | bytes):
                raise ValueError(f"{what} is {getattr(self, what)!r}; it takes a list of strings")
        for what in ("outputs", "sites", "banned_sites", "tags"):
            for word in getattr(self, what):
                jdl.checked(what, word)
        for what in ("cpu_time", "processors", "memory"):
            number = getattr(self, what)
            if number is not None and (not isinstance(number, int) or isinstance(number, bool) or number < 1):
                raise ValueError(f"{what} is {number!r}; it takes a whole number above 0")
        self._check_command()
        self._check_files()
        if both := set(self.sites) & set(self.banned_sites):
            raise ValueError(f"sites and banned_sites both have {', '.join(sorted(both))}")

    def _check_command(self) -> None:
        words = [("executable", self.executable), *(("arguments", word) for word in self.arguments)]
        if self.container is not None:
            words.append(("container", self.container))
        for what, word in words:
            sound = isinstance(word, str) and "\0" not in word and not re.search("[\ud800-\udfff]", word)
            if not sound or (not word and what != "arguments"):
                raise ValueError(f"{what} is {word!r}; it takes text without NUL")
            # An option in the place of a program or an image would change what the start script does.
            if what != "arguments" and word.startswith("-"):
                raise ValueError(f"{what} is {word!r}; it must not begin with a dash")

    def _check_files(self) -> None:
        if not isinstance(self.files, Mapping):
            raise ValueError(f"files is {self.files!r}; it takes the content of each by its name")
        for name, content in self.files.items():
            if not isinstance(name, str) or not FILE_NAME.fullmatch(name) or name == start.NAME:
                raise ValueError(
                    f"files has {name!r}; it takes names of letters, digits, . _ + and -, except {start.NAME}"
                )
            if not isinstance(content, bytes):
                raise ValueError(f"files has a {type(content).__name__} for {name!r}; it takes bytes")

    @property
    def sandbox(self) -> dict[str, bytes]:
        """The files that travel with the job: its own, and its start script."""
        program = f"./{self.executable}" if self.executable in self.files else self.executable
        return {**self.files, start.NAME: start.script(program, self.arguments, self.container).encode()}

    def describe(self, sandbox: str, each: Sequence[str] = ()) -> str:
        """The description in JDL; of several jobs if there is a word for each."""
        for word in each:
            if not isinstance(word, str) or not OWN_WORD.fullmatch(word):
                raise ValueError(f"each has {word!r}; it takes words of letters, digits, . _ and -, 64 at most")
        if len(set(each)) != len(each):
            raise ValueError("each has the same word twice")
        # A description for one is none for several: it needs no confirmation, and DiracX takes lists of such.
        own, each = (each[0], ()) if len(each) == 1 else (jdl.EACH if each else "", each)
        attributes: dict[str, jdl.Value] = {
            "JobName": f"{self.name}-{own}" if own else self.name,
            "JobGroup": self.group,
            "Executable": start.NAME,
            "Arguments": own,
            "StdOutput": "std.out",
            "StdError": "std.err",
            "InputSandbox": [sandbox],
            "OutputSandbox": list(self.outputs),
            "Site": list(self.sites),
            "BannedSites": list(self.banned_sites),
            "Tags": list(self.tags),
            "Platform": self.platform,
            "OwnerGroup": self.owner_group,
        }
        numbers = {"CPUTime": self.cpu_time, "NumberOfProcessors": self.processors, "MinRAM": self.memory}
        attributes |= {name: number for name, number in numbers.items() if number is not None}
        return jdl.render(attributes, each)
