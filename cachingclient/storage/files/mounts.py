"""What kind of file system a path is on."""

from __future__ import annotations

import os
from pathlib import Path

LOCAL_FILE_SYSTEMS = {"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "f2fs", "apfs", "hfs"}


def is_local(path: str) -> bool:
    """Whether the path is on a file system of this host; unknown ones count as remote.

    Examples
    --------
    >>> is_local("/proc")
    False
    """
    try:
        mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    except OSError:
        return True  # not Linux
    real = os.path.realpath(path)
    above = [m for m in mounts if real == m[4] or real.startswith(m[4].rstrip("/") + "/")]
    if not above:
        return False
    mount = max(above, key=lambda m: len(m[4]))
    return mount[mount.index("-") + 1] in LOCAL_FILE_SYSTEMS
