"""What to run at a site, and its description in JDL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A job for a DIRAC server; every field is checked when the job is made."""

    executable: str
    arguments: Sequence[str] = ()
    name: str = "cachingclient"
    group: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)
    sandbox: str = ""
    outputs: Sequence[str] = ("std.out", "std.err")
    sites: Sequence[str] = ()
    banned_sites: Sequence[str] = ()
    tags: Sequence[str] = ()
    platform: str = ""
    cpu_time: int | None = None
    processors: int = 1
    memory: int | None = None
    owner_group: str = ""
