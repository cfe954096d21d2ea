"""File systems that lack something, mounted for tests by root through FUSE."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.services.service import needs
from tests.services.sshd import Sshd

MEGABYTES = 64
SFTP = "/usr/lib/openssh/sftp-server"


@contextmanager
def exfat(folder: Path) -> Iterator[Path]:
    """No hard links, no owners or permissions, times to two seconds, names of any case are the same."""
    needs("mkfs.exfat", "mount.exfat-fuse", package="exfatprogs exfat-fuse", root=True)
    image = folder / "image"
    with image.open("wb") as file:
        file.truncate(MEGABYTES << 20)
    with _loop(image) as device:
        _call("mkfs.exfat", device)
        with _mounted(folder / "exfat", "mount.exfat-fuse", device) as place:
            yield place


@contextmanager
def ssh(folder: Path) -> Iterator[Path]:
    """What sshfs gives of a server's folder: times in seconds, and what is removed while it is open is gone."""
    needs("sshfs", package="sshfs", root=True)
    server, served = folder / "sshd", folder / "served"
    served.mkdir()
    settings = f"IdentityFile={server}/user,StrictHostKeyChecking=no,UserKnownHostsFile=/dev/null,sftp_server={SFTP}"
    with (
        Sshd(server) as sshd,
        _mounted(folder / "ssh", "sshfs", f"127.0.0.1:{served}", "-p", str(sshd.port), "-o", settings) as place,
    ):
        yield place


@contextmanager
def _loop(image: Path) -> Iterator[str]:
    """A block device that is a file."""
    device = _call("losetup", "--find", "--show", str(image)).strip()
    try:
        yield device
    finally:
        _call("losetup", "--detach", device)


@contextmanager
def _mounted(place: Path, *command: str) -> Iterator[Path]:
    place.mkdir()
    done = subprocess.run([*command, str(place)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{shutil.which(command[0])} can't mount here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        _call("umount", "-l", str(place))


def _call(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
